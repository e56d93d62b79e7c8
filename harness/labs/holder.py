"""A process that holds namespaces of its own: a node of the local lab, its switch, or a router.

The namespaces live exactly as long as their holder. It dies with the thread that started it, unless it is detached.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from harness.labs.process import ProcessId, child_of
from harness.model.errors import LabError

_UNSHARE = "unshare --net --mount --uts --ipc --pid --fork --kill-child=KILL --mount-proc"


@dataclass(frozen=True)
class Holder:
    """The process that holds namespaces, and the first process inside them."""

    holder: ProcessId
    inside: ProcessId

    def described(self) -> dict[str, dict[str, int]]:
        """Return it as state.json has it."""
        return {"holder": vars(self.holder), "inside": vars(self.inside)}


def start(script: str, name: str, *arguments: str, detached: bool) -> Holder:
    """Run a shell script, with `name` and the arguments, in namespaces of its own.

    It prints `ready` and then sleeps for good. Raises LabError with its own words where it does not get there.
    """
    argv = _UNSHARE.split()
    if not detached:
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    process = subprocess.Popen(
        [*argv, "sh", "-c", script, "sh", name, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C at the terminal must not take the nodes away under the teardown
        cwd="/",
    )
    if process.stdout is None or process.stderr is None:
        raise LabError(f"node {name} has no output to wait for.")
    if process.stdout.readline().strip() != "ready":
        process.kill()
        raise LabError(f"node {name} did not start: {process.stderr.read().strip()}")
    process.stdout.close()
    process.stderr.close()
    process.returncode = 0  # the holder outlives this object: Popen must not warn about that
    inside = child_of(process.pid)
    if inside is None:
        raise LabError(f"node {name} ended as soon as it was up.")
    return Holder(ProcessId.of(process.pid), ProcessId.of(inside))


def enter_argv(pid: int) -> list[str]:
    """Return the start of an argv that runs the rest inside the node whose first process is `pid`."""
    return ["nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
