"""Commands on a node: where a connection goes, that no word is ever interpreted on the way, and how a command ends."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from harness.model.errors import ConnectionLostError, ToolError
from harness.model.jobs import Completed
from harness.model.node import Node
from harness.nodes import readings
from harness.nodes.running import HELD, SIGNAL, Background
from harness.nodes.ssh import MARK, SshRemote
from harness.nodes.target import Target

SENDING = f'{SIGNAL}; signal "$@"'


class Channel:
    """What paramiko gives for a command, fed from a list: each item is what one read returns, or raises."""

    def __init__(self, chunks: list[bytes | Exception], exit_code: int = 0, stderr: bytes = b"") -> None:
        self.command = ""
        self.closed = False
        self.typed = b""
        self._chunks = chunks
        self._exit_code = exit_code
        self._stderr = stderr

    def exec_command(self, command: str) -> None:
        self.command = command

    def settimeout(self, timeout: float) -> None:
        assert timeout > 0

    def recv(self, _size: int) -> bytes:
        if not self._chunks:
            return b""
        chunk = self._chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_stderr(self, _size: int) -> bytes:
        taken, self._stderr = self._stderr, b""
        return taken

    def exit_status_ready(self) -> bool:
        return not self._chunks

    def recv_exit_status(self) -> int:
        return self._exit_code

    def sendall(self, data: bytes) -> None:
        self.typed += data

    def shutdown_write(self) -> None:
        """Nothing reads what would end here."""

    def close(self) -> None:
        self.closed = True


class Transport:
    """A connection that opens these channels, one after the other."""

    def __init__(self, channels: list[Channel]) -> None:
        self.opened: list[Channel] = []
        self._channels = channels

    def is_active(self) -> bool:
        return True

    def open_session(self, timeout: float) -> Channel:
        assert timeout > 0
        if not self._channels:
            raise paramiko.SSHException("no more sessions")
        self.opened.append(self._channels.pop(0))
        return self.opened[-1]


Connect = Callable[..., tuple[SshRemote, Transport]]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connect:
    def connect(*channels: Channel) -> tuple[SshRemote, Transport]:
        transport = Transport(list(channels))
        client = paramiko.SSHClient()
        monkeypatch.setattr(client, "get_transport", lambda: transport)
        remote = SshRemote(Node("k8s-1", 1, "192.0.2.11", "eth0"), tmp_path / "no_config")
        monkeypatch.setattr(remote, "_client", client)
        return remote, transport

    return connect


NASTY = [
    "a b",
    "",
    "$(reboot)",
    "`reboot`",
    "; rm -rf /",
    "&& true",
    "| sh",
    "> /tmp/x",
    "'quoted'",
    '"quoted"',
    "back\\slash",
    "new\nline",
    "*",
    "~",
    "$HOME",
    "-n",
    "ünïcode",
    "{{ x }}",
    "#no comment",
]


def test_every_word_arrives_as_it_was_given(connected: Connect) -> None:
    remote, transport = connected(Channel([b"7\n"]))
    remote.run(["printf", "%s\\0", *NASTY])
    command = transport.opened[0].command
    assert shlex.split(command)[-len(NASTY) :] == NASTY
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    pid, _, output = done.stdout.partition(b"\n")
    assert pid.strip().isdigit()
    assert output.decode("utf-8").split("\0")[:-1] == NASTY


def test_announced_pid_is_that_of_the_command(connected: Connect) -> None:
    remote, transport = connected(Channel([b"7\n"]))
    remote.run(["sh", "-c", "echo $$"])
    printed = subprocess.run(["sh", "-c", transport.opened[0].command], capture_output=True, text=True, check=True)
    announced, own = printed.stdout.split()
    assert announced == own


@pytest.mark.parametrize(
    "chunks",
    [
        [b"4711\nfirst\nsecond\nrest"],
        [b"4711\n", b"first\nsecond\nrest"],
        [b"47", b"11\nfi", b"rst\nsec", TimeoutError(), b"ond\n", b"rest"],
        [bytes([byte]) for byte in b"4711\nfirst\nsecond\nrest"],
    ],
)
def test_output_is_the_commands_own_however_it_is_cut(connected: Connect, chunks: list[bytes | Exception]) -> None:
    remote, _ = connected(Channel(list(chunks), 3, b"warning\n"))
    lines: list[str] = []
    with remote.background(["tool", "-x"]) as running:
        done = running.wait(5.0, lines.append)
    assert (done.argv, done.exit_code, done.stdout) == (("tool", "-x"), 3, "first\nsecond\nrest")
    assert done.stderr == "warning\n"
    assert lines == ["first", "second"]


def test_output_that_is_no_utf_8_is_kept_readable(connected: Connect) -> None:
    remote, _ = connected(Channel([b"1\n\xff\xfeok\n"]))
    assert remote.run(["tool"]).stdout.endswith("ok\n")


def test_command_that_does_not_end_in_time_is_killed_by_its_own_pid(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\n", *[TimeoutError()] * 9]), Channel([b"8\n"]))
    running = remote.background(["iperf3", "-s"])
    with pytest.raises(TimeoutError, match="`iperf3` on k8s-1 did not end in time"), running:
        running.wait(0.0)
    assert shlex.split(transport.opened[1].command)[-4:] == [SENDING, "sh", "KILL", "4711"]
    assert transport.opened[0].closed


def test_pid_is_waited_for_before_killing(connected: Connect) -> None:
    """A command that was ended at once has not said its pid yet."""
    remote, transport = connected(Channel([TimeoutError(), b"47", b"11\n", TimeoutError()]), Channel([b"8\n"]))
    with remote.background(["iperf3", "-s"]):
        pass
    assert shlex.split(transport.opened[1].command)[-4:] == [SENDING, "sh", "KILL", "4711"]


def test_command_that_has_ended_is_not_killed(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\n"]))
    with remote.background(["true"]) as running:
        assert running.wait(1.0).exit_code == 0
    assert len(transport.opened) == 1
    assert transport.opened[0].closed


def test_command_that_is_asked_to_end_says_what_it_had_to_say(connected: Connect) -> None:
    """What it prints before and after it is asked is its output, and its exit code is told."""
    channel = Channel([b"4711\nfirst\n", TimeoutError(), b"last\n"], 0, b"interrupted\n")
    remote, transport = connected(channel, Channel([b"8\n"]))
    with remote.background(["sockperf", "server"]) as running:
        done = running.stop(5.0)
    assert done == Completed(("sockperf", "server"), 0, "first\nlast\n", "interrupted\n")
    assert shlex.split(transport.opened[1].command)[-4:] == [SENDING, "sh", "TERM", "4711"]
    assert len(transport.opened) == 2, "what has ended is not killed as well"
    assert channel.closed


def test_pid_is_waited_for_before_asking_to_end(connected: Connect) -> None:
    remote, transport = connected(Channel([TimeoutError(), b"47", b"11\n", TimeoutError(), b""]), Channel([b"8\n"]))
    with remote.background(["sockperf", "server"]) as running:
        running.stop(5.0)
    assert shlex.split(transport.opened[1].command)[-4:] == [SENDING, "sh", "TERM", "4711"]


def test_command_that_has_ended_is_not_asked_to(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\ndone\n"], 3))
    with remote.background(["tool"]) as running:
        done = running.stop(5.0)
    assert (done.exit_code, done.stdout) == (3, "done\n")
    assert len(transport.opened) == 1


def test_command_that_a_signal_ended_when_asked_is_no_broken_connection(connected: Connect) -> None:
    """SSH has no exit code for it; `wait` cannot tell the two apart, but here it is what was asked for."""
    remote, _ = connected(Channel([b"4711\n", TimeoutError()], -1), Channel([b"8\n"]))
    with remote.background(["sleep", "60"]) as running:
        assert running.stop(5.0).exit_code == -1


def test_command_that_does_not_end_when_asked_is_killed(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\n", *[TimeoutError()] * 9]), Channel([b"8\n"]), Channel([b"9\n"]))
    running = remote.background(["iperf3", "-s"])
    with pytest.raises(TimeoutError, match="did not end in time"):
        running.wait(0.0)
    with pytest.raises(TimeoutError, match="`iperf3` on k8s-1 did not end in time"), running:
        running.stop(0.0)
    sent = [shlex.split(channel.command)[-2:] for channel in transport.opened[1:]]
    assert sent == [["TERM", "4711"], ["KILL", "4711"]]
    assert transport.opened[0].closed


def test_command_is_known_to_have_ended(connected: Connect) -> None:
    remote, _ = connected(Channel([b"4711\n"]))
    with remote.background(["true"]) as running:
        assert not running.has_ended
        running.wait(1.0)
        assert running.has_ended


@pytest.mark.parametrize(("signal", "code"), [("TERM", -15), ("KILL", -9)])
def test_signal_reaches_the_group_or_the_process_alone(signal: str, code: int) -> None:
    """A leader's group goes with it (`timeout` and its server); who leads none is ended by itself."""
    for leads in (True, False):
        with subprocess.Popen(["sleep", "60"], start_new_session=leads) as process:
            subprocess.run(["sh", "-c", SENDING, "sh", signal, str(process.pid)], check=True)
            assert process.wait() == code


