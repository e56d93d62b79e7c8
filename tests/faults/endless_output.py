"""A node that prints without end, from one program after the other: what the controller's memory comes to.

    sudo .venv/bin/python -m tests.faults.endless_output [PROGRAM ...]

Each program of the server's node is replaced by one that prints as fast as it can, and a run is started. It has to end
with one sentence, or go on with trials that failed, and no process of the controller may take 300 MB. Exit code 1 where
it is otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from harness.fabric.oversight import descendants
from tests.lab.bench import eventually
from tests.lab.machine import OUT, Command, Machine

PROGRAMS = "sh env flock date cat grep hostname nproc ss ip ethtool iperf3 ping python3".split()
LATER = "cat date ip iperf3 ping".split()
"""Those that are replaced once the first trial is on disk."""
MOST_BYTES = 300_000_000
LIMIT_S = 180.0
WORDS = f"run --profile vxlan --blocks 1 --duration 1 --omit 0 --flows 1 --mtu 1450 --out {OUT}".split()
LIAR = '#!/usr/bin/perl\nprint "[" x 65536 while 1;\n'
"""Prints a gigabyte a second where somebody takes it, whatever its arguments are."""


def peak_bytes(pids: list[int]) -> int:
    """Return the largest memory that any of these processes has taken so far."""
    most = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        most = max([most, *(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM"))])
    return most


def watched(command: Command) -> tuple[int, int]:
    """Wait for a command; return its exit code, and the largest memory of its processes, those on nodes left out."""
    most, deadline = 0, time.monotonic() + LIMIT_S
    while command.exit_code is None and time.monotonic() < deadline:
        most = max(most, peak_bytes([pid for pid in descendants(command.pid) if is_controllers(pid)]))
        time.sleep(0.05)
    return command.wait(1.0), most


def is_controllers(pid: int) -> bool:
    """Tell whether a process is the harness, or Ansible."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"harness" in words or b"ansible" in words


def tried(machine: Machine, folder: Path, program: str, *, later: bool) -> str:
    """Replace a program on the server's node before a run, or in its middle; return what went wrong."""
    path = machine.on_node(1, "sh", "-c", f"readlink -f $(command -v {program})").strip()
    machine.on_node(1, "sh", "-c", f"cat >/run/liar <<'END'\n{LIAR}END\nchmod +x /run/liar")
    before = set(machine.results())
    replace = ("mount", "--bind", "/run/liar", path)
    if not later:
        machine.on_node(1, *replace)
    with machine.start(folder, *WORDS) as command:
        if later:
            assert eventually(lambda: any(rows_in(path) for path in machine.results() if path not in before))
            machine.on_node(1, *replace)
        code, most = watched(command)
    sentences = [line for line in command.stderr.splitlines() if line.startswith("harness: ")]
    made = [path.name for path in machine.results() if path not in before]
    said = sentences[0] if sentences else command.stderr.strip().splitlines()[-1]
    sys.stdout.write(f"{'later ' * later + program:13} exit code {code:3}  {most / 1e6:4.0f} MB  {said[:150]}\n")
    problems = [] if most < MOST_BYTES else ["memory"]
    problems += [] if "Traceback" not in command.stderr and code not in (1, None) else ["no sentence"]
    problems += [] if len(sentences) == (code != 0) else [f"{len(sentences)} sentences"]
    problems += [] if code != 0 or made else ["no results"]
    return ", ".join(problems)


def rows_in(folder: Path) -> int:
    """Return how many trials of a run are on disk."""
    path = folder / "trials.csv"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def main() -> int:
    """Try every program on one standing lab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", default=PROGRAMS)
    wrong = []
    with Machine() as machine, tempfile.TemporaryDirectory() as folder:
        chosen = parser.parse_args().programs
        moments = [(one, False) for one in chosen] + [(one, True) for one in LATER if one in chosen]
        for program, later in moments:
            up = machine.run(Path(folder), "lab", "up")
            assert up.exit_code == 0, up.stderr
            problem = tried(machine, Path(folder), program, later=later)
            wrong += [f"{program}: {problem}"] if problem else []
            machine.run(Path(folder), "lab", "down", "--force")
    sys.stdout.write("\n".join([*wrong, f"{len(wrong)} wrong"]) + "\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
