"""What the long tests share that are run by hand: steps with their seconds, and what must not be left behind.

Each is a program that prints what it does and ends with 0 only if all of it held (`make test-vagrant`,
`make test-kubernetes`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.bench import eventually

REPO = Path(__file__).resolve().parents[1]


class Raised(ABC):
    """What a long test stands on: up in a `with` block and down behind it, also where it does not come up whole."""

    @abstractmethod
    def bring_up(self) -> None:
        """Start it."""

    @abstractmethod
    def end(self) -> None:
        """End whatever of it has been started."""

    def __enter__(self) -> Self:
        try:
            self.bring_up()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class FailureError(Exception):
    """Something did not hold."""


def check(condition: object, text: str) -> None:
    """Raise FailureError with this text unless the condition holds."""
    if not condition:
        raise FailureError(text)


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return its standard output; raises FailureError with the end of what it said."""
    done = subprocess.run(argv, input=stdin, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:]
        raise FailureError(f"`{' '.join(map(str, argv))}` ended with {done.returncode}:\n{said}")
    return done.stdout


@dataclass
class Steps:
    """What was done, and how long each step took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        say(f"== {name}")
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - started

    def table(self) -> str:
        """Return a line for each step."""
        return "\n".join(f"{seconds:7.1f} s  {name}" for name, seconds in self.seconds.items())


@dataclass(frozen=True)
class Machine:
    """What of this machine must be afterwards as it was before."""

    mounts: frozenset[str]
    links: frozenset[str]
    namespaces: frozenset[str]
    loops: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def now(cls, folders: Sequence[Path]) -> Machine:
        """Return what is there now; `folders` are those that a test might make."""
        # Mount and parent IDs change when somebody else mounts something; the fields that tell what and where do not.
        mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines())
        names = Path("/run/netns")
        return cls(
            frozenset(" ".join(words[3:5]) for words in mounts),
            frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            frozenset(path.name for path in names.iterdir()) if names.is_dir() else frozenset(),
            frozenset(path.parent.parent.name for path in Path("/sys/block").glob("loop*/loop/backing_file")),
            frozenset(str(path) for path in folders if path.exists()),
        )

    def added(self, before: Machine) -> list[str]:
        """Return what is there and was not before, by its kind."""
        pairs = {name: getattr(self, name) - getattr(before, name) for name in vars(self)}
        return [f"{name}: {', '.join(sorted(extra))}" for name, extra in pairs.items() if extra]


def processes_left_in(namespaces: set[str]) -> list[str]:
    """Return the processes that stay in namespaces that were ended; nsenter outlives what it entered for a moment."""
    eventually(lambda: not _processes_in(namespaces))
    return _processes_in(namespaces)


def _processes_in(namespaces: set[str]) -> list[str]:
    """Return the processes that are in one of these namespaces."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            own = {str((entry / "ns" / name).readlink()) for name in ("net", "mnt", "pid")}
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue  # ended meanwhile
        if own & namespaces:
            found.append(f"{entry.name} {words}")
    return found


def proven(
    name: str,
    folders: Sequence[Path],
    install: Callable[[Steps], None],
    prove: Callable[[Steps, Path], None],
) -> int:
    """Install what is needed, prove, and take down; return the exit code.

    `prove` is given a folder below .cache/NAME that is removed afterwards. What .cache/NAME holds besides outlives it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that everything is taken down
    os.chdir(REPO)
    cache = REPO / ".cache" / name
    cache.mkdir(parents=True, exist_ok=True)
    lock = (cache / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"another `make test-{name}` is under way in this checkout")
        return 1
    for left_over in (*cache.glob("run-*"), *cache.glob("build-*")):  # of one that was killed
        shutil.rmtree(left_over)
    steps = Steps()
    failure = ""
    before = Machine.now(folders)
    work = Path(tempfile.mkdtemp(dir=cache, prefix="run-"))
    try:
        install(steps)
        before = Machine.now(folders)  # packages stay, with the folders that come with them
        prove(steps, work)
    except (FailureError, RuntimeError) as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = "interrupted"
    finally:
        shutil.rmtree(work)
    left = Machine.now(folders).added(before)
    left += [f"files: {path}" for path in (*cache.glob("run-*"), *cache.glob("build-*"))]
    say(f"\n{steps.table()}")
    if failure or left:
        say("\n".join(["FAILED", failure, *(f"left behind: {text}" for text in left)]))
        return 1
    say("passed; nothing was left behind")
    return 0
