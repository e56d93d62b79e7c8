"""Endpoints that are containers of a real Docker daemon in each node: the same profiles, and Docker left as it was."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.labs.engine import CGROUP_PARENT, CGROUPS
from harness.model.containers import OWN_IMAGE, Containers, Engine
from harness.model.errors import PlaybookError
from harness.nodes.remote import Remote
from tests.lab.bench import NOTHING, ONE_TASK, Bench, done, eventually, ping
from tests.lab.bench import bench as own_bench
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of, started, summary_rows, wait_for_rows

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

KINDS = ["vxlan", "flannel", "vxlan-1500"]
"""On Docker's own bridge, routed by way of a bridge of ours, and bridged by one of ours."""
TOLERANCE = 0.015


@pytest.fixture(scope="module")
def dockers() -> Iterator[Bench]:
    """A lab with a Docker daemon in each node; every test leaves it as it found it."""
    with own_bench(engine=Engine.DOCKER) as made:
        for node in made.nodes:  # its first container ever gives docker0 its link-local address, for good
            start_foreign(node, "first", "bridge")
            remove_foreign(node, "first")
        yield made


def groups_of(machine: Machine) -> str:
    """Return how the control groups of a machine's lab are called, once it has one."""

    def names() -> list[str]:
        states = [json.loads(path.read_text(encoding="utf-8")) for path in machine.labs.glob("run-*/state.json")]
        return [state["groups"] for state in states if state["nodes"]]

    assert eventually(lambda: bool(names()))
    (name,) = names()
    return name


def left_groups(name: str) -> list[str]:
    """Return the control groups of this name that are below this host's hierarchies."""
    return [str(path) for path in CGROUPS.glob(f"**/{CGROUP_PARENT}/{name}*")]


def containers(node: Remote) -> list[str]:
    return sorted(done(node, "docker", "ps", "--format", "{{.Names}}").split())


def has_carrier(node: Remote) -> bool:
    return "NO-CARRIER" not in done(node, "ip", "link", "show", "dev", "docker0")


def start_foreign(node: Remote, name: str, network: str) -> None:
    """Start a container that is not ours, from an image of its own."""
    script = "mkdir -p /tmp/r/bin; cp /bin/sleep /tmp/r/bin; for l in $(ldd /bin/sleep | grep -o '/[^ ]*'); do "
    script += 'mkdir -p "/tmp/r$(dirname "$l")"; cp -L "$l" "/tmp/r$l"; done; '
    script += "tar -c -C /tmp/r . | docker import - theirs:1; rm -r /tmp/r; "
    script += shlex.join(["docker", "run", "-d", "--name", name, "--network", network, "theirs:1", "sleep", "999"])
    done(node, "sh", "-ec", script)
    assert eventually(lambda: has_carrier(node) == (network == "bridge"))


def remove_foreign(node: Remote, name: str) -> None:
    done(node, "docker", "rm", "-f", name)
    done(node, "docker", "rmi", "theirs:1")


def test_comes_and_goes(dockers: Bench) -> None:
    before = dockers.snapshot()
    assert dockers.play_as_said("apply", KINDS).changed == ONE_TASK
    own = ["flannel-c01", "flannel-c02", "vxlan-1500-c01", "vxlan-1500-c02"]
    assert containers(dockers.client) == [*own, "vxlan-c01", "vxlan-c02", "vxlan-c03"]
    assert containers(dockers.server) == [*own, "vxlan-c01", "vxlan-c02", "vxlan-c03", "vxlan-c04"]
    up = dockers.snapshot()
    assert dockers.play("apply", KINDS).changed == NOTHING
    assert dockers.play("verify", KINDS).changed == NOTHING
    assert dockers.changes(up) == []
    assert dockers.play_as_said("teardown", KINDS).changed == ONE_TASK
    assert dockers.changes(before) == []
    assert dockers.play("teardown", KINDS).changed == NOTHING


def test_docker0_is_dockers_own_and_no_address_is_there_twice(dockers: Bench) -> None:
    before = dockers.snapshot()
    dockers.play("apply", ["vxlan"])
    for node, addresses in ((dockers.client, {1450: 2, 1500: 4}), (dockers.server, {1450: 3, 1500: 5})):
        (bridge,) = json.loads(done(node, "ip", "-j", "-d", "link", "show", "dev", "docker0"))
        assert (bridge.get("ifalias"), bridge["group"]) == (None, "default")
        for mtu, host in addresses.items():
            namespace = f"harness-vxlan-{mtu}"
            (eth0,) = json.loads(done(node, "ip", "-n", namespace, "-j", "addr", "show", "dev", "eth0"))
            assert (eth0["mtu"], eth0["addr_info"][0]["local"]) == (mtu, f"172.17.0.{host}")
    # k8s-1 has a container that holds 172.17.0.3 as well: it must stay silent, or this would never leave the node
    sent = "cat /sys/class/net/vxlan_docker/statistics/tx_packets"
    earlier = int(done(dockers.client, *sent.split()))
    assert ping(dockers.client, ("ip", "netns", "exec", "harness-vxlan-1450"), "172.17.0.3", "-c", "3").exit_code == 0
    assert int(done(dockers.client, *sent.split())) >= earlier + 3
    dockers.play("teardown", ["vxlan"])
    assert dockers.changes(before) == []


def test_what_somebody_harmed_is_made_anew(dockers: Bench) -> None:
    before = dockers.snapshot()
    both = ["vxlan", "flannel"]
    dockers.play("apply", both)
    for harm in ("docker kill vxlan-c01", "docker rm -f vxlan-c02 flannel-c01", "ip netns del harness-flannel-1450"):
        done(dockers.client, *harm.split())
        assert dockers.play_as_said("apply", both).changed == {"k8s-1": 1, "k8s-2": 0}
    dockers.play("verify", both)
    done(dockers.client, *"docker kill vxlan-c01 flannel-c02".split())
    done(dockers.server, *"docker rm -f vxlan-c02 flannel-c01".split())
    dockers.play_as_said("teardown", both)
    assert dockers.changes(before) == []


