"""`harness history`: runs of a folder as series, changes marked, machines apart, and what is left out."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import harness.report
from harness.cli.history import history
from harness.model.errors import InputError
from harness.model.trial import ARM, ARMS, Trial
from harness.report.history import history_of
from tests.unit.synthetic import META, PLAN, iperf3, series, write

SCHEMA = json.loads(Path(harness.report.__file__).with_name("history.schema.json").read_text(encoding="utf-8"))
NODE = {"cpu_model": "Model X", "cpus": "2", "kernel": "6.1.0", "os": "Debian", "hostname": "h1"}
DAY = datetime(2026, 1, 1, tzinfo=UTC)
Level = Callable[[int, int], float]
"""Takes the numbers of a run and of a series, gives what the ratio is there."""


def one_run(folder: Path, number: int, ratios: Sequence[float], node: dict[str, Any] | None = None) -> Path:
    """Write a run with a cell for each ratio, an environment beside it."""
    scatter = random.Random(number)  # noqa: S311 - a reproducible run, not a secret
    trials: list[Trial] = []
    for flows, ratio in enumerate(ratios, 1):
        base = [955e6 * (1 + scatter.gauss(0, 0.0005)) for _ in range(6)]
        trials += series("underlay", iperf3(1500, flows), base)
        trials += series("vxlan", iperf3(1450, flows), [one * ratio for one in base])
    name = f"run{number:03}"
    meta = {**META, "run_id": name, "created_at": (DAY + timedelta(days=number)).isoformat()}
    path = write(folder / name, [replace(one, run_id=name) for one in trials], meta)
    nodes = {"k8s-1": NODE | (node or {}), "k8s-2": NODE | (node or {})}
    (path / "environment.json").write_text(json.dumps(nodes), encoding="utf-8")
    return path


def runs(folder: Path, count: int, level: Level, cells: int = 1, seed: int = 3, sd: float = 0.003) -> Path:
    """Write so many runs, each series scattering by sd from run to run."""
    scatter = random.Random(seed)  # noqa: S311 - see above
    for number in range(1, count + 1):
        one_run(folder, number, [level(number, one) * (1 + scatter.gauss(0, sd)) for one in range(cells)])
    return folder


def shown(*argv: object) -> str:
    done = CliRunner().invoke(history, [str(word) for word in argv], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_shifts_are_found_and_others_not_marked(tmp_path: Path) -> None:
    """60 runs, 10 series with one shift of 0.5 % at a place of their own, 20 without; all scatter by 0.3 %."""
    places = random.Random(11).sample(range(7, 55), 10)  # noqa: S311 - see above

    def level(number: int, cell: int) -> float:
        return 0.9655 * (0.995 if cell < 10 and number >= places[cell] else 1)

    found = history_of(runs(tmp_path, 60, level, cells=30), metrics=("goodput_bps",)).series
    assert len(found) == 30
    by_cell = {one.cell.flows - 1: one.marked for one in found}
    hits = [
        cell for cell in range(10) if any(abs(mark.points[0].run.number - places[cell]) <= 3 for mark in by_cell[cell])
    ]
    assert len(hits) >= 9
    assert sum(bool(by_cell[cell]) for cell in range(10, 30)) <= 1


def test_a_change_says_where_by_how_much_and_what_else_changed(tmp_path: Path) -> None:
    for number in range(1, 31):
        jitter = 0.001 * (-1) ** number
        node = {"sysctls": {"tcp_rmem": "1"}} if number >= 20 else {}
        one_run(tmp_path, number, [(0.9655 if number < 20 else 0.94) + jitter], node)
    text = " ".join(shown(tmp_path).split())
    assert "vxlan goodput tcp 1450 x1: changed -2.6" in text
    assert "from run 20 on (run020)" in text
    assert "run 20, vxlan goodput tcp 1450 x1: client and server sysctls tcp_rmem not known -> tcp_rmem 1" in text
    (one,) = json.loads(shown(tmp_path, "--format", "json", "--metric", "goodput_bps"))["series"]
    assert [(part["first_run"], part["last_run"], part["runs"]) for part in one["stretches"]] == [
        (1, 19, 19),
        (20, 30, 11),
    ]
    before, after = one["stretches"]
    assert before["change"] is None
    assert after["change"] == pytest.approx(after["ratio"] / before["ratio"])
    assert after["change_low"] < after["change"] < after["change_high"] < 1
    assert before["ratio_low"] < before["ratio"] < before["ratio_high"]


def test_runs_of_another_machine_are_a_mark_and_never_pooled(tmp_path: Path) -> None:
    """Two machines take turns, and the second one's ratio is another; neither changes."""
    for number in range(1, 41):
        second = number > 10 and number % 2
        node = {"kernel": "6.8.0"} if second else {"hostname": f"cloud{number}"}
        one_run(tmp_path, number, [(0.90 if second else 0.9655) + 0.001 * (number % 3)], node)
    found = history_of(tmp_path, metrics=("goodput_bps",))
    (one,) = found.series
    assert [(part.machine, len(part.points), part.change) for part in one.stretches] == [(1, 25, None), (2, 15, None)]
    assert all(point.run.machine == part.machine for part in one.stretches for point in part.points)
    text = " ".join(shown(tmp_path).split())
    assert "Machine 2 from run 11 on (run011): client and server kernel 6.1.0 -> 6.8.0." in text
    assert "No change is marked" in text


