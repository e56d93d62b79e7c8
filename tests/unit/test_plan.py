"""The plan: every cell on every profile once a block, in an order that the seed alone decides."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from harness.measures.factors import FACTORS, one_of
from harness.measures.registry import cells
from harness.model.containers import Containers
from harness.model.errors import InputError
from harness.model.factors import Factor, Scope, Value
from harness.model.trial import Cell, Timing
from harness.results.plan import ANOTHER_SETUP_S, PRESETS, SET_UP_S, TRIAL_OVERHEAD_S, Plan, Setup

PROFILES = ("underlay", "host-gw", "vxlan")
LEVELS: dict[str, tuple[Value, ...]] = {
    "protocol": ("tcp", "udp"),
    "direction": ("forward", "reverse"),
    "flows": (1, 4, 8),
}


def made(mtus: tuple[int, ...] = (1450, 1500), nic_mtu: int = 1500, **levels: tuple[Value, ...]) -> Plan:
    """Return a plan of iperf3 and ping for three profiles."""
    return Plan(
        name="quick",
        setup=Setup(PROFILES, mtus, nic_mtu),
        cells=cells(("iperf3", "ping"), LEVELS | levels, mtus),
        blocks=6,
        timing=Timing(2, 1),
        seed=7,
    )


PLAN = made()
CELLS = {Cell.of("ping", mtu=mtu) for mtu in (1450, 1500)} | {
    Cell.of("iperf3", protocol=protocol, direction=direction, mtu=mtu, flows=flows)
    for protocol in ("tcp", "udp")
    for direction in ("forward", "reverse")
    for mtu in (1450, 1500)
    for flows in (1, 4, 8)
}


def order(plan: Plan) -> list[tuple[int, str, Cell]]:
    return [(slot.block, slot.profile, slot.cell) for slot in plan.slots]


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        made((1450,)),
        made((1450, 8950), nic_mtu=9000),
        replace(made((1450,)), same_mtu=False),
        PLAN.limited_to(("vxlan",)),
        made(offload=("", "gro=on", "gro=off")),
    ],
)
def test_trials_are_counted_without_their_order(plan: Plan) -> None:
    count = plan.trials
    assert "slots" not in vars(plan), "that takes a second for a million"
    assert count == len(plan.slots)


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
        for _, group in groupby(PLAN.slots, key=lambda slot: (slot.block, slot.cell.get("protocol"), slot.cell.flows))
    )
    assert set(firsts) == set(PROFILES)


@pytest.mark.parametrize("block", range(1, 7))
def test_each_block_has_every_cell_of_every_profile_once(block: int) -> None:
    visits = Counter((slot.profile, slot.cell) for slot in PLAN.slots if slot.block == block)
    assert set(visits) == {(profile, cell) for profile in PROFILES for cell in CELLS}
    assert set(visits.values()) == {1}


def test_positions_count_from_one_in_each_block() -> None:
    for block, slots in groupby(PLAN.slots, key=lambda slot: slot.block):
        positions = [slot.position for slot in slots]
        assert positions == list(range(1, len(CELLS) * 3 + 1)), block


def test_what_is_compared_is_measured_close_together() -> None:
    """All profiles and MTUs of one measure, protocol, direction and number of flows follow each other."""
    for block in range(1, 7):
        groups = [
            (slot.cell.measure, slot.cell.get("protocol"), slot.cell.direction, slot.cell.flows)
            for slot in PLAN.slots
            if slot.block == block
        ]
        assert len(list(groupby(groups))) == len(set(groups))


@pytest.mark.parametrize(("mtus", "nic_mtu"), [((1450,), 1500), ((1450,), 9000), ((1280, 1400), 1500)])
def test_underlay_is_measured_at_its_own_mtu_too(mtus: tuple[int, ...], nic_mtu: int) -> None:
    plan = made(mtus, nic_mtu)
    measured = {profile: {slot.cell.mtu for slot in plan.slots if slot.profile == profile} for profile in PROFILES}
    assert measured == {"underlay": {*mtus, nic_mtu}, "host-gw": set(mtus), "vxlan": set(mtus)}


def test_ping_goes_forward_over_one_flow_whatever_is_asked_for() -> None:
    plan = made(direction=("bidir",), flows=(8,), protocol=("udp",))
    pings = {slot.cell for slot in plan.slots if slot.cell.measure == "ping"}
    assert pings == {Cell.of("ping", mtu=mtu) for mtu in (1450, 1500)}
    assert {(cell.direction.value, cell.flows) for cell in pings} == {("forward", 1)}


@pytest.mark.parametrize(
    ("mtus", "nic_mtu", "words"),
    [
        ((1450, 9000), 1500, "^MTU 9000 is larger than the underlay's own 1500; choose at most 1500"),
        ((1401,), 1400, "^MTU 1401 .* at most 1400"),
    ],
)
def test_mtu_above_the_nics_is_refused(mtus: tuple[int, ...], nic_mtu: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        made(mtus, nic_mtu)


def test_durations() -> None:
    """26 cells on 3 profiles in 6 blocks; 2 of them are pings, which have nothing to omit."""
    assert len(PLAN.slots) == 6 * 3 * 26
    assert PLAN.measuring_s == 6 * 3 * (24 * 3 + 2 * 2)
    assert PLAN.expected_s == pytest.approx(PLAN.measuring_s + 6 * 3 * 26 * TRIAL_OVERHEAD_S + SET_UP_S)


@pytest.mark.parametrize(
    ("blocks", "setups", "dealt"),
    [
        (6, 1, [1, 1, 1, 1, 1, 1]),
        (6, 2, [1, 1, 1, 2, 2, 2]),
        (7, 3, [1, 1, 1, 2, 2, 3, 3]),
        (5, 4, [1, 1, 2, 3, 4]),
        (3, 3, [1, 2, 3]),
    ],
)
def test_blocks_are_dealt_out_over_set_ups_in_order(blocks: int, setups: int, dealt: list[int]) -> None:
    plan = replace(PLAN, blocks=blocks, setups=setups)
    assert [plan.setup_of(block) for block in range(1, blocks + 1)] == dealt
    assert [(slot.block, slot.setup) for slot in plan.slots if slot.position == 1] == list(enumerate(dealt, 1))


@pytest.mark.parametrize("setups", range(1, 41))
def test_blocks_are_dealt_out_as_evenly_as_can_be(setups: int) -> None:
    plan = replace(PLAN, blocks=40, setups=setups)
    dealt = Counter(plan.setup_of(block) for block in range(1, 41))
    assert list(dealt) == list(range(1, setups + 1))
    assert max(dealt.values()) - min(dealt.values()) <= 1


def test_set_ups_do_not_change_what_is_measured_nor_its_order() -> None:
    assert order(replace(PLAN, setups=3)) == order(PLAN)
    assert replace(PLAN, setups=3).expected_s == pytest.approx(PLAN.expected_s + 2 * ANOTHER_SETUP_S)


@pytest.mark.parametrize("setups", [0, 7])
def test_set_up_without_a_block_is_refused(setups: int) -> None:
    with pytest.raises(
        InputError, match=rf"^{setups} set-ups of 6 blocks .*; choose 1 to 6 set-ups, or more blocks\.$"
    ):
        replace(PLAN, setups=setups)


@pytest.mark.parametrize(
    ("name", "blocks", "duration_s", "omit_s"),
    [("answer", 6, 1, 0), ("quick", 6, 2, 1), ("standard", 10, 10, 3), ("rfc", 10, 60, 3)],
)
def test_presets(name: str, blocks: int, duration_s: int, omit_s: int) -> None:
    preset = PRESETS[name]
    assert (preset.blocks, preset.duration_s, preset.omit_s) == (blocks, duration_s, omit_s)


def test_measures_are_those_of_its_cells() -> None:
    assert PLAN.measures == ("iperf3", "ping")
    assert replace(PLAN, cells=PLAN.cells[-2:]).measures == ("ping",)


def test_packets_that_fit_any_mtu_are_measured_on_the_underlay_once() -> None:
    """They do not fill the NIC's MTU, whatever that is; what does is measured there as well."""
    plan = made((1450,), 1500, protocol=("udp",), size=(512,), direction=("forward",), flows=(1,))
    visited = {(slot.profile, slot.cell.measure, slot.cell.mtu) for slot in plan.slots}
    assert {(profile, mtu) for profile, measure, mtu in visited if measure == "iperf3"} == {
        (profile, 1450) for profile in PROFILES
    }
    assert ("underlay", "ping", 1500) in visited


