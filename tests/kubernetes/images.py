"""Images for pods, made from this machine's own programs: no registry is reached."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from harness.labs import manifests
from tests.kubernetes.build import PAUSE
from tests.kubernetes.spaces import PATH, Space
from tests.proving import FailureError, run

PAUSE_IMAGE, SHOP_IMAGE = "pause:debian", "shop:debian"
"""What every pod has, and what the others' pods run: the tools, under a name of their own."""
TOOLS = """
sh bash env sleep cat ls mkdir rm mv cp ln grep sed head tail tr cut sort wc date id stat readlink dirname basename test
kill ps timeout setsid nproc uname hostname true false printf touch mktemp find xargs stdbuf nice
iperf3 ping sockperf ip ss tc bridge nstat ethtool tcpdump nsenter taskset flock
""".split()
_USERS = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}


def write_image(path: Path, programs: Iterable[Path]) -> Path:
    """Write a tar file of a root file system with these programs and what they are linked with; return its path."""
    files = {program: f"bin/{program.name}" for program in programs}
    for program in list(files):
        for library in libraries(program):
            files.setdefault(library, str(library).lstrip("/"))
    with tarfile.open(path, "w") as archive:
        for folder in ("bin", "tmp", "proc", "sys", "dev", "etc", "run", "root"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for source, name in files.items():
            archive.add(source.resolve(), name)
        for name, text in _USERS.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode("ascii")))
    return path


def libraries(program: Path) -> list[Path]:
    """Return the shared libraries that a program is linked with; none for a static one or a script."""
    try:
        said = run(["ldd", program])
    except FailureError:
        return []
    return [Path(word) for word in said.split() if word.startswith("/")]


def tools() -> list[Path]:
    """Return where this machine has the tools."""
    found = {name: shutil.which(name, path=PATH) for name in TOOLS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise FailureError(f"these tools of the image are not on this machine: {', '.join(missing)}")
    return [Path(path) for path in found.values() if path is not None]


def load(nodes: Iterable[Space], programs: Path, work: Path) -> None:
    """Give both images to the Docker daemon of every node."""
    pause = write_image(work / "pause.tar", [programs / PAUSE])
    tool = write_image(work / "tools.tar", tools())
    for node in nodes:
        node.run("docker", "import", "--change", f'ENTRYPOINT ["/bin/{PAUSE}"]', pause, PAUSE_IMAGE)
        node.run("docker", "import", "--change", "ENV PATH=/bin", tool, manifests.IMAGE)
        node.run("docker", "tag", manifests.IMAGE, SHOP_IMAGE)