class Endless(Channel):
    """A command that prints without end, to one of its outputs."""

    def __init__(self, *, on_stderr: bool) -> None:
        super().__init__([b"4711\n"])
        self._on_stderr = on_stderr
        self.printed = 0

    def _more(self, size: int) -> bytes:
        self.printed += size
        return b"[" * size

    def recv(self, size: int) -> bytes:
        if self._chunks:
            return super().recv(size)
        if self._on_stderr:
            raise TimeoutError
        return self._more(size)

    def recv_stderr_ready(self) -> bool:
        return self._on_stderr and not self._chunks

    def recv_stderr(self, size: int) -> bytes:
        return self._more(size)

    def exit_status_ready(self) -> bool:
        return False


@pytest.mark.parametrize("on_stderr", [False, True])
def test_output_without_end_ends_the_command(connected: Connect, on_stderr: bool) -> None:
    endless = Endless(on_stderr=on_stderr)
    remote, transport = connected(endless, Channel([b"8\n"]))
    running = remote.background(["iperf3", "-c"], 1_000_000)
    with pytest.raises(ToolError, match=r"`iperf3` on k8s-1 prints without end: more than 1 MB"), running:
        running.wait(60.0)
    assert endless.printed < 2_000_000
    assert running.output == b""
    assert shlex.split(transport.opened[1].command)[-2:] == ["KILL", "4711"]


