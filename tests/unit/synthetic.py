"""Runs made up for tests, written the way that the harness writes them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.measures.registry import cells
from harness.model.path import WHOLE, Carrier, Claim, Endpoint, Kind, PathState
from harness.model.path import Path as NetworkPath
from harness.model.trial import Cell, Direction, Figure, Slot, Status, Timing, Trial
from harness.results.plan import Plan, Setup
from harness.results.schema import SERIES, Columns, series_rows

VXLAN_HEADERS = ["ipv4", "udp", "vxlan", "ethernet"]
KINDS = {"underlay": Kind.UNDERLAY, "host-gw": Kind.ROUTED, "vxlan": Kind.TUNNEL, "flannel": Kind.TUNNEL}
RUN_ID = "20250101T000000Z-vxlan-abcd"
PLAN = Plan(
    name="quick",
    setup=Setup(("underlay", "vxlan"), (1450, 1500), 1500),
    cells=cells(("iperf3", "ping"), {}, (1450, 1500)),
    blocks=6,
    timing=Timing(2.0, 1.0),
    seed=1,
)
MEASURES = ("iperf3", "ping")
CLAMPED = PathState.parse("clamped to 1450")

META: dict[str, Any] = {
    "schema_version": 2,
    "run_id": RUN_ID,
    "created_at": "2025-01-01T00:00:00+00:00",
    "harness_version": "0.1.0",
    "lab": "local",
    "rate_bps": 1e9,
    "shared_kernel": True,
    "plan": PLAN.to_json(),
    "profiles": {
        name: {"kind": kind.value, "headers": VXLAN_HEADERS if kind is Kind.TUNNEL else []}
        for name, kind in KINDS.items()
    },
    "versions": {"iperf3": {"k8s-1": "3.16", "k8s-2": "3.16"}},
    "notes": [],
}


def path_to(address: str, carrier: Carrier | None = None) -> NetworkPath:
    """Return a path of the underlay, or with a carrier of a tunnel, to a server at this address."""
    claim = Claim(Kind.TUNNEL if carrier else Kind.UNDERLAY, None, (), 0, 0, 1500, 1500)
    return NetworkPath(Endpoint("172.17.0.2"), Endpoint(address), "ens33", "ens33", claim, carrier)


def note(fact: str, advice: str = "", about: str = "lab") -> dict[str, Any]:
    """Return a note as run.json has it."""
    return {"about": about, "subject": "", "fact": fact, "advice": advice, "value": None}


def iperf3(mtu: int = 1450, flows: int = 1, protocol: str = "tcp", direction: Direction = Direction.FORWARD) -> Cell:
    return Cell.of("iperf3", protocol=protocol, direction=direction.value, mtu=mtu, flows=flows)


def ping(mtu: int = 1450) -> Cell:
    return Cell.of("ping", mtu=mtu)


def measured(cell: Cell, value: float) -> dict[str, Figure]:
    """Return goodput, or a p50 with a p99 three times that."""
    if "ping" in cell.measure:
        return {"rtt_p50_s": value, "rtt_p99_s": 3 * value}
    return {"goodput_bps": value} | ({"udp_loss_ratio": 0.01} if cell.get("protocol") == "udp" else {})


def trial(
    profile: str,
    block: int,
    cell: Cell,
    value: float | None,
    status: Status = Status.OK,
    *,
    reason: str = "",
    path_state: PathState | None = WHOLE,
    cpu_s: tuple[float, float] = (1.5, 1.5),
    run_id: str = RUN_ID,
) -> Trial:
    return Trial(
        run_id=run_id,
        slot=Slot(block, 1, profile, cell),
        kind=KINDS[profile],
        duration_s=2.0,
        started_at="2025-01-01T00:00:00.000+00:00",
        status=status,
        reason=reason,
        path_state=path_state,
        figures={"client_cpu_s": cpu_s[0], "server_cpu_s": cpu_s[1]} | ({} if value is None else measured(cell, value)),
        raw="raw/x.json",
    )


def series(
    profile: str,
    cell: Cell,
    values: Iterable[float],
    *,
    path_state: PathState | None = WHOLE,
    cpu_s: tuple[float, float] = (1.5, 1.5),
) -> list[Trial]:
    """Return one ok trial a block with these figures."""
    return [
        trial(profile, block, cell, value, path_state=path_state, cpu_s=cpu_s) for block, value in enumerate(values, 1)
    ]


def dealt(trials: Iterable[Trial], setups: int, blocks: int = 6) -> list[Trial]:
    """Return the trials of a run of so many blocks as they are where it has several set-ups."""
    plan = replace(PLAN, blocks=blocks, setups=setups)
    return [replace(one, slot=replace(one.slot, setup=plan.setup_of(one.slot.block))) for one in trials]


def around(centre: float, spread: float, seed: int, blocks: int = 6) -> list[float]:
    """Return values whose logarithms scatter by `spread`, the same ones for a seed."""
    scatter = random.Random(seed)  # noqa: S311 - a reproducible series, not a secret
    return [centre * (1 + scatter.gauss(0, spread)) for _ in range(blocks)]


def columns(trials: Iterable[Trial]) -> Columns:
    """Return the columns that a run of these trials has."""
    kept = list(trials)
    names = {name for one in kept for name, _ in one.slot.cell.levels}
    return Columns.of_measures(dict.fromkeys([*MEASURES, *(one.slot.cell.measure for one in kept)]), names | {"mtu"})


def write(folder: Path, trials: Iterable[Trial], meta: Mapping[str, Any] | None = META) -> Path:
    """Write trials.csv, and run.json unless `meta` is None; return the folder."""
    kept = list(trials)
    folder.mkdir(parents=True, exist_ok=True)
    made = columns(kept)
    with (folder / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, made.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(made.row(trial) for trial in kept)
    intervals = [row for one in kept for row in series_rows(one)]
    if intervals:
        with (folder / "series.csv").open("w", encoding="utf-8", newline="") as file:
            intervals_writer = csv.DictWriter(file, SERIES, lineterminator="\n")
            intervals_writer.writeheader()
            intervals_writer.writerows(intervals)
    if meta is not None:
        (folder / "run.json").write_text(json.dumps(meta), encoding="utf-8")
    return folder


def full_run(profiles: Iterable[str] = ("vxlan",), seed: int = 1) -> list[Trial]:
    """Return a whole run as the shaped lab gives it: ping, TCP over 1, 4 and 8 flows, MTU 1450 and 1500."""
    goodput = {("underlay", 1500): 955.0e6, ("underlay", 1450): 952.7e6, ("host-gw", 1500): 955.0e6}
    trials: list[Trial] = []
    for number, profile in enumerate(["underlay", *profiles]):
        for mtu in (1450, 1500):
            tunnel = KINDS[profile] is Kind.TUNNEL
            state = CLAMPED if tunnel and mtu == 1500 else WHOLE
            cpu_s = (1.9, 1.9) if tunnel else (1.2, 1.2)
            rtt = 410e-6 if tunnel else 330e-6
            key = seed + 100 * number + mtu
            trials += series(profile, ping(mtu), around(rtt, 0.02, key), path_state=state)
            for flows in (1, 4, 8):
                values = around(goodput.get((profile, mtu), 923.0e6 if tunnel else 952.7e6), 0.001, key + flows)
                trials += series(profile, iperf3(mtu, flows), values, path_state=state, cpu_s=cpu_s)
    return trials
