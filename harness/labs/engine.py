"""A container engine inside each node of the local lab, a real Docker daemon or Podman, with nothing of it on the host.

Its files lie in the node's own memory, its processes, firewall and docker0 in the node's own namespaces. Only the
control groups of containers are the host's: they lie below one folder for each lab, removed with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from harness.model import shipped
from harness.model.containers import Engine
from harness.model.errors import LabError

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_PARENT = "vxlan-harness"
PODMAN_CGROUP = "libpod_parent"
LOG = "run/dockerd.log"
STARTING_S = 60.0
_ENDING_S = 3.0

# Runs in a node, as root, before anything else of it. The node sees the host's files through overlays, so that what
# an engine leaves in /etc, /opt and /var/lib ends with the node. A fresh sysfs hides the host's control groups:
# they are kept before it is mounted, and put back after.
SCRIPT = """
keep_cgroups() {
    mkdir /run/cgroup
    mount --rbind /sys/fs/cgroup /run/cgroup
}
prepare_engine() {
    mount --rbind /run/cgroup /sys/fs/cgroup
    for place in /etc /opt /var/lib; do
        mkdir -p "/run/engine$place/upper" "/run/engine$place/work"
        mount -t overlay overlay \
            -o "lowerdir=$place,upperdir=/run/engine$place/upper,workdir=/run/engine$place/work" "$place"
    done
    mkdir -p /etc/docker /var/lib/docker /var/lib/containers
    mount -t tmpfs tmpfs /var/lib/docker
    mount -t tmpfs tmpfs /var/lib/containers
    case $1 in
    docker) printf '%s' "$2" >/etc/docker/daemon.json ;;
    podman) mkdir -p /etc/containers && printf '%s' "$2" >/etc/containers/containers.conf ;;
    esac
}
start_engine() {
    if [ "$1" = docker ]; then dockerd >/run/dockerd.log 2>&1 & fi
}
"""


def require(engine: Engine, path: str) -> None:
    """Raise LabError unless an engine is installed somewhere on this PATH."""
    program = {Engine.DOCKER: "dockerd", Engine.PODMAN: "podman"}.get(engine)
    setup = "apt-get install docker.io" if shipped.IS_INSTALLED else "make setup WITH=--docker"
    hint = f"; for Debian, `{setup}`" if engine is Engine.DOCKER else ""
    if program and shutil.which(program, path=path) is None:
        raise LabError(f"{program} is not installed; your distribution's package brings it{hint}.")


def settings(engine: Engine, lab: str, node: str) -> str:
    """Return the text of an engine's settings for one node of a lab; empty where it has none."""
    if engine is Engine.PODMAN:
        return '[engine]\ncgroup_manager = "cgroupfs"\n'
    if engine is Engine.NONE:
        return ""
    values = {
        # On a host run by systemd Docker would ask it for control groups; a node has no systemd of its own.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{CGROUP_PARENT}/{lab}/{node}",
        "log-driver": "none",
    }
    return json.dumps(values)


def await_docker(argv: list[str], root: Path, node: str) -> None:
    """Wait until argv, which asks a node's daemon, succeeds; LabError with the end of its log where it never does.

    `root` is the node's / as seen from here.
    """
    deadline = time.monotonic() + STARTING_S
    while subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            log = root / LOG
            words = log.read_text(encoding="utf-8", errors="replace")[-600:] if log.exists() else "no log"
            raise LabError(f"dockerd on {node} does not answer: {' '.join(words.split())}")
        time.sleep(0.1)


def remove_cgroups(engine: Engine, lab: str, cgroups: Path = CGROUPS) -> None:
    """Remove the control groups that a lab's containers left: empty folders, in every hierarchy there is.

    Podman's folder has no name of ours; only what is empty in it, and so nobody's, can be removed at all.
    """
    cgroup = {Engine.DOCKER: Path(CGROUP_PARENT) / lab, Engine.PODMAN: Path(PODMAN_CGROUP)}.get(engine)
    deadline = time.monotonic() + _ENDING_S
    for top in [root / cgroup for root in (cgroups, *cgroups.glob("*"))] if cgroup else []:
        for folder in sorted([top, *(path for path in top.rglob("*") if path.is_dir())], reverse=True):
            while not _is_removed(folder) and time.monotonic() < deadline:
                time.sleep(0.05)  # its last process is on its way out
        if top.parent.name == CGROUP_PARENT:
            _is_removed(top.parent)


def _is_removed(folder: Path) -> bool:
    """Remove an empty control group; tell whether it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
