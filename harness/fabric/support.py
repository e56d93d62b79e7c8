"""Which profiles a node's kernel can make: its link types, tried in a namespace that is gone at once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.fabric.profiles import Profile

_REFUSALS = ("unknown device type", "not supported")
"""What `ip link add` says, in new and old kernels, of a link type that the kernel lacks."""

ESP = "esp"
"""What encrypted overlays need beside link types: IPsec's ESP, with the cipher that Docker takes."""
_ESP_STATE = (
    "ip xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 256 mode transport "
    f"aead rfc4106(gcm(aes)) 0x{20 * '01'} 64"
)


def argv(kind: str) -> list[str]:
    """Return the command that tries a link type; without its attributes it may fail for other reasons."""
    if kind == "tun":
        return ["test", "-c", "/dev/net/tun"]
    if kind == ESP:
        return ["unshare", "--net", *_ESP_STATE.split()]
    return ["unshare", "--net", "ip", "link", "add", "name", "probe", "type", kind]


def is_refused(kind: str, exit_code: int, stderr: str) -> bool:
    """Tell whether what the command said means that the kernel lacks the link type."""
    if kind in ("tun", ESP):
        return exit_code != 0
    return any(words in stderr.lower() for words in _REFUSALS)


def kinds(profile: Profile) -> tuple[str, ...]:
    """Return the link types that a profile needs, endpoints included."""
    kinds = [link.kind for link in profile.links]
    if profile.swarm is not None:
        kinds += ["vxlan", "bridge", *([ESP] if profile.swarm.encrypted else [])]
    return tuple(dict.fromkeys([*kinds, *(["veth"] if profile.endpoints else [])]))


def named(kinds: Sequence[str]) -> str:
    """Return link types in words; ESP is none, and is looked for like one."""
    return " and ".join("IPsec ESP" if kind == ESP else f"link type {kind}" for kind in kinds)


def lacking(profiles: Mapping[str, Profile], can_make: Callable[[str], bool]) -> dict[str, Sequence[str]]:
    """Return the profiles that cannot be made, each with the link types it misses; each type is tried once."""
    tried = {kind: can_make(kind) for profile in profiles.values() for kind in kinds(profile)}
    missed = {name: [kind for kind in kinds(profile) if not tried[kind]] for name, profile in profiles.items()}
    return {name: missing for name, missing in missed.items() if missing}
