"""run.json: what a run was, written and read by one schema; older ones are read into it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.model.containers import Containers, Engine
from harness.model.errors import InputError
from harness.model.notes import About, Note
from harness.model.path import Kind
from harness.model.text import shown
from harness.model.trial import Timing
from harness.results.plan import Plan, Setup
from harness.results.schema import SCHEMA_VERSION, Columns, unknown_factor, unknown_metric
from harness.truth.wire import overhead

RUN_FILE = "run.json"
ENVIRONMENT_FILE = "environment.json"


MOST_TRIALS = 1_000_000
"""That a run.json may plan: a thousand blocks of every profile in sixty cells are fewer."""


class _Part(BaseModel):
    """Keys that a later version adds are let through; those named here have to be right."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)  # most are a part of another one only


class ProfileMeta(_Part):
    """A profile's kind, its header stack, outermost first, and the tunnel's MTU where the profile sets it.

    `content_sha256` is of all that the profile says as it was loaded; None where a run is older than that. `found` is
    what was found of a path that somebody else built (`harness.model.found.Found`).
    """

    kind: Kind
    headers: tuple[str, ...] = ()
    tunnel_mtu: int | None = None
    content_sha256: str | None = None
    found: Mapping[str, Any] | None = None


class FactorMeta(_Part):
    """A factor as a reader without it needs it."""

    unit: str = ""


class MetricMeta(_Part):
    """A metric as a reader without it needs it."""

    unit: str = ""
    title: str = ""
    part: str = ""
    better: str | None = None


class Ended(_Part):
    """How a run ended that goes on until its intervals are narrow: after how many blocks, and whether they are."""

    blocks: int
    narrow: bool


class Command(_Part):
    """The command that made a run: its words behind `harness run`, and the folder that their paths start from."""

    words: tuple[str, ...]
    folder: str


class RunMeta(_Part):
    """What a run was. `rate_bps` is None where the link is not shaped, `versions` are by program and node.

    `ended` is None as long as a run that ends by its intervals has not, and for any other. `complete`: whether every
    trial had its turn, None of runs that are older than that. `command` is None where nothing goes on with such a run;
    `resumed_at` is when that was done. `underlay_bps` is what rates given as shares are shares of, where that was
    measured.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    created_at: str = ""
    harness_version: str = ""
    lab: str
    rate_bps: float | None
    shared_kernel: bool
    plan: Plan
    profiles: Mapping[str, ProfileMeta]
    versions: Mapping[str, Mapping[str, str | None]] = Field(default_factory=dict)
    factors: Mapping[str, FactorMeta] = Field(default_factory=dict)
    metrics: Mapping[str, MetricMeta] = Field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    ended: Ended | None = None
    complete: bool | None = None
    command: Command | None = None
    resumed_at: tuple[str, ...] = ()
    underlay_bps: float | None = None

    @property
    def nic_mtu(self) -> int:
        """The underlay's own MTU in bytes."""
        return self.plan.setup.nic_mtu

    @property
    def columns(self) -> Columns:
        """The factors and metrics as they are described, for a reader that does not have them."""
        return Columns(
            {name: unknown_factor(name, factor.unit) for name, factor in self.factors.items()},
            {name: unknown_metric(name, **metric.model_dump()) for name, metric in self.metrics.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the value of run.json."""
        return self.model_dump(mode="json", exclude={"plan"}) | {"plan": self.plan.to_json()}


def as_read(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is read of a file that this was written to: a number may be of another type, texts are printable."""
    read: dict[str, Any] = shown(json.loads(json.dumps(value, default=str)))
    return read


def meta_as_read(meta: RunMeta) -> RunMeta:
    """Return what is read of a run.json that says this."""
    value = as_read(meta.to_json())
    return RunMeta.model_validate(value | {"plan": Plan.from_json(value["plan"])})


def described(columns: Columns) -> tuple[Mapping[str, FactorMeta], Mapping[str, MetricMeta]]:
    """Return factors and metrics as a reader without them needs them."""
    factors = {name: FactorMeta(unit=factor.unit) for name, factor in columns.factors.items()}
    metrics = {
        name: MetricMeta(unit=metric.unit, title=metric.title, part=metric.part, better=metric.better)
        for name, metric in columns.metrics.items()
    }
    return factors, metrics


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object that a file holds, its texts printable; InputError where it does not."""
    try:
        value = shown(json.loads(path.read_text(encoding="utf-8-sig")))
    except RecursionError as error:
        raise InputError(f"{path} is nested without end; restore it, or take trials.csv alone.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}; restore it, or take trials.csv alone.") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object; restore it, or take trials.csv alone.")
    return value


def read_meta(path: Path) -> RunMeta:
    """Return what a run.json says; InputError names the key that is wrong."""
    value = read_json(path)
    version = value.get("schema_version")
    if version not in (1, SCHEMA_VERSION):
        raise InputError(
            f"{path} has schema_version {version!r}, this harness reads 1 and {SCHEMA_VERSION}; "
            "use the one that wrote it."
        )
    try:
        value = _from_schema_1(value) if version == 1 else value | {"plan": Plan.from_json(_object(value, "plan"))}
        meta = RunMeta.model_validate(value)
        for profile in meta.profiles.values():
            overhead(profile.headers)
        _require_usable(meta.plan)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; restore it, or take trials.csv alone.") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return meta


def _require_usable(plan: Plan) -> None:
    """Raise InputError for trials of no length, by which rates would be divided, and for more than any run has."""
    if not 0 < plan.timing.duration_s < math.inf:
        raise InputError("plan.timing.duration_s: a number above 0 is required; restore it.")
    if max(plan.blocks, plan.trials) > MOST_TRIALS:
        raise InputError(f"plan.blocks: {plan.blocks} are more than any run has; restore it.")


class _Plan1(_Part):
    """What schema 1 says of a plan; which cells it had follows from its trials."""

    name: str
    blocks: int
    duration_s: float
    omit_s: float
    seed: int = 0
    mtus: tuple[int, ...] = ()
    containers: Engine = Engine.NONE
    image: str = ""


class _Run1(_Part):
    """What schema 1 has elsewhere, or as text."""

    nic_mtu: int
    plan: _Plan1
    profiles: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def _from_schema_1(value: Mapping[str, Any]) -> dict[str, Any]:
    old = _Run1.model_validate(value)
    made = old.plan
    setup = Setup(tuple(old.profiles), made.mtus, old.nic_mtu, Containers(made.containers, made.image))
    plan = Plan(made.name, setup, (), made.blocks, Timing(made.duration_s, made.omit_s), made.seed)
    notes = tuple(Note(About.LAB, value.get("lab", ""), text) for text in old.warnings)
    return {**value, "plan": plan, "notes": notes}


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    entry = value.get(key)
    if not isinstance(entry, dict):
        raise InputError(f"{key} is {'missing' if entry is None else 'not an object'}; restore it.")
    return entry
