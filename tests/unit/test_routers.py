"""What links between routers carried, as the kernel prints it."""

from pathlib import Path

import pytest

from harness.labs.routers import link_bytes
from harness.labs.wires import Wires
from harness.model.errors import InputError, LabError

HEAD = "Inter-|   Receive |  Transmit\n face |bytes    packets errs drop |bytes    packets errs drop\n"


def router(proc: Path, pid: int, **sent: int) -> int:
    """Write what a router's devices sent; each received one byte more."""
    lines = [f"{name:>6}: {size + 1} 9 0 0 0 0 0 0 {size} 9 0 0 0 0 0 0\n" for name, size in sent.items()]
    (proc / str(pid) / "net").mkdir(parents=True)
    (proc / str(pid) / "net/dev").write_text(HEAD + "".join(lines), encoding="ascii")
    return pid


def test_bytes_are_what_each_router_sent_by_each_link(tmp_path: Path) -> None:
    pids = [
        router(tmp_path, 11, lo=5, link1=100, link2=200, **{"k8s-1": 7}),
        router(tmp_path, 12, link1=10, link2=20, **{"k8s-2": 8}),
    ]
    assert link_bytes(pids, 2, tmp_path) == ((100, 10), (200, 20))


def test_what_is_gone_is_named(tmp_path: Path) -> None:
    pids = [router(tmp_path, 11, link1=1), router(tmp_path, 12, link1=1)]
    with pytest.raises(LabError, match="link2 between the routers is gone"):
        link_bytes(pids, 2, tmp_path)
    with pytest.raises(LabError, match="a router is gone"):
        link_bytes([13, 12], 1, tmp_path)


def test_links_join_two_nodes_only() -> None:
    with pytest.raises(InputError, match="links between routers join two nodes, not 3"):
        Wires("500mbit", 3, 2)
