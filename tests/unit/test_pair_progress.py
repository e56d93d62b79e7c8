"""What is shown of pairs at the same time: whose trial it is, all trials counted together, each warning once."""

import io

from rich.console import Console

from harness.cli.progress import PairProgress, RunProgress, TrialCount
from harness.model.pairs import Pair
from harness.model.trial import Kind, Status, Trial
from tests.unit.test_experiment import PLAN


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
            observer.warn("both share a switch")
        observers[1].stage("at its end")
    lines = captured.get().splitlines()
    failed = [line for line in lines if line.startswith("failed: ")]
    assert [line.split()[1] for line in failed] == ["a:b", "c:d"] * len(PLAN.slots)
    assert any(f" {2 * len(PLAN.slots)}/{2 * len(PLAN.slots)} c:d block 1 " in line for line in lines)
    assert lines.count("note: both share a switch") == 1
    assert lines[-1].endswith(" c:d at its end")
