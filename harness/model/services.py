"""Services of a cluster as further paths between the same pods."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ServiceKind(StrEnum):
    """How a service is reached: by an address of its own in the cluster, or by a port of a node's."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"

    @property
    def path(self) -> str:
        """What the path by way of such a service is called, as a profile."""
        return {ServiceKind.CLUSTER_IP: "cluster-ip", ServiceKind.NODE_PORT: "node-port"}[self]


@dataclass(frozen=True)
class Served:
    """A service that stands: its name, the address that clients use, and the ports, the same at its pod."""

    name: str
    address: str
    ports: tuple[int, ...]
