"""scripts/setup.sh among stub programs: what it would do to a machine, without doing it to this one.

The script runs in a copy of the checkout, with a PATH that holds only stubs and a few harmless programs, and
with SETUP_SBIN in the same temporary folder. Each stub appends its command line to one log, so order is seen.
"""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.measures import registry

REPO = Path(__file__).parents[2]

# program -> package, as Debian 12 and Ubuntu 24.04 divide them
PACKAGE_OF = {
    "iperf3": "iperf3",
    "ping": "iputils-ping",
    "sockperf": "sockperf",
    "wrk": "wrk",
    "apache2": "apache2-bin",
    "ethtool": "ethtool",
    "tcpdump": "tcpdump",
    "openvpn": "openvpn",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
    "ss": "iproute2",
    "tc": "iproute2",
    "bridge": "iproute2",
    "nstat": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "newuidmap": "uidmap",
    "mount": "mount",
    "sudo": "sudo",
}

# What a shell script cannot do without; all of them only touch paths they are given.
REAL = (
    "cat",
    "chmod",
    "dirname",
    "env",
    "grep",
    "install",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sha256sum",
    "sleep",
)

LOG = '#!/bin/sh\necho "${0##*/} $*" >>"$STUB_LOG"\n'

STUBS = {
    "id": "#!/bin/sh\necho ${STUB_UID:-0}\n",
    "sudo": LOG + 'STUB_UID=0 exec "$@"\n',
    "systemctl": LOG,
    "update-rc.d": LOG,
    # Asks policy-rc.d as a package script does: no such file means "start it" (0).
    "apt-get": LOG
    + """
answer=0
[ ! -e "$SETUP_SBIN/policy-rc.d" ] || "$SETUP_SBIN/policy-rc.d" ssh start || answer=$?
echo "policy-rc.d answered $answer" >>"$STUB_LOG"
[ -z "${STUB_APT_SLEEP:-}" ] || { : >"$STUB_LOG.waiting"; exec sleep "$STUB_APT_SLEEP"; } # one process, for one signal
case " $* " in *" install "*) exit "${STUB_APT_EXIT:-0}" ;; esac
""",
    # Knows just what the script asks of a python: its version, whether it can make a venv, and to make one.
    "python3": LOG
    + """
case $* in
    *ensurepip*) exit "${STUB_NO_ENSUREPIP:-0}" ;;
    *version_info*) exit "${STUB_OLD_PYTHON:-0}" ;;
    *sys.version*) echo 3.11.2 ;;
    -V) echo Python 3.9.2 ;;
    "-m venv .venv") mkdir -p .venv/bin && cat "$0" >.venv/bin/python && chmod +x .venv/bin/python ;;
    *requirements.lock) exit "${STUB_PIP_EXIT:-0}" ;;
esac
""",
}


@dataclass(frozen=True)
class Outcome:
    """Exit code, what was printed, and the stubs' command lines in order."""

    code: int
    out: str
    err: str
    calls: list[str]

    def position(self, words: str) -> int:
        """Index of the first call that holds these words."""
        return next(i for i, call in enumerate(self.calls) if words in call)

    def ran(self, words: str) -> bool:
        return any(words in call for call in self.calls)


