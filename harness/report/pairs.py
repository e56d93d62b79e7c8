"""The summary of a run of several pairs: every pair's own, one below the other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.model.errors import InputError
from harness.model.pairs import Pair
from harness.model.trial import PAIR_COLUMNS, PAIRS_FILE, SCHEMA_VERSION
from harness.report import notes
from harness.report.matrix import Hosts
from harness.report.reading import Meta, read_json, read_run
from harness.report.summary import summarise


class PairsMeta(BaseModel):
    """pairs.json. Pairs are written `client:server`; `errors` says what went wrong around a pair's trials."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    hosts: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]
    errors: Mapping[str, str] = {}


def has_pairs(path: Path) -> bool:
    """Tell whether a path is the folder of a run of several pairs."""
    return (path / PAIRS_FILE).is_file()


def summarise_pairs(path: Path) -> pd.DataFrame:
    """Return the summaries of a run's pairs, columns as in PAIR_COLUMNS; `attrs` holds `title` and `hosts`.

    Verdicts hold for the rows of one pair together, as in the pair's own summary. Raises InputError for what cannot
    be read; a pair that was not measured is named in `hosts`.
    """
    meta = _meta(path / PAIRS_FILE)
    frames: list[pd.DataFrame] = []
    described: Meta | None = None
    unmeasured: list[Pair] = []
    errors: dict[Pair, str] = {}
    for text in chain.from_iterable(meta.waves):
        client, _, server = text.partition(":")
        pair = Pair(client, server)
        folder = path / pair.folder
        if text in meta.errors:
            errors[pair] = meta.errors[text]
        if not _has_trials(folder):
            unmeasured.append(pair)
            errors.setdefault(pair, "the run ended before its turn")
            continue
        run = read_run(folder)
        described = described or run.meta
        own = summarise(run.trials, run.meta)
        frames.append(own.assign(client=client, server=server)[list(PAIR_COLUMNS)])
    # Without rows a frame has no types of its own, and would take those of the others away.
    filled = [frame for frame in frames if len(frame)] or [pd.DataFrame(columns=list(PAIR_COLUMNS))]
    found = pd.concat(filled, ignore_index=True)
    found.attrs = {"title": _title(meta, described), "hosts": Hosts(meta.hosts, tuple(unmeasured), errors)}
    return found


def _has_trials(folder: Path) -> bool:
    """Tell whether a pair got as far as its first trial; a killed run leaves folders without any."""
    path = folder / "trials.csv"
    return path.is_file() and path.read_bytes().count(b"\n") > 1


def _title(meta: PairsMeta, described: Meta | None) -> str:
    """Return what the run was, in two lines."""
    count, most = sum(map(len, meta.waves)), max(map(len, meta.waves))
    how = "one after the other" if most == 1 else f"up to {most} at the same time"
    conditions = [] if described is None else notes.title(described).splitlines()[1:]
    return "\n".join([f"run {meta.run_id}", f"{count} pairs, {how}", *conditions])


def _meta(path: Path) -> PairsMeta:
    value = read_json(path)
    if value.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema_version {value.get('schema_version')!r}, this harness reads {SCHEMA_VERSION}; "
            "use the one that wrote it."
        )
    try:
        return PairsMeta.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; restore it, or take one pair's folder.") from error
