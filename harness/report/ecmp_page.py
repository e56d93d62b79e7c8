"""A run over links, laid out for reading, and as records for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.model.metrics import Metric
from harness.model.trial import UNDERLAY
from harness.report.ecmp import EcmpAnalysis, EcmpRow
from harness.report.footnotes import Footnotes
from harness.report.page import Page, Scale, Section, interval_text, number_text, percent_text, ratio_text, scale_of
from harness.report.titles import run_title
from harness.truth import stats
from harness.truth.hashing import HASH

_COUNTED = (
    "ports: outer source ports of the data. links: how many of them carried any. bytes: the links' shares, the fullest "
    "first, medians. one link: in how many trials everything went over one; chance: how often a uniform hash does "
    "that, {links}^(1-flows); as often: the probability that it does so in that many of the trials or more."
)
_COMPUTED = (
    "ports: outer source ports of the data. fullest: flows, and share of the bytes, on the fullest of {links} links by "
    "{hash} of the five-tuples, medians. as uneven: the probability that a uniform hash is, with as many ports. one "
    "link: how often it puts all flows on one, {links}^(1-flows)."
)
_GAIN = (
    " goodput: geometric mean. x1: over the goodput of 1 flow of the same profile, paired by block. by chance: links "
    "that a uniform hash uses in the mean, which is what flows that fill their links gain by it. Intervals are of 95 %."
)

HEAD = ("profile", "measure")
TAIL = (
    "trials ports_min ports_median ports_max on_one_link one_link_chance as_often_chance links_used_mean "
    "links_used_by_chance busiest_link_ratio hashed_busiest_flows hashed_busiest_ratio hashed_chance goodput_bps "
    "goodput_low goodput_high ratio ratio_low ratio_high lost notes"
).split()
"""Columns as CSV around those of the run's factors; docs/results.md says what each holds."""


def page(analysis: EcmpAnalysis) -> Page:
    """Lay out what a run over links says."""
    footnotes = Footnotes([row.notes for row in analysis.rows], analysis.notes)
    scale = scale_of(Metric("", "bit/s", ""), [row.goodput.ratio for row in analysis.rows if row.goodput])
    sections: list[Section] = []
    for profile in analysis.profiles:
        rows = analysis.of_profile(profile)
        gain = _gain(rows, scale)
        gain.rows = [
            (*cells[:-1], cells[-1] + footnotes.marks(row.notes)) for cells, row in zip(gain.rows, rows, strict=True)
        ]
        sections += [_counted(rows) if analysis.counted else _computed(rows), gain]
    legend = (_COUNTED if analysis.counted else _COMPUTED).format(links=analysis.links, hash=HASH) + _GAIN
    title = f"{run_title(analysis.meta)}\n{_links_text(analysis)}"
    return Page(title, findings(analysis), tuple(sections), footnotes.lines(), legend)


def _links_text(analysis: EcmpAnalysis) -> str:
    """Return how many links there are, and of which rate where that is known."""
    if not analysis.counted:
        return f"{analysis.links} links, reckoned with"
    rate_bps = analysis.meta.rate_bps
    return f"{analysis.links} links" + (f" of {rate_bps / analysis.links / 1e6:g} Mbit/s each" if rate_bps else "")


def findings(analysis: EcmpAnalysis) -> tuple[str, ...]:
    """Say what the most flows gain over one, profile by profile, the underlay last."""
    said = []
    for profile in sorted(analysis.profiles, key=lambda name: name == UNDERLAY):
        last = analysis.of_profile(profile)[-1]
        if last.ratio is None:
            continue
        interval = last.ratio.interval()
        limits = f"{interval.low:.2f}-{interval.high:.2f}" if interval else "no interval"
        ports = _range_text(last.ports)
        said.append(
            f"{profile}: {last.flows} flows reach {last.ratio.ratio:.2f} ({limits}) times what 1 flow does, "
            f"by {ports} source {'port' if ports == '1' else 'ports'}."
        )
    return tuple(said) or ("No number of flows has a figure beside that of 1 flow.",)


