"""Commands on a node over SSH.

A command is always an argv list: each word is quoted for the node's login shell, none is ever interpreted by it. It
carries a mark of its connection in its environment: what still runs when a connection broke is found by it, and ended
as soon as there is another connection.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from harness.model.errors import ConnectionLostError
from harness.model.jobs import Completed
from harness.model.node import Node
from harness.nodes.connection import CONNECT_TIMEOUT_S, open_client
from harness.nodes.target import NOT_ASKED, Passwords, Target

KEEPALIVE_S = 10
"""How often an idle connection says something, so that one which is dead is noticed (target.SILENCE_S)."""
MARK = "VXLAN_HARNESS"
"""Environment variable that holds a connection's mark."""
_CHUNK_BYTES = 65536
_POLL_S = 0.25
"""How long a read may block before Ctrl-C and time limits are looked at."""
# A process is ended by its own pid, so it tells its pid first. Constant text; what to run comes as its arguments.
# An ordinary user's PATH, which sudo may hand on, leaves the sbin folders out.
_ANNOUNCE = 'PATH=$PATH:/usr/sbin:/sbin; echo "$$"; exec "$@"'
# `timeout` leads a group of its own with the server in it; killed alone it would leave the server behind.
_SIGNAL = 'kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2"'
_END_MARKED = """
for mark in "$@"; do
  for path in $(grep -lzxF -- "$mark" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${path#/proc/}
    kill -KILL "${pid%/environ}" 2>/dev/null
  done
done
true
"""


class Background:
    """A command that runs on a node; leaving its `with` block ends it."""

    def __init__(self, remote: Remote, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self._remote = remote
        self._channel = remote.open_channel(["sh", "-c", _ANNOUNCE, "sh", *argv])
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
                f"{self._remote.name}: the connection broke while `{self.argv[0]}` ran, or somebody killed it."
            )
        return completed

    @property
    def has_ended(self) -> bool:
        """Whether the command is known to have ended."""
        return self._channel.exit_status_ready()

    def stop(self, timeout_s: float) -> Completed:
        """Ask the command to end, with SIGTERM, and return how it did. Raises TimeoutError and ConnectionLostError."""
        deadline = time.monotonic() + timeout_s
        self._send("TERM", deadline)
        for _ in self._lines(deadline, lambda: False):
            pass
        return self._completed()

    def _completed(self) -> Completed:
        code = self._channel.recv_exit_status()
        stdout, stderr = (bytes(part).decode("utf-8", "replace") for part in (self._stdout, self._stderr))
        return Completed(self.argv, code, stdout, stderr)

    def end(self) -> None:
        """End the command if it still runs, by its own pid, and close its channel."""
        try:
            if not self.has_ended and self._remote.is_connected():
                self._send("KILL", time.monotonic() + CONNECT_TIMEOUT_S)
        except (ConnectionLostError, TimeoutError):
            pass  # the next connection ends it by its mark, and should there be none, `timeout` around every server
        finally:
            self._channel.close()

    def _send(self, signal: str, deadline: float) -> None:
        """Send a signal to the command, once its pid is known, unless it has ended by then."""
        while not self._pid and self._receive(deadline):
            pass
        if self._pid and not self.has_ended:
            self._remote.run(["sh", "-c", _SIGNAL, "sh", signal, self._pid])

    def _lines(self, deadline: float, cancelled: Callable[[], bool]) -> Iterator[str]:
        done = 0
        open_ = True
        while open_:
            if cancelled():
                raise KeyboardInterrupt
            open_ = self._receive(deadline)
            while (end := self._stdout.find(b"\n", done)) >= 0:
                yield self._stdout[done:end].decode("utf-8", "replace")
                done = end + 1

    def _receive(self, deadline: float) -> bool:
        """Take in what has come; return False once there will be no more."""
        self._channel.settimeout(_POLL_S)
        try:
            chunk = self._channel.recv(_CHUNK_BYTES)
        except TimeoutError:
            chunk = None
        while self._channel.recv_stderr_ready():
            self._stderr += self._channel.recv_stderr(_CHUNK_BYTES)
        if chunk:
            self._stdout += chunk
            if not self._pid and b"\n" in self._stdout:
                pid, _, rest = bytes(self._stdout).partition(b"\n")
                self._pid, self._stdout = pid.decode("ascii", "replace").strip(), bytearray(rest)
        elif chunk is not None:
            self._drain_stderr()
            return False
        if time.monotonic() > deadline:
            raise TimeoutError(f"`{self.argv[0]}` on {self._remote.name} did not end in time")
        return True

    def _drain_stderr(self) -> None:
        try:
            while chunk := self._channel.recv_stderr(_CHUNK_BYTES):
                self._stderr += chunk
        except TimeoutError:
            return


