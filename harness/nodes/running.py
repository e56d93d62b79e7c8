"""A command that runs on a node, until it ends or is ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from harness.model.errors import ConnectionLostError, ToolError
from harness.model.jobs import MOST_BYTES, Completed
from harness.nodes.channel import Channel
from harness.nodes.connection import CONNECT_TIMEOUT_S

_CHUNK_BYTES = 65536
_POLL_S = 0.25
"""How long a read may block before Ctrl-C and time limits are looked at."""
_ENDING_POLL_S = 0.001
"""How often it is looked whether a command whose output has ended is gone: at once as a rule."""
# A process is ended by its own pid, so it tells its pid first. Constant text; what to run comes as its arguments.
# An ordinary user's PATH, which sudo may hand on, leaves the sbin folders out.
SBIN = 'PATH=$PATH:/usr/sbin:/sbin; exec "$@"'
ANNOUNCE = f'echo "$$"; {SBIN}'
_GO = "@go"
# What stands on a standard input before the word may be a password that sudo did not ask for.
HELD = f'echo "$$"; while IFS= read -r line; do [ "$line" != {_GO} ] || exec "$@"; done'
"""The same for a command that waits for its `go`."""
# For a script that is asked again and again: by the number of words behind the word that it waits for, then each on a
# line of its own, on its standard input. Nothing in them is interpreted. With words of its own it answers those, once.
ASKED = """
if [ "$#" -gt 0 ]; then {answer} "$@"; exit; fi
while IFS= read -r line; do
  [ "$line" = @go ] || continue
  IFS= read -r count || exit
  set --
  while [ "$count" -gt 0 ]; do
    IFS= read -r word || exit
    set -- "$@" "$word"
    count=$((count - 1))
  done
  ({answer} "$@")
  echo "@answered $?"
