"""The state of local labs on disk: which of them stand, and how they are removed, also after a run was killed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from harness.labs import engine
from harness.labs.process import ProcessId
from harness.model.containers import Engine
from harness.model.errors import LabError

STATE_ROOT = Path("/run/vxlan-harness")
KEPT = "lab"
"""Name of the lab that `harness lab up` leaves standing."""
NEEDS_ROOT = "the local lab is made of namespaces, which takes root; run this with sudo."
MIN_NODES = 2
_STATE = "state.json"


def write_state(directory: Path, state: dict[str, Any]) -> None:
    """Write a lab's state into its folder."""
    (directory / _STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def find_kept(state_root: Path = STATE_ROOT) -> dict[str, Any] | None:
    """Return the state of the lab that `harness lab up` left standing, None where there is none alive."""
    path = state_root / KEPT / _STATE
    if not path.exists():
        return None
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    alive = [ProcessId(**held["inside"]).is_alive() for held in held_of(state)]
    return state if len(alive) >= MIN_NODES and all(alive) else None


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


def take_down_all(state_root: Path = STATE_ROOT) -> list[str]:
    """Remove the kept lab, and whatever runs left behind that were killed; return the names of what was removed."""
    require_root()
    removed = []
    for directory in sorted(state_root.glob("*")) if state_root.is_dir() else []:
        path = directory / _STATE
        state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        owner = state.get("owner")
        if directory.name != KEPT and owner and ProcessId(**owner).is_alive():
            continue  # a run that is under way takes its own lab down
        remove(directory)
        removed.append(directory.name)
    return removed


def remove(directory: Path) -> None:
    """End the nodes of one lab and remove its files."""
    path = directory / _STATE
    state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"nodes": []}
    for held in held_of(state):
        for role in ("holder", "inside"):
            if not ProcessId(**held[role]).kill():
                raise LabError(f"node {held['name']} (pid {held[role]['pid']}) does not end; end it and try again.")
    engine.remove_cgroups(Engine(state.get("containers", Engine.NONE)), state.get("groups", ""))
    shutil.rmtree(directory, ignore_errors=True)
    if directory.parent == STATE_ROOT and not any(directory.parent.iterdir()):
        directory.parent.rmdir()


def held_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what of a lab is held by processes: its nodes, and its switch or routers where it has them."""
    return [*state["nodes"], *([state["switch"]] if "switch" in state else []), *state.get("routers", [])]
