"""How many blocks tell a difference of a given size, from how the blocks of a run scatter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.measures.metrics import CPU_SHARES
from harness.measures.registry import title_of
from harness.model.errors import InputError
from harness.model.metrics import Metric
from harness.model.trial import Cell
from harness.report.aa import analyse_aa, is_against_itself
from harness.report.analysis import analyse
from harness.report.narrow import against_underlay
from harness.report.page import Page, Section, percent_text, share_text
from harness.report.titles import row_name, run_title, section_title
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.truth import power
from harness.truth.stats import MOST_BLOCKS

LEGEND = (
    "scatter: standard deviation of the logarithms of the blocks' ratios. blocks: so many tell the difference in 80 % "
    "of cases; it is told where the 95 % interval of that row by itself leaves 1 out. min: what these blocks take.{how}"
)


@dataclass(frozen=True)
class DetectRow:
    """What telling the difference takes in one row: `blocks` is None for more than are advised to anybody."""

    profile: str
    cell: Cell
    metric: Metric
    scatter: float
    freedom: int
    blocks: int | None

    @property
    def name(self) -> str:
        """What the row is called in a sentence."""
        part = f" {self.metric.part}" if self.metric.part else ""
        return f"{self.metric.title}{part} of {self.profile}, {title_of(self.cell)}"


@dataclass(frozen=True)
class Detection:
    """What it takes to tell a `difference` (a share) in each row, a block of that plan taking `block_s` seconds.

    `unknown` names rows of which no scatter is known.
    """

    meta: RunMeta
    difference: float
    block_s: float
    rows: tuple[DetectRow, ...]
    unknown: tuple[str, ...]

    @property
    def hardest(self) -> DetectRow:
        """The row that takes most blocks."""
        return max(self.rows, key=lambda row: row.scatter)

    @property
    def answer(self) -> str:
        """What it takes to tell the difference in every row, in a sentence."""
        row, difference = self.hardest, share_text(self.difference)
        if row.blocks is None:
            told = [one.blocks for one in self.rows if one.blocks is not None]
            others = f"; {max(told)} do for {len(told)} of {len(self.rows)} rows" if told else ""
            return (
                f"Telling {difference} in 80 % of cases takes more than {MOST_BLOCKS} blocks, for {row.name}{others}."
            )
        minutes = _minutes(row.blocks * self.block_s)
        return f"Telling {difference} in 80 % of cases takes {row.blocks} blocks, {minutes} min, for {row.name}."


def detect(run: RunData, difference: float) -> Detection:
    """Return what telling a difference (a share) takes, by the block scatter of a run.

    Raises:
        InputError: the run has no run.json, no cells in its plan (schema 1), several set-ups, or no row with 2 blocks
            or more.
    """
    meta = run.meta
    if meta is None or not meta.plan.cells:
        raise InputError("run.json does not say what a block consists of; give a run of schema 2, with its run.json.")
    if meta.plan.setups > 1:
        raise InputError(
            f"a run on {meta.plan.setups} set-ups, which differ, does not say how many blocks of one it takes; "
            "give a run on one."
        )
    rows, unknown = [], []
    for profile, cell, metric, scatter, freedom in _scatters(run):
        if metric.name in CPU_SHARES:
            continue
        if scatter is None:
            unknown.append(f"{metric.name} of {profile}, {title_of(cell)}")
        else:
            blocks = power.blocks_for(scatter, difference)
            rows.append(DetectRow(profile, cell, metric, scatter, freedom, blocks))
    if not rows:
        raise InputError("no row has two blocks with a figure on both sides, so nothing is known of their scatter.")
    return Detection(meta, difference, meta.plan.block_s, tuple(rows), tuple(unknown))


def _scatters(run: RunData) -> Iterable[tuple[str, Cell, Metric, float | None, int]]:
    """Yield profile, cell, metric, scatter and its degrees of freedom of each row."""
    if is_against_itself(run):
        for one in analyse_aa(run).rows:
            yield one.profile, one.cell, one.metric, one.scatter, one.freedom
        return
    for row in against_underlay(analyse(run).rows):
        yield row.contrast.profile, row.cell, row.metric, power.scatter_of(row.ratio), row.blocks - 1


def page(detection: Detection) -> Page:
    """Lay out what it takes."""
    sections: dict[tuple[str, str], Section] = {}
    for row in detection.rows:
        key = (row.profile, section_title(row.metric, row.cell))
        section = sections.setdefault(key, Section(*key, ("", "scatter", "blocks", "min"), matrix=True))
        blocks = (f"> {MOST_BLOCKS}", "") if row.blocks is None else _cells(row.blocks, detection.block_s)
        section.rows.append((row_name(row.metric, row.cell), percent_text(row.scatter, 3), *blocks))
    unknown = [f"no scatter is known of {', '.join(detection.unknown)}"] if detection.unknown else []
    return Page(
        run_title(detection.meta), (detection.answer,), tuple(sections.values()), tuple(unknown), _legend(detection)
    )


def _cells(blocks: int, block_s: float) -> tuple[str, str]:
    return str(blocks), _minutes(blocks * block_s)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.{0 if seconds >= 600 else 1}f}"  # noqa: PLR2004 - ten minutes


def _legend(detection: Detection) -> str:
    """Say how well the scatter itself is known."""
    freedom = min(row.freedom for row in detection.rows)
    low, high = power.scatter_bounds(freedom)
    how = (
        f" The scatter is known from {freedom + 1} blocks: the true one may be {low:.2g} to {high:.2g} times as large."
    )
    return LEGEND.format(how=how)


def record(detection: Detection) -> dict[str, object]:
    """Return what it takes as plain values, times in seconds."""
    hardest = detection.hardest.blocks
    return {
        "run_id": detection.meta.run_id,
        "difference": detection.difference,
        "power": power.POWER,
        "block_s": detection.block_s,
        "blocks": hardest,
        "blocks_s": None if hardest is None else hardest * detection.block_s,
        "rows": [
            {
                "profile": row.profile,
                "measure": row.cell.measure,
                **dict(row.cell.levels),
                "metric": row.metric.name,
                "scatter": row.scatter,
                "blocks": row.blocks,
                "blocks_s": None if row.blocks is None else row.blocks * detection.block_s,
            }
            for row in detection.rows
        ],
    }
