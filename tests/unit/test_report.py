from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.model.notes import About, Note
from harness.model.path import PathState
from harness.model.trial import MTU, Direction, Interval, Status, Trial
from harness.report import compared_layout
from harness.report.analysis import Analysis, Row, analyse
from harness.report.comparison import Comparison, compare_runs
from harness.report.formats import FORMATS, explained
from harness.report.layout import ADDED, page
from harness.report.notes import text_of
from harness.report.page import Page, interval_text
from harness.report.records import COMPARED_HEAD, COMPARED_TAIL, SUMMARY_HEAD, SUMMARY_TAIL, summary_records
from harness.report.table import MOST_NOTES, drawn, shortened, table
from harness.report.trials import read_run
from harness.truth import stats
from harness.truth.stats import Ratio
from tests.unit.synthetic import CLAMPED, META, around, full_run, iperf3, note, ping, series, trial, write

GOLDEN = Path(__file__).parent.parent / "golden"
SHARED = "both nodes share one kernel and its CPUs: CPU seconds are those of both together"
OLD_IPERF3 = {**META, "versions": {"iperf3": {"k8s-1": "3.12", "k8s-2": "3.12"}}, "notes": [note(SHARED)]}
INNER, OUTER = PathState.parse("inner-fragmented"), PathState.parse("outer-fragmented")
Result = Analysis | Comparison


def analysed(folder: Path, trials: Sequence[Trial], meta: dict[str, Any] | None = None) -> Analysis:
    return analyse(read_run(write(folder, trials, meta or OLD_IPERF3)))


def laid_out(result: Result) -> Page:
    return page(result) if isinstance(result, Analysis) else compared_layout.page(result)


def troubled_run() -> list[Trial]:
    """Return a run with everything that can go wrong in it, and the widest cells there are."""
    wide = iperf3(1500, 128, "tcp", Direction.REVERSE)
    mixed = iperf3(1500, 8, "udp", Direction.BIDIR)
    lost = iperf3(1450, 4, "udp")
    return [
        *full_run(["host-gw", "vxlan"]),
        *series("underlay", wide, around(9.4e9, 0.001, 1)),
        *series("vxlan", wide, around(9.1e9, 0.07, 2), path_state=INNER),
        *series("underlay", mixed, around(1.9e9, 0.001, 3)),
        *series("vxlan", mixed, [1.8e9] * 2, path_state=OUTER),
        *series("vxlan", mixed, [1.8e9] * 6, path_state=CLAMPED)[2:],
        *series("underlay", iperf3(1500, 4, "udp"), around(9.5e8, 0.001, 4)),
        *(trial("vxlan", block, lost, None, Status.FAILED, reason="refused " * 30) for block in range(1, 7)),
        *series("underlay", ping(1400), around(9.1e-3, 0.2, 5)),
        *series("vxlan", ping(1400), around(12.3e-3, 0.2, 6, blocks=4)),
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    tmp_path = tmp_path_factory.mktemp("runs")
    quiet = write(tmp_path / "a", full_run(seed=2), META)
    run_b = {**OLD_IPERF3, "run_id": "run-b"}
    troubled = write(tmp_path / "b", [replace(one, run_id="run-b") for one in troubled_run()], run_b)
    a, b = read_run(quiet), read_run(troubled)
    return {
        "quiet": analyse(a),
        "troubled": analyse(b),
        "without run.json": analyse(replace(a, meta=None)),
        "compared": compare_runs([a], [b]),
    }


@pytest.mark.parametrize("name", ["quiet", "troubled", "without run.json", "compared"])
def test_no_line_is_wider_than_eighty_columns(results: dict[str, Result], name: str) -> None:
    lines = FORMATS["table"](results[name]).splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("name", ["quiet", "troubled", "compared"])
def test_no_figure_is_cut_off(results: dict[str, Result], name: str) -> None:
    shown = FORMATS["table"](results[name])
    assert "…" not in shown
    for section in laid_out(results[name]).sections:
        for row in section.rows:
            pattern = r"\s+".join(re.escape(cell) for cell in row[:-1] if cell)
            assert re.search(pattern, shown), row


@pytest.mark.parametrize(
    ("name", "golden"),
    [("troubled", "report-summary.txt"), ("compared", "report-compare.txt")],
)
def test_table_is_the_golden_one(results: dict[str, Result], name: str, golden: str) -> None:
    assert FORMATS["table"](results[name]) == (GOLDEN / golden).read_text(encoding="utf-8")


def widest(row: Row) -> Row:
    """Return a row with the longest names and the largest figures that there may be."""
    long = replace(row.contrast, profile=f"{row.contrast.profile:x<31}", baseline=f"{row.contrast.baseline:x<31}")
    ratio = row.ratio and (row.ratio if row.ceiling else Ratio(12345.6 * row.ratio.ratio, 0.0, 5, 6))
    larger = [None if figure is None else 100 * figure for figure in (row.median, row.baseline_median)]
    cell = row.cell.at(((MTU, 65535),))
    interval = row.interval if row.ceiling or ratio is None else ratio.interval()
    return replace(
        row, contrast=long, cell=cell, ratio=ratio, interval=interval, median=larger[0], baseline_median=larger[1]
    )


def test_long_names_and_large_figures_fit_too(results: dict[str, Result]) -> None:
    troubled = results["troubled"]
    assert isinstance(troubled, Analysis)
    lines = table(page(replace(troubled, rows=tuple(map(widest, troubled.rows))))).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_on_a_terminal_the_table_has_colours(results: dict[str, Result]) -> None:
    console = Console(file=io.StringIO(), width=80, record=True, force_terminal=True)
    console.print(drawn(laid_out(results["quiet"])))
    text = "\n".join(line.rstrip() for line in console.export_text(clear=False).splitlines()) + "\n"
    assert text == table(laid_out(results["quiet"]))
    assert "\x1b[31mworse" in console.export_text(styles=True)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (9.412e9, "Gbit/s", "9.412"),
        (955.04e6, "Mbit/s", "955.0"),
        (120.0, "kbit/s", "0.1"),
    ],
)
def test_goodput_is_scaled(tmp_path: Path, value: float, unit: str, shown: str) -> None:
    trials = [*series("underlay", iperf3(1500), [value] * 6), *series("vxlan", iperf3(1450), [value] * 6)]
    section = page(analysed(tmp_path, trials)).sections[0]
    assert (section.headings[1], section.rows[0][1]) == (unit, shown)


