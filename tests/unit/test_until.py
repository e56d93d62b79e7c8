"""Runs that end by the width of their intervals: when, by what, and that how they end says nothing of what is found."""

import json
import random
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from harness.cli import app
from harness.cli.progress import RunProgress
from harness.cli.so_far import Looking
from harness.cli.until import MOST_BLOCKS, prepared_until
from harness.model.errors import InputError
from harness.model.found import Between
from harness.model.path import PathState
from harness.model.trial import Status, Timing, Trial
from harness.report.analysis import analyse
from harness.report.formats import FORMATS
from harness.report.narrow import is_narrow
from harness.report.page import Page
from harness.report.trials import read_run
from harness.results.meta import Ended, read_meta
from harness.results.plan import Plan
from harness.run.experiment import Outcome
from harness.run.until import Until
from harness.truth.stats import paired_ratio
from harness.truth.verdicts import FIRST_LOOK, MARGIN, MIN_BLOCKS
from tests.unit.synthetic import META, PLAN, around, iperf3, ping, series, trial, write
from tests.unit.world import PLAN as EXPERIMENT
from tests.unit.world import TRIALS, Bench

LONG = replace(EXPERIMENT, blocks=16, until_width=0.005)


class Shown:
    """Takes in what is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stands(self, page: Page, lines: Sequence[str]) -> None:
        assert page.sections
        self.lines += lines


GIVEN: dict[str, Any] = {"profile": ("vxlan",), "seed": 7, "until_width": None, "max_blocks": None, "blocks": None}


def asked_of(plan: Plan, answers: Callable[[int], bool]) -> tuple[list[int], int, Until]:
    """Return the blocks after which it was asked, how many trials were wanted, and what noted how it ended."""
    asked: list[int] = []
    measured = 0

    def look(blocks: int) -> bool:
        asked.append(blocks)
        assert blocks * TRIALS == measured, "between blocks only"
        return answers(blocks)

    until = Until(plan, look)
    for slot in plan.slots:
        if not until.wants(slot):
            break
        measured += 1
    return asked, measured, until


def test_ends_after_the_first_block_that_is_enough() -> None:
    asked, measured, until = asked_of(LONG, lambda block: block >= 12)
    assert (asked, measured) == ([*range(2, 13)], 12 * TRIALS)
    assert until.close() == "enough after 12 blocks: intervals are within ± 0.5 %"
    assert until.ended == Ended(blocks=12, narrow=True)


@pytest.mark.parametrize("first_look", [MIN_BLOCKS, FIRST_LOOK])
def test_does_not_end_too_early(first_look: int) -> None:
    """It is looked at from the second block on, which has an interval."""
    asked, measured, _ = asked_of(replace(LONG, first_look=first_look), lambda _block: True)
    assert (asked, measured) == ([*range(2, first_look + 1)], first_look * TRIALS)


@pytest.mark.parametrize("narrow", [False, True])
def test_ends_with_its_last_block(narrow: bool) -> None:
    asked, measured, until = asked_of(LONG, lambda block: narrow and block == 16)
    assert (asked, measured, until.ended) == ([*range(2, 16)], 16 * TRIALS, None)
    words = until.close()
    assert until.ended == Ended(blocks=16, narrow=narrow)
    assert ("not all intervals" in words) == (not narrow)


def test_a_run_without_an_aim_has_all_its_blocks() -> None:
    """Whatever is seen in it on the way."""
    plan = replace(LONG, until_width=None)
    asked, measured, until = asked_of(plan, lambda _block: True)
    assert (asked, measured) == ([*range(2, 16)], 16 * TRIALS)
    assert (until.close(), until.ended) == ("", None)
    unseen = Until(plan, None)
    assert all(unseen.wants(slot) for slot in plan.slots)
    assert (unseen.close(), unseen.ended) == ("", None)


@pytest.mark.parametrize("most", [12, 40])
def test_a_run_that_ends_early_is_a_prefix(most: int) -> None:
    whole = replace(LONG, blocks=most)
    assert whole.slots[: 8 * TRIALS] == replace(LONG, blocks=8).slots


def test_run_ends_early_and_says_so(bench: Bench) -> None:
    looks: list[tuple[Path, int]] = []

    def look(folder: Path, blocks: int) -> bool:
        assert len(bench.rows()) == blocks * TRIALS
        assert bench.json("run.json")["ended"] is None
        looks.append((folder, blocks))
        return blocks >= 11

    bench.plan = LONG
    assert bench.run(look=look) == Outcome(ok=11 * TRIALS, failed=0, invalid=0)
    assert looks == [(bench.folder.path, blocks) for blocks in range(2, 12)]
    assert {int(row["block"]) for row in bench.rows()} == {*range(1, 12)}
    said = bench.json("run.json")
    assert said["ended"] == {"blocks": 11, "narrow": True}
    assert (said["plan"]["blocks"], said["plan"]["until_width"]) == (16, 0.005)
    meta = read_meta(bench.folder.path / "run.json")
    assert (meta.plan, meta.ended) == (LONG, Ended(blocks=11, narrow=True))
    assert bench.world.events[-1] == "down"


def test_run_without_an_aim_says_nothing_of_it(bench: Bench) -> None:
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    assert bench.json("run.json")["ended"] is None


def run_of(spread: float, ping_spread: float, centre: float = 922e6, seed: int = 1) -> list[Trial]:
    """Return 6 blocks of vxlan beside the underlay at 1500, with these spreads of goodput and round trip."""
    return [
        *series("underlay", iperf3(1500), around(955e6, spread, seed)),
        *series("vxlan", iperf3(), around(centre, spread, seed + 1)),
        *series("underlay", ping(1500), around(330e-6, ping_spread, seed + 2)),
        *series("vxlan", ping(), around(400e-6, ping_spread, seed + 3)),
    ]


def narrow(folder: Path, made: list[Trial], half_width: float) -> bool:
    return is_narrow(analyse(read_run(write(folder, made))), half_width)


def test_rows_with_a_ceiling_decide_where_there_are_any(tmp_path: Path) -> None:
    made = run_of(0.001, 0.3)
    assert narrow(tmp_path, made, 0.005)
    assert not narrow(tmp_path, made, 0.0005)
    wide = run_of(0.3, 0.001)
    assert not narrow(tmp_path, wide, 0.005)
    assert narrow(tmp_path, [one for one in wide if one.slot.cell.measure == "ping"], 0.005)


@pytest.mark.parametrize("centre", [922e6, 955e6, 500e6, 911e6, 1100e6])
def test_where_an_interval_lies_is_not_looked_at(tmp_path: Path, centre: float) -> None:
    """How much the intervals of a family are widened depends on it, so the plain ones count."""
    widths = [width / 10_000 for width in range(5, 60)]
    usual, other = (
        analyse(read_run(write(tmp_path / str(where), run_of(0.003, 0.01, where)))) for where in (922e6, centre)
    )
    found = [is_narrow(other, width) for width in widths]
    assert found == [is_narrow(usual, width) for width in widths]
    assert found.index(True) > 5


def test_every_row_has_to_be_narrow(tmp_path: Path) -> None:
    made = run_of(0.001, 0.01)
    others = series("vxlan", iperf3(flows=8), around(922e6, 0.2, 9))
    base = series("underlay", iperf3(1500, 8), around(955e6, 0.2, 10))
    assert not narrow(tmp_path, [*made, *others, *base], 0.005)


def test_a_row_without_figures_is_not_narrow(tmp_path: Path) -> None:
    failed = [trial("vxlan", block, iperf3(flows=8), None, Status.FAILED) for block in range(1, 7)]
    base = series("underlay", iperf3(1500, 8), around(955e6, 0.001, 10))
    ceilings = narrow(tmp_path, [*run_of(0.001, 0.01), *failed, *base], 0.005)
    without = [one for one in run_of(0.001, 0.001) if one.slot.cell.measure == "ping"]
    assert (ceilings, narrow(tmp_path, [*without, *failed, *base], 0.005)) == (True, False)


def test_the_commonest_path_state_decides(tmp_path: Path) -> None:
    """One odd block would never have an interval of its own."""
    made = [
        replace(one, path_state=PathState.parse("outer-fragmented"))
        if one.slot.block == 3 and one.slot.profile == "vxlan"
        else one
        for one in run_of(0.001, 0.01)
    ]
    assert narrow(tmp_path, made, 0.005)


@pytest.mark.parametrize(("width", "is_enough"), [(0.005, True), (0.00001, False), (None, False)])
def test_looks_at_what_is_on_disk(tmp_path: Path, width: float | None, is_enough: bool) -> None:
    folder, shown = write(tmp_path, run_of(0.001, 0.3)), Shown()
    looking = Looking(replace(LONG, until_width=width), MARGIN, shown, several=False)
    assert looking.look(folder, 6) == is_enough
    assert len(shown.lines) == 1


def test_what_cannot_be_looked_at_ends_nothing(tmp_path: Path) -> None:
    shown = Shown()
    assert not Looking(LONG, MARGIN, shown, several=False).look(tmp_path, 6)
    assert shown.lines == []


def test_intervals_hold_the_truth_although_they_end_the_run() -> None:
    """The worst scatter there is for it, where it ends after some 17 of 40 blocks: a little less than 95 %."""
    scatter, held, blocks, sets = random.Random(3), 0, [], 600  # noqa: S311 - a reproducible series, not a secret
    aim = 0.005
    for _ in range(sets):
        ours = [1.0 + scatter.gauss(0, 2 * aim) for _ in range(40)]
        for count in range(FIRST_LOOK, 41):
            interval = paired_ratio(ours[:count], [1.0] * count).interval()
            assert interval is not None
            if interval.half_width <= aim or count == 40:
                held += interval.low <= 1 <= interval.high
                blocks.append(count)
                break
    assert 0.91 <= held / sets <= 0.97
    assert 12 < statistics.fmean(blocks) < 21


def test_options_make_the_plan() -> None:
    plan = prepared_until({**GIVEN, "until_width": 0.005, "max_blocks": 12}, keep=False).plan
    assert (plan.blocks, plan.until_width) == (12, 0.005)
    assert prepared_until({**GIVEN, "until_width": 0.005}, keep=False).plan.blocks == MOST_BLOCKS
    usual = prepared_until({**GIVEN, "blocks": 3}, keep=False).plan
    assert (usual.blocks, usual.until_width) == (3, None)
    pairs = {"nodes": 4, "pairs": "k8s-1:k8s-2,k8s-3:k8s-4"}
    assert len(prepared_until({**GIVEN, **pairs, "until_width": 0.005}, keep=False).waves) == 2


def test_answer_is_one_mtu_until_its_intervals_are_narrow() -> None:
    """The underlay is measured at its NIC's own MTU alone; what is said by options goes before what the plan has."""
    plan = prepared_until({**GIVEN, "plan": "answer"}).plan
    assert (plan.blocks, plan.until_width, plan.first_look, plan.timing) == (MOST_BLOCKS, 0.005, 6, Timing(1, 0))
    assert {(slot.profile, slot.cell) for slot in plan.slots if slot.block == 1} == {
        *(("vxlan", cell) for cell in (iperf3(1450, 1), iperf3(1450, 8), ping(1450))),
        *(("underlay", cell) for cell in (iperf3(1500, 1), iperf3(1500, 8), ping(1500))),
    }
    assert Plan.from_json(plan.to_json()) == plan
    assert prepared_until({**GIVEN, "plan": "answer", "margin": 0.03}).plan.until_width == 0.015
    own = {"factor_mtu": (1400, 1500), "factor_flows": (2,), "until_width": 0.02, "max_blocks": 12, "duration": 3}
    plan = prepared_until({**GIVEN, "plan": "answer", **own}).plan
    assert (plan.blocks, plan.until_width, plan.first_look, plan.timing) == (12, 0.02, 6, Timing(3, 0))
    assert {cell for cell in plan.cells if cell.measure == "iperf3"} == {iperf3(1400, 2), iperf3(1500, 2)}
    underlay = {slot.cell.mtu for slot in plan.slots if slot.profile == "underlay"}
    assert underlay == {1500}
    assert {cell.measure for cell in prepared_until({**GIVEN, "plan": "answer", "measures": ("ping",)}).plan.cells} == {
        "ping"
    }


