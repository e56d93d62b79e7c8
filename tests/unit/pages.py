"""Runs whose page has every section, or a great many trials; `python -m tests.unit.pages FOLDER` writes them there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from harness.model.path import PathState
from harness.model.trial import Cell, Interval, Status, Trial
from harness.report.trace_json import to_json
from tests.unit.synthetic import META, PLAN, around, full_run, iperf3, note, series, trial, write
from tests.unit.traces import TRACES

EVIL = "<script>alert(1)</script>"
"""What a node or a profile may be called in a file that was tampered with."""
GRO = "generic-receive-offload"
CPU = {"client_tools_cpu_s": 0.3, "server_tools_cpu_s": 0.4, "client_softirq_cpu_s": 0.5}
CPU |= {"client_busiest_cpu_ratio": 0.4, "server_busiest_cpu_ratio": 0.6}
LARGE = 10_000


def loaded(mtu: int = 1450, flows: int = 4) -> Cell:
    return Cell.of("loaded-ping", mtu=mtu, flows=flows)


def search(size: int, mtu: int = 1450) -> Cell:
    return Cell.of("udp-search", mtu=mtu, flows=8, size=size, loss=0.001)


def offered(rate: str, mtu: int = 1450) -> Cell:
    return Cell.of("iperf3", protocol="udp", direction="forward", mtu=mtu, flows=1, udp_rate=rate)


def switched(state: str, mtu: int = 1450) -> Cell:
    return iperf3(mtu).at((("offload", f"{GRO}={state}"),))


def with_figures(profile: str, cell: Cell, **figures: list[float]) -> list[Trial]:
    """Return one ok trial a block with several figures."""
    blocks = len(next(iter(figures.values())))
    return [
        replace(
            trial(profile, block, cell, None),
            figures={"client_cpu_s": 1.0, "server_cpu_s": 1.0}
            | {name: own[block - 1] for name, own in figures.items()},
        )
        for block in range(1, blocks + 1)
    ]


def rich_trials() -> Iterator[Trial]:
    """Yield a run with everything that a page has a section for."""
    yield from full_run(["host-gw", "vxlan"])
    for number, profile in enumerate(("underlay", "host-gw", "vxlan")):
        slower = 1 + 0.3 * number
        for mtu in (1450, 1500):
            rtts = around(9e-3 * slower, 0.03, number)
            yield from with_figures(
                profile,
                loaded(mtu),
                rtt_min_s=[0.5 * x for x in rtts],
                rtt_p50_s=rtts,
                rtt_p90_s=[1.3 * x for x in rtts],
                rtt_max_s=[2 * x for x in rtts],
                ping_sent=[100.0] * 6,
                ping_lost_ratio=[0.0] * 6,
            )
        for size in (64, 512, 1450):
            rates = around((3e5 - 100 * size) / slower, 0.02, size + number)
            yield from with_figures(
                profile, search(size), packets_per_s=rates, goodput_bps=[8 * size * x for x in rates]
            )
        for mtu, (rate, share) in product((1450, 1500), (("50%", 0.5), ("90%", 0.9), ("120%", 1.2))):
            lost = [max(0.001, (share - 0.95) * slower + 0.001 * block) for block in range(6)]
            yield from with_figures(
                profile,
                offered(rate, mtu),
                udp_loss_ratio=lost,
                offered_bps=[share * 1e9] * 6,
                packets_per_s=[share * 8e4 * (1 - x) for x in lost],
                goodput_bps=[share * 9.5e8 * (1 - x) for x in lost],
            )
        for state, worse in (("on", 1.0), ("off", 0.6)):
            yield from series(profile, switched(state), around(9e8 * worse, 0.004, number))


def rich(folder: Path) -> Path:
    """Write that run: two set-ups, a trial that fell apart, one that failed, a trace, and texts to be escaped."""
    made = []
    for position, one in enumerate(rich_trials(), 1):
        setup = 1 if one.slot.block < 4 else 2
        goodput = float(one.figures.get("goodput_bps", 0))
        is_broken = one.slot.cell == iperf3(1450, 8) and one.slot.profile == "vxlan" and one.slot.block == 2
        halves = (goodput, 0.1 * goodput if is_broken else goodput)
        seconds = tuple(
            Interval(float(second), second + 1.0, omitted=False, goodput_bps=halves[second // 2], retransmits=second)
            for second in range(4)
        )
        made.append(
            replace(
                one,
                slot=replace(one.slot, position=position, setup=setup),
                figures={**one.figures, **CPU} if goodput else one.figures,
                series=seconds if one.slot.cell.measure == "iperf3" else (),
                proof=f"ens33 1234567 B {EVIL}",
            )
        )
    made[7] = replace(made[7], status=Status.FAILED, reason=f"refused {EVIL}", figures={}, series=())
    meta = {**META, "notes": [note(f"a node is called {EVIL}")], "lab": EVIL}
    write(folder, made, meta)
    nodes = {
        name: {"hostname": f"{name}{EVIL}", "kernel": kernel, "cpus": "2", "offloads": {GRO: "on"}}
        for name, kernel in (("k8s-1", "6.1"), ("k8s-2", "6.18"))
    }
    (folder / "environment.json").write_text(json.dumps(nodes), encoding="utf-8")
    (folder / "trace.json").write_text(to_json(TRACES["lost"]()), encoding="utf-8")
    return folder


def large(folder: Path, trials: int = LARGE) -> Path:
    """Write a run of the default cells of one profile with so many trials."""
    per_block = len(PLAN.slots) // PLAN.blocks
    blocks = trials // per_block
    plan = replace(PLAN, blocks=blocks)
    state = PathState.parse("clamped to 1450")
    levels = {
        ("underlay", "iperf3"): 9.4e8,
        ("vxlan", "iperf3"): 9.1e8,
        ("underlay", "ping"): 7e-5,
        ("vxlan", "ping"): 1.5e-4,
    }
    values = {key: around(level, 0.01, number, blocks) for number, (key, level) in enumerate(levels.items())}
    made = []
    for slot in plan.slots:
        value = values[slot.profile, slot.cell.measure][slot.block - 1]
        clamped = slot.profile == "vxlan" and slot.cell.mtu == 1500
        one = trial(
            slot.profile, slot.block, slot.cell, value, path_state=state if clamped else PathState.parse("whole")
        )
        seconds = tuple(Interval(float(n), n + 1.0, omitted=False, goodput_bps=value * (1 + n / 1e4)) for n in range(2))
        name = f"raw/b{slot.block:02}-p{slot.position:03}-{slot.profile}-{slot.cell.measure}.json"
        proof = (
            f"client -> server: vxlan_docker {3451338 + slot.block} B in 5413 packets, ens33 {3454803 + slot.block} B"
        )
        made.append(
            replace(one, slot=slot, series=seconds if slot.cell.measure == "iperf3" else (), proof=proof, raw=name)
        )
    meta: dict[str, Any] = {**META, "plan": plan.to_json()}
    return write(folder, made, meta)


if __name__ == "__main__":
    for name, make in (("rich", rich), ("large", large)):
        sys.stdout.write(f"{make(Path(sys.argv[1]) / name)}\n")
