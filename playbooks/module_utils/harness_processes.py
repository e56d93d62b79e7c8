"""Programs that a profile keeps running on a node, known by pid and start time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress

from ansible.module_utils.harness_claims import DIRECTORY, remove_empty_folder
from ansible.module_utils.harness_node import NodeError

STARTING_S = 0.5
"""How long a program has to live before it counts as started."""
ENDING_S = 5.0


def record(profile):
    """Return the file that says which process runs for a profile."""
    return os.path.join(DIRECTORY, f"process-{profile}.pid")


def is_recorded(profile):
    """Tell whether a profile has a process, be it one that has ended by itself."""
    return os.path.exists(record(profile))


def _start_ticks(pid):
    """Return a process's start time, None where it is gone or a zombie."""
    with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    return None


def running(profile, argv=None):
    """Return the pid of a profile's process if it runs (with this argv, if one is given), None otherwise."""
    with suppress(FileNotFoundError), open(record(profile), encoding="utf-8") as file:
        kept = json.load(file)
        if _start_ticks(kept["pid"]) == kept["start_ticks"] and argv in (None, kept["argv"]):
            return kept["pid"]
    return None


def start(profile, argv):
    """Start a profile's program, detached; raises NodeError where it is missing or ends at once."""
    if shutil.which(argv[0]) is None:
        raise NodeError(f"profile {profile} needs {argv[0]}, which is not installed here; install it first")
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True, cwd="/")
    ticks = _start_ticks(process.pid)
    with open(record(profile), "w", encoding="utf-8") as file:
        json.dump({"pid": process.pid, "start_ticks": ticks, "argv": argv}, file)
    time.sleep(STARTING_S)
    if process.poll() is not None:
        os.remove(record(profile))
        raise NodeError(f"`{' '.join(argv)}` ended at once with exit code {process.returncode}")


def stop(profile):
    """End a profile's process, if it runs, by its own pid; return once it is gone."""
    deadline = time.monotonic() + ENDING_S
    number = signal.SIGTERM
    while (pid := running(profile)) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.05)
    with suppress(FileNotFoundError):
        os.remove(record(profile))
    remove_empty_folder()
