"""What a page consists of: plain values, so that a template has nothing to compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.report.canvas import Picture
from harness.report.page import Section
from harness.report.sentence import Sentence


@dataclass(frozen=True)
class Tile:
    """One thing to know at a glance: what it is, its figure, and what is said below it."""

    title: str
    figure: Sentence
    below: Sentence = ()
    style: str = ""


@dataclass(frozen=True)
class Answer:
    """What a profile costs, in a sentence that follows its name, with a verdict in a word or two and the figures."""

    profile: str
    baseline: str
    sentence: Sentence
    verdict: str
    style: str
    tiles: Sequence[Tile] = ()


@dataclass(frozen=True)
class Line:
    """A line of a table; `row` is its place in summary.csv, where it has one. `marked` stands out."""

    cells: Sequence[str]
    row: int | None = None
    marked: bool = False


@dataclass(frozen=True)
class Grid:
    """A table; the first column heads its lines. In one of words no column is of figures.

    One that is folded shows its title until it is asked for.
    """

    title: str
    headings: Sequence[str]
    lines: Sequence[Line]
    caption: str = ""
    is_of_words: bool = False
    last_is_word: bool = False
    is_folded: bool = False

    @classmethod
    def of(cls, section: Section, rows: Sequence[int | None] = ()) -> Grid:
        """Return a laid-out section as a table; `rows` are the places of its lines in summary.csv."""
        places = [*rows] or [None] * len(section.rows)
        lines = [Line(cells, place) for cells, place in zip(section.rows, places, strict=True)]
        headings = (section.title, *section.headings[1:])
        return cls(section.title, headings, lines, section.caption, last_is_word=not section.matrix)


@dataclass(frozen=True)
class Figure:
    """Pictures with the tables of what they show, and how to read them; `name` is an id."""

    name: str
    title: str
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()
    reading: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Group:
    """Figures under one heading."""

    name: str
    title: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class File:
    """A file for download: its name, what it holds, and its content, compressed by gzip, in Base64."""

    name: str
    content: str
    size: int


@dataclass(frozen=True)
class Article:
    """What one run says. `name` begins the ids of everything in it, `command` repeats the run."""

    name: str
    title: str
    conditions: Sequence[str] = ()
    findings: Sequence[str] = ()
    answers: Sequence[Answer] = ()
    groups: Sequence[Group] = ()
    notes: Sequence[str] = ()
    legend: str = ""
    environment: Group | None = None
    command: str = ""
    command_note: str = ""
    files: Sequence[File] = ()
    has_trials: bool = False
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
