"""Which groups of trials are measured once more: as a whole, at the end of their block, within a budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from harness.measures.registry import cells, grouping
from harness.model.trial import Slot, Timing
from harness.results.plan import Plan, Setup
from harness.run.repeats import BLOCKS_EACH, DISTURBED_RATIO, Repeats, Turn

CALM, DISTURBED = DISTURBED_RATIO, DISTURBED_RATIO * 2
MTUS = (1450, 1500)


def plan(blocks: int = 1, **levels: tuple[str | int, ...]) -> Plan:
    made = cells(("iperf3", "ping"), {"flows": (1, 8), **levels}, MTUS)
    setup = Setup(("underlay", "vxlan"), MTUS, 1500)
    return Plan("quick", setup, made, blocks=blocks, timing=Timing(2, 1), seed=3)


def turns(made: Plan, stolen: Mapping[Slot, float]) -> list[Turn]:
    """Return the turns that a plan takes where these trials lose so much, in whichever attempt."""
    repeats = Repeats(made.slots)
    taken = []
    for turn in repeats.turns(enumerate(made.slots, 1)):
        repeats.measured(turn, stolen.get(turn.slot, 0.0))
        taken.append(turn)
    return taken


def first(made: Plan, block: int = 1, profile: str = "vxlan") -> Slot:
    return next(
        slot for slot in made.slots if (slot.block, slot.profile, slot.cell.measure) == (block, profile, "iperf3")
    )


def again(taken: Iterable[Turn]) -> list[Slot]:
    return [turn.slot for turn in taken if turn.attempt > 1]


def test_undisturbed_plan_is_measured_once_in_its_order() -> None:
    made = plan(2)
    taken = turns(made, dict.fromkeys(made.slots, CALM))
    assert [(turn.number, turn.slot, turn.attempt) for turn in taken] == [
        (number, slot, 1) for number, slot in enumerate(made.slots, 1)
    ]


@pytest.mark.parametrize("levels", [{}, {"offload": ("generic-receive-offload=on", "generic-receive-offload=off")}])
def test_whole_group_is_measured_again_at_the_end_of_its_block(levels: Mapping[str, tuple[str, ...]]) -> None:
    """Both arms, all MTUs and all states of the nodes, in the order that they had; no other group is."""
    made = plan(2, **levels)
    odd = first(made)
    taken = turns(made, {odd: DISTURBED})
    group = [slot for slot in made.slots if slot.block == 1 and grouping(slot.cell)[0] == grouping(odd.cell)[0]]
    assert again(taken) == group
    assert {slot.profile for slot in group} == {"underlay", "vxlan"}
    assert {slot.cell.mtu for slot in group} == set(MTUS)
    of_block = sum(slot.block == 1 for slot in made.slots)
    assert [turn.attempt for turn in taken] == [1] * of_block + [2] * len(group) + [1] * of_block


def test_each_profile_is_repeated_as_often_whoever_was_disturbed() -> None:
    made = plan(10)
    by_profile = [
        Counter((slot.block, slot.cell.mtu, slot.profile) for slot in again(turns(made, {first(made, 1, who): 0.5})))
        for who in ("underlay", "vxlan")
    ]
    assert sum(by_profile[0].values()) == sum(by_profile[1].values()) == 4
    for counts in by_profile:
        assert Counter(profile for _, _, profile in counts.elements()) == {"underlay": 2, "vxlan": 2}


def test_second_attempt_is_the_last_however_disturbed() -> None:
    made = plan()
    taken = turns(made, dict.fromkeys(made.slots, 0.9))
    assert Counter(turn.attempt for turn in taken) == {1: len(made.slots), 2: len(made.slots)}


@pytest.mark.parametrize(("blocks", "repeated"), [(1, [1]), (5, [1]), (6, [1, 6]), (10, [1, 6]), (11, [1, 6, 11])])
def test_one_block_of_so_many_is_repeated(blocks: int, repeated: list[int]) -> None:
    assert BLOCKS_EACH == 5
    made = plan(blocks)
    taken = turns(made, dict.fromkeys(made.slots, DISTURBED))
    assert sorted({slot.block for slot in again(taken)}) == repeated


def test_budget_that_was_not_needed_is_there_later() -> None:
    made = plan(6)
    taken = turns(made, {slot: DISTURBED for slot in made.slots if slot.block >= 5})
    assert sorted({slot.block for slot in again(taken)}) == [5, 6]


def test_it_is_said_once_a_group_what_was_lost() -> None:
    made = plan()
    taken = turns(made, {first(made): 0.237})
    (why,) = [turn.why for turn in taken if turn.why]
    assert why.startswith("block 1: iperf3 tcp x")
    assert why.endswith("once more, up to 24% of the CPU time was given to others")


def test_next_block_is_not_asked_for_before_the_last_one_is_repeated() -> None:
    """Whoever decides between two blocks whether there is to be another one finds the last one complete."""
    made = plan(2)
    asked: list[int] = []

    def slots() -> Iterable[tuple[int, Slot]]:
        for number, slot in enumerate(made.slots, 1):
            asked.append(slot.block)
            yield number, slot

    repeats = Repeats(made.slots)
    for turn in repeats.turns(slots()):
        repeats.measured(turn, DISTURBED if turn.slot.block == 1 else CALM)
        if turn.attempt == 2:
            assert set(asked) == {1}
    assert set(asked) == {1, 2}
