"""Consoles that commands print to: results to standard output, everything else to standard error.

What is said on the way can never stop a run: a terminal that was closed, a reader that left, a full disk behind a
redirection end the output and nothing else. A result that cannot be printed is an error, unless nobody reads it.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from harness.model.errors import InputError, StorageError
from harness.model.text import printable

_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.ENXIO)
"""A pipe whose reader left, a terminal that is gone."""
_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class _Stream:
    """A standard stream that may be gone; what is lost of a result (`is_result`) for another reason is an error."""

    def __init__(self, file: IO[str], *, is_result: bool) -> None:
        self._file = file
        self._is_result = is_result

    def write(self, text: str) -> int:
        """Write as much as anybody wants to read; raises StorageError."""
        try:
            return self._file.write(text)
        except (OSError, ValueError) as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        """See what was written on its way; raises StorageError."""
        try:
            self._file.flush()
        except (OSError, ValueError) as error:
            self._lost(error)

    def _lost(self, error: OSError | ValueError) -> None:
        """Write to nowhere from now on, or Python would try again when it ends."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)
        if self._is_result and isinstance(error, OSError) and error.errno not in _NOBODY_READS:
            raise StorageError(f"standard output cannot be written: {error.strerror}.") from error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._file, name)


class _Console(Console):
    """A console that shows texts as they are: no markup, nothing that a terminal would obey."""

    @property
    def file(self) -> IO[str]:
        """The stream, which may be gone."""
        return _Stream(super().file, is_result=not self.stderr)  # type: ignore[return-value] # as far as rich needs it

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def print(self, *objects: Any, **how: Any) -> None:  # noqa: ANN401 - rich's own
        """Print texts, and what else rich can draw."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **how)


err = _Console(stderr=True, highlight=False, markup=False)
out = _Console(highlight=False, markup=False)


def set_up(*, quiet: bool, no_color: bool) -> None:
    """Have nothing said on the way (`quiet`), and nothing in colors; without the latter NO_COLOR decides, as ever."""
    err.quiet = quiet
    err.no_color = out.no_color = no_color or bool(os.environ.get("NO_COLOR"))


def say(text: str, style: str | None = None) -> None:
    """Print to standard error what is said whether or not this is to be quiet: errors, and what a gate decides."""
    quiet, err.quiet = err.quiet, False
    err.print(text, style=style, soft_wrap=True)
    err.quiet = quiet


def put(text: str) -> None:
    """Write a result to standard output as it is; raises StorageError."""
    stream = _Stream(sys.stdout, is_result=True)
    stream.write(text)
    stream.flush()


def write_file(path: Path, content: str | bytes) -> None:
    """Put a result in the place of a file as a whole; it belongs to who called sudo.

    Raises:
        InputError: there is no such folder, or it may not be written there.
        StorageError: the disk is full, or fails.
    """
    from harness.results import files

    try:
        files.write(path, content)
    except StorageError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in _OF_A_DISK:
            raise
        raise InputError(f"cannot write {path}: {files.reason(error)}; choose another file.") from error
