"""Which hosts are measured against each other, and which pairs at the same time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.model.errors import InputError

ALL = "all"
PAIRS_FILE = "pairs.json"
"""What a run of several pairs has in its folder, beside a run folder for each pair."""


@dataclass(frozen=True)
class Pair:
    """Two hosts by their inventory names."""

    client: str
    server: str

    def __str__(self) -> str:
        return f"{self.client}:{self.server}"

    @property
    def hosts(self) -> tuple[str, str]:
        """Client and server."""
        return (self.client, self.server)

    @property
    def folder(self) -> str:
        """Name of the pair's folder within that of the run."""
        return f"{self.client}--{self.server}"


Wave = tuple[Pair, ...]
"""Pairs that are set up and measured at the same time; no host is in two of them."""


def parse(text: str, hosts: Sequence[str], advice: str = "") -> tuple[Pair, ...]:
    """Return the pairs of a text: `A:B,A:C`, or `all` for every two hosts, the earlier one as the client.

    Raises InputError for what is no pair of two known hosts, or is there twice; `advice` ends the one about unknown
    hosts.
    """
    if text == ALL:
        return tuple(Pair(client, server) for client, server in combinations(hosts, 2))
    pairs: list[Pair] = []
    for word in text.split(","):
        pair = _pair(word.strip(), hosts, advice)
        if pair in pairs:
            raise InputError(f"{pair} is there twice; give each pair once.")
        if Pair(pair.server, pair.client) in pairs:
            raise InputError(
                f"{pair} is {pair.server}:{pair.client} the other way round; give each pair once, "
                "the direction reverse measures that way."
            )
        pairs.append(pair)
    return tuple(pairs)


def _pair(word: str, hosts: Sequence[str], advice: str) -> Pair:
    client, colon, server = word.partition(":")
    if not (client and colon and server) or ":" in server:
        raise InputError(f"{word!r} is not CLIENT:SERVER; give such pairs with commas between them, or all.")
    for name in (client, server):
        if name not in hosts:
            raise InputError(f"there is no host {name!r}; there are {', '.join(hosts)}{advice}.")
    if client == server:
        raise InputError(f"{word} is one host; a pair takes two.")
    return Pair(client, server)


def waves(pairs: Sequence[Pair], *, parallel: bool) -> tuple[Wave, ...]:
    """Return the pairs one by one, or (`parallel`) in waves of as many disjoint ones as come first."""
    if not parallel:
        return tuple((pair,) for pair in pairs)
    waiting = list(pairs)
    waves: list[Wave] = []
    while waiting:
        wave: list[Pair] = []
        for pair in waiting:
            if not any(set(pair.hosts) & set(other.hosts) for other in wave):
                wave.append(pair)
        waves.append(tuple(wave))
        waiting = [pair for pair in waiting if pair not in wave]
    return tuple(waves)
