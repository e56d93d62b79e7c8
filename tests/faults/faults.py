"""What can go wrong around a run: each fault, what is promised of the run's end, and the moments of a run."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from harness.labs.holder import enter_argv
from tests.lab.machine import HARNESS, Command, Machine
from tests.lab.snapshots import command_lines

BLOCKS, PER_BLOCK = 2, 6
STOPPED_S, NIC_DOWN_S = 40.0, 5.0
POLL_S = 0.005
MOST_S = 120.0
BETWEEN_S = 3.0
"""How long at most no program of a measure runs while a run measures."""
_ATTEMPT = 4
"""Where a line of trials.csv has the attempt."""


@dataclass
class Scene:
    """A run in which one fault is to happen: `out` is where its results go, `reader` who reads what it prints."""

    machine: Machine
    command: Command
    out: Path
    reader: int | None = None
    over: Event = field(default_factory=Event)
    _seen: bytearray = field(default_factory=bytearray)
    _terminal: int | None = None

    @property
    def folder(self) -> Path | None:
        """The run's folder, None as long as there is none."""
        found = sorted(path for path in self.out.iterdir() if path.is_dir()) if self.out.is_dir() else []
        return found[0] if found else None

    @property
    def rows(self) -> list[bytes]:
        """The lines of trials.csv that are on disk."""
        with contextlib.suppress(OSError):
            if self.folder is not None:
                return (self.folder / "trials.csv").read_bytes().splitlines()[1:]
        return []

    @property
    def said(self) -> str:
        """What the run has said so far."""
        return self.command.stderr + self._seen.decode("utf-8", "replace")

    def look_at(self, terminal: int) -> None:
        """Show a terminal what the run says, until somebody leaves it."""
        self._terminal = terminal

        def read() -> None:
            with contextlib.suppress(OSError):
                while self._terminal == terminal:
                    if select.select([terminal], [], [], 0.05)[0]:
                        self._seen.extend(os.read(terminal, 65536))
            os.close(terminal)

        self._reading = Thread(target=read)
        self._reading.start()

    def leave_terminal(self) -> None:
        """Close the terminal, if there is one."""
        if self._terminal is not None:
            self._terminal = None
            self._reading.join()

    def nodes(self) -> list[int]:
        """Return the pids of the run's nodes on their machine, none once they are gone."""
        for path in self.machine.labs.glob("run-*/state.json"):
            with contextlib.suppress(OSError, ValueError):
                state = json.loads(path.read_text(encoding="utf-8"))
                return [entry["inside"]["pid"] for entry in state.get("nodes", [])]
        return []

    def on_node(self, number: int, script: str) -> bool:
        """Run a shell script of ours on a node, and tell whether it succeeded."""
        pids = self.nodes()
        if len(pids) <= number:
            return False
        argv = [*self.machine.enter(), *enter_argv(pids[number]), "sh", "-c", script]
        return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0

    def end(self, words: str) -> bool:
        """Kill each process of the machine whose command line has these words in it; tell whether there was any."""
        found = [pid for pid, text in command_lines(self.machine.root / "proc").items() if words in text]
        for pid in found:
            subprocess.run([*self.machine.enter(), "kill", "-9", str(pid)], capture_output=True, check=False)
        return bool(found)

    def wait_for(self, holds: Callable[[], bool], most_s: float = MOST_S) -> bool:
        """Wait until something holds; tell whether it did before the run was over."""
        deadline = time.monotonic() + most_s
        while time.monotonic() < deadline:
            if holds():
                return True
            if self.command.exit_code is not None:
                return holds()
            time.sleep(POLL_S)
        return False


# --- moments ---------------------------------------------------------------------------------------------------------


def _says(text: str, later_s: float) -> Callable[[Scene], bool]:
    def reached(scene: Scene) -> bool:
        if not scene.wait_for(lambda: text in scene.said):
            return False
        time.sleep(later_s)
        return scene.command.exit_code is None

    return reached


def _rows(count: int, later_s: float) -> Callable[[Scene], bool]:
    def reached(scene: Scene) -> bool:
        if not scene.wait_for(lambda: len(scene.rows) >= count):
            return False
        time.sleep(later_s)
        return scene.command.exit_code is None

    return reached


def _in_a_repeat(scene: Scene) -> bool:
    """Have readings of CPU time that was given away grow, which has the block's groups measured once more."""
    Thread(target=_steal, args=(scene,), daemon=True).start()
    return scene.wait_for(lambda: any(row.split(b",", _ATTEMPT + 1)[_ATTEMPT] == b"2" for row in scene.rows))


def _steal(scene: Scene) -> None:
    """Put a copy of /proc/stat over the client's, in which half of all time is taken away."""
    if not scene.wait_for(lambda: "moving a second" in scene.said):
        return
    pid = scene.nodes()[0]
    path, began = scene.machine.root / f"proc/{pid}/root/run/stat", time.monotonic()

    def write() -> None:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        ticks = (time.monotonic() - began) * os.sysconf("SC_CLK_TCK") / 2
        cpus = os.cpu_count() or 1
        for number, line in enumerate(lines):
            words = line.split()
            if words[0].startswith("cpu"):
                words[8] = str(int(ticks * (cpus if words[0] == "cpu" else 1)))
                lines[number] = " ".join(words)
        text = "\n".join(line for line in lines if not line.startswith("intr")) + "\n"
        with path.open("r+" if path.exists() else "w", encoding="ascii") as file:
            file.write(text.ljust(3999) + "\n")

    write()
    scene.on_node(0, "mount --bind /run/stat /proc/stat")
    while not scene.over.wait(0.05):
        with contextlib.suppress(OSError):
            write()


