"""What is shown of pairs at the same time: whose trial it is, all trials counted together, each note once."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from harness.cli.progress import PairProgress, RunProgress, TrialCount, figure
from harness.measures.registry import title_of
from harness.model.notes import About, Note
from harness.model.pairs import Pair
from harness.model.path import Kind
from harness.model.trial import Cell, Status, Trial
from tests.unit.synthetic import iperf3, ping, trial
from tests.unit.world import PLAN

SWITCH = Note(About.LAB, "pairs", "both share a switch", "figures are distorted")


def test_pairs_share_one_display() -> None:
    first, second = Pair("a", "b"), Pair("c", "d")
    console = Console(file=io.StringIO(), width=200)
    count = TrialCount()
    with console.capture() as captured, RunProgress(PLAN, console, [(first, second)]) as shown:
        observers = [PairProgress(shown, pair, count) for pair in (first, second)]
        for number, slot in enumerate(PLAN.slots, 1):
            for observer in observers:
                observer.started(slot, number)
                observer.live("9 Mbit/s")
            for observer in observers:
                observer.finished(Trial("id", slot, Kind.UNDERLAY, 2, "", Status.FAILED, reason="refused"))
        for observer in observers:
            observer.note(SWITCH)
        observers[1].stage("at its end")
    lines = captured.get().splitlines()
    failed = [line for line in lines if line.startswith("failed: ")]
    assert [line.split()[1] for line in failed] == ["a:b", "c:d"] * len(PLAN.slots)
    assert any(f" {2 * len(PLAN.slots)}/{2 * len(PLAN.slots)} c:d block 1 " in line for line in lines)
    assert lines.count("note: both share a switch: figures are distorted") == 1
    assert lines[-1].endswith(" c:d at its end")


@pytest.mark.parametrize(
    ("cell", "value", "text"),
    [
        (iperf3(), 923_400_000.0, "923 Mbit/s"),
        (iperf3(protocol="udp"), 50_000_000.0, "50 Mbit/s"),
        (ping(), 412e-6, "412 µs"),
    ],
)
def test_figure_of_a_trial_is_its_measures_first(cell: Cell, value: float, text: str) -> None:
    assert figure(trial("vxlan", 1, cell, value)) == text
    assert figure(trial("vxlan", 1, cell, None, Status.FAILED)) == "failed"
    assert figure(trial("vxlan", 1, cell, value, Status.INVALID)) == "invalid"


def test_plain_lines_name_the_cell_and_count_up_to_the_plan_that_was_made_last() -> None:
    """Profiles may be left out once the nodes are known, and the trials with them."""
    console = Console(file=io.StringIO(), width=200)
    left = replace(PLAN, setup=replace(PLAN.setup, profiles=("underlay",)))
    with console.capture() as captured, RunProgress(PLAN, console) as shown:
        shown.planned(left)
        for number, slot in enumerate(left.slots, 1):
            shown.started(slot, number)
            shown.finished(trial("underlay", 1, slot.cell, 1e9 if slot.cell.measure == "iperf3" else 1e-4))
    lines = captured.get().splitlines()
    assert len(left.slots) < len(PLAN.slots)
    last = f" {len(left.slots)}/{len(left.slots)} block 1 underlay {title_of(left.slots[-1].cell)}: "
    assert last in lines[-1]
    assert lines[-1].endswith(("1000 Mbit/s, 0:00 left", "100 µs, 0:00 left"))


def test_bar_tells_the_last_figure_from_the_next_trial_and_names_the_stage_that_it_is_in() -> None:
    """The last trial's figure stood beside the next one's name, and `setting up` while it was verifying."""
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    first, second = PLAN.slots[:2]
    with RunProgress(PLAN, console) as shown:
        assert shown._bar is not None
        shown.stage("setting up vxlan")
        shown.stage("verifying")
        (task,) = shown._bar.tasks
        assert (task.description, task.fields["live"]) == ("verifying", "")
        shown.started(first, 1)
        assert (task.description, task.fields["live"]) == (f"{first.profile} {title_of(first.cell)}", "")
        shown.live("9 Mbit/s")
        assert task.fields["live"] == "9 Mbit/s"
        done = trial(first.profile, 1, first.cell, 1e9 if first.cell.measure == "iperf3" else 1e-4)
        shown.finished(done)
        shown.started(second, 2)
        assert task.description == f"{second.profile} {title_of(second.cell)}"
        assert task.fields["live"] == f"(last: {figure(done)})"
