"""A run of several set-ups, on fakes: profiles are torn down and set up again between groups of blocks."""

import os
import signal
from dataclasses import replace

import pytest

from harness.model.errors import PlaybookError, VerificationError
from harness.run.experiment import Outcome
from tests.unit.world import CLEAN_UP, PLAN, TRIALS, Bench, cleaned_up

TWICE = replace(PLAN, blocks=2, setups=2)


def test_profiles_are_torn_down_and_set_up_again_between_groups_of_blocks(bench: Bench) -> None:
    bench.plan = TWICE
    assert bench.run() == Outcome(ok=2 * TRIALS, failed=0, invalid=0)
    once = ["apply", "verify"]
    trials = [f"trial {number}" for number in range(1, 2 * TRIALS + 1)]
    expected = ["up", *once, *trials[:TRIALS], "teardown", *once, *trials[TRIALS:], "teardown", "down"]
    assert [event for event in bench.world.events if event in {*expected}] == expected
    assert [(row["setup"], row["block"]) for row in bench.rows()] == [("1", "1")] * TRIALS + [("2", "2")] * TRIALS
    assert bench.world.events.count("environment") == 2, "each node's, before anything was changed"
    assert bench.json("run.json")["plan"]["setups"] == 2


def test_data_is_moved_each_way_on_every_set_up(bench: Bench) -> None:
    bench.plan = TWICE
    bench.run()
    moved = [event for event in bench.world.events if event in ("both ways", "teardown")]
    both_profiles = ["both ways"] * 4
    assert moved == [*both_profiles, "teardown", *both_profiles, "teardown"]


def test_ports_of_one_set_up_are_not_those_of_the_next(bench: Bench) -> None:
    bench.plan = TWICE
    bench.run()
    ports = [argv[argv.index("-p") + 1] for argv in bench.world.servers]
    assert len(set(ports)) == len(ports) == TRIALS


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("apply", PlaybookError("k8s-2: no such device")),
        ("apply", KeyboardInterrupt()),
        ("verify", VerificationError("no ping")),
        ("both ways", KeyboardInterrupt()),
        ("trial 5", KeyboardInterrupt()),
    ],
    ids=str,
)
def test_what_goes_wrong_on_the_second_set_up_keeps_the_first_one_s_figures(
    bench: Bench, event: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plan = TWICE
    happens = bench.world.happens

    def watched(what: str) -> None:
        happens(what)
        if what == event and "teardown" in bench.world.events:
            raise error

    monkeypatch.setattr(bench.world, "happens", watched)
    with pytest.raises(type(error)):
        bench.run()
    assert [row["status"] for row in bench.rows()] == ["ok"] * TRIALS
    assert cleaned_up(bench.world) == ["teardown", *CLEAN_UP]


def test_teardown_between_set_ups_that_fails_ends_the_run(bench: Bench) -> None:
    bench.plan = TWICE
    bench.world.failures["teardown"] = PlaybookError("unreachable")
    with pytest.raises(PlaybookError, match="unreachable"):
        bench.run()
    assert len(bench.rows()) == TRIALS
    assert [event for event in bench.world.events if event in ("apply", *CLEAN_UP)] == ["apply", *CLEAN_UP]


def test_interruption_while_it_is_torn_down_between_set_ups_ends_the_run_after_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plan = TWICE
    happens = bench.world.happens

    def impatient(event: str) -> None:
        if event == "teardown":
            os.kill(os.getpid(), signal.SIGINT)
        happens(event)

    monkeypatch.setattr(bench.world, "happens", impatient)
    with bench.interruption.installed(), pytest.raises(KeyboardInterrupt):
        bench.run()
    assert [event for event in bench.world.events if event in ("apply", *CLEAN_UP)] == ["apply", *CLEAN_UP]
    assert len(bench.rows()) == TRIALS


def test_keep_leaves_the_last_set_up_standing(bench: Bench) -> None:
    bench.plan = TWICE
    bench.run(keep=True)
    assert [event for event in bench.world.events if event in ("apply", *CLEAN_UP)] == ["apply", "teardown", "apply"]


def test_what_was_stolen_is_of_all_set_ups() -> None:
    both = Outcome(ok=3, stolen_ratio=0.1) + Outcome(failed=1, stolen_ratio=0.3)
    assert (both.ok, both.failed) == (3, 1)
    assert both.stolen_ratio == pytest.approx(0.15)
    assert Outcome() + Outcome(1, 2, 3) == Outcome(1, 2, 3)
