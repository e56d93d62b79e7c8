"""Which trials are measured once more, and which attempt counts."""

from __future__ import annotations

import pytest

from harness.model.trial import Status, Trial
from harness.run.experiment import DISTURBED_RATIO, _again, _chosen
from harness.run.stage import Record
from tests.unit.synthetic import iperf3, trial

CALM, DISTURBED = DISTURBED_RATIO / 2, DISTURBED_RATIO * 2


def attempt(status: Status = Status.OK, stolen: float = CALM, value: float = 9e8) -> tuple[Trial, Record]:
    figure = value if status is Status.OK else None
    reason = "" if status is Status.OK else "refused"
    return trial("vxlan", 1, iperf3(), figure, status, reason=reason), Record(stolen_ratio=stolen)


@pytest.mark.parametrize(
    ("tried", "repeats", "again"),
    [
        ([], 0, True),
        ([attempt()], 5, False),
        ([attempt(Status.FAILED)], 0, True),
        ([attempt(Status.FAILED), attempt(Status.FAILED)], 5, False),
        ([attempt(Status.INVALID, DISTURBED)], 5, False),
        ([attempt(stolen=DISTURBED)], 5, True),
        ([attempt(stolen=DISTURBED)], 0, False),
        ([attempt(stolen=DISTURBED), attempt(stolen=DISTURBED)], 5, False),
    ],
)
def test_what_is_tried_again(tried: list[tuple[Trial, Record]], repeats: int, again: bool) -> None:
    assert _again(tried, repeats) is again


@pytest.mark.parametrize("stolen", [(0.4, 0.2), (0.2, 0.4)])
def test_the_less_disturbed_attempt_counts_whatever_it_measured(stolen: tuple[float, float]) -> None:
    tried = [attempt(stolen=share, value=share * 1e9) for share in stolen]
    chosen, record = _chosen(tried)
    assert (chosen.figures["goodput_bps"], record.stolen_ratio) == (0.2e9, 0.2)
    assert chosen.reason == "tried 2 times: 40% of the CPU time was stolen"


def test_a_figure_counts_before_a_failure() -> None:
    chosen, _ = _chosen([attempt(stolen=DISTURBED), attempt(Status.FAILED)])
    assert chosen.status is Status.OK
    chosen, _ = _chosen([attempt(Status.FAILED), attempt()])
    assert (chosen.status, chosen.reason) == (Status.OK, "tried 2 times: refused")


def test_two_failures_are_one_failed_trial() -> None:
    chosen, _ = _chosen([attempt(Status.FAILED), attempt(Status.FAILED)])
    assert (chosen.status, chosen.reason) == (Status.FAILED, "refused (tried 2 times)")


def test_a_single_attempt_stays_as_it_is() -> None:
    assert _chosen([attempt()])[0].reason == ""