@pytest.mark.parametrize(
    ("value", "unit", "shown"), [(81.2e-6, "µs", ("81.2", "243.6")), (0.5e-3, "ms", ("0.500", "1.500"))]
)
def test_round_trips_are_scaled(tmp_path: Path, value: float, unit: str, shown: tuple[str, str]) -> None:
    trials = [*series("underlay", ping(1500), [value] * 6), *series("vxlan", ping(1450), [value] * 6)]
    section = page(analysed(tmp_path, trials)).sections[0]
    assert section.headings[1] == unit
    assert [row[:2] for row in section.rows] == [("mtu 1450 p50", shown[0]), ("mtu 1450 p99", shown[1])]


def test_gap_is_in_percentage_points(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), [1e9] * 6), *series("vxlan", iperf3(1450), [0.95e9] * 6)]
    section = page(analysed(tmp_path, trials)).sections[0]
    row = dict(zip(section.headings, section.rows[0], strict=True))
    assert (row["ratio"], row[ADDED], row["gap"]) == ("0.9500", "-0.050", "-1.55")
    assert section.caption.splitlines()[0] == "ceiling 0.9655: what the headers allow the ratio to be"


def test_ceilings_that_follow_from_the_mtu_stand_below_the_rows(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), [1e9] * 6), *series("vxlan", iperf3(1450), [0.96e9] * 6)]
    trials += series("vxlan", iperf3(1500), [0.9e9] * 6, path_state=INNER)
    trials += series("vxlan", iperf3(1400), [0.9e9] * 6)
    section = page(analysed(tmp_path, trials)).sections[0]
    assert "ceiling" not in section.headings
    assert section.caption.splitlines()[0] == (
        "ceiling 0.9622 at MTU 1400, 0.9655 at MTU 1450, 0.9068 at MTU 1500: what the headers allow the ratio to be"
    )


