"""The analysis of a run of several pairs: every pair's own, and what became of those that have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.model.errors import InputError
from harness.model.pairs import PAIRS_FILE, Pair
from harness.report.analysis import Analysis, analyse
from harness.report.trials import read_run
from harness.results.meta import Command, read_json
from harness.results.schema import SCHEMA_VERSION
from harness.truth.verdicts import MARGIN


class PairsMeta(BaseModel):
    """pairs.json. Pairs are written `client:server`; `errors` says what went wrong around a pair's trials.

    `command` and `seed` are what the run is resumed by; None of runs that are older than that.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA_VERSION
    run_id: str
    hosts: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]
    errors: Mapping[str, str] = {}
    command: Command | None = None
    seed: int | None = None


@dataclass(frozen=True)
class PairsAnalysis:
    """What a run of several pairs says: the analysis of each pair that was measured, in their order.

    `unmeasured` are those without a trial, `errors` says what went wrong around a pair's trials.
    """

    meta: PairsMeta
    pairs: Mapping[Pair, Analysis]
    unmeasured: tuple[Pair, ...] = ()
    errors: Mapping[Pair, str] = field(default_factory=dict)


def has_pairs(path: Path) -> bool:
    """Tell whether a path is the folder of a run of several pairs."""
    return (path / PAIRS_FILE).is_file()


def analyse_pairs(path: Path, margin: float = MARGIN) -> PairsAnalysis:
    """Return the analyses of a run's pairs; verdicts hold for the rows of one pair together, as in the pair's own.

    Raises InputError for what cannot be read; a pair that was not measured is named.
    """
    meta = read_pairs_meta(path / PAIRS_FILE)
    analyses: dict[Pair, Analysis] = {}
    unmeasured: list[Pair] = []
    errors: dict[Pair, str] = {}
    for text in chain.from_iterable(meta.waves):
        client, _, server = text.partition(":")
        pair = Pair(client, server)
        folder = path / pair.folder
        if text in meta.errors:
            errors[pair] = meta.errors[text]
        if _has_trials(folder):
            analyses[pair] = analyse(read_run(folder), margin)
        else:
            unmeasured.append(pair)
            errors.setdefault(pair, "the run ended before its turn")
    return PairsAnalysis(meta, analyses, tuple(unmeasured), errors)


def _has_trials(folder: Path) -> bool:
    """Tell whether a pair got as far as its first trial; a killed run leaves folders without any."""
    path = folder / "trials.csv"
    return path.is_file() and path.read_bytes().count(b"\n") > 1


def read_pairs_meta(path: Path) -> PairsMeta:
    """Return what a pairs.json says; InputError names the key that is wrong."""
    value = read_json(path)
    if value.get("schema_version") not in (1, SCHEMA_VERSION):
        raise InputError(
            f"{path} has schema_version {value.get('schema_version')!r}, this harness reads 1 and {SCHEMA_VERSION}; "
            "use the one that wrote it."
        )
    try:
        return PairsMeta.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; restore it, or take one pair's folder.") from error
