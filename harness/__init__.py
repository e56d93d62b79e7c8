"""Benchmark of container overlays against the bare network: what they cost, and why."""

import os
import sys
from contextlib import suppress
from importlib.util import cache_from_source


def _leave_no_bytecode_of_root() -> None:
    """Have root compile nothing into the folder of another user, who could not remove this program any more.

    This module has been compiled by then, so that is handed over. Python's way of saying so reaches Ansible, too.
    """
    owner = os.stat(__file__)  # noqa: PTH116 - pathlib is not worth loading for it
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    compiled = cache_from_source(__file__)
    for path in (compiled, os.path.dirname(compiled)):  # noqa: PTH120
        with suppress(OSError):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def __getattr__(name: str) -> str:
    """Return `__version__` when it is asked for: what knows it takes longer to load than all else that starts."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - see above

    return version("vxlan-harness")


_leave_no_bytecode_of_root()
