"""Chances of flows on links: every formula against all the ways there are, and known values."""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest

from harness.truth.hashing import (
    FiveTuple,
    at_least_chance,
    fullest_share,
    link_of,
    one_link_chance,
    split_of,
    uneven_chance,
    used_chances,
    used_links,
)

SIZES = [(flows, links) for flows in range(1, 8) for links in range(1, 5)]


def counts(flows: int, links: int) -> Iterator[list[int]]:
    """Yield how many flows each link gets, once for each way to put every flow on a link."""
    for way in product(range(links), repeat=flows):
        found = Counter(way)
        yield [found[link] for link in range(links)]


def mean(flows: int, links: int, of: Callable[[list[int]], float]) -> float:
    values = [of(own) for own in counts(flows, links)]
    return sum(values) / len(values)


@pytest.mark.parametrize(("flows", "links"), SIZES)
def test_formulas_agree_with_all_the_ways_there_are(flows: int, links: int) -> None:
    def share(holds: Callable[[list[int]], bool]) -> float:
        return mean(flows, links, holds)

    assert used_chances(flows, links) == pytest.approx([share(partial(uses, used)) for used in range(1, links + 1)])
    assert used_links(flows, links) == pytest.approx(mean(flows, links, lambda own: sum(map(bool, own))))
    assert fullest_share(flows, links) == pytest.approx(mean(flows, links, max) / flows)
    for most in range(flows + 2):
        assert uneven_chance(flows, links, most) == pytest.approx(share(partial(reaches, most)))


def uses(count: int, own: list[int]) -> bool:
    return sum(map(bool, own)) == count


def reaches(most: int, own: list[int]) -> bool:
    return max(own) >= most


@pytest.mark.parametrize(
    ("flows", "links", "chance"),
    [(1, 2, 1.0), (2, 2, 0.5), (4, 2, 0.125), (8, 2, 2**-7), (16, 2, 2**-15), (8, 4, 4**-7), (128, 8, 8**-127)],
)
def test_all_flows_on_one_link(flows: int, links: int, chance: float) -> None:
    assert one_link_chance(flows, links) == pytest.approx(chance, rel=1e-12)
    assert uneven_chance(flows, links, flows) == pytest.approx(chance, rel=1e-12)


def test_many_flows_use_every_link() -> None:
    assert used_links(128, 8) == pytest.approx(8, abs=1e-5)
    assert sum(used_chances(128, 8)) == pytest.approx(1)
    assert fullest_share(128, 2) == pytest.approx(0.5352, abs=1e-4)  # .5 + 1 / sqrt(2 pi 128), of the normal limit


@pytest.mark.parametrize(("flows", "links"), [(0, 2), (2, 0), (-1, 2)])
def test_nothing_cannot_be_spread(flows: int, links: int) -> None:
    for formula in (one_link_chance, used_links, fullest_share):
        with pytest.raises(ValueError, match="there is at least one of each"):
            formula(flows, links)


@pytest.mark.parametrize("trials", [1, 3, 6])
@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_so_often_or_more(trials: int, chance: float) -> None:
    for times in range(trials + 1):
        ways = product((True, False), repeat=trials)
        likely = [chance ** sum(way) * (1 - chance) ** (trials - sum(way)) for way in ways if sum(way) >= times]
        assert at_least_chance(times, trials, chance) == pytest.approx(sum(likely))


def test_link_is_the_remainder_of_the_crc_of_the_headers_own_bytes() -> None:
    flow = FiveTuple("172.12.1.11", "172.12.1.12", 17, 51891, 4789)
    packed = bytes.fromhex("ac0c010b ac0c010c 11 cab3 12b5")
    assert [link_of(flow, links) for links in (1, 2, 3, 8)] == [zlib.crc32(packed) % links for links in (1, 2, 3, 8)]
    over_6 = FiveTuple("fd00::1", "fd00::2", 6, 1, 2)
    packed = bytes.fromhex("fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "02" + "06 0001 0002")
    assert link_of(over_6, 5) == zlib.crc32(packed) % 5


def test_split_counts_and_weighs_what_falls_on_each_link() -> None:
    flows = [FiveTuple("172.12.1.11", "172.12.1.12", 17, port, 4789) for port in range(40000, 40064)]
    found, weights = split_of(flows, [2.0] * 64, 2)
    assert sum(found) == 64
    assert weights == [2.0 * count for count in found]
    assert min(found) > 16, "a CRC spreads ports in a row evenly"
    assert split_of(flows[:1] * 3, [1, 2, 3], 1) == ([3], [6.0])
    one = split_of(flows[:1] * 3, [1, 2, 3], 2)
    assert sorted(one[0]) == [0, 3], "what is alike falls on one link"