done
"""
# `timeout` leads a group of its own with the server in it; killed alone it would leave the server behind.
SIGNAL = 'signal() { kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2"; }'
_ANSWERED = re.compile(rb"@answered (\d+)\n")


class Background:
    """A command that runs on a node (`name`), announced on its channel; leaving its `with` block ends it.

    `signal` sends a signal to a pid on the node, `is_connected` tells whether the connection stands. Whatever reads its
    output raises ToolError once it has printed more than `most_bytes`, which nobody keeps.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        channel: Channel,
        signal: Callable[[str, str], None],
        is_connected: Callable[[], bool],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.argv = tuple(argv)
        self._name = name
        self._channel = channel
        self._signal = signal
        self._is_connected = is_connected
        self._most_bytes = most_bytes
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._pid = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def wait(
        self,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Completed:
        """Return when the command has ended, handing each line of its output to `on_line` as it comes.

        Raises TimeoutError (the command goes on: `end` it) and ConnectionLostError; KeyboardInterrupt once `cancelled`,
        which is how Ctrl-C reaches a thread that is not the main one.
        """
        lines = self._lines(time.monotonic() + timeout_s, cancelled)
        for line in lines:
            if on_line is not None:
                on_line(line)
        completed = self._completed()
        if completed.exit_code < 0:  # SSH has no exit code of a process that a signal ended, either
            raise ConnectionLostError(
                f"{self._name}: the connection broke while `{self.argv[0]}` ran, or somebody killed it."
            )
        return completed

    @property
    def has_ended(self) -> bool:
        """Whether the command is known to have ended."""
        return self._channel.exit_status_ready()

    @property
    def output(self) -> bytes:
        """What the command has printed so far, as far as it was read."""
        return bytes(self._stdout)

    def said(self) -> str:
        """Return what has come of the command's errors so far."""
        return bytes(self._stderr).decode("utf-8", "replace")

    def await_output(self, count: int, timeout_s: float) -> bool:
        """Return whether the command printed so many bytes, before it ended or the time was over."""
        deadline = time.monotonic() + timeout_s
        with suppress(TimeoutError):
            while (not self._pid or len(self._stdout) < count) and self._receive(deadline):
                pass
        return bool(self._pid) and len(self._stdout) >= count

    def stop(self, timeout_s: float) -> Completed:
        """Ask the command to end, with SIGTERM, and return how it did. Raises TimeoutError and ConnectionLostError."""
        deadline = time.monotonic() + timeout_s
        self._send("TERM", deadline)
        for _ in self._lines(deadline, lambda: False):
            pass
        return self._completed()

    def ask(self, words: Sequence[str], timeout_s: float) -> Completed:
        """Return what a command that ends with ASKED answers to these words, each of one line.

        Raises TimeoutError, ToolError, and ConnectionLostError where it has ended: there is no asking it again then.
        """
        deadline = time.monotonic() + timeout_s
        self._stdout.clear()
        self._stderr.clear()
        lines = [_GO, str(len(words)), *words]
        try:
            self._channel.sendall("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise ConnectionLostError(f"{self._name}: the connection broke while `{self.argv[0]}` ran.") from error
        while (answered := self._answered()) is None:
            if not self._receive(deadline):
                raise ConnectionLostError(f"{self._name}: the connection broke while `{self.argv[0]}` ran.")
        stdout = self._stdout[: answered.start()].decode("utf-8", "replace")
        return Completed(self.argv, int(answered[1]), stdout, self.said())

    def _answered(self) -> re.Match[bytes] | None:
        """Return the line that ends an answer, where that has come."""
        last = self._stdout.rfind(b"\n", 0, -1) + 1
        return _ANSWERED.fullmatch(self._stdout, last) if self._pid else None

    def go(self) -> None:
        """Let a command go that was started with HELD. Raises ConnectionLostError."""
        try:
            self._channel.sendall(f"{_GO}\n".encode())
        except OSError as error:
            raise ConnectionLostError(f"{self._name}: the connection broke before `{self.argv[0]}` ran.") from error
        self._channel.shutdown_write()

    def finish(self, timeout_s: float) -> Completed:
        """End the command's standard input and return how it ended. Raises TimeoutError and ConnectionLostError."""
        self._channel.shutdown_write()
        return self.wait(timeout_s)

    def _completed(self) -> Completed:
        code = self._channel.recv_exit_status()
        stdout, stderr = (bytes(part).decode("utf-8", "replace") for part in (self._stdout, self._stderr))
        return Completed(self.argv, code, stdout, stderr)

    def let_go(self) -> None:
        """Close its channel; a command that reads its standard input, or writes, ends by that."""
        self._channel.close()

    def end(self) -> None:
        """End the command if it still runs, by its own pid, and close its channel."""
        try:
            if not self.has_ended and self._is_connected():
                self._send("KILL", time.monotonic() + CONNECT_TIMEOUT_S)
        except (ConnectionLostError, TimeoutError, ToolError):
            pass  # the next connection ends it by its mark, and should there be none, `timeout` around every server
        finally:
            self._channel.close()

    def _send(self, signal: str, deadline: float) -> None:
        """Send a signal to the command, once its pid is known, unless it has ended by then."""
        while not self._pid and self._receive(deadline):
            pass
        if self._pid.isdecimal() and not self.has_ended:
            self._signal(signal, self._pid)

    def _lines(self, deadline: float, cancelled: Callable[[], bool]) -> Iterator[str]:
        done = looked = 0
        open_ = True
        while open_:
            if cancelled():
                raise KeyboardInterrupt
            open_ = self._receive(deadline)
            while (end := self._stdout.find(b"\n", looked)) >= 0:
                yield self._stdout[done:end].decode("utf-8", "replace")
                done = looked = end + 1
            looked = len(self._stdout)
        while not self.has_ended and self._is_connected():  # it may have closed its output and go on
            if cancelled():
                raise KeyboardInterrupt
            self._require_time(deadline)
            time.sleep(_ENDING_POLL_S)

    def _receive(self, deadline: float) -> bool:
        """Take in what has come; return False once there will be no more."""
        self._channel.settimeout(_POLL_S)
        try:
            chunk = self._channel.recv(_CHUNK_BYTES)
        except TimeoutError:
            chunk = None
        if chunk:
            self._keep(self._stdout, chunk)
            if not self._pid and b"\n" in self._stdout:
                pid, _, rest = bytes(self._stdout).partition(b"\n")
                self._pid, self._stdout = pid.decode("ascii", "replace").strip(), bytearray(rest)
        while self._channel.recv_stderr_ready():
            self._keep(self._stderr, self._channel.recv_stderr(_CHUNK_BYTES))
        if chunk is not None and not chunk:
            self._drain_stderr(deadline)
            return False
        self._require_time(deadline)
        return True

    def _require_time(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"`{self.argv[0]}` on {self._name} did not end in time")

    def _drain_stderr(self, deadline: float) -> None:
        try:
            while chunk := self._channel.recv_stderr(_CHUNK_BYTES):
                self._keep(self._stderr, chunk)
                self._require_time(deadline)
        except TimeoutError:
            return

    def _keep(self, part: bytearray, chunk: bytes) -> None:
        """Add what came to a part of the output, as long as both parts together are within bounds."""
        part += chunk
        if len(self._stdout) + len(self._stderr) > self._most_bytes:
            self._stdout.clear()
            self._stderr.clear()
            raise ToolError(
                f"`{self.argv[0]}` on {self._name} prints without end: more than {self._most_bytes / 1e6:.0f} MB."
            )
