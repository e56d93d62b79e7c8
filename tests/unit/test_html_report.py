"""The page of a run: its numbers are those of summary.csv, texts stay texts, nothing is needed from elsewhere."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import app
from harness.report.analysis import analyse
from harness.report.answers import answers
from harness.report.canvas import DARK, LIGHT
from harness.report.formats import FORMATS
from harness.report.html import document
from harness.report.html.document import articles_of, page, plots
from harness.report.layout import ADDED
from harness.report.plots.png import png_of
from harness.report.plots.scale import Scale, log_ticks, tick_texts, ticks_within
from harness.report.trials import read_run
from tests.unit.pages import EVIL, large, rich
from tests.unit.synthetic import full_run, write

SAMPLE = Path("results/sample/20261125T104223Z-vxlan-1c69")
NS = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "link", "br", "img", "hr", "input"}
UNITS = {"Gbit/s": 1e9, "Mbit/s": 1e6, "kbit/s": 1e3, "s": 1, "ms": 1e-3, "µs": 1e-6}
UNITS |= {"s/Gbit": 1, "ms/Gbit": 1e-3, "%": 1e-2, "M/s": 1e6, "k/s": 1e3, "/s": 1, "1": 1}
CPU = {"tools": "tools_cpu_s_per_gbit", "interrupts": "softirq_cpu_s_per_gbit", "busiest CPU": "busiest_cpu_ratio"}
CPU_UNITS = {"tools": 1e-3, "interrupts": 1e-3, "busiest CPU": 1e-2}
AS_THEY_ARE = {"ratio": ("ratio", 1.0), "difference": ("difference", 1e-2), "ceiling": ("ceiling_ratio", 1.0)}
AS_THEY_ARE |= {ADDED: ("added", 0.0)}
"""Columns of a table that are one of summary.csv, and its divisor, 0 for that of the row's own figures."""
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass
class Node:
    """An element of a page."""

    tag: str
    attrs: dict[str, str]
    inside: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(one if isinstance(one, str) else one.text for one in self.inside)

    def every(self, tag: str, **attrs: str) -> Iterator[Node]:
        for one in self.inside:
            if isinstance(one, Node):
                if one.tag == tag and attrs.items() <= one.attrs.items():
                    yield one
                yield from one.every(tag, **attrs)


