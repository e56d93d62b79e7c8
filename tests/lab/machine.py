"""Where the command line is tested: this machine, but with a /run of its own and every file written elsewhere caught.

`harness lab down` takes down whatever is below /run/vxlan-harness, and a kept lab would be used by any run. A mount
namespace with an empty /run keeps both away from labs of other people. /tmp and root's home are overlays there: what
is below shows through, what is written stays on top, where it can be seen exactly.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.bench import eventually
from tests.lab.snapshots import Snapshot, command_lines, differences, host_network

HARNESS = Path(sys.executable).with_name("harness")
OWN = "/run/test"
MARK = "HARNESS_TEST_MARK"
_HOLDER = f"""
set -e
mount -t tmpfs -o mode=755 tmpfs /run
for place in home tmp; do mkdir -p {OWN}/$place/upper {OWN}/$place/work; done
chmod 1777 {OWN}/tmp/upper
chmod 700 {OWN}/home/upper
mkdir {OWN}/out
mount -t overlay overlay -o lowerdir="$1",upperdir={OWN}/home/upper,workdir={OWN}/home/work "$1"
mount -t overlay overlay -o lowerdir=/tmp,upperdir={OWN}/tmp/upper,workdir={OWN}/tmp/work /tmp
echo ready
exec sleep infinity
"""


class Machine:
    """A mount namespace in which commands run; it ends with the test process."""

    def __init__(self) -> None:
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        home = pwd.getpwuid(0).pw_dir
        argv = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", _HOLDER, "sh", home]
        self._holder = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._holder.stdout is not None
        first = self._holder.stdout.readline().strip()
        assert first == "ready", f"no mount namespace with overlays can be made: {first}"
        self.root = Path(f"/proc/{self._holder.pid}/root")
        self.out = self.root / OWN[1:] / "out"
        self.labs = self.root / "run/vxlan-harness"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.wait()

    def start(self, tmp_path: Path, *words: str) -> Command:
        """Start `harness` with these words, in a process group of its own as a shell would; `with` ends it."""
        argv = ["nsenter", "--target", str(self._holder.pid), "--mount", "--", str(HARNESS), *words]
        name, _, value = self._mark.partition("=")
        environment = {**os.environ, name: value, "PYTHONDONTWRITEBYTECODE": "1"}
        return Command(argv, environment, tmp_path)

    def run(self, tmp_path: Path, *words: str) -> Command:
        """Run `harness` with these words to its end."""
        with self.start(tmp_path, *words) as command:
            command.wait()
        return command

    def results(self) -> list[Path]:
        """Return the run folders, oldest first."""
        return sorted(self.out.iterdir())

    def state(self) -> Snapshot:
        """Return everything that a run must leave as it was."""
        return host_network() | {"files": self._files(), "processes": self._processes()}

    def changes(self, before: Snapshot) -> list[str]:
        """Return how the machine differs from before, once what is on its way out is gone."""
        eventually(lambda: not differences(before, self.state()), 3.0)
        return differences(before, self.state())

    def _files(self) -> list[str]:
        own = self.root / OWN[1:]
        run = [path for path in (self.root / "run").rglob("*") if own != path and own not in path.parents]
        written = [path for place in ("home", "tmp") for path in (own / place / "upper").rglob("*")]
        return sorted(str(path).removeprefix(str(self.root)) for path in run + written)

    def _processes(self) -> list[str]:
        """Return the processes that live in the mount namespace, or were started with its mark."""
        here = (self.root.parent / "ns/mnt").readlink()
        found = []
        for pid, text in command_lines().items():
            try:
                place = Path(f"/proc/{pid}/ns/mnt").readlink()
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                zombie = ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if pid != self._holder.pid and not zombie and (place == here or self._mark.encode() in environment):
                found.append(f"{pid} {text}")
        return found


class Command:
    """A command that runs; what it prints is in files, so that nobody has to keep reading."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str], tmp_path: Path) -> None:
        self._out, self._err = tmp_path / f"{uuid.uuid4().hex}.out", tmp_path / f"{uuid.uuid4().hex}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, process_group=0
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.exit_code is None:
            self.kill()

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._err.read_text(encoding="utf-8")

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.poll()

    def reaches(self, text: str) -> None:
        """Wait until it has said something."""
        assert eventually(lambda: text in self.stderr or self.exit_code is not None, 60.0)
        assert text in self.stderr

    def ctrl_c(self) -> None:
        """Send what Ctrl-C at a terminal sends: SIGINT, to the whole process group."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it as `kill -9` does, and nothing else."""
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float = 120.0) -> int:
        """Wait for its end and return its exit code."""
        return self._process.wait(timeout_s)
