"""The answer: what a profile costs, how sure that is, what of it its headers explain, and what the rest is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.measures.metrics import CPU_ROWS
from harness.measures.registry import label_of
from harness.model.trial import UNDERLAY
from harness.report.analysis import Analysis, Row
from harness.report.contrasts import Against
from harness.report.html.model import Answer, Number, Sentence, Tile
from harness.report.page import ratio_text, share_text
from harness.truth.verdicts import AgainstCeiling, Verdict

GOODPUT = "goodput_bps"
_ROUND_TRIP = "rtt_p50_s"
_LARGE = 100.0
_ASIDE = ((CPU_ROWS[0], "CPU time for each gigabit"), (_ROUND_TRIP, "the median round trip"))
STYLES = {
    AgainstCeiling.HEADERS_ONLY: "good",
    AgainstCeiling.ABOVE_THE_CEILING: "good",
    AgainstCeiling.MORE_THAN_HEADERS: "lost",
    Verdict.SAME: "good",
    Verdict.BETTER: "good",
    Verdict.WORSE: "lost",
}
"""Colours of verdicts; of any other one it is that of what is open."""


def answers(analysis: Analysis) -> list[Answer]:
    """Return an answer for each profile that was held against the underlay, in the order of the rows."""
    rows: dict[str, list[_Placed]] = {}
    for place, row in enumerate(analysis.rows):
        contrast = row.contrast
        if contrast.against is Against.PROFILE and contrast.baseline == UNDERLAY and row.metric.better:
            rows.setdefault(contrast.profile, []).append(_Placed(row, place))
    made = [_answer(profile, own, analysis.margin) for profile, own in rows.items()]
    return [one for one in made if one is not None]


@dataclass(frozen=True)
class _Placed:
    """A row with its place in summary.csv."""

    row: Row
    place: int

    @property
    def verdict(self) -> str:
        """What it says: of the ceiling where it has one."""
        return str(self.row.against_ceiling or self.row.verdict or "")

    @property
    def style(self) -> str:
        """The colour of that."""
        return style_of(self.row)

    def loss(self, column: str, value: float) -> Number:
        """Return what a ratio leaves to 1, in per cent."""
        return Number(f"{100 * (1 - value):.2f} %", self.place, column, value, "loss")

    def ratio(self, column: str, value: float) -> Number:
        """Return a ratio as tables show it."""
        return Number(ratio_text(value), self.place, column, value)

    def gap(self, text: str) -> Number:
        """Return by how many percentage points a ratio is off its ceiling, as it is said."""
        return Number(text, self.place, "ratio", self.row.ratio.ratio if self.row.ratio else 0.0, "gap")

    def times(self, column: str, value: float) -> Number:
        """Return a ratio that is far from 1, as a sentence has it."""
        return Number(_times_text(value), self.place, column, value)

    def between(self, text: Callable[[str, float], Number]) -> list[str | Number]:
        """Return the interval of a ratio in brackets, its ends written by `text`."""
        interval = self.row.interval
        if interval is None:
            return []
        return [" (", text("adjusted_low", interval.low), " to ", text("adjusted_high", interval.high), ")"]


def style_of(row: Row) -> str:
    """Return the colour of a row's verdict."""
    return STYLES.get(row.against_ceiling or row.verdict or Verdict.INCONCLUSIVE, "open")


def _answer(profile: str, rows: Sequence[_Placed], margin: float) -> Answer | None:
    goodput = [one for one in rows if one.row.metric.name == GOODPUT and one.row.ratio]
    main = next((one for one in goodput if one.row.ceiling is not None), None) or next(iter(goodput), None)
    if main is None:
        main = next((one for one in rows if one.row.ratio), None)
        return _of_other(profile, main) if main else None
    ratio, interval = main.row.ratio, main.row.interval
    if ratio is None:
        return None
    is_gain = ratio.ratio > 1
    said: list[str | Number] = [" gains " if is_gain else " costs "]
    loss = main.loss("ratio", ratio.ratio)
    said += [Number(loss.text.removeprefix("-"), loss.row, loss.column, loss.exact, "loss"), " of the goodput"]
    if interval:
        edges = main.loss("adjusted_high", interval.high), main.loss("adjusted_low", interval.low)
        said += [" (95 % interval of the loss: ", edges[0], " to ", edges[1], ")"]
    said += [f" with {label_of(main.row.cell)}", *_rest(main, margin), "."]
    return Answer(
        profile,
        said,
        main.verdict,
        main.style,
        _also(goodput, rows),
        _tiles(main, rows),
    )