def test_what_cannot_be_used_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    runs(tmp_path, 3, lambda _number, _cell: 0.9655)
    (tmp_path / "empty").mkdir()
    torn = one_run(tmp_path, 8, [0.9655])
    (torn / "trials.csv").write_text("run_id,setup\n", encoding="utf-8")
    broken = one_run(tmp_path, 9, [0.9655])
    (broken / "run.json").write_text("{", encoding="utf-8")
    half = one_run(tmp_path, 4, [0.9655])
    rows = (half / "trials.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if row.split(",")[2] in ("block", "1", "2")]
    (half / "trials.csv").write_text("".join(kept), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no run", encoding="utf-8")
    text = " ".join(shown(tmp_path).split())
    assert "4 runs in " in text
    assert "run 4 (run004) ended after 2 of 6 blocks; its figures count" in text
    for name in ("empty", "run008", "run009"):
        assert f"{name} is left out: " in text
    document = json.loads(shown(tmp_path, "--format", "json"))
    assert [Path(one["path"]).name for one in document["left_out"]] == ["empty", "run008", "run009"]


@pytest.mark.parametrize("name", ["nowhere", "nothing"])
def test_a_folder_without_any_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "nothing" / "x").mkdir(parents=True)
    with pytest.raises(InputError, match=name):
        history_of(tmp_path / name)


def test_what_is_not_there_is_refused_with_what_there_is(tmp_path: Path) -> None:
    runs(tmp_path, 2, lambda _number, _cell: 0.9655)
    with pytest.raises(InputError, match="has no geneve; there are vxlan, goodput_bps"):
        history_of(tmp_path, profiles=("geneve",))
    with pytest.raises(InputError, match="has no rtt_p50_s"):
        history_of(tmp_path, metrics=("rtt_p50_s",))


@pytest.fixture(name="changed", scope="module")
def with_a_change(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs(tmp_path_factory.mktemp("runs"), 24, lambda number, _: 0.9655 if number < 12 else 0.95, cells=2)


@pytest.mark.parametrize("words", [(), ("--each",)])
def test_table_fits_the_terminal(changed: Path, words: tuple[str, ...]) -> None:
    lines = shown(changed, *words).splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    each = [line for line in lines if re.match(r" +\d+ +2026-01-\d\d ", line)]
    assert len(each) == (4 * 24 if words else 0)


def test_json_is_as_the_schema_says(changed: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(shown(changed, "--format", "json"), parse_constant=pytest.fail)
    assert list(Draft202012Validator(SCHEMA).iter_errors(document)) == []
    assert len(document["series"]) == 4
    assert list(Draft202012Validator(SCHEMA).iter_errors({**document, "more": 1}))
    expected = history_of(changed)
    for one, series_found in zip(document["series"], expected.series, strict=True):
        assert [point["ratio"] for point in one["points"]] == [point.ratio.ratio for point in series_found.points]


class _Page(HTMLParser):
    """What a page has in it, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links += [f"{name}={value}" for name, value in attrs if name in ("src", "href") or "//" in (value or "")]
        if tag not in ("meta", "path", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links += [f"{name}={value}" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_whole_and_asks_nobody(changed: Path, tmp_path: Path) -> None:
    file = tmp_path / "history.html"
    assert shown(changed, "--format", "html", "-o", file) == ""
    text = file.read_text(encoding="utf-8")
    read = _Page()
    read.feed(text)
    assert read.open == []
    assert {link for link in read.links if "w3.org" not in link} == set()
    assert read.counts["svg"] == read.counts["desc"] == 4
    assert read.counts["circle"] == 4 * 24
    assert text.count('class="mark"') == 4
    assert text.count("<td>changed ") == 4


def test_markdown_folds_every_run(changed: Path) -> None:
    text = shown(changed, "--format", "markdown")
    assert text.startswith("**vxlan goodput tcp 1450 x1: changed -1.")
    assert text.count("<summary>each run: ") == 4


def test_runs_of_pairs_are_series_of_their_own(tmp_path: Path) -> None:
    for number in (1, 2):
        whole = tmp_path / f"pairs{number}"
        for pair in ("a--b", "a--c"):
            made = one_run(whole, number, [0.9655])
            made.rename(whole / pair)
        (whole / "pairs.json").write_text("{}", encoding="utf-8")
    found = history_of(tmp_path, metrics=("goodput_bps",))
    assert [(one.pair, len(one.points)) for one in found.series] == [("a:b", 2), ("a:c", 2)]


def test_runs_against_themselves_are_left_out(tmp_path: Path) -> None:
    runs(tmp_path, 1, lambda _number, _cell: 0.9655)
    trials = [
        replace(one, run_id="run007", slot=replace(one.slot, cell=one.slot.cell.at(((ARM, arm),))))
        for one in series("vxlan", iperf3(), [9e8] * 6)
        for arm in ARMS
    ]
    write(tmp_path / "run007", trials, {**META, "run_id": "run007", "plan": replace(PLAN, runs=2).to_json()})
    assert "run007 is left out: a run against itself" in " ".join(shown(tmp_path).split())


def test_page_of_the_docs_is_what_is_printed() -> None:
    repo = Path(__file__).parents[2]
    page = (repo / "docs" / "history.md").read_text(encoding="utf-8")
    text = shown(repo / "results" / "sample", "--metric", "goodput_bps")
    assert text.partition("\nratio: of a profile")[0].rstrip() in page


def test_runs_over_links_and_of_unknown_time_are_told(tmp_path: Path) -> None:
    runs(tmp_path, 1, lambda _number, _cell: 0.9655)
    trials = [
        replace(one, run_id="20260301T000000Z-x", slot=replace(one.slot, block=one.slot.block))
        for one in series("underlay", iperf3(1500), [9e8] * 6) + series("vxlan", iperf3(), [9e8] * 6)
    ]
    undated = write(tmp_path / "20260301T000000Z-x", trials, {**META, "run_id": "20260301T000000Z-x"})
    (undated / "run.json").unlink()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").touch()
    found = history_of(tmp_path, metrics=("goodput_bps",))
    (one,) = found.series
    assert [(point.run.run_id, point.run.when[:4]) for point in one.points] == [
        ("run001", "2026"),
        ("20260301T000000Z-x", ""),
    ]
    last = one.points[-1].run
    assert (last.blocks, last.is_half) == ((6, 6), False), "nobody knows how many were to be"