@pytest.mark.parametrize("plan", ["answer", "quick"])
def test_vxlan_is_what_is_measured_where_nothing_is_named(plan: str) -> None:
    assert prepared_until({**GIVEN, "plan": plan, "profile": ()}).plan.setup.profiles == ("underlay", "vxlan")
    assert prepared_until({**GIVEN, "profile": ("underlay",)}).plan.setup.profiles == ("underlay",)
    between = Between.parse("netns:a,netns:b")
    assert prepared_until({**GIVEN, "plan": plan, "profile": (), "between": between}).profiles.keys() == {"underlay"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_blocks": 9}, "--max-blocks is of no use without --until-width"),
        ({"until_width": 0.005, "blocks": 8}, "--blocks and --until-width do not go together"),
        ({"until_width": 0.005, "setups": 2}, "--setups and --until-width do not go together"),
        ({"until_width": 0.005, "profile": ("underlay",)}, "--until-width: the underlay alone has no interval"),
        ({"plan": "answer", "blocks": 8}, "--blocks and --plan answer do not go together"),
        ({"plan": "answer", "setups": 2}, "--setups and --plan answer do not go together"),
        ({"plan": "answer", "profile": ("underlay",)}, "--plan answer: the underlay alone has no interval"),
        (
            {"until_width": 0.005, "nodes": 4, "pairs": "k8s-1:k8s-2,k8s-3:k8s-4", "parallel_pairs": True},
            "--until-width: .*; leave out --parallel-pairs",
        ),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepared_until({**GIVEN, **given}, keep=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--until-width 0", "'0' is nothing; give a share such as 0.5%"),
        ("--until-width narrow", "'narrow' is not a share"),
        ("--until-width 0.5% --max-blocks 9", "9 is not in the range 10<=x<=1000"),
    ],
)
def test_bad_value(words: str, said: str) -> None:
    done = CliRunner().invoke(app, ["run", "--profile", "vxlan", *words.split()])
    assert (done.exit_code, said in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (None, "at most 40 blocks, until ± 0.5 %, trials"),
        ({"blocks": 12, "narrow": True}, "12 of at most 40 blocks, ± 0.5 % reached, trials"),
        ({"blocks": 40, "narrow": False}, "40 of at most 40 blocks, ± 0.5 % not reached, trials"),
    ],
)
def test_table_says_how_it_ended(tmp_path: Path, ended: object, words: str) -> None:
    plan = replace(PLAN, blocks=40, until_width=0.005)
    folder = write(tmp_path, run_of(0.001, 0.01), {**META, "plan": plan.to_json(), "ended": ended})
    table = FORMATS["table"](analyse(read_run(folder)))
    assert words in " ".join(table.split())
    assert json.loads(FORMATS["json"](analyse(read_run(folder))))["run"]["ended"] == ended


@pytest.mark.parametrize(("plan", "words"), [(LONG, "at most [0-9]+:[0-9]+ left"), (EXPERIMENT, ", [0-9:]+ left")])
def test_progress_says_at_most(plan: Plan, words: str) -> None:
    console = Console(width=200)
    with console.capture() as captured, RunProgress(plan, console) as shown:
        shown.started(plan.slots[0], 1)
        shown.finished(trial("underlay", 1, ping(1500), 330e-6))
    assert re.search(words, captured.get()) is not None
