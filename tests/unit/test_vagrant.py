"""The Vagrant lab with a vagrant that only writes down what it is asked; the real one is for `make test-vagrant`."""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import app
from harness.cli.prepare import prepare
from harness.labs import vagrant
from harness.labs.vagrant import VagrantLab
from harness.model.errors import LabError
from harness.nodes.target import Target
from tests.unit.test_options import GIVEN

REPO = Path(__file__).parents[2]
# vagrant 2.3.4 with vagrant-libvirt 0.11.2: `vagrant ssh-config lab`
SSH_CONFIG = """\
Host k8s-1
  HostName 192.0.2.121
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/home/someone/with space/key"
  IdentitiesOnly yes
  LogLevel FATAL

Host k8s-2
  HostName 192.0.2.130
  User vagrant
  Port 22
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile /home/someone/key
  IdentitiesOnly yes
  LogLevel FATAL

"""
NOT_READY = "The provider for this Vagrant-managed machine is reporting that it\nis not yet ready for SSH.\n"
STATUS = """\
1795415435,k8s-1,metadata,provider,libvirt
1795415435,k8s-1,state,running
1795415435,k8s-1,state-human-short,running
1795415435,k8s-2,metadata,provider,libvirt
1795415435,k8s-2,state,{second}
1795415435,,ui,info,Current machine states
"""


@dataclass
class Fake:
    """A project folder, and a vagrant on PATH that answers from files beside it."""

    directory: Path
    program: Path

    def answer(self, command: str, *, stdout: str = "", stderr: str = "", code: int = 0) -> None:
        for name, text in (("stdout", stdout), ("stderr", stderr), ("code", str(code))):
            self.program.with_name(f"{command}.{name}").write_text(text, encoding="utf-8")

    def calls(self) -> list[str]:
        log = self.program.with_name("calls")
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def record(self, name: str) -> Path:
        path = self.directory / ".vagrant" / "lab" / f"{name}.known_hosts"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# machine 1\n{name} ssh-ed25519 AAAA\n", encoding="utf-8")
        return path