class Machine:
    """A checkout and a PATH under `root`; programs can be taken away."""

    def __init__(self, root: Path) -> None:
        self.checkout, self.bin, self.sbin = root / "checkout", root / "bin", root / "sbin"
        self.log = root / "log"
        for folder in (self.checkout / "scripts", self.bin, self.sbin, root / "tmp"):
            folder.mkdir(parents=True)
        for name in ("scripts/setup.sh", "pyproject.toml", "requirements.lock"):
            shutil.copy(REPO / name, self.checkout / name)
        for name in REAL:
            self.program(name, f'#!/bin/sh\nexec {shutil.which(name)} "$@"\n')
        for name in PACKAGE_OF:
            self.program(name, "#!/bin/sh\n")
        for name, text in STUBS.items():
            self.program(name, text)
        self.env = {
            "PATH": str(self.bin),
            "SETUP_SBIN": str(self.sbin),
            "STUB_LOG": str(self.log),
            "TMPDIR": str(root / "tmp"),
        }

    @property
    def policy(self) -> Path:
        return self.sbin / "policy-rc.d"

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        # A fresh file, never through a link: as root that would overwrite a program of the machine.
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def without(self, *names: str) -> "Machine":
        for name in names:
            (self.bin / name).unlink()
        return self

    def start(self, *options: str, **env: str) -> subprocess.Popen[str]:
        self.log.unlink(missing_ok=True)
        return subprocess.Popen(
            ["/bin/sh", self.checkout / "scripts/setup.sh", *options],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Outcome:
        out, err = process.communicate(timeout=20)
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        return Outcome(process.returncode, out, err, calls)

    def setup(self, *options: str, **env: str) -> Outcome:
        return self.finish(self.start(*options, **env))

    def leftovers(self) -> list[str]:
        """Names left in sbin and in the temporary folder."""
        return sorted(p.name for p in (*self.sbin.iterdir(), *Path(self.env["TMPDIR"]).iterdir()))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def installed(outcome: Outcome) -> list[str]:
    line = outcome.calls[outcome.position(" install ")]
    return line.split("--no-install-recommends ")[1].split()


def test_nothing_missing_installs_no_package(machine: Machine) -> None:
    outcome = machine.setup()
    assert (outcome.code, outcome.err) == (0, "")
    assert not outcome.ran("apt-get")
    assert not outcome.ran("systemctl")
    assert machine.leftovers() == []


@pytest.mark.parametrize(("program", "package"), PACKAGE_OF.items())
def test_one_missing_program_brings_its_package_and_no_other(machine: Machine, program: str, package: str) -> None:
    outcome = machine.without(program).setup()
    assert outcome.code == 0, outcome.err
    assert installed(outcome) == [package]
    assert outcome.out.startswith(f"setup: installing Debian packages: {package}\n")


def test_a_package_of_several_missing_programs_is_named_once(machine: Machine) -> None:
    assert installed(machine.without("ip", "ss", "tc", "ping").setup()) == ["iputils-ping", "iproute2"]


VAGRANT_PACKAGES = """
vagrant libvirt-daemon libvirt-clients dnsmasq-base qemu-system-x86 qemu-utils mmdebstrap fdisk e2fsprogs
""".split()


def test_what_the_vagrant_test_needs_comes_only_when_asked_for(machine: Machine) -> None:
    assert not machine.setup().ran("apt-get")
    assert installed(machine.setup("--vagrant")) == [*VAGRANT_PACKAGES, "mount", "vagrant-libvirt"]


def test_a_plugin_is_known_by_its_package(machine: Machine) -> None:
    machine.program("dpkg-query", "#!/bin/sh\necho installed\n")
    for (
        name
    ) in "vagrant libvirtd virsh dnsmasq qemu-system-x86_64 qemu-img mmdebstrap sfdisk mkfs.ext4 losetup".split():
        machine.program(name, "#!/bin/sh\n")
    assert not machine.setup("--vagrant").ran("apt-get")


KUBERNETES_PACKAGES = "etcd-server openssl conntrack golang-go dpkg-dev make rsync jq gcc".split()


def test_what_the_kubernetes_test_needs_comes_only_when_asked_for(machine: Machine) -> None:
    outcome = machine.setup("--kubernetes")
    assert installed(outcome) == [*KUBERNETES_PACKAGES, "containernetworking-plugins"]
    masked = outcome.position("mask etcd.service")
    assert masked < outcome.position(" install ")


def test_an_unknown_option_is_refused(machine: Machine) -> None:
    outcome = machine.setup("--dokcer")
    assert (outcome.code, outcome.calls) == (2, [])
    known = "--docker, --tshark, --browser, --vagrant and --kubernetes"
    assert outcome.err == f"setup: unknown option --dokcer; there are {known}.\n"


def test_programs_in_sbin_count(machine: Machine) -> None:
    (machine.bin / "sshd").rename(machine.sbin / "sshd")
    assert not machine.setup().ran("apt-get")


def test_services_are_forbidden_while_apt_runs_and_only_then(machine: Machine) -> None:
    outcome = machine.without("iperf3").setup()
    assert [c for c in outcome.calls if c.startswith("policy-rc.d")] == ["policy-rc.d answered 101"] * 2
    assert machine.leftovers() == []


@pytest.mark.parametrize(("apt_exit", "code"), [("0", 0), ("100", 2)])
def test_the_owners_policy_comes_back(machine: Machine, apt_exit: str, code: int) -> None:
    machine.program("../sbin/policy-rc.d", "#!/bin/sh\nexit 104\n")
    outcome = machine.without("sshd").setup(STUB_APT_EXIT=apt_exit)
    assert outcome.code == code
    assert outcome.ran("policy-rc.d answered 101")
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert os.access(machine.policy, os.X_OK)
    assert machine.leftovers() == ["policy-rc.d"]


def test_a_policy_left_by_a_killed_run_is_not_taken_for_the_owners(machine: Machine) -> None:
    process = machine.without("iperf3").start(STUB_APT_SLEEP="20")
    wait_for(Path(f"{machine.log}.waiting"))
    os.killpg(process.pid, signal.SIGKILL)
    machine.finish(process)
    assert machine.policy.exists()
    assert machine.setup().code == 0
    assert not machine.policy.exists()


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_an_interrupt_takes_the_policy_away(machine: Machine, sent: signal.Signals, code: int) -> None:
    process = machine.without("iperf3").start(STUB_APT_SLEEP="20")
    wait_for(Path(f"{machine.log}.waiting"))
    os.killpg(process.pid, sent)
    assert machine.finish(process).code == code
    assert machine.leftovers() == []


def wait_for(path: Path, limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.01)


def test_a_new_sshd_is_masked_before_it_is_installed(machine: Machine) -> None:
    outcome = machine.without("sshd").setup()
    mask = outcome.position("systemctl --quiet mask ssh.service ssh.socket")
    assert mask < outcome.position(" install ")
    assert "systemctl unmask ssh.service ssh.socket" in outcome.out
    assert not outcome.ran("update-rc.d")


def test_without_systemd_a_new_sshd_is_disabled_after_it_is_installed(machine: Machine) -> None:
    outcome = machine.without("sshd", "systemctl").setup()
    assert outcome.position("update-rc.d ssh disable") > outcome.position(" install ")
    assert "update-rc.d ssh enable" in outcome.out


def test_sshd_is_not_installed_when_it_cannot_be_masked(machine: Machine) -> None:
    machine.program("systemctl", LOG + "exit 1\n")
    outcome = machine.without("sshd").setup()
    assert (outcome.code, outcome.ran(" install ")) == (2, False)
    assert machine.leftovers() == []


def test_a_machine_with_sshd_keeps_its_service(machine: Machine) -> None:
    outcome = machine.without("iperf3").setup()
    assert not outcome.ran("systemctl")
    assert "ssh" not in outcome.out


def test_docker_is_brought_only_when_asked_for_and_stays_off(machine: Machine) -> None:
    assert not machine.setup().ran("apt-get")
    outcome = machine.setup("--docker")
    assert installed(outcome) == ["docker.io"]
    mask = outcome.position("systemctl --quiet mask docker.service docker.socket containerd.service")
    assert mask < outcome.position(" install ")
    assert "systemctl unmask docker.service docker.socket containerd.service" in outcome.out


def test_tshark_is_brought_only_when_asked_for(machine: Machine) -> None:
    assert installed(machine.setup("--tshark")) == ["tshark"]
    machine.program("tshark", "#!/bin/sh\n")
    assert not machine.setup("--tshark").ran("apt-get")


def test_a_docker_that_is_there_is_left_alone(machine: Machine) -> None:
    machine.program("dockerd", "#!/bin/sh\n")
    machine.program("docker", "#!/bin/sh\n")
    outcome = machine.setup("--docker")
    assert (outcome.code, outcome.ran("systemctl"), outcome.ran("apt-get")) == (0, False, False)


def test_apt_asks_nothing(machine: Machine) -> None:
    machine.program("env", f'{LOG}exec {shutil.which("env")} "$@"\n')
    call = next(c for c in machine.without("iperf3").setup().calls if c.startswith("env ") and " install " in c)
    for words in ("DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "--force-confold", " -y "):
        assert words in call


def test_an_ordinary_user_goes_through_sudo_for_the_system_only(machine: Machine) -> None:
    outcome = machine.without("sshd").setup(STUB_UID="1000")
    assert outcome.code == 0, outcome.err
    sudo = [c.split()[1] for c in outcome.calls if c.startswith("sudo ")]
    assert sudo == ["install", "systemctl", "env", "env", "rm"]


def test_a_failed_update_does_not_stop_the_install(machine: Machine) -> None:
    machine.program("apt-get", LOG + 'case " $* " in *" update "*) exit 100 ;; esac\n')
    outcome = machine.without("iperf3").setup()
    assert outcome.code == 0
    assert installed(outcome) == ["iperf3"]


@dataclass(frozen=True)
class Refusal:
    absent: tuple[str, ...]
    env: dict[str, str]
    sentence: str


REFUSALS = {
    "neither root nor sudo": Refusal(
        ("iperf3", "ping", "sudo"),
        {"STUB_UID": "1000"},
        "these programs are missing and installing them needs root or sudo: iperf3 ping.",
    ),
    "no apt-get": Refusal(
        ("sshd", "apt-get"), {}, "these programs are missing and there is no apt-get to install them: sshd."
    ),
    "old python": Refusal(
        ("iperf3",),
        {"STUB_OLD_PYTHON": "1"},
        "python3 on PATH is Python 3.9.2, but Python 3.11 or newer is needed.",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_got_is_one_sentence_and_exit_2(machine: Machine, refusal: Refusal) -> None:
    outcome = machine.without(*refusal.absent).setup(**refusal.env)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"setup: {refusal.sentence}\n")
    assert not outcome.ran("apt-get")
    assert not (machine.checkout / ".venv").exists()


def test_python_without_ensurepip_brings_python3_venv(machine: Machine) -> None:
    assert installed(machine.setup(STUB_NO_ENSUREPIP="1")) == ["python3-venv"]


def test_the_second_run_does_nothing(machine: Machine) -> None:
    first, second = machine.setup(), machine.setup()
    assert first.ran("--require-hashes -r requirements.lock")
    assert first.ran("--no-deps --no-build-isolation -e .")
    assert (second.code, second.out, second.err) == (0, "", "")
    assert second.calls == ["python -c import sys; print(sys.version)"]


@pytest.mark.parametrize(
    ("spoil", "packages_again"),
    [
        ("requirements.lock", True),
        ("pyproject.toml", False),
        (".venv/bin/python", True),
        (".venv/.packages", True),
    ],
)
def test_a_stale_venv_is_made_again(machine: Machine, spoil: str, packages_again: bool) -> None:
    machine.setup()
    with (machine.checkout / spoil).open("w") as spoiled:
        spoiled.write("exit 1\n")
    outcome = machine.setup()
    assert outcome.code == 0, outcome.err
    assert outcome.ran("-m venv .venv") == packages_again
    assert outcome.ran("--no-build-isolation -e .")


def test_a_venv_cut_short_is_made_again(machine: Machine) -> None:
    assert machine.setup(STUB_PIP_EXIT="1").code == 1
    outcome = machine.setup()
    assert outcome.code == 0
    assert outcome.ran("-m venv .venv")


def test_lock_holds_hashes_and_no_address() -> None:
    lines = (REPO / "requirements.lock").read_text().splitlines()
    pins = [i for i, line in enumerate(lines) if "==" in line and not line.startswith("#")]
    assert pins
    assert all("--hash=sha256:" in lines[i + 1] for i in pins)
    assert not [line for line in lines if "://" in line or "-index" in line]


def test_what_measures_need_is_installed_like_the_rest() -> None:
    programs = registry.programs(registry.MEASURES)
    assert {name: program.package for name, program in programs.items()}.items() <= PACKAGE_OF.items()
