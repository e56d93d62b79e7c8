"""The local lab: nodes that are processes with namespaces of their own, joined by a shaped link or a switch.

A node lives exactly as long as the process that holds its namespaces; when that ends, the kernel removes every
process, link and mount in it. A holder dies with the harness, unless `harness lab up` detached it on purpose. Nodes
are reached over real SSH, but no port listens: each connection is an `sshd -i` of its own, started inside the node.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from harness.labs import engine, holder, wiring
from harness.labs.base import Lab
from harness.labs.holder import enter_argv
from harness.labs.process import ProcessId, command
from harness.model.containers import Engine
from harness.model.errors import InputError, LabError
from harness.model.trial import Node

STATE_ROOT = Path("/run/vxlan-harness")
KEPT = "lab"
"""Name of the lab that `harness lab up` leaves standing."""
MIN_NODES, MAX_NODES = 2, 8
NODES = tuple((f"k8s-{n}", f"172.12.1.{10 + n}", f"fd00:172:12:1::{10 + n}") for n in range(1, MAX_NODES + 1))
"""Names and addresses; a lab takes the first of them."""
PREFIX_LENGTH = 24
PREFIX6_LENGTH = 64
DEVICE = "ens33"
NIC_MTU = 1500
DEFAULT_RATE = "1gbit"
NEEDS_ROOT = "the local lab is made of namespaces, which takes root; run this with sudo."
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(kbit|mbit|gbit)")
_RATE_UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
# tbf lets this much time's worth of the rate pass at once after a pause, and holds at most so much. The burst has to
# outlast the moments in which a virtual machine is not run at all, or what they cost is lost for good: with a CPU
# stolen 12 % of the time, 8 flows read 0.56-0.85 Gbit/s with a burst of 1 ms and 0.954-0.957 with one of 8 ms.
BURST_S = 0.008
QUEUE_S = 0.024
MIN_BURST_BYTES = 65536
"""The largest GSO burst; tbf would have to cut a larger packet than it lets pass."""

_HOLDER = f"""
set -e
{engine.SCRIPT}
mount -t tmpfs -o mode=755 tmpfs /run
[ "$3" = none ] || keep_cgroups
mount -t sysfs sysfs /sys
[ "$3" = none ] || prepare_engine "$3" "$4"
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=700 tmpfs "$2"
mkdir -p /run/sshd /run/netns
printf 'root:*:19000:0:99999:7:::\\n' > /run/shadow
chmod 600 /run/shadow
mount --bind /run/shadow /etc/shadow
hostname "$1"
ip link set lo up
start_engine "$3"
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""
# Why: /run, /tmp and root's home are the node's own, so nothing that runs in it leaves a file on the host, and its
# login shell starts without the host's profile. A locked root account (Ubuntu's) would be refused by sshd without PAM.
# SIGCHLD ignored makes the kernel reap whatever is orphaned in the node.

_SSHD_CONFIG = """
HostKey /run/harness/host_key
AuthorizedKeysFile /run/harness/authorized_keys
PidFile none
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
PrintMotd no
MaxSessions 64
Subsystem sftp internal-sftp
"""


def parse_rate(text: str) -> float | None:
    """Return a rate such as `1gbit` in bit/s, None for `none`; raises InputError for anything else."""
    if text == "none":
        return None
    found = _RATE.fullmatch(text)
    rate = float(found[1]) * _RATE_UNITS[found[2]] if found else 0.0
    if not 1e6 <= rate <= 400e9:  # noqa: PLR2004 - what tbf can shape and a test can measure
        raise InputError(f"--rate {text!r}: give none, or a number with kbit, mbit or gbit from 1mbit to 400gbit.")
    return rate