FAKE = """#!/bin/sh
here=${0%/*}
echo "$*" >>"$here/calls"
cat "$here/$1.stdout"
cat "$here/$1.stderr" >&2
exit "$(cat "$here/$1.code")"
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path / "project", tmp_path / "bin" / "vagrant")
    made.program.parent.mkdir()
    made.program.write_text(FAKE, encoding="utf-8")
    made.program.chmod(0o755)
    (made.directory / "inventory").mkdir(parents=True)
    (made.directory / "inventory" / "vagrant.yml").write_bytes((REPO / "inventory" / "vagrant.yml").read_bytes())
    monkeypatch.setenv("PATH", f"{made.program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the folder of a lab goes that is not taken down
    monkeypatch.delenv("VAGRANT_DOTFILE_PATH", raising=False)
    made.answer("ssh-config", stdout=SSH_CONFIG)
    return made


def test_reads_what_vagrant_says() -> None:
    blocks = vagrant.parse_ssh_config(SSH_CONFIG)
    assert {name: block["HostName"] + block["Port"] for name, block in blocks.items()} == {
        "k8s-1": ["192.0.2.121", "2222"],
        "k8s-2": ["192.0.2.130", "22"],
    }


def test_takes_over_every_key_and_nothing_that_trusts_a_stranger() -> None:
    values = {"IdentityFile": ['"/with space/one"', "/two"], "StrictHostKeyChecking": ["no"], "ForwardAgent": ["yes"]}
    assert vagrant.strict_block("a", values, Path("/known")).split("\n  ") == [
        "Host a",
        'IdentityFile "/with space/one"',
        "IdentityFile /two",
        "IdentitiesOnly yes",
        "HostKeyAlias a",
        'UserKnownHostsFile "/known"',
        "GlobalKnownHostsFile none",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no\n",
    ]


def test_host_keys_are_checked_whatever_vagrant_says(fake: Fake) -> None:
    known_hosts = [fake.record(name) for name in ("k8s-1", "k8s-2")]
    lab = VagrantLab(fake.directory).up()
    assert lab.ssh_config is not None
    text = lab.ssh_config.read_text(encoding="utf-8")
    assert "/dev/null" not in text
    assert "StrictHostKeyChecking no" not in text
    targets = [Target.of(node, lab.ssh_config) for node in lab.nodes]
    assert [target.known_hosts[0] for target in targets] == [str(path) for path in known_hosts]
    assert [(target.hostname, target.port, target.user) for target in targets] == [
        ("192.0.2.121", 2222, "vagrant"),
        ("192.0.2.130", 22, "vagrant"),
    ]
    assert [target.host_key_name for target in targets] == ["k8s-1", "k8s-2"]
    assert all(target.become for target in targets)


def test_lab_is_two_machines_with_kernels_of_their_own(fake: Fake) -> None:
    for name in ("k8s-1", "k8s-2"):
        fake.record(name)
    source = VagrantLab(fake.directory)
    lab = source.up()
    assert (lab.name, lab.rate_bps, lab.shared_kernel) == ("vagrant", None, False)
    assert [(node.address, node.address6, node.device) for node in lab.nodes] == [
        ("172.12.1.11", "fd00:172:12:1::11", "eth1"),
        ("172.12.1.12", "fd00:172:12:1::12", "eth1"),
    ]
    assert lab.inventory is not None
    hosts = json.loads(lab.inventory.read_text(encoding="utf-8"))["nodes"]["hosts"]
    assert hosts["k8s-1"]["ansible_ssh_common_args"] == f"-F {lab.ssh_config}"
    assert fake.calls() == ["ssh-config lab"]
    source.down()
    source.down()
    assert not lab.scratch.exists()
    assert fake.calls() == ["ssh-config lab"], "a run leaves the machines running"


def test_dotfile_path_is_honoured(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake.record("k8s-1")
    path.parent.parent.rename(fake.directory / "elsewhere")
    monkeypatch.setenv("VAGRANT_DOTFILE_PATH", "elsewhere")
    assert vagrant.recorded_keys(fake.directory, "k8s-1") == fake.directory / "elsewhere" / "lab" / path.name


def test_machines_that_are_not_up(fake: Fake) -> None:
    fake.answer("ssh-config", stderr=NOT_READY, code=1)
    with pytest.raises(
        LabError, match=r"not up. `harness lab up --lab vagrant` .* reporting that it is not yet ready for SSH\.$"
    ):
        VagrantLab(fake.directory).up()


def test_one_machine_that_is_not_up(fake: Fake) -> None:
    fake.answer("ssh-config", stdout=SSH_CONFIG[: SSH_CONFIG.index("Host k8s-2")])
    with pytest.raises(LabError, match="k8s-2 of the Vagrant lab: not up"):
        VagrantLab(fake.directory).up()


def test_host_keys_that_were_not_recorded(fake: Fake) -> None:
    fake.record("k8s-1")
    with pytest.raises(LabError, match=r"the host keys of k8s-2 were not recorded .* --provision-with access lab"):
        VagrantLab(fake.directory).up()


def test_vagrant_that_is_missing(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake.directory))
    source = VagrantLab(fake.directory)
    assert source.probe() == [vagrant.NOT_INSTALLED]
    for call in (source.up, lambda: vagrant.bring_up(fake.directory), lambda: vagrant.states(fake.directory)):
        with pytest.raises(LabError, match="vagrant is not installed"):
            call()


def test_vagrant_that_hangs(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.program.write_text("#!/bin/sh\nexec sleep 30\n", encoding="utf-8")
    monkeypatch.setattr(vagrant, "TIMEOUT_S", 0.2)
    with pytest.raises(LabError, match=r"`vagrant ssh-config lab` did not answer within 0.2 s"):
        VagrantLab(fake.directory).up()


@pytest.mark.parametrize(("command", "words"), [("up", "up lab"), ("down", "destroy --force lab")])
def test_lab_commands_call_vagrant(fake: Fake, command: str, words: str) -> None:
    name = words.split(maxsplit=1)[0]
    fake.answer(name)
    done = CliRunner().invoke(app, ["lab", command, "--lab", "vagrant"], standalone_mode=False)
    assert done.exception is None
    fake.answer(name, code=1)
    failed = CliRunner().invoke(app, ["lab", command, "--lab", "vagrant"], standalone_mode=False)
    assert isinstance(failed.exception, LabError)
    assert fake.calls() == [words, words]


@pytest.mark.parametrize(("second", "fails"), [("running", False), ("shutoff", True), ("not_created", True)])
def test_status(fake: Fake, second: str, fails: bool) -> None:
    fake.answer("status", stdout=STATUS.format(second=second))
    done = CliRunner().invoke(app, ["lab", "status", "--lab", "vagrant"], standalone_mode=False)
    assert isinstance(done.exception, LabError) is fails
    assert fake.calls() == ["status --machine-readable lab"]


def test_run_takes_it_by_name() -> None:
    source = prepare(replace(GIVEN, lab="vagrant")).source
    assert isinstance(source, VagrantLab)
    assert [node.mtu for node in source.nodes()] == [1500, 1500]


def test_installed_program_keeps_the_machines_out_of_its_own_folder(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vagrant, "IS_INSTALLED", True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert vagrant.state_directory() == tmp_path / "share" / "vxlan-harness" / "vagrant"
    fake.program.write_text(FAKE.replace('"$*"', '"$* in $VAGRANT_DOTFILE_PATH with $HARNESS_VM_ANSIBLE_PLAYBOOK"'))
    fake.answer("up")
    vagrant.bring_up(fake.directory)
    (call,) = fake.calls()
    assert call.startswith(f"up lab in {tmp_path}/share/vxlan-harness/vagrant with /")
    assert call.endswith("/ansible-playbook")
    monkeypatch.setenv("VAGRANT_DOTFILE_PATH", "elsewhere")
    assert vagrant.state_directory(fake.directory) == fake.directory / "elsewhere"