def test_without_the_underlay_nothing_is_measured_beside_what_was_asked_for() -> None:
    plan = made((1450,), 9000).limited_to(("vxlan",))
    assert {(slot.profile, slot.cell.mtu) for slot in plan.slots} == {("vxlan", 1450)}


def test_nodes_are_changed_as_rarely_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a group all that is measured with the nodes in one state follows each other, and states take turns."""
    factor = Factor("segmentation", "", one_of("on", "off"), scope=Scope.NODE)
    monkeypatch.setitem(FACTORS, factor.name, factor)
    plan = replace(PLAN, cells=tuple(cell.at((("segmentation", on),)) for cell in CELLS for on in ("on", "off")))
    firsts = Counter[Value | None]()
    for _, slots in groupby(plan.slots, key=lambda slot: (slot.block, slot.cell.without("mtu", "segmentation"))):
        states = [state for state, _ in groupby(slots, key=lambda slot: slot.cell.get("segmentation"))]
        assert sorted(map(str, states)) == ["off", "on"]
        firsts[states[0]] += 1
    assert set(firsts) == {"on", "off"}


def test_pairs_have_the_same_trials_in_orders_of_their_own() -> None:
    assert order(PLAN.of_pair(1)) == order(PLAN)
    assert order(PLAN.of_pair(2)) == order(replace(PLAN, seed=8))
    assert sorted(map(str, order(PLAN.of_pair(2)))) == sorted(map(str, order(PLAN)))


def test_plan_limited_to_some_profiles_is_otherwise_the_same() -> None:
    limited = PLAN.limited_to(("underlay", "vxlan"))
    assert limited.setup == replace(PLAN.setup, profiles=("underlay", "vxlan"))
    assert replace(limited, setup=PLAN.setup) == PLAN


PLANS = [
    PLAN,
    made(size=(64, 1400), udp_rate=("50%", 500_000_000, "none")),
    replace(PLAN, cells=(Cell.of("udp-search", mtu=1450, loss=0.001),), timing=Timing(2.5, 0)),
    replace(PLAN, setups=3),
    replace(
        PLAN,
        setup=replace(PLAN.setup, containers=Containers.parse("docker"), profiles_dirs=(Path("/a b"), Path("c"))),
    ),
]


@pytest.mark.parametrize("plan", PLANS, ids=["plain", "udp", "other measures", "set-ups", "containers"])
def test_plan_is_read_back_as_it_was_written(plan: Plan) -> None:
    """run.json holds all of it, so that a run can be planned once more, trial by trial."""
    read = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert read == plan
    assert order(read) == order(plan)
    assert [[type(value) for _, value in cell.levels] for cell in read.cells] == [
        [type(value) for _, value in cell.levels] for cell in plan.cells
    ]


def test_plan_as_run_json_has_it() -> None:
    plain = json.loads(json.dumps(made((1450,), flows=(1,), protocol=("tcp",), direction=("forward",)).to_json()))
    assert plain == {
        "name": "quick",
        "setup": {
            "profiles": ["underlay", "host-gw", "vxlan"],
            "mtus": [1450],
            "nic_mtu": 1500,
            "containers": {"engine": "none", "image": ""},
            "profiles_dirs": [],
        },
        "cells": [
            {"measure": "iperf3", "levels": {"direction": "forward", "flows": 1, "mtu": 1450, "protocol": "tcp"}},
            {"measure": "ping", "levels": {"mtu": 1450}},
        ],
        "blocks": 6,
        "timing": {"duration_s": 2, "omit_s": 1},
        "seed": 7,
        "congestion_control": "cubic",
        "setups": 1,
        "runs": 1,
        "until_width": None,
        "links": None,
        "max_bps": None,
        "first_look": 10,
        "same_mtu": True,
    }


def test_plan_from_before_there_were_set_ups_has_one() -> None:
    plain = json.loads(json.dumps(PLAN.to_json()))
    del plain["setups"]
    assert Plan.from_json(plain) == PLAN
    assert PLAN.setups == 1


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain.pop(key)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda plain: plain.update(setups=7), "^7 set-ups of 6 blocks"),
        (without("blocks"), r"^plan\.blocks: Field required"),
        (without("setup"), r"^plan\.setup: Field required"),
        (lambda plain: plain.update(blocks="many"), r"^plan\.blocks: .*valid integer"),
        (lambda plain: plain["setup"].update(mtus=["x"]), r"^plan\.setup\.mtus\.0: .*valid integer"),
        (lambda plain: plain["setup"]["containers"].update(engine="lxc"), r"^plan\.setup\.containers\.engine: "),
        (lambda plain: plain["timing"].pop("omit_s"), r"^plan\.timing\.omit_s: Field required"),
        (lambda plain: plain["cells"][0].pop("levels"), r"^plan\.cells: KeyError\('levels'\)"),
        (lambda plain: plain["cells"][0].pop("measure"), r"^plan\.cells\.0\.measure: Field required"),
        (lambda plain: plain["cells"][0].update(levels="tcp"), r"^plan\.cells: "),
        (lambda plain: plain["cells"][0]["levels"].update(mtu=None), r"^plan\.cells\.0\.levels\."),
        (lambda plain: plain.update(cells=7), r"^plan\.cells: "),
        (lambda plain: plain["setup"].update(nic_mtu=1400), "^MTU 1450 is larger than the underlay's own 1400"),
    ],
)
def test_plan_that_cannot_be_read_names_the_key(spoil: Callable[[dict[str, Any]], object], words: str) -> None:
    plain = json.loads(json.dumps(PLAN.to_json()))
    spoil(plain)
    with pytest.raises(InputError, match=words):
        Plan.from_json(plain)


OWN = {"flannel": 1450, "host-gw": 1500, "wireguard": 1420}


@pytest.mark.parametrize(
    ("stay", "own", "same_mtu", "mtus"),
    [
        (("underlay", "flannel", "host-gw"), OWN, False, (1450, 1500)),
        (("underlay", "flannel", "wireguard"), OWN, False, (1420, 1450)),
        (("underlay", "flannel", "wireguard"), OWN, True, (1420, 1450, 1500)),
        (("underlay", "flannel"), {**OWN, "wireguard": 1450}, False, (1420, 1450)),
        (("underlay", "flannel"), {}, False, (1420, 1450, 1500)),
        (("underlay",), OWN, False, (1420, 1450, 1500)),
    ],
)
def test_a_profile_that_is_left_out_leaves_no_mtu_of_its_own(
    stay: tuple[str, ...], own: dict[str, int], same_mtu: bool, mtus: tuple[int, ...]
) -> None:
    """Unless its MTU was asked for, which is without `own`, or is another's, or the NIC's that is measured as well."""
    plan = replace(made((1420, 1450, 1500)), same_mtu=same_mtu)
    left = plan.limited_to(stay, own)
    assert (left.setup.profiles, left.setup.mtus) == (stay, mtus)
    assert {cell.mtu for cell in left.cells} == {*mtus}
    assert {slot.profile for slot in left.slots} == {*stay}


def test_an_mtu_that_no_packet_fits_is_refused() -> None:
    large = replace(PLAN, cells=(Cell.of("iperf3", protocol="udp", mtu=1500, flows=1, size=1400),))
    with pytest.raises(InputError, match="the endpoints' MTU is 1300, and every packet that was asked for is larger"):
        large.at_mtu(1300)
