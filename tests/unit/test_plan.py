"""The plan: every cell on every profile once a block, in an order that the seed alone decides."""

from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest

from harness.model.errors import InputError
from harness.model.trial import Cell, Direction, Timing
from harness.results.plan import PRESETS, SET_UP_S, TRIAL_OVERHEAD_S, Plan

PLAN = Plan(
    name="quick",
    profiles=("underlay", "host-gw", "vxlan"),
    mtus=(1450, 1500),
    flows=(1, 4, 8),
    protocols=("tcp", "udp"),
    directions=(Direction.FORWARD, Direction.REVERSE),
    blocks=6,
    timing=Timing(2, 1),
    seed=7,
    nic_mtu=1500,
)
CELLS = {Cell("ping", "icmp", Direction.FORWARD, mtu, 1) for mtu in (1450, 1500)} | {
    Cell("iperf3", protocol, direction, mtu, flows)
    for protocol in ("tcp", "udp")
    for direction in (Direction.FORWARD, Direction.REVERSE)
    for mtu in (1450, 1500)
    for flows in (1, 4, 8)
}


def order(plan: Plan) -> list[tuple[int, str, Cell]]:
    return [(slot.block, slot.profile, slot.cell) for slot in plan.slots]


def test_order_follows_from_the_seed() -> None:
    assert order(PLAN) == order(replace(PLAN))
    assert order(PLAN) != order(replace(PLAN, seed=8))


def test_blocks_differ_in_order() -> None:
    blocks = [[(slot.profile, slot.cell) for slot in PLAN.slots if slot.block == number] for number in range(1, 7)]
    assert len({tuple(block) for block in blocks}) == 6


def test_profiles_come_first_in_turn() -> None:
    """Nobody is always measured first, or drift would fall on one side."""
    firsts = Counter(
        next(group).profile
        for _, group in groupby(PLAN.slots, key=lambda slot: (slot.block, slot.cell.protocol, slot.cell.flows))
    )
    assert set(firsts) == set(PLAN.profiles)


@pytest.mark.parametrize("block", range(1, 7))
def test_each_block_has_every_cell_of_every_profile_once(block: int) -> None:
    visits = Counter((slot.profile, slot.cell) for slot in PLAN.slots if slot.block == block)
    assert set(visits) == {(profile, cell) for profile in PLAN.profiles for cell in CELLS}
    assert set(visits.values()) == {1}


def test_positions_count_from_one_in_each_block() -> None:
    for block, slots in groupby(PLAN.slots, key=lambda slot: slot.block):
        positions = [slot.position for slot in slots]
        assert positions == list(range(1, len(CELLS) * 3 + 1)), block


def test_what_is_compared_is_measured_close_together() -> None:
    """All profiles and MTUs of one tool, protocol, direction and number of flows follow each other."""
    for block in range(1, 7):
        groups = [
            (slot.cell.tool, slot.cell.protocol, slot.cell.direction, slot.cell.flows)
            for slot in PLAN.slots
            if slot.block == block
        ]
        assert len(list(groupby(groups))) == len(set(groups))


@pytest.mark.parametrize(("mtus", "nic_mtu"), [((1450,), 1500), ((1450,), 9000), ((1280, 1400), 1500)])
def test_underlay_is_measured_at_its_own_mtu_too(mtus: tuple[int, ...], nic_mtu: int) -> None:
    plan = replace(PLAN, mtus=mtus, nic_mtu=nic_mtu)
    measured = {profile: {slot.cell.mtu for slot in plan.slots if slot.profile == profile} for profile in plan.profiles}
    assert measured == {"underlay": {*mtus, nic_mtu}, "host-gw": set(mtus), "vxlan": set(mtus)}


def test_ping_goes_forward_over_one_flow_whatever_is_asked_for() -> None:
    plan = replace(PLAN, directions=(Direction.BIDIR,), flows=(8,), protocols=("udp",))
    assert {slot.cell for slot in plan.slots if slot.cell.tool == "ping"} == {
        Cell("ping", "icmp", Direction.FORWARD, mtu, 1) for mtu in (1450, 1500)
    }


@pytest.mark.parametrize(
    ("mtus", "nic_mtu", "words"),
    [
        ((1450, 9000), 1500, "--mtu 9000 is larger than the underlay's own 1500"),
        ((1401,), 1400, "--mtu 1401 .* at most 1400"),
    ],
)
def test_mtu_above_the_nics_is_refused(mtus: tuple[int, ...], nic_mtu: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(PLAN, mtus=mtus, nic_mtu=nic_mtu)


def test_durations() -> None:
    """26 cells on 3 profiles in 6 blocks; 2 of them are pings, which have nothing to omit."""
    assert len(PLAN.slots) == 6 * 3 * 26
    assert PLAN.measuring_s == 6 * 3 * (24 * 3 + 2 * 2)
    assert PLAN.expected_s == pytest.approx(PLAN.measuring_s + 6 * 3 * 26 * TRIAL_OVERHEAD_S + SET_UP_S)


@pytest.mark.parametrize(
    ("name", "blocks", "duration_s", "omit_s"), [("quick", 6, 2, 1), ("standard", 10, 10, 3), ("rfc", 10, 60, 3)]
)
def test_presets(name: str, blocks: int, duration_s: int, omit_s: int) -> None:
    preset = PRESETS[name]
    assert (preset.blocks, preset.duration_s, preset.omit_s) == (blocks, duration_s, omit_s)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell("iperf3", "tcp", Direction.FORWARD, 1450, 8), "iperf3 tcp x8 mtu 1450"),
        (Cell("iperf3", "udp", Direction.BIDIR, 1500, 1), "iperf3 udp x1 bidir mtu 1500"),
        (Cell("ping", "icmp", Direction.FORWARD, 1500, 1), "ping icmp mtu 1500"),
    ],
)
def test_cell_as_text(cell: Cell, text: str) -> None:
    assert str(cell) == text
