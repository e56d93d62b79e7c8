"""Several pairs laid out as matrices of hosts: a client's row, a server's column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pandas as pd

from harness.model.pairs import Pair
from harness.model.trial import UNDERLAY, Direction
from harness.report.notes import SEPARATOR, advice_first
from harness.report.sections import (
    Page,
    Row,
    Section,
    cell_name,
    interval_text,
    number_text,
    ratio_text,
    scale_of,
    sentence,
)
from harness.truth.stats import Verdict

LEGEND = (
    "Rows are clients, columns servers. ratio: goodput or median round trip against the underlay at its NIC's MTU, "
    "below it the 95 % interval; ceiling: what the headers allow. Verdicts hold for all rows of one pair together, ? "
    "where there is none. All metrics and baselines are in pairs.csv; `harness compare` prints a pair's own table from "
    "its folder."
)
_SHOWN = ("goodput_bps", "rtt_p50_s")
_CELL = ["metric", "tool", "protocol", "direction", "mtu", "flows"]
_VERDICTS: Mapping[str, str] = {Verdict.NO_DIFFERENCE: "same", Verdict.WORSE: "worse", Verdict.BETTER: "better"}
_NOT_MEASURED = "not run"
_MOST_WIDTH = 80
_NAME_WIDTH = 24


@dataclass(frozen=True)
class Hosts:
    """What a matrix has to know beside the rows.

    The hosts in their order, the pairs that are not among the rows, and what went wrong around a pair's trials.
    """

    names: tuple[str, ...]
    unmeasured: tuple[Pair, ...] = ()
    errors: Mapping[Pair, str] = field(default_factory=dict)


def page(frame: pd.DataFrame) -> Page:
    """Lay out what `summarise_pairs` returned."""
    hosts: Hosts = frame.attrs["hosts"]
    shown = frame[frame["metric"].isin(_SHOWN) & (frame["baseline"] == UNDERLAY)]
    sections = [*_underlay(shown, hosts), *_ratios(shown, hosts)]
    return Page(str(frame.attrs["title"]), tuple(sections), (*_errors(hosts), *_notes(shown)), LEGEND)


def _underlay(frame: pd.DataFrame, hosts: Hosts) -> Iterator[Section]:
    """Yield what the bare network gave to each pair, which tells an odd host before any overlay is looked at."""
    without_mtu = [column for column in _CELL if column != "mtu"]
    rows = frame.drop_duplicates(["client", "server", *without_mtu])
    for _, group in rows.groupby(without_mtu, sort=False):
        records = _records(group)
        divisor, unit, digits = scale_of(records, "baseline_median")
        what = "round trip p50" if records[0]["tool"] == "ping" else f"{records[0]['protocol']} x{records[0]['flows']}"
        title = f"{what}{_way(records[0])}, {unit}"

        def figure(row: Row, divisor: float = divisor, digits: int = digits) -> str:
            return number_text(row["baseline_median"], divisor, digits) or "no figure"

        yield from _sections("underlay alone, at its NIC's MTU", title, records, hosts, figure)


def _ratios(frame: pd.DataFrame, hosts: Hosts) -> Iterator[Section]:
    for profile, rows in frame.groupby("profile", sort=False):
        for _, group in rows.groupby(_CELL, sort=False):
            records = _records(group)
            title = f"{cell_name(records[0])}{_way(records[0])}, ratio"
            sections = list(_sections(f"{profile} against {UNDERLAY}", title, records, hosts, _compared))
            sections[-1].caption = _ceiling(row["ceiling_ratio"] for row in records)
            yield from sections


def _records(group: pd.DataFrame) -> list[Row]:
    return cast("list[Row]", group.to_dict("records"))


def _compared(row: Row) -> str:
    """Return a ratio with its verdict, and its interval on a second line."""
    if pd.isna(row["ratio"]):
        return str(row["verdict"]).replace("mixed path states", "mixed")
    interval = interval_text(row["ratio_low"], row["ratio_high"])
    return f"{ratio_text(row['ratio'])} {_VERDICTS.get(row['verdict'], '?')}\n{interval}".rstrip()


def _ceiling(ceilings: Iterable[float]) -> str:
    """Return the line below a matrix: the ceiling, of every pair where they do not have the same."""
    known = sorted({ratio_text(ceiling) for ceiling in ceilings if pd.notna(ceiling)})
    return f"ceiling {' or '.join(known)}" if known else ""


def _way(row: Row) -> str:
    return "" if row["direction"] == Direction.FORWARD else f" {row['direction']}"


def _sections(
    group: str, title: str, rows: Sequence[Row], hosts: Hosts, text: Callable[[Row], str]
) -> Iterator[Section]:
    """Yield one matrix, cut between columns as often as its width demands."""
    entries = dict.fromkeys(hosts.unmeasured, _NOT_MEASURED)
    entries |= {Pair(row["client"], row["server"]): text(row) for row in rows}
    clients = [name for name in hosts.names if any(pair.client == name for pair in entries)]
    servers = [name for name in hosts.names if any(pair.server == name for pair in entries)]
    label = max(len(word) for word in (*map(_short, clients), *title.split(", ")))
    widths = {
        server: max(len(_short(server)), *(_width(own) for pair, own in entries.items() if pair.server == server))
        for server in servers
    }
    for columns in _fitting(widths, _MOST_WIDTH - label):
        section = Section(group, title, ("", *map(_short, columns)), matrix=True)
        section.rows = [
            (_short(client), *(entries.get(Pair(client, server), "") for server in columns)) for client in clients
        ]
        yield section


def _fitting(widths: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """Yield columns in groups that fit, two spaces in front of each; one column that does not fit comes alone."""
    group: list[str] = []
    for name, width in widths.items():
        if group and sum(widths[other] + 2 for other in group) + width + 2 > most:
            yield group
            group = []
        group.append(name)
    yield group


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}~"


def _errors(hosts: Hosts) -> Iterator[str]:
    for pair, why in hosts.errors.items():
        end = "was not measured" if pair in hosts.unmeasured else "did not end well"
        yield f"{_short(pair.client)}:{_short(pair.server)} {end}: {why}"


def _notes(frame: pd.DataFrame) -> list[str]:
    """Return the warnings of all pairs, each advice once; a fact that does not hold for every pair names its own."""
    pairs: dict[str, set[str]] = {}
    every = set()
    for row in _records(frame):
        name = f"{_short(row['client'])}:{_short(row['server'])}"
        every.add(name)
        for warning in str(row["warnings"]).split(SEPARATOR) if row["warnings"] else []:
            pairs.setdefault(warning, set()).add(name)
    return [sentence(advice, facts) for advice, facts in advice_first(_named(pairs, every)).items()]


def _named(pairs: Mapping[str, set[str]], every: set[str]) -> Iterator[str]:
    for warning, those in pairs.items():
        fact, colon, advice = warning.partition(": ")
        if those == every or not colon or fact.startswith("cv "):  # spreads are shown as a range over everything
            yield warning
        else:
            yield f"{fact} ({' '.join(sorted(those))}){colon}{advice}"
