from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.model.errors import ConnectionLostError, InputError
from harness.model.node import Node
from harness.nodes.target import ALIVE, Target

CONFIG = """
Host k8s-1
  User root
  HostKeyAlias the-first
  IdentitiesOnly yes
  IdentityFile {folder}/id_ed25519
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile none
  ProxyCommand nsenter --target 7 --net -- /usr/sbin/sshd -i -f "/run/my lab/sshd_config" %h:%p %r %%

Host jumped
  HostName 192.0.2.99
  Port 2222
  ProxyJump me@first:2022,second

Host *
  User everybody
  ProxyCommand none
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "id_ed25519").touch()
    (tmp_path / "other_key").touch()
    path = tmp_path / "ssh_config"
    path.write_text(CONFIG.replace("{folder}", str(tmp_path)), encoding="utf-8")
    return path


def target(config: Path, name: str, variables: Mapping[str, object] | None = None) -> Target:
    return Target.of(Node(name, 1, "192.0.2.11", "eth0", variables=variables or {}), config)


def test_everything_from_ssh_config(config: Path, tmp_path: Path) -> None:
    found = target(config, "k8s-1")
    assert (found.hostname, found.port, found.user, found.host_key_name) == ("k8s-1", 22, "root", "the-first")
    assert (found.keys, found.use_agent) == ((str(tmp_path / "id_ed25519"),), False)
    assert found.known_hosts[0] == str(tmp_path / "known_hosts")
    inside = ["nsenter", "--target", "7", "--net", "--", "/usr/sbin/sshd", "-i", "-f", "/run/my lab/sshd_config"]
    assert list(found.proxy_argv) == [*inside, "k8s-1:22", "root", "%"]


@pytest.mark.parametrize(
    ("name", "variables", "hostname", "port", "user"),
    [
        ("host-a", {}, "host-a", 22, "everybody"),
        ("host-a", {"ansible_host": "192.0.2.11"}, "192.0.2.11", 22, "everybody"),
        ("host-a", {"ansible_host": "jumped"}, "192.0.2.99", 2222, "everybody"),
        ("jumped", {"ansible_port": 22}, "192.0.2.99", 22, "everybody"),
        ("jumped", {"ansible_port": "2022"}, "192.0.2.99", 2022, "everybody"),
        ("k8s-1", {"ansible_user": "admin"}, "k8s-1", 22, "admin"),
        ("host-a", {"ansible_ssh_common_args": "-o Port=2200 -l me"}, "host-a", 2200, "me"),
    ],
)
def test_ansibles_variables_come_before_ssh_config(
    config: Path, name: str, variables: dict[str, object], hostname: str, port: int, user: str
) -> None:
    found = target(config, name, variables)
    assert (found.hostname, found.port, found.user) == (hostname, port, user)


def test_key_of_the_inventory_comes_first(config: Path, tmp_path: Path) -> None:
    key = str(tmp_path / "other_key")
    assert target(config, "k8s-1", {"ansible_ssh_private_key_file": key}).keys[0] == key


def test_jump_hosts_are_left_to_ssh(config: Path) -> None:
    ssh = ("ssh", "-F", str(config), "-J", "me@first:2022", "-o", "BatchMode=yes", *ALIVE)
    assert target(config, "jumped").proxy_argv == (*ssh, "-W", "[192.0.2.99]:2222", "ssh://second")


@pytest.mark.parametrize(
    ("variables", "become"),
    [
        ({}, False),
        ({"ansible_become": True}, True),
        ({"ansible_become": "yes"}, True),
        ({"ansible_become": "false"}, False),
        ({"ansible_become": True, "ansible_user": "root"}, False),
    ],
)
def test_become(config: Path, variables: dict[str, object], become: bool) -> None:
    assert target(config, "host-a", variables).become is become


def test_passwords_do_not_show(config: Path) -> None:
    found = target(config, "host-a", {"ansible_password": "s3cret", "ansible_become_password": "s3cret2"})
    assert (found.password, found.become_password) == ("s3cret", "s3cret2")
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a; rm -rf /", "$(id)", "a\nb", "../x", "a b", ""])
def test_what_is_no_host_name_reaches_no_program(config: Path, host: str) -> None:
    with pytest.raises(InputError, match="host-a: ansible_host"):
        target(config, "host-a", {"ansible_host": host})


def test_other_ways_to_become_root_are_refused(config: Path) -> None:
    with pytest.raises(InputError, match="ansible_become_method 'su' cannot be used here; only sudo can"):
        target(config, "host-a", {"ansible_become": True, "ansible_become_method": "su"})


def test_configuration_that_ssh_refuses(tmp_path: Path) -> None:
    path = tmp_path / "ssh_config"
    path.write_text("Nonsense yes\n", encoding="utf-8")
    with pytest.raises(ConnectionLostError, match=r"host-a: ssh does not take its configuration: .*[Nn]onsense"):
        target(path, "host-a")


def test_proxy_talks_over_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "ssh_config"
    path.write_text("Host x\n  ProxyCommand sed -u s/ping/pong/\n", encoding="utf-8")
    with target(path, "x").open_socket(1) as proxy:
        proxy.sendall(b"ping\n")
        assert proxy.recv(100) == b"pong\n"


@pytest.mark.parametrize(
    "line",
    [
        "UserKnownHostsFile it's",
        "ProxyCommand nc 'x",
        f"UserKnownHostsFile /{'x' * 5000}",
        f"IdentityFile /{'y' * 5000}",
    ],
)
def test_configuration_that_ssh_takes_and_we_cannot_is_a_sentence(tmp_path: Path, line: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host *\n  {line}\n", encoding="utf-8")
    try:
        Target.of(Node("k8s-1", 1, "192.0.2.11", "eth0"), config)
    except (InputError, ConnectionLostError) as error:
        assert "k8s-1: " in str(error)  # noqa: PT017 - some versions of ssh refuse it themselves, some take it