class LocalLab:
    """Nodes in namespaces of this machine. `keep`: they outlive this process (`harness lab up`)."""

    def __init__(
        self,
        rate: str = DEFAULT_RATE,
        *,
        count: int = MIN_NODES,
        keep: bool = False,
        state_root: Path = STATE_ROOT,
        containers: Engine = Engine.NONE,
    ) -> None:
        self.count = count
        self.rate = rate
        self.containers = containers
        self.rate_bps = parse_rate(rate)
        self.keep = keep
        self.directory = state_root / (KEPT if keep else f"run-{os.getpid()}")
        self.groups = f"{self.directory.name}-{secrets.token_hex(4)}"  # pids of two PID namespaces may be the same
        self._brought_up = False

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes, whose names and addresses are always the same."""
        return tuple(
            Node(name, index, address, DEVICE, NIC_MTU, address6)
            for index, (name, address, address6) in enumerate(NODES[: self.count], 1)
        )

    def probe(self) -> list[str]:
        """Return a sentence for each thing that is missing here; see harness.inspect.doctor for the full list."""
        return [] if os.geteuid() == 0 else [NEEDS_ROOT]

    def up(self) -> Lab:
        """Bring the nodes up, or find as many that `harness lab up` left standing with the same rate."""
        problems = self.probe()
        if problems:
            raise LabError(" ".join(problems))
        kept = find_kept(self.directory.parent)
        if kept is not None:
            if kept["rate"] != self.rate:
                raise LabError(
                    f"the lab that is up has rate {kept['rate']}, not {self.rate}; "
                    f"`harness lab down` it, or give --rate {kept['rate']}."
                )
            if len(kept["nodes"]) != self.count:
                raise LabError(
                    f"the lab that is up has {len(kept['nodes'])} nodes, not {self.count}; "
                    f"`harness lab down` it, or give --nodes {len(kept['nodes'])}."
                )
            if self.containers is not Engine.NONE and kept["containers"] != self.containers:
                raise LabError(
                    f"the lab that is up was made without --containers {self.containers}; `harness lab down` it first."
                )
            return _lab(self.directory.parent / KEPT, kept)
        if self.directory.exists():
            _remove(self.directory)
        self._brought_up = True
        try:
            self.directory.mkdir(parents=True, mode=0o700)
            return self._build()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End the nodes that this object brought up and remove their files."""
        if self._brought_up:
            _remove(self.directory)
            self._brought_up = False

    def _build(self) -> Lab:
        owner = vars(ProcessId.of(os.getpid()))
        state: dict[str, Any] = {
            "rate": self.rate,
            "containers": self.containers.value,
            "groups": self.groups,
            "nodes": [],
            "owner": owner,
        }
        engine.require(self.containers, SEARCH_PATH)
        key = self.directory / "id_ed25519"
        _make_key(key)
        home = pwd.getpwuid(0).pw_dir
        for index, (name, address, address6) in enumerate(NODES[: self.count], 1):
            settings = engine.settings(self.containers, self.groups, name)
            held = holder.start(_HOLDER, name, home, self.containers, settings, detached=self.keep)
            addresses = {"address": address, "address6": address6}
            state["nodes"].append({"name": name, "index": index, **addresses, **held.described()})
            _write_json(self.directory / "state.json", state)
            _prepare_sshd(self.directory, name, held.inside.pid)
        self._join(state)
        self._await_engine(state)
        _write_access(self.directory, state)
        return _lab(self.directory, state)

    def _join(self, state: dict[str, Any]) -> None:
        """Join the nodes, two directly and more by a switch, and shape what each of them sends."""
        ports = [(node["name"], node["inside"]["pid"]) for node in state["nodes"]]
        if len(ports) == MIN_NODES:
            (_, first), (_, second) = ports
            wiring.cable(first, second, DEVICE, NIC_MTU)
        else:
            held = wiring.start(detached=self.keep)
            state["switch"] = {"name": wiring.NAME, **held.described()}
            _write_json(self.directory / "state.json", state)
            wiring.plug(held.inside.pid, ports, DEVICE, NIC_MTU)
        for node in state["nodes"]:
            enter = enter_argv(node["inside"]["pid"])
            command([*enter, "ip", "addr", "add", f"{node['address']}/{PREFIX_LENGTH}", "dev", DEVICE])
            command([*enter, "ip", "addr", "add", f"{node['address6']}/{PREFIX6_LENGTH}", "dev", DEVICE, "nodad"])
            command([*enter, "ip", "link", "set", "dev", DEVICE, "up"])
            if self.rate_bps is not None:
                burst, limit = (max(int(self.rate_bps / 8 * time_s), MIN_BURST_BYTES) for time_s in (BURST_S, QUEUE_S))
                shape = f"tc qdisc replace dev {DEVICE} root tbf rate {self.rate} burst {burst} limit {limit}"
                command([*enter, *shape.split()])

    def _await_engine(self, state: dict[str, Any]) -> None:
        """Wait for the daemons, which have been starting while the rest was made."""
        if self.containers is not Engine.DOCKER:
            return
        for node in state["nodes"]:
            pid = node["inside"]["pid"]
            engine.await_docker([*enter_argv(pid), "docker", "version"], Path(f"/proc/{pid}/root"), node["name"])


def find_kept(state_root: Path = STATE_ROOT) -> dict[str, Any] | None:
    """Return the state of the lab that `harness lab up` left standing, None where there is none alive."""
    path = state_root / KEPT / "state.json"
    if not path.exists():
        return None
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    alive = [ProcessId(**held["inside"]).is_alive() for held in _held(state)]
    return state if len(alive) >= MIN_NODES and all(alive) else None