class Remote:
    """An SSH connection to one node; it is made anew when it was lost and is needed again.

    What a lost connection left running on the node is ended by the next one, at the latest when this is left.
    """

    def __init__(self, node: Node, ssh_config: Path | None, passwords: Passwords = NOT_ASKED) -> None:
        self.name = node.name
        self._passwords = passwords
        self._node = node
        self._ssh_config = ssh_config
        self._target: Target | None = None
        self._client: paramiko.SSHClient | None = None
        self._mark = _new_mark()
        self._lost_marks: list[str] = []

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_connected(self) -> bool:
        """Tell whether the connection stands, as far as is known."""
        transport = self._client.get_transport() if self._client else None
        return transport is not None and transport.is_active()

    def connect(self) -> None:
        """Connect unless that is done; raises ConnectionLostError with the reason and what to do."""
        if self.is_connected():
            return
        if self._client is not None:
            self._give_up()
        self._target = target = Target.of(self._node, self._ssh_config, self._passwords)
        client = open_client(self.name, target)
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEPALIVE_S)
        self._client = client
        if target.user != "root":
            self._require_root(target)
        self._end_what_was_left()

    def _require_root(self, target: Target) -> None:
        """Raise ConnectionLostError unless commands run as root."""
        done = self.run(["id", "-u"])
        if done.stdout.strip() == "0":
            return
        self._disconnect()
        said = "; ".join(line for line in done.stderr.splitlines() if line.strip())
        if not target.become:
            what = f"user {target.user} is not root, which network namespaces need; set ansible_become: true"
        elif target.become_password is None:
            what = f"sudo wants a password ({said}); give --ask-become-pass, or ansible_become_password in a vault"
        else:
            what = f"sudo does not make user {target.user} root ({said}); look at the password and at sudoers"
        raise ConnectionLostError(f"{self.name}: {what}.")

    def close(self) -> None:
        """Close the connection, having ended what an earlier one left running; closing twice does no harm."""
        if self._client is not None and not self.is_connected():
            self._give_up()
        if self._lost_marks:
            with suppress(ConnectionLostError):
                self.connect()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _give_up(self) -> None:
        """Take the connection for lost, and remember what may still run under its mark."""
        self._disconnect()
        self._lost_marks.append(self._mark)
        self._mark = _new_mark()

    def _end_what_was_left(self) -> None:
        """End what lost connections left running."""
        if self._lost_marks:
            self.run(["sh", "-c", _END_MARKED, "sh", *self._lost_marks])
            self._lost_marks.clear()

    def open_channel(self, argv: Sequence[str]) -> paramiko.Channel:
        """Start argv on the node and return its channel."""
        self.connect()
        transport = self._client.get_transport() if self._client else None
        if transport is None:
            raise ConnectionLostError(f"lost the connection to {self.name}.")
        try:
            channel = transport.open_session(timeout=CONNECT_TIMEOUT_S)
            channel.exec_command(shlex.join([*self._become(), "env", "LC_ALL=C", self._mark, *argv]))
            if self._target and self._target.become and self._target.become_password:
                channel.sendall(f"{self._target.become_password}\n".encode())
                channel.shutdown_write()  # sudo would wait for a better one
        except paramiko.ChannelException as error:  # the connection stands, the node wants no more sessions on it
            raise ConnectionLostError(f"{self.name} opens no channel: {error}.") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            self._give_up()  # it may have died without a word, and would stay "connected" for a quarter of an hour
            raise ConnectionLostError(f"lost the connection to {self.name}: {error}.") from error
        return channel

    def _become(self) -> list[str]:
        """Return what makes a command root's: sudo, its password by standard input, or nothing."""
        if self._target is None or not self._target.become:
            return []
        return ["sudo", "-S", "-p", "", "--"] if self._target.become_password else ["sudo", "-n", "--"]

    def background(self, argv: Sequence[str]) -> Background:
        """Start argv and return at once."""
        return Background(self, argv)

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """Run argv to its end. Raises ConnectionLostError, also when it takes longer than `timeout_s`."""
        with self.background(argv) as running:
            try:
                return running.wait(timeout_s)
            except TimeoutError as error:
                raise ConnectionLostError(f"{error} ({timeout_s:g} s).") from error


def _new_mark() -> str:
    return f"{MARK}={secrets.token_hex(8)}"
