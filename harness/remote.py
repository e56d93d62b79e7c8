"""Commands on a node over SSH; the only importer of paramiko.

A command is always an argv list: each word is quoted for the node's login shell, none is ever interpreted by it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from harness.errors import ConnectionLostError
from harness.model import Node
from harness.target import Target

CONNECT_TIMEOUT_S = 20.0
KEEPALIVE_S = 15
_CHUNK_BYTES = 65536
_POLL_S = 0.25
"""How long a read may block before Ctrl-C and time limits are looked at."""
# A process is ended by its own pid, so it tells its pid first. Constant text; what to run comes as its arguments.
_ANNOUNCE = 'echo "$$"; exec "$@"'


@dataclass(frozen=True)
class Completed:
    """How a command on a node ended."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Background:
    """A command that runs on a node; leaving its `with` block ends it."""

    def __init__(self, remote: Remote, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self._remote = remote
        self._channel = remote.open_channel(["env", "LC_ALL=C", "sh", "-c", _ANNOUNCE, "sh", *argv])
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
        code = self._channel.recv_exit_status()
        if code < 0:  # SSH has no exit code of a process that a signal ended, either
            raise ConnectionLostError(
                f"{self._remote.name}: the connection broke while `{self.argv[0]}` ran, or somebody killed it."
            )
        stdout = self._stdout.decode("utf-8", "replace")
        return Completed(self.argv, code, stdout, self._stderr.decode("utf-8", "replace"))

    def end(self) -> None:
        """End the command if it still runs, by its own pid, and close its channel."""
        try:
            if not self._channel.exit_status_ready() and self._remote.is_connected():
                self._read_pid(time.monotonic() + CONNECT_TIMEOUT_S)
                if self._pid and not self._channel.exit_status_ready():
                    self._remote.run(["kill", "-KILL", self._pid])
        except (ConnectionLostError, TimeoutError):
            pass  # nothing is left to ask; `timeout` around every server ends it on the node
        finally:
            self._channel.close()

    def _read_pid(self, deadline: float) -> None:
        while not self._pid and self._receive(deadline):
            pass

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
    """An SSH connection to one node; it is made anew when it was lost and is needed again."""

    def __init__(self, node: Node, ssh_config: Path | None) -> None:
        self.name = node.name
        self._node = node
        self._ssh_config = ssh_config
        self._target: Target | None = None
        self._client: paramiko.SSHClient | None = None

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
        self.close()
        target = Target.of(self._node, self._ssh_config)
        client = paramiko.SSHClient()
        for path in target.known_hosts:
            if Path(path).exists():
                client.load_host_keys(path)
        client.set_missing_host_key_policy(_Refuse())
        try:
            client.connect(
                target.host_key_name,
                port=target.port,
                username=target.user,
                password=target.password,
                key_filename=list(target.keys) or None,  # type: ignore[arg-type] # the stubs know one file, it takes a list
                allow_agent=target.use_agent,
                look_for_keys=False,  # `ssh -G` has named them
                sock=target.open_socket(CONNECT_TIMEOUT_S),
                timeout=CONNECT_TIMEOUT_S,
                banner_timeout=CONNECT_TIMEOUT_S,
                auth_timeout=CONNECT_TIMEOUT_S,
            )
        except (paramiko.SSHException, OSError, EOFError) as error:
            client.close()
            raise ConnectionLostError(
                f"cannot connect to {self.name} ({target.hostname}): {_reason(error, target)}. "
                f"Try `ssh {self.name}` by hand first."
            ) from error
        self._target = target
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEPALIVE_S)
        self._client = client

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def open_channel(self, argv: Sequence[str]) -> paramiko.Channel:
        """Start argv on the node and return its channel."""
        self.connect()
        transport = self._client.get_transport() if self._client else None
        if transport is None:
            raise ConnectionLostError(f"lost the connection to {self.name}.")
        try:
            channel = transport.open_session(timeout=CONNECT_TIMEOUT_S)
            channel.exec_command(shlex.join([*self._become(), *argv]))
            if self._target and self._target.become and self._target.become_password:
                channel.sendall(f"{self._target.become_password}\n".encode())
        except (paramiko.SSHException, OSError, EOFError) as error:
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


class _Refuse(paramiko.MissingHostKeyPolicy):
    """Host-key checking is always strict: an unknown key is shown, never taken."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        raise paramiko.SSHException(
            f"its {key.get_name()} host key {key.fingerprint} is not in known_hosts; if it is the right one, "
            f"accept it by connecting once with ssh"
        )


def _reason(error: Exception, target: Target) -> str:
    """Return why a connection failed, in words that say what to do."""
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"its host key {error.key.fingerprint} is not the one in known_hosts ({error.expected_key.fingerprint}); "
            "if the host was installed anew, remove the old one with ssh-keygen -R"
        )
    if isinstance(error, paramiko.AuthenticationException):
        return f"it does not accept user {target.user} with the keys {', '.join(target.keys) or '(none)'}"
    return str(error) or "it hung up"
