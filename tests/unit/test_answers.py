"""What reports open with: a sentence for each profile that says what is decided, and nothing more than that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.compare import analysed as read
from harness.model.path import WHOLE
from harness.model.trial import Status, Trial
from harness.report.analysis import Analysis, analyse
from harness.report.answers import answers
from harness.report.formats import FORMATS
from harness.report.sentence import End, Shape, text_of
from harness.report.trials import read_run
from tests.unit.synthetic import CLAMPED, META, PLAN, around, full_run, iperf3, ping, series, trial, write

SAMPLE = Path("results/sample/20261123T040142Z-vxlan-995d")


def analysis_of(folder: Path, trials: Sequence[Trial], profiles: Sequence[str] = ("underlay", "vxlan")) -> Analysis:
    """Return the analysis of a run whose profiles were named in this order."""
    setup = replace(PLAN.setup, profiles=tuple(profiles))
    meta: dict[str, Any] = {**META, "plan": replace(PLAN, setup=setup).to_json()}
    return analyse(read_run(write(folder, trials, meta)))


def texts(folder: Path, trials: Sequence[Trial], profiles: Sequence[str] = ("underlay", "vxlan")) -> list[str]:
    return [one.text for one in answers(analysis_of(folder, trials, profiles))]


def of_goodput(factor: float, spread: float = 0.001) -> list[Trial]:
    return [
        *series("underlay", iperf3(1500), around(1e9, 0.001, 1)),
        *series("vxlan", iperf3(1450), around(factor * 1e9, spread, 2)),
    ]


def test_kept_run_says_what_it_costs() -> None:
    (answer,) = answers(analyse(read_run(SAMPLE)))
    assert answer.text == (
        "vxlan at MTU 1450 costs 3.37 to 3.51 % of goodput (95 %: 2.90 to 3.89 %), headers alone 3.45 %; "
        "+61 µs of round trip (p50, 95 %: 53 to 69 µs); "
        "CPU: +26 to 45 % a gigabit (95 %: 5 to 63 %) or +39 to 74 ms."
    )
    assert (answer.profile, answer.baseline, answer.mtu, answer.baseline_mtu) == ("vxlan", "underlay", 1450, 1500)


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_every_format_opens_with_the_same_sentences(form: str) -> None:
    result = read(SAMPLE, 0.01)
    assert isinstance(result, Analysis)
    (answer,) = answers(result)
    shown = FORMATS[form](result)
    if form == "json":
        document = json.loads(shown)
        assert list(document)[:2] == ["schema_version", "answers"]
        assert [one["text"] for one in document["answers"]] == [answer.text]
    else:
        opening = shown.partition("\n\n")[0].replace("\n", " ")
        assert opening.strip("* ") == answer.text


def test_intervals_of_several_rows_are_all_within_the_one_that_is_said(tmp_path: Path) -> None:
    (answer,) = answers(analysis_of(tmp_path, full_run()))
    goodput = [one.row for one in answer.rows if one.row.metric.name == "goodput_bps"]
    assert {row.cell.flows for row in goodput} == {1, 4, 8}
    lows = [100 * (1 - row.interval.high) for row in goodput if row.interval]
    highs = [100 * (1 - row.interval.low) for row in goodput if row.interval]
    assert f"(95 %: {min(lows):.2f} to {max(highs):.2f} %)" in answer.text


def test_is_of_the_largest_mtu_that_the_profile_carries(tmp_path: Path) -> None:
    trials = [
        *of_goodput(0.96),
        *series("vxlan", iperf3(1400), around(0.5e9, 0.001, 3)),
        *series("vxlan", iperf3(1500), around(0.4e9, 0.001, 4), path_state=CLAMPED),
    ]
    for folder, meta in (("with", META), ("without", None)):
        (answer,) = answers(analyse(read_run(write(tmp_path / folder, trials, meta))))
        assert answer.text.startswith("vxlan at MTU 1450 costs 3.99 % ")


def test_what_is_open_is_called_so_with_its_interval(tmp_path: Path) -> None:
    trials = [*of_goodput(0.97, 0.05), *series("underlay", ping(1500), around(6e-5, 0.1, 5))]
    trials += series("vxlan", ping(1450), around(6.1e-5, 0.1, 6))
    (text,) = texts(tmp_path, trials)
    assert text.startswith("vxlan at MTU 1450: goodput is not decided: -")
    assert " % (95 % interval), " in text
    assert "; round trip (p50) is not decided: -" in text
    assert "costs" not in text


def test_what_is_decided_of_some_rows_only_says_so(tmp_path: Path) -> None:
    trials = [*of_goodput(0.9655), *series("underlay", iperf3(1500, 8), around(1e9, 0.001, 7))]
    trials += series("vxlan", iperf3(1450, 8), [0.8e9, 1.1e9, 0.7e9, 1.3e9, 0.9e9, 1.2e9])
    (text,) = texts(tmp_path, trials)
    assert ", headers alone 3.45 %, not decided in 1 of 2 rows" in text


def test_few_blocks_decide_nothing(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), [1e9, 1e9]), *series("vxlan", iperf3(1450), [0.9e9, 0.91e9])]
    assert texts(tmp_path, trials) == ["vxlan at MTU 1450: nothing is decided by 2 blocks; a verdict takes 6."]


def test_what_makes_no_difference_is_not_called_a_cost(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), around(1e9, 0.001, 1))]
    trials += series("host-gw", iperf3(1500), around(1e9, 0.001, 2))
    (text,) = texts(tmp_path, trials, ("underlay", "host-gw"))
    assert text.startswith("host-gw at MTU 1500 costs no goodput within 1 % (95 %: -0.")
    assert "headers" not in text


def test_round_trips_alone_are_told_in_microseconds(tmp_path: Path) -> None:
    trials = [*series("underlay", ping(1500), around(60e-6, 0.01, 1))]
    trials += series("vxlan", ping(1450), around(121e-6, 0.01, 2))
    (text,) = texts(tmp_path, trials)
    assert text.startswith("vxlan at MTU 1450: +61 µs of round trip (p50, 95 %: 60 to 63 µs)")


def of_three(mtus: Sequence[int] = (1450, 1500)) -> list[Trial]:
    """Return a run of vxlan and host-gw, each round trip and goodput with its own."""
    trials = [*series("underlay", iperf3(1500), around(1e9, 0.001, 1))]
    trials += series("underlay", ping(1500), around(60e-6, 0.01, 2))
    for number, mtu in enumerate(mtus):
        state = CLAMPED if mtu > 1450 else WHOLE
        trials += series("vxlan", iperf3(mtu), around(0.9655e9, 0.001, 3 + number), path_state=state)
        trials += series("vxlan", ping(mtu), around((121 + number) * 1e-6, 0.01, 6 + number), path_state=state)
        trials += series("host-gw", iperf3(mtu), around((0.998 + number * 0.002) * 1e9, 0.001, 9 + number))
        trials += series("host-gw", ping(mtu), around(87e-6, 0.01, 12 + number))
    return trials


def test_a_profile_in_place_of_the_first_is_told_at_both_largest_mtus(tmp_path: Path) -> None:
    *_, switch = answers(analysis_of(tmp_path, of_three(), ("underlay", "vxlan", "host-gw")))
    assert (switch.profile, switch.baseline, switch.mtu, switch.baseline_mtu) == ("host-gw", "vxlan", 1500, 1450)
    assert switch.text.startswith("host-gw instead of vxlan, each at its own largest MTU (1500 and 1450): +3.5")
    assert "; -34 µs of round trip (p50, 95 %: 3" in switch.text
    other = texts(tmp_path / "other", of_three(), ("underlay", "host-gw", "vxlan"))[-1]
    assert other.startswith("vxlan instead of host-gw, each at its own largest MTU (1450 and 1500): -3.")


def test_a_profile_that_was_not_measured_at_its_own_mtu_is_named(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, of_three((1450,)), ("underlay", "vxlan", "host-gw"))
    assert answers(analysis)[-1].text.startswith("host-gw instead of vxlan, both at MTU 1450: ")
    (note,) = analysis.notes
    assert note.fact == "host-gw carries packets of 1500 bytes, and was not measured at that"
    assert note.advice == "--mtu 1450,1500 holds each profile at its own largest MTU"
    assert not analysis_of(tmp_path / "both", of_three(), ("underlay", "vxlan", "host-gw")).notes


def test_whether_it_pays_is_held_against_no_difference(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, of_three(), ("underlay", "vxlan", "host-gw"))
    rows = [row for row in analysis.rows if row.contrast.against == "own-mtu"]
    goodput = next(row for row in rows if row.metric.name == "goodput_bps")
    assert (goodput.verdict, goodput.ceiling, goodput.against_ceiling) == ("better", None, None)
    assert {(row.cell.mtu, row.contrast.baseline_cell(row.cell).mtu) for row in rows} == {(1500, 1450)}


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ((1.31, 1.5), "+31 to 50"),
        ((0.5, 0.69), "-31 to 50"),
        ((0.755, 0.983, 1.034), "-24 to +3"),
        ((1.5, 1.502), "+50"),
        ((1.001, 1.0), "0.00 to +0.10"),
    ],
)
def test_changes_are_given_from_the_nearest_to_the_furthest(ratios: Sequence[float], said: str, tmp_path: Path) -> None:
    (answer,) = answers(analysis_of(tmp_path, of_goodput(0.96)))
    ends = [End(answer.rows[0], "ratio", ratio) for ratio in ratios]
    assert text_of(Shape.change(ratios).span(ends)) == said


def test_losses_keep_their_sign_and_a_sign_that_is_known_is_left_out(tmp_path: Path) -> None:
    (answer,) = answers(analysis_of(tmp_path, of_goodput(0.96)))

    def ends(*ratios: float) -> list[End]:
        return [End(answer.rows[0], "ratio", ratio) for ratio in ratios]

    assert text_of(Shape.loss((1.0005, 0.99)).span(ends(0.99, 1.0005))) == "-0.05 to 1.00"
    assert text_of(Shape.loss((1.00001,)).span(ends(1.00001))) == "0.00"
    assert text_of(Shape.change((1.3, 1.5)).span(ends(1.3, 1.5), "+")) == "30 to 50"
    assert text_of(Shape.change((0.9, 1.5)).span(ends(0.9, 1.5), "+")) == "-10 to +50"


def test_goodput_is_told_of_the_first_cell_that_has_a_figure_and_no_changed_offload(tmp_path: Path) -> None:
    switched = iperf3(1450).at((("offload", "gro=off"),))
    lost = [trial("vxlan", block, iperf3(1450, 1, "udp"), None, Status.FAILED) for block in range(1, 7)]
    trials = [*of_goodput(0.96), *lost, *series("underlay", iperf3(1500, 1, "udp"), around(1e9, 0.001, 9))]
    trials += series("underlay", iperf3(1500).at((("offload", "gro=off"),)), around(1e9, 0.001, 7))
    trials += series("vxlan", switched, around(0.5e9, 0.001, 8))
    (text,) = texts(tmp_path, trials)
    assert text.startswith("vxlan at MTU 1450 costs 3.99 % of goodput with tcp (")


def told_first(folder: Path, trials: Sequence[Trial], profiles: Sequence[str]) -> str:
    return texts(folder, trials, ("underlay", *profiles))[0]


@pytest.mark.parametrize("named", [("vxlan", "host-gw"), ("host-gw", "vxlan")])
def test_which_of_several_costs_least_stands_first_with_what_each_costs(tmp_path: Path, named: Sequence[str]) -> None:
    """Whichever of them is named first, and with what they cost of the underlay."""
    first = told_first(tmp_path, of_three(), named)
    assert first.startswith("host-gw costs least, each at its own largest MTU: of goodput host-gw 0.0")
    assert " %, vxlan 3.4" in first
    assert "; of round trip host-gw +2" in first
    assert " µs, vxlan +6" in first


def of_flannel(factor: float, spread: float = 0.001) -> list[Trial]:
    """Return goodput of a third profile."""
    return series("flannel", iperf3(1450), around(factor * 1e9, spread, 20))


@pytest.mark.parametrize(
    ("flannel", "spread", "said"),
    [
        (0.9, 0.001, "host-gw costs least, each at its own largest MTU: of goodput host-gw 0."),
        (0.9655, 0.001, "host-gw costs least, each at its own largest MTU: of goodput host-gw 0."),
        (1.0, 0.0001, "(flannel and host-gw: the same within 1 %)"),
        (0.99, 0.05, "Which profile costs least is not decided, each at its own largest MTU: of goodput "),
        (0.99, 0.05, "(not decided between "),
    ],
)
@pytest.mark.parametrize("named", [("vxlan", "host-gw", "flannel"), ("flannel", "vxlan", "host-gw")])
def test_nothing_is_called_cheapest_that_is_not_decided_to_be(
    tmp_path: Path, flannel: float, spread: float, said: str, named: Sequence[str]
) -> None:
    trials = [one for one in of_three() if one.slot.cell.measure == "iperf3"]
    first = told_first(tmp_path, [*trials, *of_flannel(flannel, spread)], named)
    if "the same" in said and named[0] != "flannel":  # both against a third: their intervals overlap, and no more
        said = "(not decided between "
    assert said in first


def test_no_profile_may_cost_least_of_everything(tmp_path: Path) -> None:
    trials = [one for one in of_three() if one.slot.cell.measure == "iperf3"]
    trials += series("underlay", ping(1500), around(60e-6, 0.01, 2))
    trials += series("vxlan", ping(1450), around(70e-6, 0.01, 3))
    trials += series("host-gw", ping(1500), around(90e-6, 0.01, 4))
    first = told_first(tmp_path, trials, ("vxlan", "host-gw"))
    assert first.startswith("No profile costs least of everything, each at its own largest MTU: of goodput host-gw 0.0")
    assert "; of round trip vxlan +10 µs, host-gw +30 µs; " in first


def test_few_blocks_and_a_single_profile_rank_nothing(tmp_path: Path) -> None:
    few = [one for one in of_three() if one.slot.block < 3]
    assert "costs least" not in " ".join(texts(tmp_path, few, ("underlay", "vxlan", "host-gw")))
    assert "least" not in " ".join(texts(tmp_path / "one", of_goodput(0.96)))


def test_a_rank_is_a_record_without_mtus_and_without_a_profile_where_it_is_open(tmp_path: Path) -> None:
    wide = [*of_three(), *of_flannel(0.99, 0.05)]
    for trials, named, leader in ((of_three(), ("vxlan", "host-gw"), "host-gw"), (wide, ("vxlan", "flannel"), None)):
        kept = [one for one in trials if one.slot.profile in ("underlay", *named) and one.slot.cell.measure == "iperf3"]
        document = json.loads(FORMATS["json"](analysis_of(tmp_path / named[1], kept, ("underlay", *named))))
        record = document["answers"][0]
        assert (record["profile"], record["mtu"], record["baseline_mtu"]) == (leader, None, None)


def test_a_metric_that_is_open_is_named_in_the_ranking(tmp_path: Path) -> None:
    trials = [one for one in of_three() if one.slot.cell.measure == "ping"]
    trials += series("underlay", iperf3(1500), around(1e9, 0.2, 1))
    trials += series("vxlan", iperf3(1450), around(0.96e9, 0.2, 2))
    trials += series("host-gw", iperf3(1500), around(0.98e9, 0.2, 3))
    first = told_first(tmp_path, trials, ("vxlan", "host-gw"))
    assert first.startswith("host-gw costs least, each at its own largest MTU: of goodput not decided; of round trip ")
