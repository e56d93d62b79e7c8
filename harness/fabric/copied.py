"""A profile under other names, so that it runs beside what has its names, VNI, port or subnet already. Pure.

The file's text is changed, not what was read of it: comments stay, and so does what nobody has to be told apart by.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.fabric.profiles import Profile
from harness.model.errors import InputError

_MOST_NAME = 15
"""Bytes of a device's name (IFNAMSIZ, less its end)."""
_FIRST_PORT, _PORTS = 14000, 2000
_FIRST_NETWORK, _NETWORKS = 128, 100
_VNIS = 2**24 - 1
_PORT = re.compile(r"(?m)^(\s+(?:dstport|port): )\d+$")
_VNI = re.compile(r"(?m)^(\s+id: )\d+$")


@dataclass(frozen=True)
class Copy:
    """The text of the copy's file, and in words what is otherwise in it."""

    text: str
    changes: tuple[str, ...]


def copied(text: str, profile: Profile, name: str) -> Copy:
    """Return a profile's file for a profile called `name`; InputError for one that cannot run under other names.

    What is chosen follows from the new name alone, so two hosts, and two copies of one file, agree.
    """
    if profile.swarm is not None or profile.endpoints is None:
        raise InputError(f"profile {profile.name} has no names of its own to change.")
    number = zlib.crc32(name.encode())
    changes = []
    for position, link in enumerate(profile.links, 1):
        device = f"{name[: _MOST_NAME - 2]}-{position}"
        text = _replaced(text, link.name, device)
        changes.append(f"{link.name} is {device}")
    for old, new in _networks(profile, number):
        text = re.sub(rf"(?<![\d.]){re.escape(old)}(?=\.)", new, text)
        changes.append(f"{old}.0.0/16 is {new}.0.0/16")
    for file in profile.files:
        folder = str(PurePosixPath(file.path).parent)
        text = text.replace(f"{folder}/", f"/run/{name}/")
        changes.append(f"{folder} is /run/{name}")
    port, vni = _FIRST_PORT + number % _PORTS, 1 + number % _VNIS
    for what, pattern, value in (("the port", _PORT, port), ("the VNI", _VNI, vni)):
        text, count = pattern.subn(rf"\g<1>{value}", text)
        changes += [f"{what} is {value}"] if count else []
    text = re.sub(r"(?m)^name: .*$", f"name: {name}", text)
    text = re.sub(r"(?m)^summary: .*$", f'summary: "{profile.name} under other names, to run beside it"', text)
    return Copy(text, tuple(changes))


def _replaced(text: str, old: str, new: str) -> str:
    """Return a text with a device's name changed wherever it stands by itself, comments left alone."""
    word = re.compile(rf"(?<![\w./-]){re.escape(old)}(?![\w./-])")
    return "".join(line if line.lstrip().startswith("#") else word.sub(new, line) for line in text.splitlines(True))


def _networks(profile: Profile, number: int) -> list[tuple[str, str]]:
    """Return the first halves of the profile's networks, and what takes their place."""
    found = []
    for position, text in enumerate(profile.networks):
        network = ipaddress.ip_network(text)
        if network.version != 4 or network.prefixlen != 16:  # noqa: PLR2004 - all that are shipped
            raise InputError(f"profile {profile.name}: network {text} is no IPv4 /16; copy the file by hand.")
        first = ".".join(str(network.network_address).split(".")[:2])
        found.append((first, f"10.{_FIRST_NETWORK + (number + position) % _NETWORKS}"))
    return found
