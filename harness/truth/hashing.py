"""Flows spread over links by a hash: what chance alone does, and what a hash that is known would do. Pure.

A hash that is uniform puts each flow on any of the links with the same probability, whatever it does with the others
(RFC 2992 section 3): so the numbers of flows on the links are multinomial, and everything here is counted exactly.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

HASH = "CRC-32"
"""The hash of `link_of`: one of those that switches have; Linux keys its own with a random number."""


def used_chances(flows: int, links: int) -> tuple[float, ...]:
    """Return the probabilities that 1, 2, … of the links get any of the flows; ValueError for none of either.

    Those of k links: C(links, k) choices, each with as many maps of all flows onto all k (inclusion and exclusion).
    """
    _require(flows, links)
    chances = []
    for used in range(1, links + 1):
        onto = sum((-1) ** left * comb(used, left) * (used - left) ** flows for left in range(used + 1))
        chances.append(float(Fraction(comb(links, used) * onto, links**flows)))
    return tuple(chances)


def one_link_chance(flows: int, links: int) -> float:
    """Return the probability that all flows fall on one link: links ** (1 - flows)."""
    return used_chances(flows, links)[0]


def used_links(flows: int, links: int) -> float:
    """Return how many links get any flow in the mean; with flows that fill links, so many times one link's rate."""
    return sum(used * chance for used, chance in enumerate(used_chances(flows, links), 1))


def uneven_chance(flows: int, links: int, most: int) -> float:
    """Return the probability that some link gets so many of the flows or more."""
    _require(flows, links)
    return float(1 - Fraction(_ways(flows, links, most - 1), links**flows))


def fullest_share(flows: int, links: int) -> float:
    """Return which share of the flows the fullest link gets in the mean."""
    _require(flows, links)
    at_most = [Fraction(_ways(flows, links, most), links**flows) for most in range(flows)]
    return float(sum(1 - chance for chance in at_most) / flows)


def _ways(flows: int, links: int, most: int) -> int:
    """Return in how many ways flows can be dealt out so that no link gets more than `most`."""
    ways = [1, *[0] * flows]  # by the number of flows that were dealt out
    for _ in range(links):
        ways = [
            sum(comb(dealt, own) * ways[dealt - own] for own in range(min(most, dealt) + 1))
            for dealt in range(flows + 1)
        ]
    return ways[flows]


def at_least_chance(times: int, trials: int, chance: float) -> float:
    """Return the probability that what happens with a chance in each of so many trials does so that often or more."""
    return sum(comb(trials, n) * chance**n * (1 - chance) ** (trials - n) for n in range(times, trials + 1))


def _require(flows: int, links: int) -> None:
    if flows < 1 or links < 1:
        raise ValueError(f"{flows} flows over {links} links: there is at least one of each")


@dataclass(frozen=True)
class FiveTuple:
    """What ECMP of layer 4 hashes; `protocol` is IP's number. Ports are 0 where there are none."""

    source: str
    destination: str
    protocol: int
    source_port: int
    destination_port: int


def link_of(flow: FiveTuple, links: int) -> int:
    """Return on which of the links, from 0, the CRC-32 (IEEE 802.3) of a five-tuple puts its flow.

    Addresses, protocol and ports stand in the order of their names, as in the headers, big end first; the link is the
    remainder of the hash by the number of links.
    """
    addresses = b"".join(ipaddress.ip_address(end).packed for end in (flow.source, flow.destination))
    ports = b"".join(port.to_bytes(2, "big") for port in (flow.source_port, flow.destination_port))
    return zlib.crc32(addresses + bytes([flow.protocol]) + ports) % links


def split_of(flows: Sequence[FiveTuple], weights: Sequence[float], links: int) -> tuple[list[int], list[float]]:
    """Return how many of the flows, and how much of their weights, `link_of` puts on each link."""
    counts, sums = [0] * links, [0.0] * links
    for flow, weight in zip(flows, weights, strict=True):
        link = link_of(flow, links)
        counts[link] += 1
        sums[link] += weight
    return counts, sums
