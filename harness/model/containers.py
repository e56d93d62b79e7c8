"""Endpoints that are containers of a real engine instead of plain namespaces.

Pure: which engine and image, validated. What it means on a node is in `harness.fabric.topology`, what is done there in
`playbooks/module_utils/harness_containers.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from harness.model.errors import InputError

OWN_IMAGE = "vxlan-harness/endpoint:1"
"""The image used where none is named: made on the node by `import` from its own `sleep`, so no registry is needed."""
# What the reference grammar of OCI images allows, https://github.com/distribution/reference, a little wider; what
# matters is that it cannot be taken for an option, and that the engine is left to refuse the rest.
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,254}")


class Engine(StrEnum):
    """What makes an endpoint's namespace: `ip netns` or a container engine, named by its program."""

    NONE = "none"
    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True)
class Containers:
    """What endpoints are made with; an image only where they are containers."""

    engine: Engine = Engine.NONE
    image: str = ""

    @classmethod
    def parse(cls, engine: str, image: str | None = None) -> Containers:
        """Return the validated choice; InputError for an unknown engine, a bad image, or an image without an engine."""
        if engine not in [*Engine]:
            raise InputError(f"unknown container engine {engine}: choose one of {', '.join(Engine)}.")
        chosen = Engine(engine)
        if chosen is Engine.NONE:
            if image:
                raise InputError(
                    f"image {image}: endpoints are not containers; choose an engine with it, such as docker."
                )
            return cls()
        return cls(chosen, parse_image(image) if image else OWN_IMAGE)


def parse_image(text: str) -> str:
    """Return the name of an image; InputError for what is none."""
    if not _IMAGE.fullmatch(text):
        raise InputError(f"{text!r} is not the name of an image, such as debian:12.")
    return text
