"""Files of results: on disk before the call returns, and the property of who called sudo, not root's.

Modes follow the caller's umask. Every function raises StorageError where the disk is full, read-only or gone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.model.errors import InputError, StorageError

LEAST_FREE_BYTES = 50_000_000
"""Room that there has to be before the first trial: a day of short trials leaves some 300 MB, a usual run 1 to 5."""


def write(path: Path, content: str | bytes) -> None:
    """Replace a file as a whole; one that was there stays until the new one is complete."""
    partial = path.with_name(f"{path.name}.partial")
    raw = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with _stored(path):
        try:
            with partial.open("wb") as file:
                _own(file.fileno())
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise


def append(path: Path, text: str) -> None:
    """Add text to a file, all of it or nothing."""
    with _stored(path), path.open("ab") as file:
        _own(file.fileno())
        before = file.seek(0, os.SEEK_END)
        try:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                os.ftruncate(file.fileno(), before)
            raise


def cut(path: Path, length: int) -> None:
    """Cut off what a file has behind so many bytes."""
    with _stored(path), path.open("r+b") as file:
        file.truncate(length)
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder that is not there yet, and those above it."""
    with _stored(path):
        missing = [path, *(parent for parent in path.parents if not parent.exists())]
        path.mkdir(parents=True)
        for folder in missing:
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _own(number)
            finally:
                os.close(number)


def require_room(path: Path) -> None:
    """Raise InputError unless there is room for a run where this path is, or would be."""
    with _stored(path):
        existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        raise InputError(
            f"{path}: only {free / 1e6:.0f} MB are free there, and results may need {LEAST_FREE_BYTES / 1e6:.0f}; "
            "make room, or choose another folder."
        )


def reason(error: StorageError) -> str:
    """Return why it could not be done, in the system's words."""
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error).rstrip(".")


@contextmanager
def _stored(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}; what was written before is kept."
        ) from error


def _own(number: int) -> None:
    """Give what is open under this number to who called sudo, if anybody did."""
    if os.geteuid() != 0:
        return
    try:
        user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return
    with suppress(OSError, OverflowError):  # a file system without owners
        os.fchown(number, user, group)
