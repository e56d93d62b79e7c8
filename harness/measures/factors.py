"""The factors there are; another one is an entry here."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.measures.offload import OFFLOAD
from harness.model.errors import InputError
from harness.model.factors import Factor, Scope, Value
from harness.model.trial import ARM, ARMS, MTU, Direction

MTU_BOUNDS = (576, 65535)
"""The smallest datagram that every IPv4 host accepts (RFC 791), and the largest that its length field can say."""
PACKET_BOUNDS = (44, 65535)
"""What iperf3 can send as UDP, see iperf3.MIN_PACKET_BYTES."""
MAX_FLOWS = 128
"""MAX_STREAMS of iperf3's iperf.h."""
_MAX_DIGITS = 9
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(kbit|mbit|gbit)")
_RATE_UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_PERCENT = re.compile(r"\d{1,3}(?:\.\d{1,3})?%")


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what makes a whole number from low to high of text."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
            raise InputError(f"{text!r} is not a whole number; give numbers from {low} to {high}")
        if not low <= int(text) <= high:
            raise InputError(f"{text} is out of bounds; choose a number from {low} to {high}")
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """Return what takes one of some words."""

    def parse(text: str) -> str:
        if text not in words:
            raise InputError(f"{text!r} is unknown; choose from {', '.join(words)}")
        return text

    return parse


def rate_bps(text: str) -> float:
    """Return a rate such as `1gbit` in bit/s; raises InputError for anything else."""
    match = _RATE.fullmatch(text)
    rate = float(match[1]) * _RATE_UNITS[match[2]] if match else 0.0
    if not 1e3 <= rate <= 400e9:  # noqa: PLR2004 - what a test can send and measure
        raise InputError(f"{text!r} is not a rate; give a number with kbit, mbit or gbit, from 1kbit to 400gbit")
    return rate


def _udp_rate(text: str) -> Value:
    """Return `none`, a share such as `50%`, or a rate in bit/s, also of the plain number that a file holds."""
    if text == "none":
        return text
    if _PERCENT.fullmatch(text) and 0 < float(text[:-1]) <= 200:  # noqa: PLR2004 - twice the link is surely too much
        return text
    if re.fullmatch(r"[1-9]\d{3,11}", text):
        return int(text)
    try:
        return int(rate_bps(text))
    except InputError as error:
        raise InputError(
            f"{text!r} is not a rate; give a share such as 50%, a rate such as 500mbit, or none"
        ) from error


def share(text: str) -> float:
    """Return a share below 1, written as `0.1%` or as a plain number."""
    try:
        share = round(float(text.removesuffix("%")) / (100 if text.endswith("%") else 1), 12)
    except ValueError as error:
        raise InputError(f"{text!r} is not a share; give one such as 0.1%, or 0") from error
    if not 0 <= share < 1:
        raise InputError(f"{text} is out of bounds; choose a share from 0 to below 100%")
    return share


def _rate_label(value: Value) -> str:
    if isinstance(value, str):
        return "unlimited" if value == "none" else value
    return f"{value / 1e6:g} Mbit/s"


FACTORS: dict[str, Factor] = {
    factor.name: factor
    for factor in (
        Factor(
            "protocol",
            "tcp, udp, or tcp,udp.",
            one_of("tcp", "udp"),
            default=("tcp",),
        ),
        Factor(
            "direction",
            "Who sends: forward (the client), reverse, bidir; any of them.",
            one_of(*Direction),
            choices=tuple(Direction),
            default=(Direction.FORWARD.value,),
            label=lambda value: "" if value == Direction.FORWARD else str(value),
        ),
        Factor(MTU, "The endpoints' MTUs in bytes.", whole(*MTU_BOUNDS), "B", Scope.ENDPOINT, default=(1450, 1500)),
        Factor(
            "flows",
            f"Parallel flows, from 1 to {MAX_FLOWS} each.",
            whole(1, MAX_FLOWS),
            default=(1, 4, 8),
            label=lambda value: f"x{value}",
        ),
        Factor(
            "udp_rate",
            "What UDP is offered at: shares such as 10%,50% of the link's rate (or of what TCP reached on it), rates "
            "such as 500mbit, none for no limit.",
            _udp_rate,
            "bit/s",
            label=_rate_label,
        ),
        Factor(
            "size",
            "Sizes of UDP's and sockperf's packets in bytes, IP header included; the MTU's own where not given.",
            whole(*PACKET_BOUNDS),
            "B",
            label=lambda value: f"{value}B",
        ),
        Factor(
            "loss",
            "Loss that udp-search allows, such as 0.1%, or 0 (RFC 2544).",
            share,
            "ratio",
            default=(0.001,),
            label=lambda value: f"≤{100 * float(value):g}%",
        ),
        OFFLOAD,
        Factor(
            ARM,
            "Which of two arms that are measured alike, in a run against itself.",
            one_of(*ARMS),
            scope=Scope.LABEL,
            choices=ARMS,
            label=lambda value: f"arm {value}",
        ),
    )
}
"""Every factor by its name, in the order in which cells are named after them."""