def _rest(main: _Placed, margin: float) -> Sentence:
    """Return what of the loss the headers explain, and what is left."""
    row = main.row
    if row.ceiling is None or row.ratio is None:
        return [f": {main.verdict}" if main.verdict else ""]
    headers = main.loss("ceiling_ratio", row.ceiling)
    gap = 100 * (row.ratio.ratio - row.ceiling)
    said: list[str | Number] = ["; its headers alone take ", headers]
    if row.against_ceiling is AgainstCeiling.HEADERS_ONLY:
        return [*said, f", and beyond them nothing is lost, within {share_text(margin)}"]
    if row.against_ceiling is AgainstCeiling.MORE_THAN_HEADERS:
        return [
            *said,
            ", and the other ",
            main.gap(f"{-gap:.2f}"),
            " percentage points are lost to what else lies on its way",
        ]
    if row.against_ceiling is AgainstCeiling.ABOVE_THE_CEILING:
        return [*said, ", more than it lost: the underlay falls short of its own ceiling"]
    if row.against_ceiling is None:
        return [*said, f"; whether more is lost cannot be said: {row.verdict or 'no verdict'}"]
    tell = f", {row.blocks_to_tell} blocks would tell" if row.blocks_to_tell else ""
    return [*said, f", and whether more is lost is not decided{tell}"]


def _also(goodput: Sequence[_Placed], rows: Sequence[_Placed]) -> Sentence:
    """Return what all rows of the goodput say, and what else it costs."""
    counts = Counter(one.verdict for one in goodput if one.verdict)
    said: list[str | Number] = []
    if len(goodput) > 1 and counts:
        if len(counts) == 1 and goodput[0].style != "open":
            said.append(f"All {len(goodput)} rows of goodput say so. ")
        else:
            said.append(
                f"Of {len(goodput)} rows of goodput: {', '.join(f'{n} {word}' for word, n in counts.items())}. "
            )
    asides: list[list[str | Number]] = []
    for name, words in _ASIDE:
        own = sorted(
            (one for one in rows if one.row.metric.name == name and one.row.ratio and not one.row.cell.get("offload")),
            key=lambda one: one.row.ratio.ratio if one.row.ratio else 0.0,
        )
        if own:
            asides.append(_range(words, own))
    if asides:
        joined = [*asides[0], *(["; ", *asides[1]] if len(asides) > 1 else [])]
        said += ["Against the underlay's, ", *joined, "."]
    return said


def _range(words: str, rows: Sequence[_Placed]) -> list[str | Number]:
    """Return the smallest and the largest ratio of rows that are sorted by it."""
    first, last = rows[0], rows[-1]
    low, high = first.row.ratio, last.row.ratio
    if low is None or high is None:
        return []
    said: list[str | Number] = [f"{words} is ", first.times("ratio", low.ratio)]
    if _times_text(low.ratio) != _times_text(high.ratio):
        said += [" to ", last.times("ratio", high.ratio)]
    return [*said, " times as much" if words.startswith("CPU") else " times as long"]


def _tiles(main: _Placed, rows: Sequence[_Placed]) -> list[Tile]:
    row = main.row
    if row.ratio is None:
        return []
    below: list[str | Number] = ["of the underlay's", *main.between(main.ratio)]
    tiles = [Tile("goodput", [main.ratio("ratio", row.ratio.ratio)], below, main.style)]
    if row.ceiling is not None:
        gap = main.gap(f"{100 * (row.ratio.ratio - row.ceiling):+.2f}")
        below = ["is left by the headers; gap ", gap, " points"]
        tiles.append(Tile("ceiling", [main.ratio("ceiling_ratio", row.ceiling)], below))
    for name, title in ((CPU_ROWS[0], "CPU time"), (_ROUND_TRIP, "round trip, p50")):
        own = next((one for one in rows if one.row.metric.name == name and one.row.ratio), None)
        if own is not None and own.row.ratio is not None:
            figure: Sentence = [own.times("ratio", own.row.ratio.ratio), " \N{MULTIPLICATION SIGN}"]
            below = ["the underlay's", *own.between(own.times), f", {label_of(own.row.cell)}"]
            tiles.append(Tile(title, figure, below, own.style))
    return tiles


def _of_other(profile: str, main: _Placed) -> Answer:
    """Return the answer where no goodput was compared: that of the first row that was."""
    row = main.row
    name = f"{row.metric.title} {row.metric.part}".strip()
    ratio = [main.times("ratio", row.ratio.ratio)] if row.ratio else []
    front = f": {name} with {label_of(row.cell)} is "
    return Answer(
        profile, [front, *ratio, *main.between(main.times), " times the underlay's."], main.verdict, main.style
    )


def _times_text(value: float) -> str:
    return ratio_text(value) if value >= _LARGE else f"{value:.2f}"
