"""A connection's own life: root's rights, the node's lock, and what becomes of it when it breaks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import paramiko
import pytest

from harness.model.errors import ConnectionLostError, LabError
from harness.model.node import Node
from harness.nodes import lock, ssh
from harness.nodes.lock import Owner
from harness.nodes.ssh import MARK, SshRemote
from harness.nodes.target import Passwords
from tests.unit.test_remote import Channel, Transport

OWNER = Owner("run a", "alice", "desk", 4711, "2026-01-01 00:00:00 UTC")
PASSWORD = "secret word"  # noqa: S105 - of nobody
HELD: list[bytes | Exception] = [b"9\n", lock.HELD, TimeoutError(), TimeoutError()]
Made = Callable[..., tuple[SshRemote, list[Transport]]]


@pytest.fixture
def to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    """Return a node's remote whose first connection opens these channels, its second one those, …."""

    def made(
        *connections: list[Channel], user: str = "root", become: bool = False, password: str | None = None
    ) -> tuple[SshRemote, list[Transport]]:
        transports = [Transport([*channels]) for channels in connections]
        clients: list[paramiko.SSHClient] = []

        def open_client(name: str, _target: object) -> paramiko.SSHClient:
            if len(clients) == len(transports):
                raise ConnectionLostError(f"cannot connect to {name}")
            client, transport = paramiko.SSHClient(), transports[len(clients)]
            clients.append(client)
            monkeypatch.setattr(client, "get_transport", lambda: transport)
            return client

        monkeypatch.setattr(ssh, "open_client", open_client)
        monkeypatch.setattr(Transport, "set_keepalive", lambda *_: None, raising=False)
        config = tmp_path / "ssh_config"
        config.write_text(f"Host *\n  User {user}\n", encoding="utf-8")
        variables = {"ansible_become": True} if become else {}
        node = Node("k8s-1", 1, "192.0.2.11", "eth0", variables=variables)
        return SshRemote(node, config, Passwords(None, password)), transports

    return made


def words(channel: Channel) -> list[str]:
    return shlex.split(channel.command)


def test_roots_commands_need_no_sudo(to: Made) -> None:
    remote, (transport,) = to([Channel([b"7\nok\n"])])
    assert remote.run(["tool"]).stdout == "ok\n"
    assert words(transport.opened[0])[0] == "env"
    assert remote.is_connected()
    remote.connect()
    assert len(transport.opened) == 1, "it was connected"


@pytest.mark.parametrize(
    ("become", "password", "said", "sentence"),
    [
        (False, None, b"", "k8s-1: user u is not root, which network namespaces need; set ansible_become: true."),
        (True, None, b"sudo: a password is required\n", "sudo wants a password \\(sudo: a password is required\\)"),
        (
            True,
            "x",
            b"\nsudo: 1 incorrect\n",
            "sudo does not make user u root \\(sudo: 1 incorrect\\); look at the pass",
        ),
    ],
)
def test_who_is_not_root_is_told_how(to: Made, become: bool, password: str | None, said: bytes, sentence: str) -> None:
    remote, (transport,) = to([Channel([b"7\n1000\n"], 0, said)], user="u", become=become, password=password)
    with pytest.raises(ConnectionLostError, match=sentence):
        remote.connect()
    assert words(transport.opened[0])[-2:] == ["id", "-u"]
    assert not remote.is_connected()


def test_sudo_gets_its_password_by_standard_input(to: Made) -> None:
    remote, (transport,) = to(
        [Channel([b"7\n0\n"]), Channel([b"8\nok\n"])], user="u", become=True, password=PASSWORD
    )  # fmt: skip
    assert remote.run(["tool"]).stdout == "ok\n"
    assert all(words(channel)[:5] == ["sudo", "-S", "-p", "", "--"] for channel in transport.opened)
    assert [channel.typed for channel in transport.opened] == [f"{PASSWORD}\n".encode()] * 2
    assert not any("secret" in channel.command for channel in transport.opened)


def test_sudo_that_wants_none_gets_none(to: Made) -> None:
    remote, (transport,) = to([Channel([b"7\n0\n"]), Channel([b"8\nok\n"])], user="u", become=True)
    remote.run(["tool"])
    assert all(words(channel)[:3] == ["sudo", "-n", "--"] for channel in transport.opened)
    assert [channel.typed for channel in transport.opened] == [b"", b""]