def require_root() -> None:
    """Raise LabError unless this process may enter and end namespaces."""
    if os.geteuid() != 0:
        raise LabError(NEEDS_ROOT)


def kept_state(state_root: Path = STATE_ROOT) -> dict[str, Any]:
    """Return the state of the lab that `harness lab up` left standing; raises LabError where there is none."""
    require_root()
    state = find_kept(state_root)
    if state is None:
        raise LabError("the local lab is not up; `harness lab up` brings it up.")
    return state


def take_down_all(state_root: Path = STATE_ROOT) -> list[str]:
    """Remove the kept lab, and whatever runs left behind that were killed; return the names of what was removed."""
    require_root()
    removed = []
    for directory in sorted(state_root.glob("*")) if state_root.is_dir() else []:
        path = directory / "state.json"
        state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        owner = state.get("owner")
        if directory.name != KEPT and owner and ProcessId(**owner).is_alive():
            continue  # a run that is under way takes its own lab down
        _remove(directory)
        removed.append(directory.name)
    return removed


def _remove(directory: Path) -> None:
    """End the nodes of one lab and remove its files."""
    path = directory / "state.json"
    state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"nodes": []}
    for held in _held(state):
        for role in ("holder", "inside"):
            if not ProcessId(**held[role]).kill():
                raise LabError(f"node {held['name']} (pid {held[role]['pid']}) does not end; end it and try again.")
    engine.remove_cgroups(Engine(state.get("containers", Engine.NONE)), state.get("groups", ""))
    shutil.rmtree(directory, ignore_errors=True)
    if directory.parent == STATE_ROOT and not any(directory.parent.iterdir()):
        directory.parent.rmdir()


def _held(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what of a lab is held by processes: its nodes, and its switch where it has one."""
    return [*state["nodes"], *([state["switch"]] if "switch" in state else [])]


def _make_key(path: Path) -> None:
    command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throw-away key of a lab", "-f", str(path)])


def _prepare_sshd(directory: Path, name: str, pid: int) -> None:
    """Give a node its sshd: configuration and keys lie in its own /run, gone with it."""
    inside = Path(f"/proc/{pid}/root/run/harness")
    inside.mkdir(mode=0o700)
    _make_key(inside / "host_key")
    (inside / "sshd_config").write_text(_SSHD_CONFIG, encoding="utf-8")
    (inside / "authorized_keys").write_text((directory / "id_ed25519.pub").read_text("utf-8"), encoding="utf-8")
    host_key = " ".join((inside / "host_key.pub").read_text("utf-8").split()[:2])
    with (directory / "known_hosts").open("a", encoding="utf-8") as file:
        file.write(f"{name} {host_key}\n")


def _write_access(directory: Path, state: dict[str, Any]) -> None:
    """Write the SSH configuration and the Ansible inventory by which the nodes are reached."""
    sshd = shutil.which("sshd", path=SEARCH_PATH)
    if sshd is None:
        raise LabError("sshd is not installed; run `make setup`.")
    blocks = []
    hosts = {}
    for node in state["nodes"]:
        proxy = " ".join([*enter_argv(node["inside"]["pid"]), sshd, "-i", "-f", "/run/harness/sshd_config"])
        blocks.append(
            f"Host {node['name']}\n"
            f"  User root\n"
            f"  IdentityFile {directory}/id_ed25519\n"
            f"  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {directory}/known_hosts\n"
            f"  GlobalKnownHostsFile none\n"
            f"  StrictHostKeyChecking yes\n"
            f"  ProxyCommand {proxy}\n"
        )
        hosts[node["name"]] = {
            "underlay_address": node["address"],
            "underlay_address6": node["address6"],
            "underlay_device": DEVICE,
            "underlay_mtu": NIC_MTU,
            "ansible_ssh_common_args": f"-F {directory}/ssh_config",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
    (directory / "ssh_config").write_text("\n".join(blocks), encoding="utf-8")
    _write_json(directory / "inventory.json", {"nodes": {"hosts": hosts}})


def _lab(directory: Path, state: dict[str, Any]) -> Lab:
    nodes = [
        Node(node["name"], node["index"], node["address"], DEVICE, NIC_MTU, node["address6"]) for node in state["nodes"]
    ]
    return Lab(
        name="local",
        inventory=directory / "inventory.json",
        ssh_config=directory / "ssh_config",
        client=nodes[0],
        server=nodes[1],
        others=tuple(nodes[2:]),
        rate_bps=parse_rate(state["rate"]),
        shared_kernel=True,
        scratch=directory,
    )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
