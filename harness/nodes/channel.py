"""The streams of a command on a node, over a connection that may break at any time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import paramiko

BROKEN = (EOFError, OSError, paramiko.SSHException)
"""What paramiko raises where a connection breaks: out of whatever sends a packet, as reading and closing may do."""


class Channel(Protocol):
    """The streams of one command on a node, and its exit code."""

    def settimeout(self, timeout: float) -> None:
        """Say how many seconds a read may block."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Return some of its output, nothing at its end; raises TimeoutError."""
        ...

    def recv_stderr_ready(self) -> bool:
        """Tell whether `recv_stderr` would return at once."""
        ...

    def recv_stderr(self, size: int, /) -> bytes:
        """Return some of its errors, nothing at their end; raises TimeoutError."""
        ...

    def exit_status_ready(self) -> bool:
        """Tell whether it is known to have ended."""
        ...

    def recv_exit_status(self) -> int:
        """Return its exit code, once it has ended; less than 0 where there is none."""
        ...

    def shutdown_write(self) -> None:
        """End its standard input."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Write to its standard input; raises OSError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class SshChannel:
    """A channel over SSH: where the connection breaks its streams are at their end, and only writing raises."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def settimeout(self, timeout: float) -> None:
        """See `Channel`."""
        self._channel.settimeout(timeout)

    def recv(self, size: int, /) -> bytes:
        """See `Channel`."""
        return _read(self._channel.recv, size)

    def recv_stderr_ready(self) -> bool:
        """See `Channel`."""
        return self._channel.recv_stderr_ready()

    def recv_stderr(self, size: int, /) -> bytes:
        """See `Channel`."""
        return _read(self._channel.recv_stderr, size)

    def exit_status_ready(self) -> bool:
        """See `Channel`."""
        return self._channel.exit_status_ready()

    def recv_exit_status(self) -> int:
        """See `Channel`."""
        return self._channel.recv_exit_status()

    def shutdown_write(self) -> None:
        """See `Channel`."""
        with suppress(*BROKEN):
            self._channel.shutdown_write()

    def sendall(self, data: bytes, /) -> None:
        """See `Channel`."""
        try:
            self._channel.sendall(data)
        except (EOFError, paramiko.SSHException) as error:
            raise OSError("the connection broke") from error

    def close(self) -> None:
        """See `Channel`."""
        with suppress(*BROKEN):
            self._channel.close()


def _read(read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except TimeoutError:
        raise
    except BROKEN:
        return b""
