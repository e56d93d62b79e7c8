"""A connection that breaks while a command's streams are used: they are at their end, and what writes is told."""

from collections.abc import Callable
from typing import Any

import paramiko
import pytest

from harness.nodes.channel import SshChannel
from harness.nodes.running import Background

BREAKS = [EOFError(), OSError("Socket is closed"), paramiko.SSHException("Key-exchange timed out")]


class Raising:
    """What paramiko gives for a command: whatever is asked of it raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*_: object) -> None:
            if name == "settimeout":
                return
            raise self._error

        return asked


def channel(error: Exception) -> SshChannel:
    return SshChannel(Raising(error))  # type: ignore[arg-type] # of paramiko's channel, what is asked of it


@pytest.mark.parametrize("error", BREAKS, ids=repr)
def test_broken_streams_are_at_their_end(error: Exception) -> None:
    broken = channel(error)
    assert (broken.recv(10), broken.recv_stderr(10)) == (b"", b"")
    broken.shutdown_write()
    broken.close()
    with pytest.raises(OSError, match=r"broke|closed"):
        broken.sendall(b"word\n")


def test_reading_that_takes_too_long_is_told_apart() -> None:
    slow = channel(TimeoutError())
    for read in (slow.recv, slow.recv_stderr):
        with pytest.raises(TimeoutError):
            read(10)


@pytest.mark.parametrize("error", BREAKS, ids=repr)
def test_letting_go_of_what_is_on_a_broken_connection_raises_nothing(error: Exception) -> None:
    held = Background("k8s-1", ("flock",), channel(error), lambda _signal, _pid: None, lambda: True)
    held.let_go()
