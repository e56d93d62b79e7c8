"""Import: files of iperf3's own JSON, one a trial, into a run folder as the harness itself would have left it.

What such files cannot tell stays empty: no counters, so no proof and no path state; no CPU time; no headers, so no
ceiling; no rate of the link. The run's notes say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import __version__
from harness.measures.iperf3_files import Report, figures_of, report_of
from harness.measures.registry import MEASURES, label_of
from harness.model.errors import InputError, ToolError
from harness.model.notes import About, Note
from harness.model.path import Kind
from harness.model.trial import MTU, UNDERLAY, Cell, Measured, Slot, Status, Timing, Trial
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE, ProfileMeta, RunMeta, described
from harness.results.places import MEASURE, Rules
from harness.results.plan import Plan, Setup
from harness.results.schema import Columns
from harness.results.store import RunFolder

LAB = "import"
_SIDE = "client"
_MOST_BYTES = 64 * 2**20
_UNKNOWN = Note(
    About.FILE,
    LAB,
    "imported from iperf3's own files",
    "which way the bytes took, CPU time, headers and so ceilings, and the link's rate are not known",
)


@dataclass(frozen=True)
class Refused:
    """A file that is left out, by its path within the folder, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Imported:
    """The run that was made, how many files are in it, and those that are not."""

    folder: Path
    count: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class _File:
    """One file that was read; its block is 0 as long as nobody has numbered it."""

    path: str
    text: str
    report: Report
    profile: str
    cell: Cell
    measured: Measured
    block: int

    @property
    def key(self) -> tuple[str, Cell]:
        """What its blocks are counted by."""
        return self.profile, self.cell