def test_program_stays_and_is_asked_again(connected: Connect) -> None:
    answers = [b"4711\nfirst\n@answered 0\n", b"sec", b"ond\n@answered 4", b"\n"]
    remote, transport = connected(Channel([*answers, TimeoutError()]))
    first, second = (remote.ask(["sh", "-c", "script"], words) for words in (["a b"], ["c", ""]))
    assert (first.exit_code, first.stdout) == (0, "first\n")
    assert (second.exit_code, second.stdout) == (4, "second\n")
    (channel,) = transport.opened
    assert channel.typed == b"@go\n1\na b\n@go\n2\nc\n\n"
    assert not channel.closed


def test_held_command_starts_at_its_word(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\nup\n"]))
    with remote.held(["ip", "netns", "exec", "x"], ["iperf3", "-c"]) as start:
        (channel,) = transport.opened
        assert channel.typed == b""
        running = start()
        assert channel.typed == b"@go\n"
        assert running.wait(1.0).stdout == "up\n"
    assert running.argv == ("ip", "netns", "exec", "x", "iperf3", "-c")
    assert channel.closed


def test_held_command_that_never_started_is_ended(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\n", TimeoutError()]), Channel([b"8\n"]))
    with remote.held([], ["iperf3"]):
        pass
    assert shlex.split(transport.opened[1].command)[-2:] == ["KILL", "4711"]


@pytest.mark.parametrize(("typed", "printed"), [("a password\n@go\n", "started\n"), ("a password\n", ""), ("", "")])
def test_word_is_told_from_a_password(typed: str, printed: str) -> None:
    """That is what stands on a standard input where sudo did not ask for it."""
    done = subprocess.run(
        ["sh", "-c", HELD, "sh", "echo", "started"], input=typed, capture_output=True, text=True, check=True
    )
    assert done.stdout.partition("\n")[2] == printed


def test_program_that_ended_is_started_again(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\nhalf of"]), Channel([b"4712\nwhole\n@answered 0\n", TimeoutError()]))
    with pytest.raises(ConnectionLostError, match="the connection broke while `sh` ran"):
        remote.ask(["sh"], ["x"])
    assert remote.ask(["sh"], ["x"]).stdout == "whole\n"
    assert [channel.closed for channel in transport.opened] == [True, False]


def test_program_that_answers_without_end_is_let_go(connected: Connect) -> None:
    remote, transport = connected(Endless(on_stderr=False))
    with pytest.raises(ToolError, match="prints without end: more than 16 MB"):
        remote.ask(["cat"], ["x"])
    assert transport.opened[0].closed


def test_signal_takes_no_session_where_one_is_there(connected: Connect) -> None:
    """sshd allows ten on a connection: eight servers of a search, the lock, and what takes readings."""
    answers: list[bytes | Exception] = [b"1\nread\n@answered 0\n", b"@answered 0\n", TimeoutError()]
    remote, transport = connected(Channel(answers), Channel([b"4711\n", TimeoutError()]))
    remote.ask(readings.PROGRAM, ["reading"])
    with remote.background(["iperf3", "-s"]):
        pass
    reader, _ = transport.opened
    assert reader.typed.endswith(b"@go\n3\nsignal\nKILL\n4711\n")


def test_every_command_is_bounded(connected: Connect) -> None:
    remote, _ = connected(Endless(on_stderr=False), Channel([b"8\n"]))
    with pytest.raises(ToolError, match="prints without end: more than 16 MB"):
        remote.run(["cat"])


def test_command_that_closes_its_output_and_goes_on_has_no_more_time(connected: Connect) -> None:
    class Silent(Channel):
        def exit_status_ready(self) -> bool:
            return False

    remote, transport = connected(Silent([b"4711\n"]), Channel([b"8\n"]))
    with pytest.raises(ConnectionLostError, match="`sleep` on k8s-1 did not end in time"):
        remote.run(["sleep", "9"], timeout_s=0.05)
    assert shlex.split(transport.opened[1].command)[-2:] == ["KILL", "4711"]


def test_wait_ends_once_it_is_cancelled(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\n", *[TimeoutError()] * 9]), Channel([b"8\n"]))
    running = remote.background(["iperf3", "-c"])
    with pytest.raises(KeyboardInterrupt), running:
        running.wait(60.0, cancelled=lambda: True)
    assert shlex.split(transport.opened[1].command)[-2:] == ["KILL", "4711"]


def test_run_that_takes_too_long_says_how_long_it_had(connected: Connect) -> None:
    remote, _ = connected(Channel([b"1\n", *[TimeoutError()] * 9]), Channel([b"8\n"]))
    with pytest.raises(ConnectionLostError, match=r"`sleep` on k8s-1 did not end in time \(0 s\)"):
        remote.run(["sleep", "9"], timeout_s=0)


def test_broken_connection_is_told_from_a_failed_command(connected: Connect) -> None:
    remote, _ = connected(Channel([b"1\n"], exit_code=-1))
    with pytest.raises(ConnectionLostError, match="k8s-1: the connection broke while `tool` ran"):
        remote.run(["tool"])


def test_connection_that_opens_no_channel(connected: Connect) -> None:
    remote, _ = connected()
    with pytest.raises(ConnectionLostError, match="lost the connection to k8s-1: no more sessions"):
        remote.run(["tool"])


def test_kill_that_finds_no_connection_is_no_error(connected: Connect) -> None:
    remote, transport = connected(Channel([b"4711\n", *[TimeoutError()] * 9]))
    with remote.background(["iperf3", "-s"]) as running:
        assert isinstance(running, Background)
    assert transport.opened[0].closed


@pytest.mark.parametrize(
    "error",
    [
        paramiko.SSHException("Error reading SSH protocol banner"),
        paramiko.AuthenticationException("no key fits"),
        ConnectionRefusedError("refused"),
        TimeoutError("timed out"),
        EOFError(),  # what paramiko raises as often, where the proxy command has ended: a lab's node that is gone
    ],
    ids=lambda error: type(error).__name__,
)
def test_node_that_does_not_answer_says_what_to_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def connect(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(paramiko.SSHClient, "connect", connect)
    config = tmp_path / "ssh_config"
    config.write_text("Host k8s-1\n  ProxyCommand sleep 0\n", encoding="utf-8")
    remote = SshRemote(Node("k8s-1", 1, "192.0.2.11", "eth0"), config)
    with pytest.raises(
        ConnectionLostError, match=r"cannot connect to k8s-1 \(k8s-1\): .*; try `ssh -F .*ssh_config k8s-1` first"
    ):
        remote.connect()
    assert not remote.is_connected()
    remote.close()


def test_proxy_command_that_is_not_there(tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text("Host k8s-1\n  ProxyCommand /no/such/program\n", encoding="utf-8")
    with pytest.raises(
        ConnectionLostError, match=r"cannot connect to k8s-1 .*No such file or directory: /no/such/program"
    ):
        SshRemote(Node("k8s-1", 1, "192.0.2.11", "eth0"), config).connect()


def marks(transport: Transport) -> list[str]:
    return [word for channel in transport.opened for word in shlex.split(channel.command) if word.startswith(MARK)]


def test_commands_of_one_connection_carry_one_mark(connected: Connect) -> None:
    remote, transport = connected(Channel([b"1\n"]), Channel([b"2\n"]))
    remote.run(["tool"])
    remote.run(["tool"])
    assert len(marks(transport)) == 2
    assert len(set(marks(transport))) == 1


class Broken(Transport):
    """A connection that dies after its first channel, and does not know it."""

    def open_session(self, timeout: float) -> Channel:
        if self.opened:
            raise paramiko.SSHException("Timeout opening channel.")
        return super().open_session(timeout)


def test_next_connection_ends_what_a_lost_one_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    transports = [Broken([Channel([b"1\n"])]), Transport([Channel([b"2\n"]), Channel([b"3\n"])])]
    current: list[Transport] = []
    monkeypatch.setattr(paramiko.SSHClient, "connect", lambda *_, **__: current.append(transports[len(current)]))
    monkeypatch.setattr(paramiko.SSHClient, "get_transport", lambda _: current[-1])
    monkeypatch.setattr(Target, "open_socket", lambda *_: None)
    monkeypatch.setattr(Transport, "set_keepalive", lambda *_: None, raising=False)
    config = tmp_path / "ssh_config"
    config.write_text("Host *\n  User root\n", encoding="utf-8")
    remote = SshRemote(Node("k8s-1", 1, "192.0.2.11", "eth0"), config)
    remote.run(["tool"])
    with pytest.raises(ConnectionLostError, match="lost the connection to k8s-1: Timeout opening channel"):
        remote.run(["tool"])
    remote.run(["tool"])
    first, second = transports
    cleaning, command = (shlex.split(channel.command) for channel in second.opened)
    assert cleaning[-1] == marks(first)[0], "the mark of the lost connection, to be looked for"
    assert cleaning[2] == command[2] != marks(first)[0]
    assert command[-1] == "tool"
