"""A node reached over SSH: one connection, made anew when it was lost and is needed again."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko

from harness.model.errors import ConnectionLostError, LabError, ToolError
from harness.model.jobs import MOST_BYTES, Completed
from harness.model.node import Node
from harness.model.text import brief
from harness.nodes import lock, readings
from harness.nodes.channel import BROKEN, SshChannel
from harness.nodes.connection import CONNECT_TIMEOUT_S, open_client
from harness.nodes.lock import Owner
from harness.nodes.remote import Remote
from harness.nodes.running import ANNOUNCE, HELD, SBIN, Background
from harness.nodes.target import NOT_ASKED, Passwords, Target

KEEPALIVE_S = 10
"""How often an idle connection says something, so that one which is dead is noticed (target.SILENCE_S)."""
MARK = "VXLAN_HARNESS"
"""Environment variable that holds a connection's mark."""
_END_MARKED = """
for mark in "$@"; do
  for path in $(grep -lzxF -- "$mark" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${path#/proc/}
    kill -KILL "${pid%/environ}" 2>/dev/null
  done
done
true
"""


# $1 the variable's name. What has an sshd above it is of a connection that stands, and somebody's.
_END_ORPHANS = """
is_orphan() {
  pid=$1
  while [ "$pid" -gt 1 ]; do
    case $(cat "/proc/$pid/comm" 2>/dev/null) in sshd*) return 1 ;; esac
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
    [ -n "$pid" ] || return 1
  done
}
for path in $(grep -lz "^$1=" /proc/[0-9]*/environ 2>/dev/null); do
  own=${path#/proc/}
  own=${own%/environ}
  ! is_orphan "$own" || kill -KILL "$own" 2>/dev/null
done
true
"""


class SshRemote(Remote):
    """An SSH connection to one node.

    A command carries a mark of its connection in its environment: what still runs when a connection broke is found by
    it. What a lost connection left running on the node is ended by the next one, at the latest when this is left; what
    a killed process of ours left there, by the next one that takes the node's lock.
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
        self._owner: Owner | None = None
        self._lock: Background | None = None
        self._asked: dict[tuple[str, ...], Background] = {}

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
        if self._owner is not None:
            self._take_lock(self._owner)

    def hold(self, owner: Owner) -> None:
        """Take the node's lock, for as long as this is connected; LabError says who has it, where somebody has."""
        self.connect()
        self._owner = owner
        self._take_lock(owner)
        self.run(["sh", "-c", _END_ORPHANS, "sh", MARK])

    def _take_lock(self, owner: Owner) -> None:
        self._lock = None
        argv = lock.argv(owner)
        channel = self.open_channel(["sh", "-c", ANNOUNCE, "sh", *argv], is_fed=True)
        taking = Background(self.name, ("flock",), channel, self._signal, self.is_connected)
        if taking.await_output(len(lock.HELD), CONNECT_TIMEOUT_S) and taking.output.startswith(lock.HELD):
            self._lock = taking
            return
        with taking:
            done = taking.wait(CONNECT_TIMEOUT_S)
        if done.exit_code == lock.TAKEN:
            raise lock.refusal(self.name, done.stdout)
        raise LabError(f"{self.name}: its lock {lock.PATH} cannot be taken: {brief(done.stderr) or done.exit_code}.")

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
            with suppress(ConnectionLostError, LabError):
                self.connect()
        if self._lock is not None and self.is_connected():
            with suppress(ConnectionLostError, TimeoutError, ToolError):
                self._lock.finish(CONNECT_TIMEOUT_S)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
            self._lock = None
            self._asked.clear()

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

    @contextmanager
    def held(
        self, enter: Sequence[str], argv: Sequence[str], most_bytes: int = MOST_BYTES
    ) -> Iterator[Callable[[], Background]]:
        """See `Remote.held`: a shell in the namespace waits for the word, and becomes the command then."""
        channel = self.open_channel(["sh", "-c", SBIN, "sh", *enter, "sh", "-c", HELD, "sh", *argv], is_fed=True)
        waiting = Background(self.name, (*enter, *argv), channel, self._signal, self.is_connected, most_bytes)
        with waiting:

            def start() -> Background:
                waiting.go()
                return waiting

            yield start

    def ask(self, program: Sequence[str], words: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """See `Remote.ask`: the program stays as long as the connection, and is started again where it has ended."""
        key = tuple(program)
        self.connect()
        asked = self._asked.pop(key, None)  # one that does not answer is not asked again
        if asked is None:
            channel = self.open_channel(["sh", "-c", ANNOUNCE, "sh", *program], is_fed=True)
            asked = Background(self.name, program, channel, self._signal, self.is_connected)
        try:
            answer = asked.ask(words, timeout_s)
        except BaseException as error:
            asked.let_go()
            if isinstance(error, TimeoutError):
                raise ConnectionLostError(f"{error} ({timeout_s:g} s).") from error
            raise
        self._asked[key] = asked
        return answer

    def _signal(self, signal: str, pid: str) -> None:
        """Send a signal by what takes readings where that is there: sshd allows 10 sessions, a search uses them all."""
        if readings.PROGRAM in self._asked:
            self.ask(readings.PROGRAM, readings.signal_words(signal, pid))
        else:
            super()._signal(signal, pid)

    def open_channel(self, argv: Sequence[str], *, is_fed: bool = False) -> SshChannel:
        """Start argv on the node and return its channel, whose other end reads on (`is_fed`) until it is closed."""
        self.connect()
        transport = self._client.get_transport() if self._client else None
        if transport is None:
            raise ConnectionLostError(f"lost the connection to {self.name}.")
        try:
            channel = transport.open_session(timeout=CONNECT_TIMEOUT_S)
            channel.exec_command(shlex.join([*self._become(), "env", "LC_ALL=C", self._mark, *argv]))
            if self._target and self._target.become and self._target.become_password:
                channel.sendall(f"{self._target.become_password}\n".encode())
                if not is_fed:
                    channel.shutdown_write()  # sudo would wait for a better one
        except paramiko.ChannelException as error:  # the connection stands, the node wants no more sessions on it
            raise ConnectionLostError(f"{self.name} opens no channel: {error}.") from error
        except BROKEN as error:
            self._give_up()  # it may have died without a word, and would stay "connected" for a quarter of an hour
            raise ConnectionLostError(f"lost the connection to {self.name}: {error}.") from error
        return SshChannel(channel)

    def _become(self) -> list[str]:
        """Return what makes a command root's: sudo, its password by standard input, or nothing."""
        if self._target is None or not self._target.become:
            return []
        return ["sudo", "-S", "-p", "", "--"] if self._target.become_password else ["sudo", "-n", "--"]


def _new_mark() -> str:
    return f"{MARK}={secrets.token_hex(8)}"
