"""Kubernetes' programs from Debian's source package `kubernetes`, which holds the whole tree with all it depends on.

Debian has no binaries of them but kubectl. The source is fetched by apt with a list of sources and a state of its own,
so this machine's apt is not altered; it is compiled without a network, at low priority, and kept for the next time.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from pathlib import Path

from tests.proving import FailureError, run, say

SOURCE = "kubernetes"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
PAUSE = "pause"
"""What keeps a pod's namespaces: it waits and reaps."""
VERSION = "version"
"""The file that names the source package's version."""
# Its own namespaces end whatever runs in there with this process, and no network shows that nothing is fetched.
_COMPILE = "setpriv --pdeathsig KILL unshare --net --pid --fork --kill-child=KILL --mount-proc nice -n 19".split()
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def ready_programs(cache: Path) -> Path:
    """Return a folder with PROGRAMS, PAUSE and VERSION, from the cache where how they are made has not changed."""
    key = hashlib.sha256(Path(__file__).read_bytes() + platform.machine().encode())
    made = cache / f"programs-{key.hexdigest()[:12]}"
    for old in set(cache.glob("programs-*")) - {made}:
        shutil.rmtree(old)
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as folder:
            work = Path(folder)
            source = fetch(work)
            compile_all(source, work)
            collect(source, work / made.name).rename(made)
    say(f"   {SOURCE} {(made / VERSION).read_text('utf-8').strip()}")
    return made


def fetch(work: Path) -> Path:
    """Fetch and unpack the source package; return its tree."""
    (work / "lists/partial").mkdir(parents=True)
    (work / "sources.list").write_text("\n".join(sources()) + "\n", encoding="utf-8")
    places = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": work / "lists",
        "Dir::Cache": work,
        "APT::Sandbox::User": "root",  # no other user can write here
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in places.items())]
    run([*apt, "update"], folder=work)
    run([*apt, "source", "--download-only", SOURCE], folder=work)
    tree = work / "source"
    run(["dpkg-source", "--extract", *work.glob("*.dsc"), tree], folder=work)
    return tree


def sources() -> list[str]:
    """Return deb-src lines for where this machine has Debian's own packages from."""
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = run(["apt-get", "indextargets", "--format", form, "Identifier: Packages", "Origin: Debian"]).splitlines()
    ours = [line for line in dict.fromkeys(lines) if line.split()[1].partition("-")[0] == codename]
    if not ours:
        raise FailureError(f"apt has no package source of Debian's for {codename} on this machine.")
    return [f"deb-src [signed-by={_KEYRING}] {line}" for line in ours]


def compile_all(tree: Path, work: Path) -> None:
    """Compile PROGRAMS and PAUSE in the tree."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(work),
        "GOCACHE": str(work / "go"),
        "GO111MODULE": "off",  # the tree is laid out as a GOPATH by its own makefile
        "GOPROXY": "off",
        "KUBE_GIT_TREE_STATE": "archive",  # Debian's patches leave no git tree to ask; the version is in the source
        "KUBE_STATIC_OVERRIDES": "kubelet",  # without C like the rest, or all of its packages are compiled once more
        "LC_ALL": "C.UTF-8",
    }
    wanted = " ".join(f"cmd/{name}" for name in PROGRAMS)
    run([*_COMPILE, "make", f"WHAT={wanted}"], folder=tree, environment=environment)
    pause = ["gcc", "-Os", "-static", "-DVERSION=debian", "-o", f"_output/bin/{PAUSE}", "build/pause/linux/pause.c"]
    run(pause, folder=tree, environment=environment)


def collect(tree: Path, folder: Path) -> Path:
    """Copy what was compiled, and the version, into a new folder; return it."""
    folder.mkdir()
    for name in (*PROGRAMS, PAUSE):
        shutil.copy(tree / "_output/bin" / name, folder / name)
    version = run(["dpkg-parsechangelog", "--show-field", "Version"], folder=tree)
    (folder / VERSION).write_text(version, encoding="utf-8")
    return folder
