"""A found path as text: both sides from endpoint to NIC, the headers between, what follows from them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.fabric.existing import said
from harness.model.found import Found, FoundEnd
from harness.truth import wire as arithmetic

_INDENT = "  "


def text(found: Found) -> str:
    """Return a found path, a line for each thing that is known of it."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Found) -> Iterator[str]:
    yield f"{found.client.spot} on {found.client.node} to {found.server.spot} on {found.server.node}"
    yield said(found)
    for end in found.ends:
        yield ""
        yield from _side(end)
    yield ""
    seen, sent = found.wire.seen, 2 * found.wire.echoes
    if found.wire.is_captured:
        yield f"capture    {seen[0]} and {seen[1]} of {sent} packets of our own echoes known again on the two NICs"
    else:
        yield f"capture    none; headers are those of the device that counted {found.wire.echoes} echoes both ways"
    if found.wire.outer:
        yield f"outer      {found.wire.outer[0]} to {found.wire.outer[1]}"
    headers = found.wire.headers
    if headers:
        sizes = ", ".join(f"{name} {arithmetic.HEADER_BYTES[name]}" for name in headers)
        sealed = "; the packet in it is encrypted" if found.wire.is_encrypted else ""
        yield f"headers    {sizes}: {arithmetic.overhead(headers)} bytes{sealed}"
    if headers is not None:
        yield from _consequences(found, headers)
    for note in found.notes:
        yield f"note: {note}"


def _side(end: FoundEnd) -> Iterator[str]:
    yield f"{end.node}: {end.spot} ({end.what})"
    yield f"{_INDENT}route     {end.route}"
    for device in end.devices:
        where = f" in {device.namespace}" if device.namespace else ""
        detail = f"; {device.detail}" if device.detail else ""
        yield f"{_INDENT}{device.place:<9} {device.name}{where}, MTU {device.mtu}{detail}"


def _consequences(found: Found, headers: tuple[str, ...]) -> Iterator[str]:
    path_mtu = found.tunnel_mtu or found.nic_mtu - arithmetic.overhead(headers)
    whose = "the tunnel device's" if found.tunnel_mtu else "what the headers leave of the NIC's"
    yield f"MTU        endpoints {found.mtu}, path {path_mtu} ({whose}), NIC {found.nic_mtu}"
    size = min(found.mtu, path_mtu)
    base = arithmetic.efficiency("tcp", found.nic_mtu, (), found.nic_mtu)
    own = arithmetic.efficiency("tcp", size, headers, found.nic_mtu, tunnel_mtu=found.tunnel_mtu)
    if base and own:
        yield f"ceiling    {own / base:.4f} of the underlay's TCP goodput, with packets of {size} bytes"
    if not headers:
        none = "there is none" if found.wire.is_captured else "none counted the echoes"
        yield f"proof      the NICs' bytes; nothing counts what a tunnel carries, for {none}"
    elif found.counted:
        yield f"proof      bytes of {found.counted[0].label} and of the NICs, on both nodes"
    else:
        yield "proof      the NICs' bytes and the headers captured; no device that counts the tunnel's packets"