class Tree(HTMLParser):
    """Makes a tree of a page, and fails where elements are not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def tree_of(text: str) -> Node:
    tree = Tree()
    tree.feed(text)
    assert len(tree.open) == 1
    return tree.open[0]


@dataclass
class Page:
    """A page with the summary of the run that it is of, as `harness compare --format csv` prints it."""

    folder: Path
    text: str
    tree: Node
    summary: Sequence[Mapping[str, str]]


def opened(folder: Path) -> Page:
    text = page(articles_of([folder]))
    summary = FORMATS["csv"](analyse(read_run(folder)))
    return Page(folder, text, tree_of(text), [*csv.DictReader(io.StringIO(summary))])


@pytest.fixture(scope="module")
def sample() -> Page:
    return opened(SAMPLE)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return opened(rich(tmp_path_factory.mktemp("rich")))


@pytest.fixture(params=["sample", "full"])
def shown(request: pytest.FixtureRequest) -> Page:
    made: Page = request.getfixturevalue(request.param)
    return made


def agrees(text: str, exact: str, divisor: float = 1.0) -> bool:
    """Tell whether a text is a figure of summary.csv, divided and rounded to as many decimals as it has."""
    if not text or not exact:
        return text == exact
    digits = len(text.partition(".")[2])
    return abs(float(text) - float(exact) / divisor) <= 0.5000001 * 0.1**digits


def sibling(page: Page, row: Mapping[str, str], **changed: str) -> Mapping[str, str]:
    """Return the row of summary.csv that differs in some columns only, of what a row is about."""
    columns = [*row][: [*row].index("baseline_cell")]
    wanted = {name: row[name] for name in (*columns, "metric")} | changed
    return next((one for one in page.summary if wanted.items() <= one.items()), dict.fromkeys(row, ""))


def check_compared(page: Page, headings: Sequence[str], row: Mapping[str, str], cells: Sequence[str]) -> None:
    """Hold a line of a table of compared rows against its row of summary.csv, column by column."""
    divisor = 1.0
    for number, (heading, cell) in enumerate(zip(headings[1:], cells[1:], strict=True)):
        if heading in AS_THEY_ARE:
            column, scale = AS_THEY_ARE[heading]
            assert agrees(cell, row[column], scale or divisor), (heading, cell, row)
        elif heading == "95 % interval":
            scale = 1e-2 if row["difference"] else 1.0
            edges = re.split(r" to |(?<=\d)-", cell) if cell else ["", ""]
            assert agrees(edges[0], row["adjusted_low"], scale), (cell, row)
            assert agrees(edges[1], row["adjusted_high"], scale), (cell, row)
        elif heading == "gap":
            gap = str(100 * (float(row["ratio"]) - float(row["ceiling_ratio"]))) if row["ceiling_ratio"] else ""
            assert agrees(cell, gap), (heading, cell, row)
        elif heading == "same MTU":
            other = sibling(page, row, contrast="same-mtu")
            assert agrees(cell, other["difference"] or other["ratio"], 1e-2 if other["difference"] else 1.0), (
                cell,
                row,
            )
        elif heading == "verdict":
            assert cell.startswith(row["ceiling_verdict"] or row["verdict"])
        elif number == 0:
            divisor = UNITS[heading]
            assert agrees(cell, row["median"], divisor), (heading, cell, row)
        else:
            assert number == 1, heading
            assert agrees(cell, row["baseline_median"], divisor), (heading, cell, row)


def check_shares(page: Page, headings: Sequence[str], row: Mapping[str, str], cells: Sequence[str]) -> None:
    """Hold a line of where CPU time goes against the rows of its parts."""
    name = ""
    for heading, cell in zip(headings[1:], cells[1:], strict=True):
        column = "median" if heading in CPU else "baseline_median"
        name = heading if heading in CPU else name
        part = sibling(page, row, metric=CPU[name])
        assert agrees(cell.removesuffix(" %"), part[column], CPU_UNITS[name]), (heading, cell, part)


def test_every_number_of_a_table_is_that_of_summary_csv(shown: Page) -> None:
    checked = 0
    for table in shown.tree.every("table"):
        headings = [one.text for head in table.every("thead") for one in head.every("th")]
        for line in table.every("tr"):
            if "data-row" not in line.attrs:
                continue
            row = shown.summary[int(line.attrs["data-row"])]
            cells = [one.text for one in line.inside if isinstance(one, Node)]
            is_of_shares = "tools" in headings
            (check_shares if is_of_shares else check_compared)(shown, headings, row, cells)
            checked += 1
    shown_rows = [row for row in shown.summary if row["contrast"] != "same-mtu" and row["metric"] not in CPU.values()]
    assert checked >= len(shown_rows), "every row of summary.csv has its line"


def shown_as(one: Node, row: Mapping[str, str]) -> float:
    """Return what a figure of summary.csv becomes where it stands in a sentence."""
    exact, kind = float(row[one.attrs["data-column"]]), one.attrs["data-shown"]
    if kind == "gap":
        return 100 * (exact - float(row["ceiling_ratio"]))
    if kind == "scaled":
        return exact / UNITS.get(one.attrs.get("data-unit", "1"), 1)
    return 100 * (1 - exact) if kind == "loss" else 100 * (exact - 1)


def test_every_number_of_the_answer_is_that_of_summary_csv(shown: Page) -> None:
    numbers = [*shown.tree.every("data")]
    assert len(numbers) >= 8
    for one in numbers:
        row = shown.summary[int(one.attrs["data-row"])]
        assert float(one.attrs["value"]) == pytest.approx(float(row[one.attrs["data-column"]]), rel=1e-12)
        # The sign stands in front of a number, as a word of the sentence, unless it is a loss.
        assert agrees(one.text, str(shown_as(one, row))) or agrees(one.text, str(abs(shown_as(one, row))))


def test_page_opens_with_the_sentences_of_the_table(shown: Page) -> None:
    sentences = [one.text for one in shown.tree.every("p", **{"class": "sentence"})]
    made = answers(analyse(read_run(shown.folder)))
    assert made
    for answer, sentence in zip(made, sentences, strict=True):
        assert sentence.startswith(answer.text)


def test_captions_have_the_baselines_medians(sample: Page) -> None:
    captions = [one.text for one in sample.tree.every("p", **{"class": "caption"}) if "Mbit/s" in one.text]
    rows = [row for row in sample.summary if row["metric"] == "goodput_bps" and row["contrast"] == "profile"]
    found = re.findall(r"x(\d) ([\d.]+)", captions[0])
    assert [
        (flows, agrees(text, row["baseline_median"], 1e6))
        for flows, text in found
        for row in rows[:3]
        if row["flows"] == flows
    ] == [
        ("1", True),
        ("4", True),
        ("8", True),
    ]


def test_ceiling_that_all_rows_have_stands_below_them(sample: Page) -> None:
    ceilings = {row["ceiling_ratio"] for row in sample.summary if row["contrast"] == "profile" and row["ceiling_ratio"]}
    (exact,) = ceilings
    (caption,) = [one.text for one in sample.tree.every("p", **{"class": "caption"}) if "ceiling 0" in one.text]
    found = re.search(r"ceiling ([\d.]+):", caption)
    assert found is not None
    assert agrees(found[1], exact)


def test_decomposition_is_made_of_rows_of_summary_csv(full: Page) -> None:
    table = next(one for one in full.tree.every("table") if "container path" in one.text)
    lines = [[one.text for one in line.inside if isinstance(one, Node)] for line in table.every("tr")][1:]
    rows = [row for row in full.summary if row["metric"] == "goodput_bps"]
    ratios: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        ratios.setdefault((row["contrast"], row["profile"], row["baseline"]), set()).add(row["ratio"])
    steps = ("profile", "host-gw", "underlay"), ("same-mtu", "vxlan", "host-gw"), ("profile", "vxlan", "underlay")
    for line in lines:
        for cell, key in zip((line[1], line[2], line[4]), steps, strict=True):
            assert any(agrees(cell, ratio) for ratio in ratios[key]), (cell, key)
        assert float(line[3]) == pytest.approx(float(line[1]) * float(line[2]), abs=1.6e-4)


def test_forest_stands_where_its_rows_say(sample: Page) -> None:
    picture = next(sample.tree.every("svg"))
    ticks = [
        (float(one.attrs["x"]), float(one.text))
        for one in picture.every("text")
        if re.fullmatch(r"[01]\.\d+", one.text)
    ]
    (x1, first), (x2, last) = ticks[0], ticks[-1]
    dots = [one for one in picture.every("circle") if one.attrs["r"] == "4.5"]
    rows = [row for row in sample.summary if row["metric"] == "goodput_bps" and row["contrast"] == "profile"]
    for dot, row in zip(dots, rows, strict=False):
        ratio = first + (float(dot.attrs["cx"]) - x1) / (x2 - x1) * (last - first)
        assert ratio == pytest.approx(float(row["ratio"]), abs=2e-4)


def test_every_trial_is_a_dot(shown: Page) -> None:
    trials = [*csv.DictReader((shown.folder / "trials.csv").open(encoding="utf-8"))]
    heading = next(one for one in shown.tree.every("section") if one.attrs.get("data-name") == "r1-timeline")
    names = {name for path in heading.every("path") for name in path.attrs.get("data-t", "").split()}
    mains = ("goodput_bps", "rtt_p50_s", "packets_per_s")
    assert names == {
        f"{one['block']}.{one['position']}"
        for one in trials
        if one["status"] == "ok" and any(one.get(main) for main in mains)
    }
    for path in shown.tree.every("path"):
        if "data-t" in path.attrs:
            assert len(path.attrs["data-t"].split()) == path.attrs["d"].count("M")


def test_every_picture_has_title_description_axes_and_units(full: Page) -> None:
    pictures = [*full.tree.every("svg")]
    assert len(pictures) >= 20
    ids = [own.attrs["id"] for one in pictures for tag in ("title", "desc") for own in one.every(tag)]
    assert len(ids) == len(set(ids)) == 2 * len(pictures)
    for one in pictures:
        title, desc = next(one.every("title")), next(one.every("desc"))
        assert title.text
        assert len(desc.text) > 10
        assert one.attrs["role"] == "img"
        assert one.attrs["aria-labelledby"] == f"{title.attrs['id']} {desc.attrs['id']}"
    units = "Mbit/s µs % B ratio block seconds ms".split()
    assert [
        unit for unit in units if not any(unit in text.text for one in pictures for text in one.every("text"))
    ] == []


def test_sections_are_there_where_their_figures_are(sample: Page, full: Page) -> None:
    groups = [[one.text for one in page.tree.every("h2")] for page in (sample, full)]
    only = {
        "Where the cost lies",
        "A packet on its way",
        "vxlan, loaded against idle",
        "Spread of the ratios: one standard deviation",
    }
    only |= {"vxlan, generic-receive-offload off against on", "host-gw against underlay", "vxlan against host-gw"}
    assert only & {*groups[0]} == set()
    assert only <= {*groups[1]}
    assert {"vxlan against underlay", "Over time", "Every trial", "Both nodes", "Repeat it", "Notes"} <= {
        *groups[0]
    } & {*groups[1]}
    titles = [one.text for one in full.tree.every("figcaption")]
    assert {"over size", "over offered", "Where the CPU time goes", "idle and under load", "fell apart"} == {
        words
        for words in ("over size", "over offered", "Where the CPU time goes", "idle and under load", "fell apart")
        if any(words in title for title in [*titles, *(one.text for one in full.tree.every("h3"))])
    }


def test_no_text_becomes_markup(full: Page) -> None:
    assert EVIL in full.tree.text
    assert EVIL not in full.text
    scripts = [*full.tree.every("script")]
    assert len(scripts) == 1
    assert "alert" not in scripts[0].text


def test_page_allows_its_own_script_only_and_asks_for_nothing(shown: Page) -> None:
    policy = next(
        one.attrs["content"]
        for one in shown.tree.every("meta")
        if "content" in one.attrs and "src" in one.attrs["content"]
    )
    script = next(shown.tree.every("script")).text
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    links = [one.attrs["href"] for one in shown.tree.every("a")]
    assert all(link.startswith(("#", "data:application/gzip;base64,")) for link in links)
    ids = {one.attrs["id"] for tag in ("h2", "h3") for one in shown.tree.every(tag) if "id" in one.attrs}
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert not re.search(r"url\(|@import|https?://", re.sub(r"base64,[^\"]*", "", shown.text))


def test_files_in_the_page_are_those_of_the_run(shown: Page) -> None:
    files = {one.attrs["data-name"]: one.attrs["href"] for one in shown.tree.every("a") if "data-name" in one.attrs}
    kept = {name: gzip.decompress(base64.b64decode(href.partition(",")[2])) for name, href in files.items()}
    for name in ("trials.csv", "series.csv", "run.json", "environment.json"):
        assert kept[name] == (shown.folder / name).read_bytes()
    assert [*csv.DictReader(io.StringIO(kept["summary.csv"].decode()))] == shown.summary


def test_counters_are_what_rose_in_a_trial(sample: Page) -> None:
    link = next(one.attrs["href"] for one in sample.tree.every("a") if one.attrs.get("data-name") == "counters.json")
    counters = json.loads(gzip.decompress(base64.b64decode(link.partition(",")[2])))
    step = json.loads((SAMPLE / "raw/b01-p002-vxlan-iperf3-tcp-1450-x1.json").read_text(encoding="utf-8"))["steps"][0]
    before, after = (step["readings"][when][0]["devices"]["vxlan_docker"]["tx_bytes"] for when in ("before", "after"))
    assert ["client vxlan_docker", "tx_bytes", after - before] in counters["1.2"]
    assert len(counters) == 16


def test_what_differs_between_nodes_is_marked(full: Page) -> None:
    marked = [one.text for one in full.tree.every("tr", **{"class": "marked"})]
    assert any("kernel" in text and "6.18" in text and "differs" in text for text in marked)
    assert not any(text.startswith("cpus") for text in marked)


def test_sizes_are_kept(sample: Page, tmp_path: Path) -> None:
    assert len(sample.text.encode()) < 300_000
    text = page(articles_of([large(tmp_path)]))
    assert len(text.encode()) < 5_000_000
    assert text.count("data-t=") > 10


def test_plots_are_pictures_by_themselves(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["report", str(SAMPLE), "-o", str(tmp_path / "a.html"), "--plots", str(tmp_path / "p")]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    files = sorted((tmp_path / "p").glob("*.svg"))
    assert len(files) == len(plots(articles_of([SAMPLE])))
    for file in files:
        tree = ET.parse(file).getroot()  # noqa: S314 - our own text
        style = next(tree.iter(f"{NS}style")).text or ""
        light, _, dark = style.partition("@media (prefers-color-scheme:dark)")
        assert LIGHT["ground"] in light
        assert DARK["ground"] in dark
        words = {word for one in tree.iter() for word in one.attrib.get("class", "").split()}
        assert [word for word in words if f".{word}{{" not in style] == []


def test_png_is_made_where_the_extra_is() -> None:
    image = png_of('<svg xmlns="http://www.w3.org/2000/svg" width="10" height="5"/>')
    assert image is not None
    assert image.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/missing"], "does not exist"),
        ([str(SAMPLE), "-o", "/missing/a.html"], "cannot write /missing/a.html"),
        ([str(SAMPLE), "-o", "{}/a.html", "--plots", "/dev/null/x"], "cannot write plots"),
    ],
)
def test_bad_input_is_said_in_a_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["report", *(word.format(tmp_path) for word in words)])
    assert done.exit_code != 0
    assert said in str(done.exception)


def test_several_runs_are_one_page(tmp_path: Path) -> None:
    other = Path("results/sample/20261125T050251Z-vxlan-7b80")
    tree = tree_of(page(articles_of([SAMPLE, other, rich(tmp_path)])))
    assert [one.attrs["id"] for one in tree.every("article")] == ["r1", "r2", "r3"]
    ids = [
        one.attrs["id"] for tag in "h2 h3 title desc article".split() for one in tree.every(tag) if "id" in one.attrs
    ]
    assert len(ids) == len({*ids})


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.95, 1.0, [0.95, 0.96, 0.97, 0.98, 0.99, 1.0]), (0.0, 7.0, [0, 2, 4, 6])],
)
def test_marks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert ticks_within(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1.0, 2.0, [1, 1.2, 1.4, 1.6, 1.8, 2]),
        (0.1, 1000, [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000]),
        (9, 40, [10, 15, 20, 30]),
    ],
)
def test_marks_of_logarithms_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_texts_of_marks_have_the_same_decimals() -> None:
    assert tick_texts([0.5, 1.0, 1.25]) == ["0.50", "1.00", "1.25"]
    assert tick_texts([1e6, 2e6], 1e6) == ["1", "2"]


def test_what_is_outside_a_scale_stands_at_its_edge() -> None:
    scale = Scale(1.0, 100.0, 0.0, 200.0, is_log=True)
    assert [scale.at(value) for value in (0.5, 1, 10, 100, 1e6)] == pytest.approx([0, 0, 100, 200, 200])
    assert not scale.holds(0.5)


def test_what_is_analysed_already_is_not_analysed_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run --report` has the analysis that its table was made of."""
    folder = write(tmp_path, full_run())
    known = {folder: analyse(read_run(folder))}
    (made,) = articles_of([folder])
    monkeypatch.setattr(document, "analyse", lambda *_: pytest.fail("analysed twice"))
    (again,) = articles_of([folder], known=known)
    assert again.answers == made.answers
