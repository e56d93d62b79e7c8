"""A run over links: what flows gain by more than one link, and what a hash that is uniform would give.

Where the lab counted what its links carried, that is what is shown; else what `truth.hashing` makes of the outer source
ports that were seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.measures.ecmp import Ecmp
from harness.measures.metrics import METRICS, MOST_LINKS
from harness.measures.registry import order_of
from harness.model.errors import InputError
from harness.model.notes import About, Note
from harness.model.trial import Cell
from harness.report import notes
from harness.report.arms import Arm, arms, by_state, matched
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import hashing, stats

GOODPUT = METRICS["goodput_bps"]
_LINK_BYTES = tuple(METRICS[f"link_{number}_bytes"] for number in range(1, MOST_LINKS + 1))


@dataclass(frozen=True)
class Chance:
    """What a uniform hash does with so many flows: to be held against what was seen.

    `one_link` is the probability that all of them fall on one link, `links_used` how many get any in the mean.
    """

    one_link: float
    links_used: float


@dataclass(frozen=True)
class Hashed:
    """What the CRC-32 of the five-tuples that were seen would do: flows and share of the bytes on the fullest link.

    Medians over the trials; `chance` is the probability that a uniform hash is as uneven with as many ports, or more.
    """

    busiest_flows: float
    busiest_share: float
    chance: float


@dataclass(frozen=True)
class EcmpRow:
    """So many flows of one profile.

    `ports` are the outer source ports of the data in each trial. `used` counts the trials by the links that were in
    use, `shares` are the medians of the links' shares of the bytes, the fullest first; both are empty where no link
    was counted. `one_link_chance` is the probability that as many of the trials as were seen, or more, have all flows
    on one link by chance. `goodput` is a geometric mean, in bit/s, and `ratio` that over the one of 1 flow, paired by
    block; both have their 95 % intervals.
    """

    profile: str
    cell: Cell
    trials: int
    ports: tuple[int, ...]
    used: Mapping[int, int]
    shares: tuple[float, ...]
    chance: Chance
    one_link_chance: float | None
    hashed: Hashed | None
    goodput: stats.Ratio | None
    ratio: stats.Ratio | None
    lost: tuple[int, int]
    notes: tuple[Note, ...] = field(default=())

    @property
    def flows(self) -> int:
        """How many flows there are."""
        return self.cell.flows

    @property
    def on_one_link(self) -> int:
        """In how many trials everything went over one link."""
        return self.used.get(1, 0)


@dataclass(frozen=True)
class EcmpAnalysis:
    """What a run over links says; `counted` tells whether what the links carried was counted. `notes` concern all rows.

    Rows are in the order of the profiles of the run, and of their flows.
    """

    meta: RunMeta
    columns: Columns
    links: int
    counted: bool
    rows: tuple[EcmpRow, ...]
    notes: tuple[Note, ...]

    def of_profile(self, profile: str) -> list[EcmpRow]:
        """Return the rows of a profile."""
        return [row for row in self.rows if row.profile == profile]

    @property
    def profiles(self) -> list[str]:
        """The profiles that have a row, in their order."""
        return list(dict.fromkeys(row.profile for row in self.rows))


def is_over_links(run: RunData) -> bool:
    """Tell whether a run asks how flows spread over links."""
    return run.meta is not None and run.meta.plan.links is not None


def analyse_ecmp(run: RunData) -> EcmpAnalysis:
    """Return what a run over links says; InputError where there is no run.json, which says how many links there are."""
    if run.meta is None or run.meta.plan.links is None:
        raise InputError("a run over links is read with its run.json, which says how many links there are.")
    links, by_cell = run.meta.plan.links, arms(run.trials, run.meta)
    order = run.meta.plan.setup.profiles
    keys = [key for key in by_cell if key[1].measure == Ecmp.name]
    rows = tuple(
        _row(profile, cell, by_cell, links, run.meta)
        for profile, cell in sorted(keys, key=lambda key: (order.index(key[0]), order_of(key[1])))
    )
    counted = any(row.used for row in rows)
    of_run = [*notes.of_run(run.trials.notes, run.meta), *_said(rows, counted=counted)]
    return EcmpAnalysis(run.meta, run.trials.columns, links, counted, rows, notes.known(of_run))


def _row(profile: str, cell: Cell, by_cell: Mapping[tuple[str, Cell], Arm], links: int, meta: RunMeta) -> EcmpRow:
    arm = by_cell[profile, cell]
    one = by_cell.get((profile, cell.at((("flows", 1),))))
    ports = tuple(int(count) for count in arm.figures(METRICS["outer_ports"]))
    used = Counter(int(count) for count in arm.figures(METRICS["links_used"]))
    chance = Chance(hashing.one_link_chance(cell.flows, links), hashing.used_links(cell.flows, links))
    goodputs = arm.figures(GOODPUT).tolist()
    said = [notes.lost(profile, arm), notes.single_threaded(cell, meta)]
    said += [
        notes.path_state(profile, state, (len(own), len(goodputs))) for state, own in by_state(arm, GOODPUT).items()
    ]
    return EcmpRow(
        profile,
        cell,
        len(arm.blocks),
        ports,
        dict(sorted(used.items())),
        _shares(arm, links),
        chance,
        hashing.at_least_chance(used[1], used.total(), chance.one_link) if used else None,
        _hashed(arm, ports, links),
        stats.paired_ratio(goodputs, [1.0] * len(goodputs)) if goodputs else None,
        _ratio(arm, one) if one is not None and cell.flows > 1 else None,
        arm.lost_of_all(),
        notes.known(said),
    )


def _shares(arm: Arm, links: int) -> tuple[float, ...]:
    """Return the medians of what the fullest link, the next one, … carried of the bytes of a trial."""
    sizes = np.stack([arm.column(metric) for metric in _LINK_BYTES[:links]], axis=1)
    sizes = sizes[~np.isnan(sizes).any(axis=1)]
    if not len(sizes):
        return ()
    shares = np.sort(sizes / sizes.sum(axis=1, keepdims=True), axis=1)[:, ::-1]
    return tuple(float(share) for share in np.median(shares, axis=0))


def _hashed(arm: Arm, ports: Sequence[int], links: int) -> Hashed | None:
    flows, shares = (arm.figures(METRICS[f"hashed_busiest_{what}"]).tolist() for what in ("flows", "ratio"))
    if not flows or not shares:
        return None
    chances = [hashing.uneven_chance(count, links, int(most)) for count, most in zip(ports, flows, strict=True)]
    return Hashed(float(np.median(flows)), float(np.median(shares)), float(np.median(chances)))


def _ratio(ours: Arm, one: Arm) -> stats.Ratio | None:
    """Return the goodput of several flows over that of one, of blocks in which both were in the commonest states."""
    pairs = matched(ours, one, GOODPUT)
    return stats.paired_ratio(pairs[0].ours.tolist(), pairs[0].base.tolist()) if pairs else None


def _said(rows: Sequence[EcmpRow], *, counted: bool) -> list[Note]:
    """Return what the reader should know of ports, links and chance."""
    said = []
    if not counted:
        fact = (
            f"no link was counted: splits are computed, by {hashing.HASH} of the five-tuples, as an example of a hash"
        )
        said.append(Note(About.LAB, "links", fact, "the switches on the way may have another"))
    mixed = [row for row in rows if len(row.used) > 1 and row.on_one_link]
    for row in mixed:
        fact = f"{row.profile} x{row.flows}: {row.on_one_link} of {sum(row.used.values())} trials on one link"
        said.append(Note(About.FIGURE, row.profile, fact, "chance, not noise; the interval is of both kinds together"))
    for row in rows:
        if row.ports and max(row.ports) > row.flows:
            fact = f"{row.profile} x{row.flows}: up to {max(row.ports)} ports"
            advice = "Linux may give a flow another hash, as when TCP runs into a timeout (net.core.txrehash)"
            said.append(Note(About.FIGURE, row.profile, fact, advice))
    return said
