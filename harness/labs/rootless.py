"""The local lab without root: the harness once more, as root of a user namespace of its own (user_namespaces(7)).

What a lab is made of belongs to that namespace then: the network namespaces, their links, the mounts. It ends with the
process, so a lab that is to outlive it takes root. Several user ids are wanted in it, for sshd gives up root's where a
connection is not trusted yet; newuidmap(1) hands out those that /etc/subuid keeps for the caller.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.labs import kept
from harness.labs.access import SEARCH_PATH
from harness.model.errors import LabError
from harness.model.text import brief

# A link between two network namespaces is made by somebody who may change the network that he is in himself.
_ENTER = "unshare --user --map-auto --map-root-user --net".split()
_SWITCHES = {
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "kernel/unprivileged_userns_clone": ("0", "1"),
    "user/max_user_namespaces": ("0", "65536"),
}
"""Below /proc/sys, what forbids user namespaces (the first one: Ubuntu since 23.10; the second one: older Debian)."""


def is_wanted() -> bool:
    """Whether this process is not root, so that it takes a user namespace to make a lab."""
    return os.geteuid() != 0


def refusal(proc: Path = Path("/proc")) -> str:
    """Return why no lab can be made without root, and what mends that, in a sentence; nothing where one can."""
    if shutil.which("newuidmap", path=SEARCH_PATH) is None:
        return "without root the local lab takes newuidmap, which is not installed (Debian: `apt install uidmap`)."
    done = subprocess.run(
        [*_ENTER, "ip", "link", "set", "dev", "lo", "up"],
        env=_environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode == 0:
        return ""
    for name, (forbids, allows) in _SWITCHES.items():
        switch = proc / "sys" / name
        if switch.is_file() and switch.read_text(encoding="ascii").strip() == forbids:
            return f"this kernel lets only root make user namespaces: `sysctl -w {name.replace('/', '.')}={allows}`."
    said = brief(done.stderr.strip() or f"exit code {done.returncode}")
    return (
        f"no user namespace can be made ({said}); it takes a range of ids that are yours: `usermod --add-subuids "
        "100000-165535 --add-subgids 100000-165535` with your name."
    )


def enter(words: Sequence[str]) -> NoReturn:
    """Replace this process by `harness` with these words in a user namespace; raises LabError where none can be made.

    It works where it stands: who called it is root inside, so what it writes is theirs outside.
    """
    why = refusal()
    if why:
        raise LabError(f"the local lab is made of namespaces, which takes root: run this with sudo. Or else: {why}")
    argv = [*_ENTER, sys.executable, "-P", "-c", "from harness.cli import main; main()", *words]
    os.execvpe(argv[0], argv, _environment() | {kept.STATE_VARIABLE: str(_state_root())})  # noqa: S606 - no shell


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": SEARCH_PATH}


def _state_root() -> Path:
    """Return where labs of the caller's have their files: where nobody else may write."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return (Path(runtime) if os.access(runtime, os.W_OK) else Path.home() / ".cache") / kept.STATE_ROOT.name