def import_folder(folder: Path, rules: Rules, parent: Path) -> Imported:
    """Read a folder's files, however deep, and write them as a run of `parent`.

    Raises:
        InputError: no such folder, no file that can be used, or nowhere to write.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds iperf3's files.")
    files: list[_File] = []
    refused: list[Refused] = []
    for path in sorted(one for one in folder.rglob("*.json") if one.is_file()):
        name = path.relative_to(folder).as_posix()
        try:
            files.append(_read(path, name, rules))
        except (InputError, ToolError) as error:
            refused.append(Refused(name, str(error)))
    files = _numbered(files, refused)
    if not files:
        said = f": {refused[0].path}: {refused[0].reason}" if refused else ", which are called *.json"
        raise InputError(f"{folder} holds no file of iperf3's that can be used{said}.")
    made = _write(folder, files, refused, rules, parent)
    return Imported(made, len(files), tuple(refused))


def _read(path: Path, name: str, rules: Rules) -> _File:
    """Return one file as read; InputError or ToolError for what cannot be used."""
    place = rules.place(name)
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"it is larger than {_MOST_BYTES // 2**20} MiB")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read: {error}") from error
    if not text.rstrip().endswith("}"):
        raise InputError("it is cut short: it does not end as JSON does" if text.strip() else "it is empty")
    report = report_of(text)
    for level, value in place.levels.items():
        own = report.levels.get(level, value)
        if own != value and level != MTU:  # the MTU is worked out, what is said of it is known
            raise InputError(f"{level} is {value} by its place and {own} in the file")
    levels = {**rules.usual, **report.levels, **place.levels}
    if MTU not in levels:
        raise InputError("nothing says what MTU it is of")
    cell = Cell(MEASURE, tuple(levels.items()))
    allowed = MEASURES[MEASURE].admitted(tuple(levels.items()))
    if {*dict(allowed)} != {*levels}:
        raise InputError("udp_rate and size are of UDP only")
    return _File(name, text, report, place.profile, cell, figures_of(cell, report), place.block or 0)


def _numbered(files: Sequence[_File], refused: list[Refused]) -> list[_File]:
    """Return the files with their blocks: those that are said, others in the order of time; second ones are refused."""
    seen: dict[tuple[str, Cell, int], str] = {}
    kept = []
    last: Counter[tuple[str, Cell]] = Counter()
    for one in sorted(files, key=lambda file: (file.block, file.report.started_s or 0, file.path)):
        if not one.block:
            last[one.key] += 1
        block = one.block or last[one.key]
        first = seen.setdefault((*one.key, block), one.path)
        if first != one.path:
            refused.append(Refused(one.path, f"it is the same trial as {first}: {one.profile} {label_of(one.cell)}"))
        else:
            kept.append(replace(one, block=block))
    return sorted(kept, key=lambda file: (file.block, file.report.started_s or 0, file.path))


def _write(folder: Path, files: Sequence[_File], refused: Sequence[Refused], rules: Rules, parent: Path) -> Path:
    profiles = sorted({one.profile for one in files}, key=lambda name: (name != UNDERLAY, name))
    varied = {name for one in files for name, _ in one.cell.levels}
    columns = Columns.of_measures([MEASURE], varied)
    run = RunFolder.create(parent, [name for name in profiles if name != UNDERLAY] or profiles, columns)
    kinds = {name: _kind(name, rules) for name in profiles}
    meta = _meta(run.run_id, folder, files, refused, kinds)
    factors, metrics = described(columns)
    run.write_json(RUN_FILE, meta.model_copy(update={"factors": factors, "metrics": metrics}).to_json())
    host, kernel = _same(one.report.host for one in files), _same(one.report.kernel for one in files)
    if host or kernel:
        run.write_json(ENVIRONMENT_FILE, {_SIDE: {"hostname": host, "kernel": kernel}})
    positions: Counter[int] = Counter()
    for one in files:
        positions[one.block] += 1
        run.append(_trial(run, one, kinds[one.profile], positions[one.block]))
    return run.path


def _kind(profile: str, rules: Rules) -> Kind:
    if profile == UNDERLAY:
        return Kind.UNDERLAY
    return Kind.ROUTED if profile in rules.routed else Kind.TUNNEL


def _trial(run: RunFolder, one: _File, kind: Kind, position: int) -> Trial:
    slot = Slot(one.block, position, one.profile, one.cell)
    raw = run.raw_name(slot)
    run.write_text(raw, one.text)
    return Trial(
        run.run_id,
        slot,
        kind,
        one.report.timing.duration_s,
        _iso(one.report.started_s),
        Status.OK,
        figures=one.measured.figures,
        series=one.measured.series,
        raw=raw,
    )


def _meta(
    run_id: str, folder: Path, files: Sequence[_File], refused: Sequence[Refused], kinds: dict[str, Kind]
) -> RunMeta:
    mtus = tuple(sorted({one.cell.mtu for one in files}))
    cells = tuple(dict.fromkeys(one.cell for one in files))
    timings: Counter[Timing] = Counter(one.report.timing for one in files)
    setup = Setup(tuple(kinds), mtus, max(mtus))
    plan = Plan(LAB, setup, cells, max(one.block for one in files), timings.most_common(1)[0][0], 0)
    starts = [one.report.started_s for one in files if one.report.started_s]
    return RunMeta(
        run_id=run_id,
        created_at=_iso(min(starts)) if starts else datetime.now(UTC).isoformat(timespec="seconds"),
        harness_version=__version__,
        lab=LAB,
        rate_bps=None,
        shared_kernel=False,
        plan=plan,
        profiles={name: ProfileMeta(kind=kind) for name, kind in kinds.items()},
        versions={MEASURE: {_SIDE: _same(one.report.version for one in files)}},
        notes=(_UNKNOWN, *_notes(folder, files, refused, kinds)),
    )


def _notes(folder: Path, files: Sequence[_File], refused: Sequence[Refused], kinds: dict[str, Kind]) -> Iterable[Note]:
    for one in refused:
        yield Note(About.FILE, one.path, f"{one.path} of {folder.name} is left out: {one.reason}")
    if UNDERLAY not in kinds:
        yield Note(
            About.BASELINE, UNDERLAY, "no file is of the bare network", "there is nothing to hold profiles against"
        )
    lost = [one for one in files if one.cell.get("protocol") == "udp" and "udp_loss_ratio" not in one.measured.figures]
    if lost:
        fact = f"the loss of {len(lost)} files is left out"
        yield Note(About.FIGURE, LAB, fact, "a client's own report counts what was lost in omitted seconds, too")


def _same(values: Iterable[str | None]) -> str | None:
    """Return what all values are, None where they are not the same."""
    distinct = {*values}
    return distinct.pop() if len(distinct) == 1 else None


def _iso(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
