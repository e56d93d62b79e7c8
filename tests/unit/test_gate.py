"""`harness compare --fail-above`: what it stops at, and in which words it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from harness.cli.compare import compare
from harness.model.errors import HarnessError, InputError, WorseError
from harness.model.trial import Status, Trial
from tests.unit.synthetic import META, around, iperf3, ping, series, trial, write

UNDERLAY = around(955e6, 0.001, 3)


def run(folder: Path, name: str, factor: float, spread: float = 0.001, more: Sequence[Trial] = ()) -> str:
    """Write a run whose overlay reaches a share of its underlay, and return its path."""
    overlay = [one * factor for one in around(922e6, spread, len(name))]
    trials = [*series("underlay", iperf3(1500), UNDERLAY), *series("vxlan", iperf3(), overlay), *more]
    return str(write(folder / name, [replace(one, run_id=name) for one in trials], {**META, "run_id": name}))


def gated(*argv: str) -> tuple[int, str, Result]:
    """Return what the gate exits with, and says."""
    done = CliRunner().invoke(compare, argv)
    if isinstance(done.exception, HarnessError):
        return done.exception.exit_code, str(done.exception), done
    return done.exit_code, " ".join(done.stderr.split()), done


# B's overlay as a share of A's, what is allowed, and whether it stops
@pytest.mark.parametrize(
    ("factor", "allowed", "code", "said"),
    [
        (0.97, "1%", 1, "worse in B by more than 1 %: vxlan goodput tcp 1450 x1 0.97"),
        (0.97, "5%", 0, "passed: none of 1 rows is worse in B by more than 5 %"),
        (1.0, "1%", 0, "passed: none of 1 rows is worse in B by more than 1 % (1 same)."),
        (1.05, "1%", 0, "passed: none of 1 rows is worse in B by more than 1 % (1 better)."),
        (0.99, "1%", 0, "not decided, which is not the same as passed: 1 of 1 rows are open"),
    ],
)
def test_stops_at_what_is_decided_to_be_worse(
    tmp_path: Path, factor: float, allowed: str, code: int, said: str
) -> None:
    found, text, done = gated(run(tmp_path, "a", 1.0), run(tmp_path, "b", factor), "--fail-above", allowed)
    assert (found, text.removeprefix("harness: ")[: len(said)]) == (code, said)
    assert "B against A" in done.stdout, "the comparison is printed whatever is decided"


def test_what_is_open_says_what_would_decide_it(tmp_path: Path) -> None:
    runs = run(tmp_path, "a", 1.0, 0.02), run(tmp_path, "bb", 1.0, 0.02)
    code, text, _ = gated(*runs, "--fail-above", "1%")
    assert code == 0
    assert "samples of each side would decide them" in text
    assert "1 inconclusive" in text


def test_a_cell_that_lost_every_trial_is_stopped_at(tmp_path: Path) -> None:
    lost = [trial("vxlan", block, ping(), None, Status.FAILED, reason="no reply") for block in range(1, 7)]
    base = series("underlay", ping(1500), around(1e-4, 0.001, 9))
    a = run(tmp_path, "a", 1.0, more=[*base, *series("vxlan", ping(), around(2e-4, 0.001, 8))])
    code, text, _ = gated(a, run(tmp_path, "b", 1.0, more=[*base, *lost]), "--fail-above", "1%")
    assert code == 1
    assert text.startswith("no figure any more in B: vxlan round trip mtu 1450 p50")
    code, text, _ = gated(a, run(tmp_path, "c", 1.0), "--fail-above", "1%")
    assert code == 0, "a cell that was not measured is no worse"
    assert "passed" in text


def test_metrics_that_are_named_are_the_only_ones(tmp_path: Path) -> None:
    base = series("underlay", ping(1500), around(1e-4, 0.001, 9))
    slow = [*base, *series("vxlan", ping(), around(3e-4, 0.001, 8))]
    a = run(tmp_path, "a", 1.0, more=[*base, *series("vxlan", ping(), around(2e-4, 0.001, 8))])
    b = run(tmp_path, "b", 1.0, more=slow)
    assert gated(a, b, "--fail-above", "1%", "--metric", "rtt_p50_s")[0] == 1
    code, text, done = gated(a, b, "--fail-above", "1%", "--metric", "goodput_bps")
    assert (code, "passed: none of 1 rows" in text) == (0, True)
    assert "round trip" not in done.stdout


def test_what_differs_from_set_up_to_set_up_is_not_judged_by_one_run_a_side(tmp_path: Path) -> None:
    base = series("underlay", ping(1500), around(1e-4, 0.001, 9))
    fast, slow = (
        [*base, *series("vxlan", ping(), [one * factor for one in around(2e-4, 0.001, 8)])] for factor in (1, 1.5)
    )
    runs = [run(tmp_path, name, 1.0, more=fast if name < "e" else slow) for name in "abcdefgh"]
    code, text, _ = gated(runs[0], runs[4], "--fail-above", "1%")
    assert code == 0
    assert (
        "Not judged with one run a side, for they differ from set-up to set-up: 3 rows of round trip, CPU time" in text
    )
    assert "Of these, worse: vxlan round trip mtu 1450 p50 1.5" in text
    code, text, _ = gated(*runs[:4], "--", *runs[4:], "--fail-above", "1%")
    assert code == 1, text
    assert text.startswith("worse in B by more than 1 %: vxlan round trip mtu 1450 p50 1.5")


def test_without_goodput_everything_is_judged_by_one_run_a_side(tmp_path: Path) -> None:
    paths = []
    for name, rtt in (("a", 2e-4), ("b", 3e-4)):
        trials = [*series("underlay", ping(1500), [1e-4] * 6), *series("vxlan", ping(), around(rtt, 0.001, 8))]
        made = [replace(one, run_id=name) for one in trials]
        paths.append(str(write(tmp_path / name, made, {**META, "run_id": name})))
    assert gated(*paths, "--fail-above", "1%")[0] == 1


def test_runs_that_can_decide_nothing_guard_nothing(tmp_path: Path) -> None:
    few = series("vxlan", iperf3(1450, 4), [9e8] * 3)
    a, b = (write(tmp_path / name, [replace(one, run_id=name) for one in few], None) for name in "ab")
    code, text, _ = gated(str(a), str(b), "--fail-above", "1%")
    assert code == 2
    assert text.startswith("nothing can be decided, so there is nothing to fail at")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fail-above", "1%"), "--fail-above is for two runs"),
        (("--metric", "goodput_bps"), "--metric is for two runs"),
    ],
)
def test_one_run_has_nothing_to_be_worse_than(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(compare, [run(tmp_path, "a", 1.0), *words], catch_exceptions=False)


def test_the_margin_is_what_it_fails_above(tmp_path: Path) -> None:
    runs = run(tmp_path, "a", 1.0), run(tmp_path, "b", 1.0)
    with pytest.raises(InputError, match="leave --margin out"):
        CliRunner().invoke(compare, [*runs, "--fail-above", "1%", "--margin", "2%"], catch_exceptions=False)
    assert "at a margin of 4 %" in " ".join(gated(*runs, "--fail-above", "4%")[2].stdout.split())


@pytest.mark.parametrize(
    ("option", "value"), [("--fail-above", "0"), ("--metric", "speed"), ("--metric", "retransmits")]
)
def test_what_cannot_be_asked_for_is_refused(tmp_path: Path, option: str, value: str) -> None:
    runs = run(tmp_path, "a", 1.0), run(tmp_path, "b", 1.0)
    assert gated(*runs, option, value)[0] == click.UsageError.exit_code


def test_exit_codes_tell_a_gate_from_a_mistake() -> None:
    codes: dict[int, list[Any]] = {}
    for error in HarnessError.__subclasses__():
        codes.setdefault(error.exit_code, []).append(error)
    assert codes[1] == [WorseError]
