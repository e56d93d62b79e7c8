"""What `harness inspect --between` has to find of a path that a profile of ours built; the same in every lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.fabric.profiles import load
from harness.model.path import Kind

VNIS = {"vxlan": 20, "vxlan-1500": 21, "vxlan6": 22, "vxlan-one-port": 24, "flannel": 1, "geneve": 23}
MTU = 1450


def unlike(profile: str, found: Mapping[str, Any]) -> list[str]:
    """Return what of a found path, as `Found.to_json` has it, is not as the shipped profile of that name says."""
    shipped, wire = load(profile), found["wire"]
    tunnels = [
        [(one["name"], one["mtu"]) for one in found[side]["devices"] if one["place"] == "tunnel"]
        for side in ("client", "server")
    ]
    wanted = [(shipped.tunnel, shipped.path_mtu(found["nic_mtu"]))] if shipped.kind is Kind.TUNNEL else []
    vni = wire["vni"] if shipped.swarm else VNIS.get(profile)  # Docker gives its networks numbers of its own
    seen = {
        "headers": (None if wire["headers"] is None else tuple(wire["headers"]), shipped.headers),
        "echoes seen": (list(wire["seen"]), [20, 20]),
        "VNI": (wire["vni"], vni if "vxlan" in shipped.headers or "geneve" in shipped.headers else None),
        "tunnels": (tunnels, [wanted, wanted]),
        "MTUs": ([found[side]["devices"][0]["mtu"] for side in ("client", "server")], [MTU, MTU]),
    }
    return [f"{what}: {own}, wanted {other}" for what, (own, other) in seen.items() if own != other]