def _counted(rows: Sequence[EcmpRow]) -> Section:
    headings = ("", "ports", "links", "bytes, %", "one link", "chance", "as often")
    section = Section(rows[0].profile, "flows", headings, matrix=True)
    for row in rows:
        seen = f"{row.on_one_link} of {sum(row.used.values())}" if row.used else ""
        shares = " / ".join(number_text(100 * share, 1, 1) for share in row.shares)
        used = _range_text([*row.used])
        chances = (_chance_text(row.chance.one_link), _chance_text(row.one_link_chance))
        section.rows.append((str(row.flows), _range_text(row.ports), used, shares, seen, *chances))
    return section


def _computed(rows: Sequence[EcmpRow]) -> Section:
    headings = ("", "ports", "fullest", "bytes", "as uneven", "one link")
    section = Section(rows[0].profile, "flows", headings, matrix=True)
    for row in rows:
        hashed = row.hashed
        split = ("", "", "")
        if hashed is not None:
            split = (f"{hashed.busiest_flows:g}", percent_text(hashed.busiest_share, 1), _chance_text(hashed.chance))
        one = _chance_text(row.chance.one_link)
        section.rows.append((str(row.flows), _range_text(row.ports), *split, one))
    return section


def _gain(rows: Sequence[EcmpRow], scale: Scale) -> Section:
    divisor, unit, digits = scale
    headings = ("", unit, "interval", "x1", "interval", "by chance")
    section = Section(rows[0].profile, "flows", headings, matrix=True)
    for row in rows:
        goodput = _limits(row.goodput)
        own = [number_text(value, divisor, digits) for value in goodput]
        ratio = row.ratio
        section.rows.append(
            (
                str(row.flows),
                own[0],
                f"{own[1]}-{own[2]}" if own[1] else "",
                ratio_text(ratio.ratio if ratio else None),
                interval_text(ratio.interval()) if ratio else "",
                number_text(row.chance.links_used, 1, 2),
            )
        )
    return section


def _limits(ratio: stats.Ratio | None) -> tuple[float | None, float | None, float | None]:
    """Return a figure with both ends of its interval, None for what there is not."""
    interval = ratio.interval() if ratio else None
    return (
        ratio.ratio if ratio else None,
        interval.low if interval else None,
        interval.high if interval else None,
    )


def _range_text(counts: Sequence[int]) -> str:
    """Return the smallest and the largest of some counts, one where they are the same."""
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}-{high}"


def _chance_text(chance: float | None) -> str:
    """Return a probability in per cent, small ones by their size."""
    if chance is None:
        return ""
    share = 100 * chance
    if share >= 0.01:  # noqa: PLR2004 - what two decimals can say
        return f"{share:.3g} %"
    return "0 %" if share == 0 else f"{share:.0e} %"


def records(analysis: EcmpAnalysis) -> list[dict[str, Any]]:
    """Return one record a profile and cell, keys in the order of the columns."""
    return [_record(row, [*analysis.columns.factors]) for row in analysis.rows]


def _record(row: EcmpRow, factors: Sequence[str]) -> dict[str, Any]:
    goodput, ratio, hashed = _limits(row.goodput), _limits(row.ratio), row.hashed
    used = sum(row.used.values())
    return {
        "profile": row.profile,
        "measure": row.cell.measure,
        **{name: row.cell.get(name) for name in factors},
        "trials": row.trials,
        "ports_min": min(row.ports, default=None),
        "ports_median": stats.median(row.ports),
        "ports_max": max(row.ports, default=None),
        "on_one_link": row.on_one_link if used else None,
        "one_link_chance": row.chance.one_link,
        "as_often_chance": row.one_link_chance,
        "links_used_mean": sum(links * times for links, times in row.used.items()) / used if used else None,
        "links_used_by_chance": row.chance.links_used,
        "busiest_link_ratio": row.shares[0] if row.shares else None,
        "hashed_busiest_flows": hashed.busiest_flows if hashed else None,
        "hashed_busiest_ratio": hashed.busiest_share if hashed else None,
        "hashed_chance": hashed.chance if hashed else None,
        **dict(zip(("goodput_bps", "goodput_low", "goodput_high"), goodput, strict=True)),
        **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
        "lost": row.lost[0],
        "notes": row.notes,
    }