def test_ceilings_of_one_mtu_that_are_unlike_have_a_column(tmp_path: Path) -> None:
    states = [CLAMPED] * 6 + [INNER] * 6
    trials = series("underlay", iperf3(1500), [1e9] * 12)
    for block, state in enumerate(states, 1):
        trials.append(trial("vxlan", block, iperf3(1500), 0.9e9, path_state=state))
    section = page(analysed(tmp_path, trials)).sections[0]
    rows = [dict(zip(section.headings, row, strict=True)) for row in section.rows]
    assert {row["ceiling"] for row in rows} == {"0.9655", "0.9068"}
    assert "gap" not in section.headings
    assert "ceiling 0" not in section.caption


def test_no_verdict_is_cut_within_a_word(results: dict[str, Result]) -> None:
    for name in ("quiet", "troubled", "compared"):
        words = {word for row in FORMATS["table"](results[name]).splitlines() for word in row.split()}
        said = {word for part in laid_out(results[name]).sections for row in part.rows for word in row[-1].split()}
        assert said <= words


def test_differences_stand_beside_ratios_in_the_units_of_their_figures(tmp_path: Path) -> None:
    trials = [
        *series("underlay", ping(1500), [60e-6, 62e-6, 61e-6, 60e-6, 62e-6, 61e-6]),
        *series("vxlan", ping(1450), [121e-6, 123e-6, 121e-6, 121e-6, 124e-6, 122e-6]),
    ]
    analysis = analysed(tmp_path, trials)
    (row,) = [one for one in analysis.rows if one.metric.name == "rtt_p50_s"]
    assert row.added == pytest.approx(61e-6)
    assert row.interval is not None
    assert row.added_interval is not None
    assert 59e-6 < row.added_interval.low < 61e-6 < row.added_interval.high < 63e-6
    section = page(analysis).sections[0]
    assert (section.headings[1:4], section.rows[0][1:4]) == (("µs", "underlay", ADDED), ("121.5", "61.0", "+61.0"))
    record = next(one for one in summary_records(analysis) if one["metric"] == "rtt_p50_s")
    assert (record["added"], record["added_low"]) == (row.added, row.added_interval.low)


def test_notes_are_said_once_and_marked(results: dict[str, Result]) -> None:
    whole = laid_out(results["troubled"])
    assert len(set(whole.notes)) == len(whole.notes)
    assert SHARED in whole.notes
    marked = {one.partition("]")[0][1:] for one in whole.notes if one.startswith("[")}
    used = {
        mark
        for section in whole.sections
        for row in section.rows
        for cell in re.findall(r"\[[\d,]+\]", row[-1])
        for mark in re.findall(r"\d+", cell)
    }
    assert used == marked


@pytest.mark.parametrize("name", ["quiet", "troubled", "compared"])
def test_legend_and_notes_that_fill_a_screen_are_shown_when_they_are_asked_for(
    results: dict[str, Result], name: str
) -> None:
    page_, short, long = laid_out(results[name]), FORMATS["table"](results[name]), explained(results[name])
    words = " ".join(long.split())
    assert page_.legend in words
    assert all(" ".join(note.split()) in words for note in page_.notes)
    assert "--explain" not in long
    assert short.count("`harness compare --explain`") == 1
    assert page_.legend not in " ".join(short.split())
    last = short.rindex("\n\n", 0, short.rindex(page_.brief.split()[0]))
    assert short.count("\n", last + 2) <= 5
    assert len(long.splitlines()) > len(short.splitlines())


def test_so_many_notes_are_shown_and_the_others_counted(results: dict[str, Result]) -> None:
    page_ = laid_out(results["troubled"])
    of_all = [note for note in page_.notes if not note.startswith("[")]
    assert len(page_.notes) > MOST_NOTES
    kept = shortened(page_).notes
    assert len(kept) == MOST_NOTES
    assert set(of_all) <= set(kept)
    assert f"{len(page_.notes) - MOST_NOTES} more notes, and what all of it means" in shortened(page_).legend
    few = replace(page_, notes=page_.notes[:2])
    assert shortened(few).notes == few.notes
    assert "more note" not in shortened(few).legend
    assert shortened(replace(page_, brief="")) == replace(page_, brief="")


