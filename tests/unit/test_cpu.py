"""What a trial cost in CPU time: readings before and after in, seconds and shares out, one row a case."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.model.readings import Reading, Span
from harness.truth.cpu import CLOCK_STEP_S, Usage, usage


@dataclass(frozen=True)
class Node:
    """How far a node's clocks and CPUs went in a trial; of what stands still nothing is said."""

    clock_s: float = 10.0
    uptime_s: float = 10.0
    idle_s: tuple[float, ...] = (10.0, 10.0)
    stolen_s: float = 0.0
    softirq_s: float = 0.0
    tools_s: float | None = 0.0
    foreign_s: float = 0.0

    def span(self) -> Span:
        """Readings do not start at 0: a node has been up, idle and busy before."""
        before = self._reading(1_000_000.0, 500.0, (300.0, 400.0, 50.0)[: len(self.idle_s)], 7.0, 3.0, 2.0)
        after = self._reading(
            before.clock_s + self.clock_s,
            before.uptime_s + self.uptime_s,
            tuple(early + more for early, more in zip(before.idle_cpus_s, self.idle_s, strict=True)),
            before.stolen_cpu_s + self.stolen_s,
            before.softirq_cpu_s + self.softirq_s,
            None if self.tools_s is None else 2.0 + self.tools_s,
        )
        return Span(before, after, "ens33", self.foreign_s)

    @staticmethod
    def _reading(
        clock_s: float,
        uptime_s: float,
        idle_s: tuple[float, ...],
        stolen_s: float,
        softirq_s: float,
        tools_s: float | None,
    ) -> Reading:
        return Reading(clock_s, uptime_s, idle_s, stolen_s, softirq_s, tools_s, {}, {}, {}, None)


@pytest.mark.parametrize(
    ("node", "busy_s"),
    [
        pytest.param(Node(), 0.0, id="idle all the time"),
        pytest.param(Node(idle_s=(4.0, 9.5)), 6.5, id="all that passed on each CPU less what was idle"),
        pytest.param(Node(idle_s=(0.0, 0.0)), 20.0, id="never idle"),
        pytest.param(Node(idle_s=(4.0, 9.5), stolen_s=1.5), 5.0, id="what was taken away was nobody's here"),
        pytest.param(Node(idle_s=(4.0, 9.5), foreign_s=2.0), 4.5, id="what others used is not the lab's"),
        pytest.param(Node(idle_s=(4.0, 9.5), stolen_s=1.5, foreign_s=2.0), 3.0, id="both"),
        pytest.param(Node(idle_s=(9.99, 9.99), foreign_s=0.04), 0.0, id="never less than nothing"),
        pytest.param(Node(idle_s=(4.0,)), 6.0, id="a single CPU"),
        pytest.param(Node(idle_s=(4.0, 9.5, 10.0)), 6.5, id="three of them"),
        # proc(5): waiting for a disk is counted with idling here, and may go back.
        pytest.param(Node(idle_s=(-0.02, 10.0)), 10.0, id="idle time that went back"),
        pytest.param(Node(idle_s=(4.0, 9.5), softirq_s=3.0, tools_s=2.5), 6.5, id="its own parts do not change it"),
    ],
)
def test_busy_seconds(node: Node, busy_s: float) -> None:
    assert usage(node.span()).busy_s == pytest.approx(busy_s, abs=1e-6)


@pytest.mark.parametrize(
    ("clock_s", "uptime_s", "busy_s"),
    [
        pytest.param(10.004, 10.0, 2.008, id="the clock is finer"),
        pytest.param(10.0 - 0.9 * CLOCK_STEP_S, 10.0, 1.91, id="as long as both agree"),
        pytest.param(10.0 + 1.1 * CLOCK_STEP_S, 10.0, 2.0, id="a clock that was set forward is not believed"),
        pytest.param(10.0 - 1.1 * CLOCK_STEP_S, 10.0, 2.0, id="nor one that was set back"),
        pytest.param(-3_590.0, 10.0, 2.0, id="by an hour"),
    ],
)
def test_time_that_passed_is_the_clocks_unless_it_was_set(clock_s: float, uptime_s: float, busy_s: float) -> None:
    node = Node(clock_s=clock_s, uptime_s=uptime_s, idle_s=(9.0, 9.0))
    assert usage(node.span()).busy_s == pytest.approx(busy_s, abs=1e-6)


@pytest.mark.parametrize(
    ("idle_s", "busiest"),
    [
        ((10.0, 10.0), 0.0),
        ((4.0, 9.5), 0.6),
        ((9.5, 4.0), 0.6),
        ((0.0, 10.0), 1.0),
        ((-0.02, 10.0), 1.0),
        ((10.01, 10.02), 0.0),  # hundredths of a second, rounded
        ((), 0.0),
    ],
)
def test_busiest_is_the_cpu_that_was_least_idle(idle_s: tuple[float, ...], busiest: float) -> None:
    """All the traffic of one flow may run on one CPU: all together look idle while that one is the limit."""
    assert usage(Node(idle_s=idle_s).span()).busiest_ratio == pytest.approx(busiest)


@pytest.mark.parametrize(
    ("node", "ratio"),
    [
        (Node(stolen_s=0.0), 0.0),
        (Node(stolen_s=2.0), 0.1),
        (Node(stolen_s=2.0, idle_s=(8.0,)), 0.2),
        (Node(stolen_s=2.0, clock_s=7_200.0), 0.1),
    ],
)
def test_stolen_is_a_share_of_what_all_cpus_could_have_given(node: Node, ratio: float) -> None:
    assert usage(node.span()).stolen_ratio == pytest.approx(ratio)


def test_more_that_others_used_than_there_was_is_no_figure() -> None:
    assert usage(Node(idle_s=(9.9, 9.9), foreign_s=0.5).span()).busy_s is None


def test_parts_are_differences() -> None:
    found = usage(Node(idle_s=(4.0, 9.5), softirq_s=1.25, tools_s=2.5, foreign_s=0.75).span())
    assert (found.softirq_s, found.tools_s, found.foreign_s) == pytest.approx((1.25, 2.5, 0.75))


def test_tools_that_nobody_counted_are_not_known() -> None:
    """Neither where no reading tells it nor where only one does: the connection was made anew in between."""
    span = Node(tools_s=None).span()
    assert usage(span).tools_s is None
    assert usage(Span(span.after, span.after, "ens33")).tools_s is None


def test_counter_of_a_connection_that_was_made_anew_starts_at_nothing() -> None:
    assert usage(Node(tools_s=-1.5).span()).tools_s == 0.0


def test_trial_in_which_no_time_passed_has_no_shares() -> None:
    nothing = Node(clock_s=0.0, uptime_s=0.0, idle_s=(0.0, 0.0))
    assert usage(nothing.span()) == Usage(
        busy_s=0.0, softirq_s=0.0, tools_s=0.0, foreign_s=0.0, busiest_ratio=0.0, stolen_ratio=0.0
    )