def test_plain_namespaces_take_the_place_of_containers(dockers: Bench) -> None:
    before = dockers.snapshot()
    dockers.play("apply", ["flannel"])
    plain = replace(dockers, containers=Containers())
    plain.play_as_said("apply", ["flannel"])
    plain.play("verify", ["flannel"])
    assert containers(dockers.client) == []
    dockers.play_as_said("apply", ["flannel"])
    assert containers(dockers.client) == ["flannel-c01", "flannel-c02"]
    plain.play_as_said("teardown", ["flannel"])  # whoever tears down need not know what the endpoints were
    assert dockers.changes(before) == []


def test_somebody_elses_containers_are_named_and_left_alone(dockers: Bench) -> None:
    start_foreign(dockers.server, "web", "bridge")
    before = dockers.snapshot()
    with pytest.raises(PlaybookError, match=r"k8s-2: docker0 carries other containers \(web\)"):
        dockers.play("apply", ["vxlan"])
    assert dockers.changes(before) == []
    dockers.play("up", ["flannel"])  # has a bridge of its own
    dockers.play("teardown", ["flannel"])
    assert dockers.changes(before) == []
    remove_foreign(dockers.server, "web")


def test_a_taken_name_is_refused(dockers: Bench) -> None:
    start_foreign(dockers.client, "flannel-c02", "none")
    before = dockers.snapshot()
    with pytest.raises(PlaybookError, match="k8s-1: a container named flannel-c02 is already there and not ours"):
        dockers.play("apply", ["flannel"])
    assert dockers.changes(before) == []
    remove_foreign(dockers.client, "flannel-c02")


def test_any_image_will_do_and_stays(dockers: Bench) -> None:
    for node in dockers.nodes:
        start_foreign(node, "maker", "none")
        done(node, "docker", "rm", "-f", "maker")
    before = dockers.snapshot()
    theirs = replace(dockers, containers=Containers.parse("docker", "theirs:1"))
    theirs.play("up", ["flannel"])
    assert done(dockers.client, "docker", "ps", "--format", "{{.Image}}").split() == ["theirs:1"] * 2
    assert done(dockers.client, "docker", "images", "-q", OWN_IMAGE) == ""
    theirs.play("teardown", ["flannel"])
    assert dockers.changes(before) == []
    for node in dockers.nodes:
        done(node, "docker", "rmi", "theirs:1")


@pytest.mark.parametrize(
    "image", ["x; touch /run/canary", "$(touch /run/canary)", "x\ntouch /run/canary", "--privileged"]
)
def test_an_image_reaches_no_shell(dockers: Bench, image: str) -> None:
    before = dockers.snapshot()
    unchecked = Containers(Engine.DOCKER, image)  # past the command line, as `-e image=...` by hand would be
    with pytest.raises(PlaybookError, match="is not the name of an image"):
        replace(dockers, containers=unchecked).play("apply", ["flannel"])
    assert dockers.changes(before) == []


def test_a_node_without_a_daemon_is_refused(bench: Bench) -> None:
    before = bench.snapshot()
    with pytest.raises(PlaybookError, match="k8s-1: docker does not answer on this node"):
        replace(bench, containers=Containers.parse("docker")).play("apply", ["flannel"])
    assert bench.changes(before) == []


def test_tcp_reads_what_the_headers_allow(machine: Machine, tmp_path: Path) -> None:
    words = f"run --profile vxlan --containers docker --mtu 1450 --flows 1 --duration 1 --omit 1 --out {OUT}"
    command, before = started(machine, tmp_path, *words.split())
    with command:
        groups = groups_of(machine)
        assert eventually(lambda: bool(left_groups(groups)) or command.exit_code is not None)
        command.wait()
    assert command.exit_code == 0, command.stderr
    (folder,) = machine.results()
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    assert all("vxlan_docker" in row["proof"] for row in rows if row["profile"] == "vxlan")
    (tcp,) = summary_rows(folder, "vxlan", "goodput_bps")
    assert abs(float(tcp["ratio"]) - float(tcp["ceiling_ratio"])) < TOLERANCE
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert described["plan"]["setup"]["containers"] == {"engine": "docker", "image": OWN_IMAGE}
    assert described["versions"]["containers"]["k8s-1"]
    assert [note for note in described["notes"] if "daemon.json" in note["fact"]]
    assert machine.changes(before) == []
    assert left_groups(groups) == []


def test_the_default_mtu_is_a_trap_and_shown_as_one(machine: Machine, tmp_path: Path) -> None:
    words = "run --profile vxlan --containers docker --mtu 1500 --flows 1 --blocks 1 --duration 1 --omit 0 --out"
    command, _ = started(machine, tmp_path, *words.split(), OUT)
    with command:
        command.wait()
    (folder,) = machine.results()
    states = {row["measure"]: row["path_state"] for row in rows_of(folder / "trials.csv") if row["profile"] == "vxlan"}
    assert states == {"iperf3": "clamped to 1450", "ping": "inner-fragmented"}


def test_a_killed_run_with_containers_is_taken_down(machine: Machine, tmp_path: Path) -> None:
    words = f"run --profile vxlan --containers docker --mtu 1450 --flows 1 --out {OUT}"
    command, before = started(machine, tmp_path, *words.split())
    with command:
        wait_for_rows(machine, command, 1)
        groups = groups_of(machine)
    assert machine.run(tmp_path, "lab", "down").exit_code == 0
    assert machine.changes(before) == []
    assert left_groups(groups) == []
