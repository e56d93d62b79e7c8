"""Runs on a test's machine: started, waited for, and read back from their folders."""

import csv
import shutil
from pathlib import Path

from tests.lab.bench import eventually
from tests.lab.machine import Command, Machine
from tests.lab.snapshots import Snapshot

TRIAL_COLUMNS = (
    "run_id,setup,block,position,attempt,profile,kind,measure,duration_s,started_at,status,reason,proof,path_state,raw,"
    "protocol,direction,mtu,flows,goodput_bps,forward_goodput_bps,reverse_goodput_bps,packets_per_s,offered_bps,"
    "retransmits,udp_loss_ratio,udp_jitter_s,rtt_min_s,rtt_p50_s,rtt_p90_s,rtt_p99_s,rtt_max_s,ping_sent,"
    "ping_lost_ratio,client_cpu_s,server_cpu_s,client_tools_cpu_s,server_tools_cpu_s,client_softirq_cpu_s,"
    "server_softirq_cpu_s,client_busiest_cpu_ratio,server_busiest_cpu_ratio,client_background_cpus,"
    "server_background_cpus,socket_dropped,foreign_cpu_s,"
    "stolen_ratio,inner_bytes,outer_bytes"
).split(",")


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows_so_far(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file that a run is about to write or at it; none before."""
    return rows_of(path) if path.exists() else []


def summary_rows(folder: Path, profile: str, metric: str) -> list[dict[str, str]]:
    """Return the rows of a profile's metric against its baseline at the NIC's MTU."""
    rows = rows_of(folder / "summary.csv")
    return [row for row in rows if (row["contrast"], row["profile"], row["metric"]) == ("profile", profile, metric)]


def started(machine: Machine, tmp_path: Path, *words: str) -> tuple[Command, Snapshot]:
    """Empty the results, note how the machine is, start a run."""
    for folder in machine.results():
        shutil.rmtree(folder)
    before = machine.state()
    return machine.start(tmp_path, *words), before


def wait_for_rows(machine: Machine, command: Command, count: int) -> None:
    """Wait until so many trials are on disk."""

    def measured() -> bool:
        return any(len(rows_so_far(folder / "trials.csv")) >= count for folder in machine.results())

    assert eventually(lambda: measured() or command.exit_code is not None)
    assert command.exit_code is None, command.stderr