MOMENTS: Mapping[str, Callable[[Scene], bool]] = {
    "lab up": _says("bringing the lab up", 0.05),
    "apply": _says("setting up", 1.0),
    "verify": _says("verifying", 0.4),
    "first trial": _says("moving a second", 1.7),
    "middle trial": _rows(PER_BLOCK, 0.6),
    "between trials": _rows(PER_BLOCK + 1, 0.0),
    "in a repeat": _in_a_repeat,
    "teardown": _says("tearing down", 0.5),
    "summary": _says("Results", 0.0),
    "report": _says("Results", 0.15),
}

# --- faults ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """Something that happens to a run; `codes` are the exit codes of which it has to end with one.

    Where `happens` tells that there was nothing for it to happen to, the run goes on as if nothing had been. `place` is
    what the run needs for it: results on a disk of its own (small), a terminal, or a reader of standard output (pipe).
    """

    name: str
    happens: Callable[[Scene], bool]
    codes: tuple[int, ...]
    place: str = ""


def _signal(*numbers: signal.Signals) -> Callable[[Scene], bool]:
    def happens(scene: Scene) -> bool:
        for number in numbers:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                scene.command.send(number)
            time.sleep(0.3 if len(numbers) > 1 else 0)
        return True

    return happens


def _stopped(scene: Scene) -> bool:
    scene.command.send(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    scene.command.send(signal.SIGCONT)
    os.kill(scene.command.pid, signal.SIGCONT)  # nsenter stops with what it started
    return True


def _no_reader(scene: Scene) -> bool:
    assert scene.reader is not None
    os.close(scene.reader)
    scene.reader = None
    return True


def _no_terminal(scene: Scene) -> bool:
    scene.leave_terminal()
    return _signal(signal.SIGHUP)(scene)


def _full(scene: Scene) -> bool:
    with contextlib.suppress(OSError), (scene.out / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)
    with contextlib.suppress(OSError), (scene.out / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(b"x")
    return True


def _read_only(scene: Scene) -> bool:
    argv = [*scene.machine.enter(), "mount", "-o", "remount,ro", f"/{scene.out.relative_to(scene.machine.root)}"]
    subprocess.run(argv, check=True, capture_output=True)
    return True


_EACH = """
found=1
for p in /proc/[0-9]*; do
    case "$(tr '\\0' ' ' <"$p/cmdline" 2>/dev/null)" in {words}) kill -9 "${{p#/proc/}}" && found=0 ;; esac
done
exit $found
"""


def _killed_on_node(words: str, *numbers: int) -> Callable[[Scene], bool]:
    """Kill what has such a command line on one of these nodes, as soon as there is any."""
    script = _EACH.format(words=words)
    return lambda scene: scene.wait_for(lambda: any(scene.on_node(number, script) for number in numbers), BETWEEN_S)


def _holder_killed(scene: Scene) -> bool:
    pids = scene.nodes()
    if len(pids) < 2:
        return False
    subprocess.run([*scene.machine.enter(), "kill", "-9", str(pids[1])], capture_output=True, check=False)
    return True


def _nic_down(scene: Scene) -> bool:
    if not scene.on_node(1, "ip link set ens33 down"):
        return False
    time.sleep(NIC_DOWN_S)
    return scene.on_node(1, "ip link set ens33 up")


def _lab_down(scene: Scene) -> bool:
    argv = [*scene.machine.enter(), str(HARNESS), "lab", "down"]
    return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0


HARMED = (0, 3, 4, 5, 7, 8)
"""What a harmed node comes to: gone on with, or ended by what that did to lab, playbook, connection or trials."""
FAULTS = (
    Fault("Ctrl-C", _signal(signal.SIGINT), (130,)),
    Fault("Ctrl-C twice", _signal(signal.SIGINT, signal.SIGINT), (130,)),
    Fault("SIGTERM", _signal(signal.SIGTERM), (130,)),
    Fault("terminal gone", _no_terminal, (130,), place="terminal"),
    Fault("SIGKILL", _signal(signal.SIGKILL), (137,)),
    Fault("SIGSTOP for 40 s", _stopped, (0, 4, 5)),
    Fault("reader of standard output gone", _no_reader, (0,), place="pipe"),
    Fault("disk full", _full, (9,), place="small"),
    Fault("disk read-only", _read_only, (9,), place="small"),
    Fault("a node's sshd killed", _killed_on_node("sshd:*", 1), HARMED),
    Fault("a node gone", _holder_killed, (3, 4, 5)),
    Fault("iperf3 and ping killed", _killed_on_node("iperf3*|ping*", 0, 1), (0, 8, 7)),
    Fault("tunnel device deleted", lambda scene: scene.on_node(1, "ip link del vxlan_docker"), (0, 4, 7, 8)),
    Fault("NIC down for 5 s", _nic_down, HARMED),
    Fault("Ansible killed", lambda scene: scene.end("ansible-playbook"), (0, 4)),
    Fault("`lab down` beside it", _lab_down, (0,)),
)
