"""Where the command line is tested: this machine, but with processes and a /run of its own, and every file seen.

`harness lab down` takes down whatever is below /run/vxlan-harness, and a kept lab would be used by any run. Namespaces
with an empty /run and nobody else's processes keep both away from labs of other people. The folder for temporary files
and root's home are overlays there: what is below shows through, what is written stays on top, where it is seen exactly.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.labs.holder import enter_argv
from harness.labs.process import child_of
from tests.lab.bench import eventually
from tests.lab.snapshots import Snapshot, command_lines, differences, host_network

HARNESS = Path(sys.executable).with_name("harness")
OWN = "/run/test"
OUT = f"{OWN}/out"
_SWEPT = "vxlan-harness-"
"""What killed runs left in the folder below goes with the next run, and an overlay says so by a file of its own."""
_HOLDER = """
set -e
own=$1 home=$2 tmp=$3
mount -t tmpfs -o mode=755 tmpfs /run
for place in home tmp; do mkdir -p "$own/$place/upper" "$own/$place/work"; done
chmod --reference="$home" "$own/home/upper"
chmod --reference="$tmp" "$own/tmp/upper"
mkdir "$own/out"
mount -t overlay overlay -o "lowerdir=$home,upperdir=$own/home/upper,workdir=$own/home/work" "$home"
mount -t overlay overlay -o "lowerdir=$tmp,upperdir=$own/tmp/upper,workdir=$own/tmp/work" "$tmp"
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""
# Why the last line: the first process of a PID namespace gets the orphans, and has to let the kernel reap them.


class Machine:
    """Namespaces in which commands run; they end with the test process, and everything in them."""

    def __init__(self) -> None:
        overlaid = [pwd.getpwuid(0).pw_dir, tempfile.gettempdir()]
        unshare = "setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL --mount-proc".split()
        argv = [*unshare, "sh", "-c", _HOLDER, "sh", OWN, *overlaid]
        self._holder = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._holder.stdout is not None
        first = self._holder.stdout.readline().strip()
        assert first == "ready", f"no namespaces with overlays can be made: {first}"
        self._inside = child_of(self._holder.pid)
        self.root = Path(f"/proc/{self._inside}/root")
        self.labs = self.root / "run/vxlan-harness"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.wait()

    def enter(self) -> list[str]:
        """Return the start of an argv that runs the rest on this machine, where Python compiles nothing.

        This checkout may be where is looked for what a run left.
        """
        entered = ["nsenter", "--target", str(self._inside), "--mount", "--pid", "--"]
        return [*entered, "env", "PYTHONDONTWRITEBYTECODE=1"]

    def start(self, tmp_path: Path, *words: str) -> Command:
        """Start `harness` with these words; leaving a `with` block ends it."""
        return Command([*self.enter(), str(HARNESS), *words], tmp_path)

    def run(self, tmp_path: Path, *words: str) -> Command:
        """Run `harness` with these words to its end."""
        with self.start(tmp_path, *words) as command:
            command.wait()
        return command

    def nodes(self) -> list[int]:
        """Return the pids that the nodes of the kept lab have on this machine."""
        state = json.loads((self.labs / "lab/state.json").read_text(encoding="utf-8"))
        return [entry["inside"]["pid"] for entry in state["nodes"]]

    def on_node(self, number: int, *argv: str) -> str:
        """Run argv on a node of the kept lab, counted from 0, which has to succeed; return its output."""
        entered = [*self.enter(), *enter_argv(self.nodes()[number]), *argv]
        done = subprocess.run(entered, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
        return done.stdout

    def on_machine(self, *argv: str) -> None:
        """Run argv beside the nodes, which has to succeed."""
        subprocess.run([*self.enter(), *argv], check=True, capture_output=True)

    def results(self) -> list[Path]:
        """Return the run folders below OUT, oldest first."""
        return sorted((self.root / OUT[1:]).iterdir())

    def state(self) -> Snapshot:
        """Return everything that a run must leave as it was."""
        found = command_lines(self.root / "proc")
        processes = sorted(f"{pid} {text}" for pid, text in found.items() if pid != 1)
        return host_network() | {"files": self._files(), "processes": processes}

    def changes(self, before: Snapshot) -> list[str]:
        """Return how the machine differs from before, once what is on its way out is gone."""
        eventually(lambda: not differences(before, self.state()), 3.0)
        return differences(before, self.state())

    def _files(self) -> list[str]:
        own = self.root / OWN[1:]
        run = [path for path in (self.root / "run").rglob("*") if own != path and own not in path.parents]
        written = [path for place in ("home", "tmp") for path in (own / place / "upper").rglob("*")]
        kept = [path for path in written if not (path.name.startswith(_SWEPT) and _is_whiteout(path))]
        return sorted(str(path).removeprefix(str(self.root)) for path in run + kept)


def _is_whiteout(path: Path) -> bool:
    """Tell whether an overlay says by this file that one below it was removed."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


class Command:
    """A command that runs; what it prints is in files, so that nobody has to keep reading."""

    def __init__(
        self,
        argv: Sequence[str],
        tmp_path: Path,
        typed: str = "",
        stderr: int | None = None,
        stdout: int | None = None,
    ) -> None:
        """Start it; `typed` is what stands on its standard input, the numbers where it speaks to in place of files."""
        self._out, self._err = tmp_path / f"{uuid.uuid4().hex}.out", tmp_path / f"{uuid.uuid4().hex}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err, tempfile.TemporaryFile() as given:
            given.write(typed.encode())
            given.seek(0)
            to = err if stderr is None else stderr
            into = out if stdout is None else stdout
            self._entered = subprocess.Popen(list(argv), stdin=given, stdout=into, stderr=to)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.exit_code is None:
            self.send(signal.SIGKILL)
            self.wait()

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._err.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        """The process that was started: nsenter, in front of the command."""
        return self._entered.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._entered.poll()

    def reaches(self, text: str) -> None:
        """Wait until it has said something."""
        assert eventually(lambda: text in self.stderr or self.exit_code is not None)
        assert text in self.stderr

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command itself: nsenter, in front of it, stays and passes its end on."""
        pid = child_of(self._entered.pid)
        assert pid is not None, self.stderr
        os.kill(pid, number)

    def wait(self, timeout_s: float = 120.0) -> int:
        """Wait for its end and return its exit code, negative where a signal ended it."""
        return self._entered.wait(timeout_s)
