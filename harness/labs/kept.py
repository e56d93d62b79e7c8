"""The state of local labs on disk: which of them stand, who uses them, and how they are removed, also after a kill.

A lab of one run lies in a folder whose name tells its owner, so that it is never nobody's. The one that `harness lab
up` leaves standing is used by whoever holds its folder's lock (flock(2)), which ends with the process that does.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.labs import engine, holder
from harness.labs.process import ProcessId
from harness.model.containers import Engine
from harness.model.errors import LabError
from harness.model.flock import try_lock
from harness.model.text import printable
from harness.nodes import lock

STATE_VARIABLE = "VXLAN_HARNESS_STATE"
"""Names the folder of all labs' state where that is not root's, who has it in /run."""
STATE_ROOT = Path(os.environ.get(STATE_VARIABLE, "/run/vxlan-harness"))
KEPT = "lab"
"""Name of the lab that `harness lab up` leaves standing."""
NEEDS_ROOT = "the local lab is made of namespaces, which takes root; run this with sudo."
MIN_NODES = 2
_STATE = "state.json"
_OWNED = re.compile(r"run-(\d{1,10})-(\d{1,20})")


def own_name() -> str:
    """Return the name of the folder of this process's own lab."""
    own = ProcessId.of(os.getpid())
    return f"run-{own.pid}-{own.start_ticks}"


def write_state(directory: Path, state: dict[str, Any]) -> None:
    """Write a lab's state into its folder, as a whole."""
    partial = directory / f"{_STATE}.partial"
    partial.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    partial.replace(directory / _STATE)


def find_kept(state_root: Path = STATE_ROOT) -> dict[str, Any] | None:
    """Return the state of the lab that `harness lab up` left standing, None where there is none alive."""
    state = _read(state_root / KEPT)
    alive = [ProcessId(**held["inside"]).is_alive() for held in held_of(state)]
    return state if state.get("complete") and len(alive) >= MIN_NODES and all(alive) else None


def require_root() -> None:
    """Raise LabError unless this process may enter and end namespaces."""
    if os.geteuid() != 0:
        raise LabError(NEEDS_ROOT)


def kept_state(state_root: Path = STATE_ROOT) -> dict[str, Any]:
    """Return the state of the lab that `harness lab up` left standing; raises LabError where there is none."""
    require_root()
    state = find_kept(state_root)
    if state is None:
        raise LabError("the local lab is not up; `harness lab up` brings it up.")
    return state


def standing_profiles(state: dict[str, Any]) -> list[str]:
    """Return the profiles whose links are up on a standing lab's first node, by the marks that links carry."""
    argv = [*holder.enter_argv(state["nodes"][0]["inside"]["pid"]), "ip", "-j", "link"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    try:
        aliases = [str(link.get("ifalias", "")) for link in json.loads(done.stdout or "[]")]
    except (ValueError, AttributeError):
        return []
    marks = (alias.partition(":") for alias in aliases)
    return list(dict.fromkeys(printable(name) for word, _, name in marks if word == "harness" and name))


def make_folder(directory: Path) -> None:
    """Make a lab's folder; that of all labs goes with the last of them, maybe just now."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            directory.mkdir(parents=True, mode=0o700)
            return
    raise LabError(f"{directory} cannot be made.")


@contextmanager
def changing(state_root: Path = STATE_ROOT, *, force: bool = False) -> Iterator[None]:
    """Keep everybody else from bringing labs up to stay, or down; LabError where somebody does (not with `force`)."""
    while True:
        state_root.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            number = os.open(state_root, os.O_RDONLY | os.O_DIRECTORY)
            is_ours = try_lock(number)
            if os.fstat(number).st_ino == state_root.stat().st_ino:
                break
            os.close(number)  # somebody removed it, having been the last
    try:
        if not is_ours and not force:
            raise LabError("somebody is bringing the local lab up or down; try again when that is done.")
        yield
        _remove_root(state_root)
    finally:
        os.close(number)


def used(directory: Path) -> int:
    """Take part in using the kept lab, and return the descriptor that does: closing it ends that.

    Raises LabError where the lab is being taken down.
    """
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    if not try_lock(number, fcntl.LOCK_SH):
        os.close(number)
        raise LabError("the local lab is being taken down; bring it up again, or run without it.")
    return number


def neighbours(own: Path) -> list[str]:
    """Return the names of the other labs that are in use beside the one in a folder."""
    others = [path for path in own.parent.glob("*") if path != own and path.is_dir()]
    return [path.name for path in others if (_is_used(path) if path.name == KEPT else _is_owned(path))]


def take_down_all(state_root: Path = STATE_ROOT, *, force: bool = False) -> list[str]:
    """Remove the kept lab, and whatever runs left behind that were killed; return the names of what was removed.

    Raises LabError where the kept lab is in use, unless `force`.
    """
    require_root()
    if not state_root.is_dir():
        return []
    removed = []
    with changing(state_root, force=force):
        for directory in sorted(path for path in state_root.glob("*") if path.is_dir()):
            if _is_owned(directory):
                continue  # a run that is under way takes its own lab down
            if directory.name == KEPT and not force and _is_used(directory):
                raise LabError(
                    f"the local lab is in use by {_user_of(directory)}; wait for its end, or give --force, which ends "
                    "its nodes in the middle of that."
                )
            remove(directory)
            removed.append(directory.name)
    return removed


def remove(directory: Path) -> None:
    """End the nodes of one lab, those that its state does not know of yet, too, and remove its files."""
    state = _read(directory)
    for held in held_of(state):
        for role in ("holder", "inside"):
            if not ProcessId(**held[role]).kill():
                raise LabError(f"node {held['name']} (pid {held[role]['pid']}) does not end; end it and try again.")
    holder.end_marked(str(state.get("groups", "")))
    engine.remove_cgroups(Engine(state.get("containers", Engine.NONE)), state.get("groups", ""))
    shutil.rmtree(directory, ignore_errors=True)
    _remove_root(directory.parent)


def held_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what of a lab is held by processes: its nodes, and its switch or routers where it has them."""
    switch = [state["switch"]] if "switch" in state else []
    return [*state.get("nodes", []), *switch, *state.get("routers", [])]


def _read(directory: Path) -> dict[str, Any]:
    """Return what a lab's state says, nothing where there is none that can be read."""
    try:
        state = json.loads((directory / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _is_owned(directory: Path) -> bool:
    """Tell whether a lab is that of a run which is under way."""
    owner = _OWNED.fullmatch(directory.name)
    return owner is not None and ProcessId(int(owner[1]), int(owner[2])).is_alive()


def _is_used(directory: Path) -> bool:
    """Tell whether somebody uses the kept lab: its folder, or one of its nodes by way of an inventory."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return not try_lock(number) or bool(_lock_text(directory))
    finally:
        os.close(number)


def _user_of(directory: Path) -> str:
    """Return in words who uses the kept lab."""
    text = _lock_text(directory)
    return lock.owner_of(text) if text else "a run that is starting"


def _lock_text(directory: Path) -> str:
    """Return what the lock of a node that is in use says, nothing where none of them is."""
    for node in _read(directory).get("nodes", []):
        path = Path(f"/proc/{node['inside']['pid']}/root{lock.PATH}")
        with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
            if not try_lock(file.fileno(), fcntl.LOCK_SH):
                return file.read(lock.MOST_TEXT) or "{}"
    return ""


def _remove_root(state_root: Path) -> None:
    if state_root == STATE_ROOT:
        with suppress(OSError):  # another lab is there
            state_root.rmdir()