def test_brief_legend_is_of_the_columns_that_are_shown(tmp_path: Path) -> None:
    trials = [*series("underlay", ping(1500), [60e-6] * 6), *series("vxlan", ping(1450), [121e-6] * 6)]
    brief = page(analysed(tmp_path, trials)).brief
    assert "+/- and ratio" in brief
    assert "gap" not in brief
    assert "same MTU" not in brief


def test_csv_is_complete_and_unscaled(results: dict[str, Result]) -> None:
    troubled = results["troubled"]
    assert isinstance(troubled, Analysis)
    back = list(csv.DictReader(io.StringIO(FORMATS["csv"](troubled))))
    assert tuple(back[0]) == (*SUMMARY_HEAD, "protocol", "direction", "mtu", "flows", *SUMMARY_TAIL)
    for row, read in zip(troubled.rows, back, strict=True):
        assert read["ratio"] == (repr(row.ratio.ratio) if row.ratio else "")
        assert read["median"] == ("" if row.median is None else repr(row.median))
        assert read["notes"] == text_of(row.notes)


def test_json_has_null_for_what_does_not_apply(results: dict[str, Result]) -> None:
    troubled = results["troubled"]
    assert isinstance(troubled, Analysis)
    document = json.loads(FORMATS["json"](troubled), parse_constant=pytest.fail)
    assert document["run"]["run_id"] == "run-b"
    assert document["run"]["plan"] == json.loads(json.dumps(META["plan"]))
    assert [entry["fact"] for entry in document["notes"]] == [SHARED]
    records = document["rows"]
    assert [list(record) for record in records] == [list(record) for record in summary_records(troubled)]
    lost = next(record for record in records if record["verdict"] == "no figure")
    assert (lost["ratio"], lost["median"], lost["blocks"]) == (None, None, 0)
    assert lost["notes"][0]["fact"] == "vxlan 6 failed"


def test_compared_csv_and_json_are_complete_and_unscaled(results: dict[str, Result]) -> None:
    comparison = results["compared"]
    assert isinstance(comparison, Comparison)
    back = list(csv.DictReader(io.StringIO(FORMATS["csv"](comparison))))
    document = json.loads(FORMATS["json"](comparison), parse_constant=pytest.fail)
    assert tuple(back[0]) == (*COMPARED_HEAD, "protocol", "direction", "mtu", "flows", *COMPARED_TAIL)
    assert [[run["run_id"] for run in document[letter]] for letter in "ab"] == [[META["run_id"]], ["run-b"]]
    for row, read, record in zip(comparison.rows, back, document["rows"], strict=True):
        assert read["ratio"] == (repr(row.ratio.ratio) if row.ratio else "")
        assert record["figure_b"] == row.figures[1]
        assert (read["basis"], record["verdict"]) == (row.basis, row.verdict)
        assert read["notes"] == text_of(row.notes)


def summaries(lines: Sequence[str]) -> list[str]:
    """Return what folded parts are called."""
    return [line.removeprefix("<summary>").removesuffix("</summary>") for line in lines if line.startswith("<summary>")]


@pytest.mark.parametrize("name", ["quiet", "troubled", "compared"])
def test_markdown_shows_nothing_but_what_was_found_until_it_is_unfolded(results: dict[str, Result], name: str) -> None:
    lines = FORMATS["markdown"](results[name]).splitlines()
    depth, outside = 0, []
    for before, line in itertools.pairwise(["", *lines]):
        depth += {"<details>": 1, "</details>": -1}.get(line, 0)
        assert depth in (0, 1)
        if before.startswith("<summary>"):
            assert line == "", "without a blank line what follows is no Markdown"
        if line == "</details>":
            assert before == ""
        if not depth and line not in ("", "</details>"):
            outside.append(line)
    assert outside == [f"**{finding}**  " for finding in laid_out(results[name]).findings]
    assert outside
    assert depth == 0


def test_markdown_lets_no_note_end_a_cell_or_a_fold(results: dict[str, Result]) -> None:
    troubled = results["troubled"]
    assert isinstance(troubled, Analysis)
    said = Note(About.LAB, "", "</details><script>", "a | b")
    shown = FORMATS["markdown"](replace(troubled, notes=(said,)))
    assert "- &lt;/details>&lt;script>: a \\| b" in shown


