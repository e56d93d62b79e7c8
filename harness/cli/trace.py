"""`harness trace`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import err, out, put
from harness.cli.equipment import asked_passwords, equipped, require_source
from harness.cli.options import (
    FACTOR_PREFIX,
    ask_become_pass_option,
    ask_pass_option,
    containers_option,
    lab_option,
    profiles_dir_option,
    wires_options,
)
from harness.model.errors import InputError, VerificationError
from harness.model.trial import MTU

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.inspect.sending import Sending
    from harness.inspect.trace import Traced
    from harness.nodes.target import Passwords

FORMATS = ("text", "markdown", "json", "svg")
DEFAULT_MTU = 1450
MOST_ECHOES = 1000
LEAST_BYTES, MOST_BYTES = 28, 65535


@click.command()
@click.option("--profile", required=True, help="Profile whose path is followed; underlay is one, too.")
@lab_option
@click.option(
    "--mtu", type=click.IntRange(68, 65535), default=DEFAULT_MTU, show_default=True, help="The endpoints' MTU in bytes."
)
@click.option(
    "--count",
    type=click.IntRange(1, MOST_ECHOES),
    default=3,
    show_default=True,
    help="Echoes; times are over all of them.",
)
@click.option(
    "--size",
    type=click.IntRange(LEAST_BYTES, MOST_BYTES),
    help="Size of each echo's packet in bytes, IP header included. [default: 84, as ping has it]",
)
@click.option(
    "-M",
    "pmtudisc",
    type=click.Choice(("do", "want", "dont")),
    help="ping's own -M: do sends what must not be cut, dont what may be.",
)
@click.option("--tcp", is_flag=True, help="Follow a TCP connection instead: handshake, MSS, the first full segment.")
@click.option("--pcap", type=click.Path(path_type=Path), help="Folder for the captures, a file for each interface.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@profiles_dir_option
@containers_option
@wires_options
@click.option("--keep", is_flag=True, help="Leave the set-up standing, and the local lab with it.")
@ask_pass_option
@ask_become_pass_option
def trace(
    profile: str,
    mtu: int,
    pcap: Path | None,
    form: str,
    keep: bool,
    ask_pass: bool,
    ask_become_pass: bool,
    **options: Any,  # noqa: ANN401 - Options by name
) -> None:
    """Follow one packet from endpoint to endpoint, through every interface and table on its way.

    Captures on all of them at the same time while a few echoes are sent, the first one with cold ARP and forwarding
    tables, and tells hop by hop what the packet looked like, what was put in front of it or taken off, and which entry
    of which table sent it on. A packet that gets lost is followed to where it was seen last.
    """
    from harness.cli.prepare import Options, prepare
    from harness.report.trace_formats import FORMATS as RENDERERS
    from harness.report.trace_text import drawn

    sending = _sending(options)
    prepared = prepare(
        Options.of(options | {"profile": (profile,), "measures": ("ping",), f"{FACTOR_PREFIX}{MTU}": (mtu,)}), keep=keep
    )
    if prepared.profiles[profile].swarm is not None:
        raise InputError(
            f"profile {profile}: Docker hides its devices in a namespace of its own, which trace does not look into; "
            "`harness inspect --between` shows the way between its containers."
        )
    require_source(prepared)
    passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
    traced = _traced(prepared, sending, passwords, keep=keep)
    if form == FORMATS[0] and out.is_terminal:
        out.print(drawn(traced.trace))
    else:
        put(RENDERERS[form](traced.trace))
    if pcap is not None:
        from harness.inspect.pcap import save

        files = save(traced, pcap)
        err.print(f"Captures: {len(files)} files in {pcap}", soft_wrap=True)
    losses = [(walk.name, walk.loss) for walk in traced.trace.walks if walk.loss]
    if losses:
        name, loss = losses[0]
        raise VerificationError(f"{name}: {loss.cause}; what was seen is above.")


def _sending(options: dict[str, Any]) -> Sending:
    """Return what to send; InputError for what does not go together."""
    from harness.inspect.sending import DEFAULT_BYTES, Sending

    if options["tcp"] and (options["size"] or options["pmtudisc"]):
        raise InputError("--tcp sends segments of the size that TCP finds: leave --size and -M out.")
    return Sending(options["count"], options["size"] or DEFAULT_BYTES, options["pmtudisc"] or "", options["tcp"])


def _traced(prepared: Prepared, sending: Sending, passwords: Passwords, *, keep: bool) -> Traced:
    from harness.inspect.trace import trace_on

    with equipped(prepared, passwords) as (equipment, _):
        return trace_on(equipment, prepared.plan.setup, prepared.profiles, sending, keep=keep)
