"""`harness`, as somebody uses it who has a kubeconfig and nothing else: run at the desk, interrupted, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.labs.process import child_of
from tests.kubernetes.cluster import ADMIN, Cluster
from tests.kubernetes.spaces import eventually
from tests.proving import check, say

LAB = ("--lab", "kubernetes")
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Running:
    """A command under way: the process from outside, and its own process, the leader of its group."""

    process: subprocess.Popen[bytes]
    pid: int
    said: Path

    def ctrl_c(self) -> Done:
        """Do what a terminal does at Ctrl-C: signal the whole group; return how the command ended."""
        os.killpg(self.pid, signal.SIGINT)
        return self.wait()

    def kill(self) -> Done:
        """Send SIGKILL to the command alone, not to what it started."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> Done:
        """Wait for its end."""
        code = self.process.wait(TIMEOUT_S)
        return Done(code, "", self.said.read_text("utf-8", errors="replace"))


class Desk:
    """The desk of a cluster; results go below `work`."""

    def __init__(self, cluster: Cluster, work: Path) -> None:
        self.cluster = cluster
        self.work = work

    def show(self, *words: str, context: str = ADMIN, code: int = 0) -> str:
        """Run `harness` with its output on the terminal; return what it printed. Another exit code fails."""
        done = self.run(*words, context=context)
        for line in (done.out + done.err).splitlines():
            say(f"   {line.rstrip()}")
        check(done.code == code, f"`harness {' '.join(words)}` ended with {done.code}, not {code}")
        return done.out

    def run(self, *words: str, context: str = ADMIN) -> Done:
        """Run `harness` to its end."""
        done = subprocess.run(
            self.cluster.argv("harness", *words),
            env=self.cluster.environment(context),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def new_folder(self) -> Path:
        """Return a new folder for results."""
        return Path(tempfile.mkdtemp(dir=self.work, prefix="results-"))

    @contextmanager
    def started(self, words: Sequence[str], context: str = ADMIN) -> Iterator[Running]:
        """Have `harness` run meanwhile, as the leader of a process group as at a terminal."""
        # Whoever runs tests in the background has Ctrl-C ignored by all that they start.
        said = self.new_folder() / "said"
        with said.open("wb") as file:
            process = subprocess.Popen(
                self.cluster.argv("setsid", "env", "--default-signal=INT", "harness", *words),
                env=self.cluster.environment(context),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        try:
            eventually(lambda: child_of(process.pid) is not None, "harness is started", 5)
            pid = child_of(process.pid)
            check(pid is not None, "harness ended at once")
            yield Running(process, pid or 0, said)
        finally:
            if process.poll() is None:
                process.kill()  # its namespaces end what is left of it
                process.wait()