def test_markdown_of_compared_runs_says_what_is_judged_first(results: dict[str, Result]) -> None:
    lines = FORMATS["markdown"](results["compared"]).splitlines()
    assert lines[0].startswith("**host-gw: nothing can be decided: ")
    assert lines[1].startswith("**vxlan: no figure any more") is False
    assert summaries(lines) == [
        "host-gw over its run's underlay: B against A",
        "vxlan over its run's underlay: B against A",
        "the underlay itself: B against A",
        "host-gw, absolute: B against A",
        "vxlan, absolute: B against A",
        "Runs, notes and what the columns mean",
    ]
    assert "| tcp 1450 x1 | 0.9665 | 0.9663 | -0.02 | 0.9997 | 0.9980-1.0015 | same |" in lines


def test_markdown_rows_have_as_many_cells_as_their_heading(results: dict[str, Result]) -> None:
    lines = FORMATS["markdown"](results["troubled"]).splitlines()
    assert summaries(lines) == [
        "host-gw against underlay",
        "vxlan against underlay",
        "vxlan against host-gw",
        "host-gw instead of vxlan, at MTU 1500 and 1450",
        *(
            f"Where the {what} of vxlan goes: underlay -> host-gw -> vxlan"
            for what in ("goodput", "round trip", "CPU time")
        ),
        "Runs, notes and what the columns mean",
    ]
    cells = 0
    for before, line in itertools.pairwise(lines):
        if line.startswith("| ---"):
            cells = before.count("|")
        if line.startswith("|") and before.startswith("|"):
            assert line.count("|") == cells, line


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_takes_an_empty_summary_and_ends_with_a_newline(
    tmp_path: Path, results: dict[str, Result], name: str
) -> None:
    empty = analysed(tmp_path, series("underlay", ping(1500), [1e-3] * 6))
    for result in (empty, results["quiet"], results["compared"]):
        text = FORMATS[name](result)
        assert text.endswith("\n")
        assert text.strip()


def falling_apart(seed: int, collapsed: int | None) -> list[Trial]:
    """Return blocks of one cell, each with its seconds; in one block the second half is a third of the first."""
    trials = []
    for number, (early, late) in enumerate(zip(around(9e8, 0.004, seed), around(9e8, 0.004, seed + 1), strict=True), 1):
        half = late / 3 if number == collapsed else late
        intervals = (
            Interval(-1, 0, omitted=True, goodput_bps=3e8, retransmits=90),
            Interval(0, 1, omitted=False, goodput_bps=early, retransmits=2),
            Interval(1, 2, omitted=False, goodput_bps=half, retransmits=40 if number == collapsed else 0),
        )
        one = trial("vxlan", number, iperf3(1450), (early + half) / 2)
        trials.append(replace(one, slot=replace(one.slot, position=2), series=intervals))
    return trials


@pytest.mark.parametrize("collapsed", [4, None])
def test_a_trial_that_fell_apart_in_the_middle_is_named_with_its_retransmits(
    tmp_path: Path, collapsed: int | None
) -> None:
    trials = [*falling_apart(7, collapsed), *series("underlay", iperf3(1500), around(9.5e8, 0.001, 9))]
    analysis = analyse(read_run(write(tmp_path, trials)))
    texts = [str(one) for one in analysis.notes]
    if collapsed is None:
        assert texts == []
    else:
        assert len(texts) == 1
        assert re.match(r"block 4 vxlan tcp 1450 x1 [89]\d\d then [23]\d\d Mbit/s, 42 retransmits: ", texts[0])


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.0023, 639.0, "of no use"),
        (0.2, 639.0, "0.2000-639"),
        (0.0023, 1.2, "0.0023-1.2000"),
        (0.96, 0.97, "0.9600-0.9700"),
    ],
)
def test_an_interval_that_tells_nothing_is_not_shown_with_figures(low: float, high: float, text: str) -> None:
    assert interval_text(stats.Interval(low, high)) == text


def test_json_says_what_the_run_was(results: dict[str, Result]) -> None:
    """Its folder bears the run's id; nobody has to look for it in what is said on the way."""
    run = json.loads(FORMATS["json"](results["quiet"]))["run"]
    assert run["run_id"] == META["run_id"]
    assert (run["lab"], run["plan"]["name"], run["plan"]["blocks"]) == ("local", "quick", 6)
