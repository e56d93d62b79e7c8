"""A process that holds namespaces of its own: a node of the local lab, its switch, or a router.

The namespaces live exactly as long as their holder. It dies with the thread that started it, unless it is detached.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.labs.process import ProcessId, child_of
from harness.model.errors import LabError

MARK = "VXLAN_HARNESS_LAB"
"""Environment variable that says of every process of a lab whose it is."""
_UNSHARE = "unshare --net --mount --uts --ipc --pid --fork --kill-child=KILL --mount-proc"


@dataclass(frozen=True)
class Holder:
    """The process that holds namespaces, and the first process inside them."""

    holder: ProcessId
    inside: ProcessId

    def described(self) -> dict[str, dict[str, int]]:
        """Return it as state.json has it."""
        return {"holder": vars(self.holder), "inside": vars(self.inside)}


@dataclass(frozen=True)
class Keeping:
    """How holders of a lab are started: `mark` names the lab, `detached` ones outlive the thread that starts them."""

    mark: str
    detached: bool = False


def start(script: str, name: str, *arguments: str, keeping: Keeping) -> Holder:
    """Run a shell script, with `name` and the arguments, in namespaces of its own.

    It prints `ready` and then sleeps for good. Raises LabError with its own words where it does not get there; whatever
    else stops it, the process is ended.
    """
    argv = _UNSHARE.split()
    if not keeping.detached:
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    process = subprocess.Popen(
        [*argv, "sh", "-c", script, "sh", name, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C at the terminal must not take the nodes away under the teardown
        cwd="/",
        env=os.environ | {MARK: keeping.mark},
    )
    try:
        return _started(process, name)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _started(process: subprocess.Popen[str], name: str) -> Holder:
    """Wait until a holder is ready."""
    if process.stdout is None or process.stderr is None:
        raise LabError(f"node {name} has no output to wait for.")
    if process.stdout.readline().strip() != "ready":
        process.kill()
        raise LabError(f"node {name} did not start: {process.stderr.read().strip()}")
    process.stdout.close()
    process.stderr.close()
    inside = child_of(process.pid)
    if inside is None:
        raise LabError(f"node {name} ended as soon as it was up.")
    held = Holder(ProcessId.of(process.pid), ProcessId.of(inside))
    process.returncode = 0  # the holder outlives this object: Popen must not warn about that
    return held


def end_marked(mark: str) -> None:
    """End every process of a lab: one that was killed while it came up may not have noted all of them."""
    wanted = f"{MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ") if mark else ():
        with suppress(OSError):  # it ended meanwhile
            if wanted in path.read_bytes().split(b"\0"):
                ProcessId.of(int(path.parent.name)).kill()


def enter_argv(pid: int) -> list[str]:
    """Return the start of an argv that runs the rest inside the node whose first process is `pid`."""
    return ["nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
