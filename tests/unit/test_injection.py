"""What stands in an inventory, a profile or a path is never a command: not here, and not on the way to a host."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.fabric.profiles import load_file
from harness.labs import static
from harness.measures.factors import FACTORS
from harness.model.errors import InputError

COMMANDS = "x; touch canary; $(touch canary) `touch canary`\ntouch canary\n../canary | tee canary > canary"
NOBODY: dict[str, object] = {
    "underlay_address": "192.0.2.12",
    "ansible_host": "127.0.0.1",
    "ansible_port": 1,
    "ansible_user": "root",
}
PROFILE = """
name: mine
kind: tunnel
summary: A profile
tunnel: vx0
links:
  - name: LINK
    kind: KIND
    attributes: {id: 7, dev: ATTRIBUTE}
    addresses: [ADDRESS]
files:
  - path: FILE
    values: {A: "1"}
endpoints:
  bridge: LINK
  address: 192.0.2.$pair_host/24
"""
GOOD = {
    "LINK": "vx0",
    "KIND": "vxlan",
    "ATTRIBUTE": "eth0",
    "ADDRESS": "192.0.2.1/24",
    "FILE": "/run/mine/file",
}


Harness = Callable[..., tuple[int, str]]


@pytest.fixture(name="harness")
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness:
    """The command line in an empty folder, in which nothing may come to be; returns exit code and the one sentence."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def harness(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["harness", *words, "--out", str(tmp_path / "out")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert list(folder.iterdir()) == []
        assert not list(tmp_path.rglob("canary"))
        said = capsys.readouterr().err.partition("harness: ")[2]
        assert "Traceback" not in said
        assert "internal error" not in said
        return int(str(ended.value.code)), said

    return harness


@pytest.fixture(name="run_with")
def run_on_hosts(harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Run on two hosts that are not there, one of them with these variables."""

    def run_with(name: str = "host-a", **own: object) -> tuple[int, str]:
        hosts = {name: NOBODY | {"underlay_address": "192.0.2.11"} | own, "host-b": dict(NOBODY)}
        listing = {"_meta": {"hostvars": hosts}, "nodes": {"hosts": list(hosts)}}
        monkeypatch.setattr(static, "_ansible", lambda *_: json.dumps(listing))
        path = tmp_path / "inventory.json"
        path.touch()
        return harness("run", "--lab", str(path))

    return run_with


def test_host_name(run_with: Harness) -> None:
    code, said = run_with(COMMANDS)
    assert (code, "host name" in said) == (2, True), said


def test_host_name_that_ansible_reads_itself(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps({"nodes": {"hosts": {COMMANDS: NOBODY, "host-b": NOBODY}}}), encoding="utf-8")
    code, said = harness("run", "--lab", str(path))
    assert (code, "host name" in said) == (2, True), said


@pytest.mark.parametrize(
    "variable",
    ["ansible_host", "underlay_address", "underlay_address6", "underlay_device", "underlay_mtu", "ansible_connection"],
)
def test_variable_that_is_refused(run_with: Harness, variable: str) -> None:
    code, said = run_with(**{variable: COMMANDS})
    assert (code, variable in said) == (2, True), said


def test_zone_of_an_address(run_with: Harness) -> None:
    code, said = run_with(underlay_address6="2001:db8::1%x\nlink del dev lo")
    assert (code, "has a zone" in said) == (2, True), said


def test_unbalanced_quotes(run_with: Harness) -> None:
    code, said = run_with(ansible_ssh_common_args="-o 'ProxyJump=x")
    assert (code, "ansible_ssh_common_args" in said) == (2, True), said


@pytest.mark.parametrize(
    "variable", ["ansible_user", "ansible_port", "ansible_ssh_private_key_file", "ansible_password"]
)
def test_variable_that_is_a_word_to_ssh(run_with: Harness, variable: str) -> None:
    """What ssh makes of it is ssh's own; nobody is there, and no shell has seen it."""
    code, said = run_with(**{variable: COMMANDS})
    assert code == 5, said


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("value", [COMMANDS, "$(touch canary)", "x;y", "../x", "a b", "-x"])
def test_profile(tmp_path: Path, field: str, value: str) -> None:
    text = PROFILE
    for name, good in GOOD.items():
        text = text.replace(name, json.dumps(value if name == field else good))
    path = tmp_path / "mine.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yml, line \d+"):
        load_file(path)


def test_profile_as_written_is_good(tmp_path: Path) -> None:
    text = PROFILE
    for name, good in GOOD.items():
        text = text.replace(name, json.dumps(good))
    path = tmp_path / "mine.yml"
    path.write_text(text, encoding="utf-8")
    assert load_file(path).links[0].name == "vx0"


@pytest.mark.parametrize(
    "words",
    [
        ["--profile", COMMANDS],
        ["--profile", "../../canary"],
        ["--profiles-dir", COMMANDS],
        ["--profiles-dir", "{{ lookup('pipe', 'touch canary') }}"],
        ["--lab", COMMANDS],
        ["--lab", "192.0.2.1,192.0.2.2"],
        ["--measure", COMMANDS],
        ["--rate", COMMANDS],
        ["--plan", COMMANDS],
        ["--pairs", COMMANDS],
        ["--pairs", f"k8s-1:{COMMANDS}"],
        ["--containers", COMMANDS],
        ["--containers", "docker", "--image", COMMANDS],
        *[[f"--{name.replace('_', '-')}", COMMANDS] for name in FACTORS],
        *[[f"--{name.replace('_', '-')}", "$(touch canary)"] for name in FACTORS],
    ],
)
def test_option(harness: Harness, words: list[str]) -> None:
    code, said = harness("run", *words)
    assert code == 2, said


def test_inventory_with_a_comma(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "a,b.yml"
    path.write_text("nodes: {}", encoding="utf-8")
    code, said = harness("run", "--lab", str(path))
    assert (code, "comma" in said) == (2, True), said