def test_a_lock_is_held_and_what_killed_runs_left_is_ended(to: Made) -> None:
    holding, ending = Channel([*HELD]), Channel([b"10\n"])
    remote, (transport,) = to([holding, ending])
    remote.hold(OWNER)
    assert json.loads(words(holding)[-2] if words(holding)[-2].startswith("{") else words(holding)[-1]) == asdict(OWNER)
    assert words(ending)[-1] == MARK
    assert not holding.closed
    remote.close()
    assert not remote.is_connected()
    assert len(transport.opened) == 2
    remote.close()


def test_a_lock_that_somebody_has_is_refused(to: Made) -> None:
    remote, _ = to([Channel([b"9\n", json.dumps(asdict(OWNER)).encode()], lock.TAKEN)])
    with pytest.raises(LabError, match="k8s-1 is in use by run a of alice on desk"):
        remote.hold(OWNER)


@pytest.mark.parametrize(
    ("code", "stderr", "why"), [(2, b"sh: read-only\n", "sh: read-only"), (1, b"", "1"), (127, b"", "127")]
)
def test_a_lock_that_cannot_be_taken_is_said(to: Made, code: int, stderr: bytes, why: str) -> None:
    remote, _ = to([Channel([b"9\n"], code, stderr)])
    with pytest.raises(LabError, match=f"k8s-1: its lock {lock.PATH} cannot be taken: {why}"):
        remote.hold(OWNER)


def test_a_connection_that_is_made_anew_takes_the_lock_again(to: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    ending, again = Channel([b"3\n"]), Channel([*HELD])
    remote, (first, second) = to([Channel([*HELD]), Channel([b"10\n"])], [ending, again, Channel([b"4\nok\n"])])
    remote.hold(OWNER)
    monkeypatch.setattr(first, "is_active", lambda: False)
    assert not remote.is_connected()
    assert remote.run(["tool"]).stdout == "ok\n"
    lost = next(word for word in words(first.opened[0]) if word.startswith(MARK))
    assert words(ending)[-1] == lost, "what the lost one left running goes first"
    assert [channel.closed for channel in second.opened] == [True, False, True]


def test_what_a_lost_connection_left_is_ended_at_the_latest_on_leaving(
    to: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = Channel([b"3\n"])
    remote, (first, second) = to([Channel([b"7\nok\n"])], [ending])
    with remote:
        remote.run(["tool"])
        monkeypatch.setattr(first, "is_active", lambda: False)
    assert second.opened == [ending]
    assert not remote.is_connected()


def test_a_node_that_is_gone_is_left_all_the_same(to: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, (first,) = to([Channel([b"7\nok\n"])])
    with remote:
        remote.run(["tool"])
        monkeypatch.setattr(first, "is_active", lambda: False)
    assert not remote.is_connected()


def test_a_node_that_wants_no_more_sessions_keeps_its_connection(to: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, (transport,) = to([Channel([b"7\nok\n"])])
    remote.run(["tool"])

    def refuses(timeout: float) -> Channel:
        raise paramiko.ChannelException(1, f"Administratively prohibited, {timeout > 0}")

    monkeypatch.setattr(transport, "open_session", refuses)
    with pytest.raises(ConnectionLostError, match=r"k8s-1 opens no channel: .*prohibited"):
        remote.run(["tool"])
    assert remote.is_connected()


def test_a_connection_without_a_transport_is_lost(to: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, _ = to([Channel([b"7\nok\n"])])
    remote.connect()
    monkeypatch.setattr(remote._client, "get_transport", lambda: None)
    monkeypatch.setattr(remote, "connect", lambda: None)
    with pytest.raises(ConnectionLostError, match=r"lost the connection to k8s-1\."):
        remote.run(["tool"])


def test_a_program_that_does_not_answer_is_let_go(to: Made) -> None:
    asked = Channel([b"4711\n", *[TimeoutError()] * 9])
    remote, _ = to([asked])
    with pytest.raises(ConnectionLostError, match=r"`sh` on k8s-1 did not end in time \(0 s\)"):
        remote.ask(["sh"], ["x"], timeout_s=0)
    assert asked.closed


def test_a_program_whose_input_is_closed_is_a_broken_connection(to: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_data: bytes) -> None:
        raise OSError("Socket is closed")

    asked, held = Channel([b"4711\n"]), Channel([b"4712\n", TimeoutError()])
    remote, _ = to([asked, held, Channel([b"8\n"])])
    monkeypatch.setattr(asked, "sendall", broken)
    monkeypatch.setattr(held, "sendall", broken)
    with pytest.raises(ConnectionLostError, match="k8s-1: the connection broke while `sh` ran"):
        remote.ask(["sh"], ["x"])
    lost = pytest.raises(ConnectionLostError, match="k8s-1: the connection broke before `iperf3` ran")
    with lost, remote.held([], ["iperf3"]) as start:
        start()
