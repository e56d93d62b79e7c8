"""Runs made up for tests, written the way that the harness writes them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.model.trial import TRIAL_COLUMNS, Cell, Direction, Kind, Measurement, Slot, Status, Trial

VXLAN_HEADERS = ["ipv4", "udp", "vxlan", "ethernet"]
KINDS = {"underlay": Kind.UNDERLAY, "host-gw": Kind.ROUTED, "vxlan": Kind.TUNNEL, "flannel": Kind.TUNNEL}
RUN_ID = "20250101T000000Z-vxlan-abcd"

META: dict[str, Any] = {
    "schema_version": 1,
    "run_id": RUN_ID,
    "created_at": "2025-01-01T00:00:00+00:00",
    "harness_version": "0.1.0",
    "lab": "local",
    "rate_bps": 1e9,
    "shared_kernel": True,
    "nic_mtu": 1500,
    "plan": {"name": "quick", "blocks": 6, "duration_s": 2.0, "omit_s": 1.0, "seed": 1, "mtus": [1450, 1500]},
    "profiles": {
        name: {"kind": kind.value, "headers": VXLAN_HEADERS if kind is Kind.TUNNEL else []}
        for name, kind in KINDS.items()
    },
    "versions": {"iperf3": {"k8s-1": "3.16", "k8s-2": "3.16"}},
    "warnings": [],
}


def iperf3(mtu: int = 1450, flows: int = 1, protocol: str = "tcp", direction: Direction = Direction.FORWARD) -> Cell:
    return Cell("iperf3", protocol, direction, mtu, flows)


def ping(mtu: int = 1450) -> Cell:
    return Cell("ping", "icmp", Direction.FORWARD, mtu, 1)


def measured(cell: Cell, value: float) -> Measurement:
    """Return goodput, or a p50 with a p99 three times that."""
    if cell.tool == "ping":
        return Measurement(rtt_p50_s=value, rtt_p99_s=3 * value)
    return Measurement(goodput_bps=value, udp_loss_ratio=0.01 if cell.protocol == "udp" else None)


def trial(
    profile: str,
    block: int,
    cell: Cell,
    value: float | None,
    status: Status = Status.OK,
    *,
    reason: str = "",
    path_state: str = "whole",
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
        measurement=Measurement() if value is None else measured(cell, value),
        client_cpu_s=cpu_s[0],
        server_cpu_s=cpu_s[1],
        raw="raw/x.json",
    )


def series(
    profile: str,
    cell: Cell,
    values: Iterable[float],
    *,
    path_state: str = "whole",
    cpu_s: tuple[float, float] = (1.5, 1.5),
) -> list[Trial]:
    """Return one ok trial a block with these figures."""
    return [
        trial(profile, block, cell, value, path_state=path_state, cpu_s=cpu_s) for block, value in enumerate(values, 1)
    ]


def around(centre: float, spread: float, seed: int, blocks: int = 6) -> list[float]:
    """Return values whose logarithms scatter by `spread`, the same ones for a seed."""
    scatter = random.Random(seed)  # noqa: S311 - a reproducible series, not a secret
    return [centre * (1 + scatter.gauss(0, spread)) for _ in range(blocks)]


def write(folder: Path, trials: Iterable[Trial], meta: Mapping[str, Any] | None = META) -> Path:
    """Write trials.csv, and run.json unless `meta` is None; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, TRIAL_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(trial.row() for trial in trials)
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
            state = "clamped to 1450" if tunnel and mtu == 1500 else "whole"
            cpu_s = (1.9, 1.9) if tunnel else (1.2, 1.2)
            rtt = 410e-6 if tunnel else 330e-6
            key = seed + 100 * number + mtu
            trials += series(profile, ping(mtu), around(rtt, 0.02, key), path_state=state)
            for flows in (1, 4, 8):
                values = around(goodput.get((profile, mtu), 923.0e6 if tunnel else 952.7e6), 0.001, key + flows)
                trials += series(profile, iperf3(mtu, flows), values, path_state=state, cpu_s=cpu_s)
    return trials
