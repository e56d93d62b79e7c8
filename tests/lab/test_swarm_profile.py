"""Docker Swarm's overlay network, built by its profile: it comes and goes, whatever happens, and only what is ours."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.inspect.doctor import can_make
from harness.labs.engine import LOG
from harness.model.containers import Engine
from harness.model.errors import PlaybookError
from harness.nodes.remote import Remote
from tests.lab.bench import NOTHING, SETTLING_S, Bench, done, eventually
from tests.lab.bench import bench as own_bench
from tests.lab.machine import OUT, Machine
from tests.lab.test_docker import remove_foreign, start_foreign

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

PROFILE = ["swarm"]
BUILT = {"k8s-1": 3, "k8s-2": 3}
"""Rules; the swarm; the endpoints."""
GONE = {"k8s-1": 2, "k8s-2": 2}
INTERRUPTED = 130
STATE = (
    "docker ps -a --format {{.Names}}",
    "docker volume ls -q",
    "docker network ls --format {{.ID}}{{.Name}}",
    "docker images -q",
    "docker info -f {{.Swarm.LocalNodeState}}{{.Swarm.NodeID}}",
)


@pytest.fixture(scope="module")
def dockers(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A lab with a Docker daemon in each node; every test leaves it as it found it, and a failed one Docker's log."""
    failed_before = request.session.testsfailed
    with own_bench(engine=Engine.DOCKER) as made:
        for node in made.nodes:  # what a first container leaves for good
            start_foreign(node, "first", "bridge")
            remove_foreign(node, "first")
        yield made
        if request.session.testsfailed > failed_before:
            for node in made.nodes:
                sys.stderr.write(f"---- {node.name}: dockerd\n{done(node, 'tail', '-n', '60', f'/{LOG}')}\n")


def of_docker(bench: Bench) -> list[str]:
    """Return what both engines have: containers, volumes, networks, images, the swarm that they are in."""
    return [done(node, *text.split()) for node in bench.nodes for text in STATE]


def is_member(node: Remote) -> bool:
    return done(node, "docker", "info", "-f", "{{.Swarm.LocalNodeState}}").strip() == "active"


def test_comes_and_goes_and_keeps_its_secret(dockers: Bench) -> None:
    before, docker_before = dockers.snapshot(), of_docker(dockers)
    assert dockers.play("apply", PROFILE, check=True).changed == BUILT
    assert (dockers.changes(before), of_docker(dockers)) == ([], docker_before)
    assert dockers.play("apply", PROFILE).changed == BUILT
    up, docker_up = dockers.snapshot(), of_docker(dockers)
    assert dockers.play("apply", PROFILE).changed == NOTHING
    assert dockers.play("verify", PROFILE).changed == NOTHING
    assert (dockers.changes(up), of_docker(dockers)) == ([], docker_up)
    token = done(dockers.client, "docker", "swarm", "join-token", "-q", "worker").strip()
    assert token.startswith("SWMTKN-")
    files = [path for path in dockers.lab.scratch.rglob("*") if path.is_file()]
    held = [path for path in files if token in path.read_text("utf-8", "replace")]
    assert files
    assert held == [], "neither Ansible's record of the play nor anything else has what lets others join"
    assert dockers.play("teardown", PROFILE).changed == GONE
    assert (dockers.changes(before), of_docker(dockers)) == ([], docker_before)
    assert dockers.play("teardown", PROFILE).changed == NOTHING


def test_what_somebody_harmed_is_made_anew(dockers: Bench) -> None:
    before, docker_before = dockers.snapshot(), of_docker(dockers)
    dockers.play("apply", PROFILE)
    done(dockers.client, "docker", "kill", "swarm-c01")
    done(dockers.server, "docker", "rm", "-f", "swarm-c02")
    with pytest.raises(PlaybookError):
        dockers.play("verify", PROFILE)
    assert dockers.play("apply", PROFILE).changed == {"k8s-1": 1, "k8s-2": 1}
    dockers.play("verify", PROFILE)
    done(dockers.client, "docker", "swarm", "leave", "--force")  # the worker knows of none of it
    dockers.play("teardown", PROFILE)
    assert (dockers.changes(before), of_docker(dockers)) == ([], docker_before)


def test_half_built_is_taken_down(dockers: Bench) -> None:
    before, docker_before = dockers.snapshot(), of_docker(dockers)
    start_foreign(dockers.server, "theirs", "none")
    done(dockers.server, "docker", "rename", "theirs", "swarm-c02")
    with pytest.raises(PlaybookError, match=r"k8s-2: a container named swarm-c02 is already there and not ours"):
        dockers.play("apply", PROFILE)
    assert not any(is_member(node) for node in dockers.nodes), "nothing was changed"
    remove_foreign(dockers.server, "swarm-c02")
    dockers.play("apply", PROFILE)
    for node in dockers.nodes:
        done(node, "docker", "rm", "-f", "swarm-c01", "swarm-c02")
    done(dockers.server, "docker", "swarm", "leave")
    dockers.play("teardown", PROFILE)
    assert (dockers.changes(before), of_docker(dockers)) == ([], docker_before)


def await_swarm(bench: Bench) -> None:
    """Wait until Docker, which goes on in the background, has made all that belongs to a swarm.

    The last of it is its own namespace on the bridge for swarms. The file of that namespace does not tell: one of an
    earlier swarm stays for up to a minute. A swarm that is left before all this is there keeps its ports.
    """
    inspect = "docker network inspect docker_gwbridge --format {{json .Containers}}"
    assert eventually(lambda: "ingress-sbox" in bench.server.run(inspect.split(maxsplit=5)).stdout)
    seen = [bench.snapshot()]

    def is_settled() -> bool:
        time.sleep(SETTLING_S)
        seen.append(bench.snapshot())
        return seen[-1] == seen[-2]

    assert eventually(is_settled)


def test_a_swarm_of_others_is_refused_and_stays(dockers: Bench) -> None:
    done(dockers.server, "docker", "swarm", "init", "--advertise-addr", "172.12.1.12")
    await_swarm(dockers)
    before, docker_before = dockers.snapshot(), of_docker(dockers)
    with pytest.raises(
        PlaybookError, match=r"k8s-2: this node is in a swarm already, which is not ours.*--between A,B$"
    ):
        dockers.play("apply", PROFILE)
    dockers.play("teardown", PROFILE)
    assert (dockers.changes(before), of_docker(dockers)) == ([], docker_before)
    done(dockers.server, "docker", "swarm", "leave", "--force")
    done(dockers.server, "docker", "network", "rm", "docker_gwbridge")
    assert eventually(lambda: ":7946" not in done(dockers.server, "ss", "-Hnltu"))


@pytest.mark.skipif(can_make("esp"), reason="this kernel has ESP, with which the profile is built")
def test_encrypted_is_refused_where_the_kernel_lacks_it(dockers: Bench) -> None:
    before, docker_before = dockers.snapshot(), of_docker(dockers)
    with pytest.raises(PlaybookError, match="this kernel has no IPsec ESP, which profile swarm-encrypted needs"):
        dockers.play("apply", ["swarm-encrypted"])
    assert (dockers.changes(before), of_docker(dockers)) == ([], docker_before)


def test_the_tunnel_is_dockers_own(dockers: Bench) -> None:
    dockers.play("apply", PROFILE)
    for node in dockers.nodes:
        overlay = "nsenter --net=/run/vxlan-harness-node/overlay-swarm -- ip -j -d link show dev vxlan0"
        (device,) = json.loads(done(node, *overlay.split()))
        shown = device["linkinfo"]["info_data"]
        assert (device["mtu"], shown["id"], shown["port"], shown["proxy"]) == (1450, 4097, 4789, True)
    dockers.play("teardown", PROFILE)


def test_an_interrupted_run_leaves_the_swarm(tmp_path: Path) -> None:
    """Ctrl-C as soon as the first node has made the swarm; the lab stands before and after."""
    with Machine() as machine:
        up = machine.run(tmp_path, "lab", "up", "--containers", "docker")
        assert up.exit_code == 0, up.stderr

        def of_swarm(node: int) -> str:
            words = (
                "docker info -f {{.Swarm.LocalNodeState}}",
                "docker volume ls -q",
                "docker ps -aq",
                "docker network ls",
            )
            return "".join(machine.on_node(node, *text.split()) for text in words)

        before = [of_swarm(node) for node in (0, 1)]
        words = f"run --profile swarm --containers docker --mtu 1450 --blocks 1 --out {OUT}".split()
        with machine.start(tmp_path, *words) as command:
            assert eventually(lambda: of_swarm(0).startswith("active") or command.exit_code is not None)
            assert command.exit_code is None, command.stderr
            command.send(signal.SIGINT)
            assert command.wait() == INTERRUPTED, command.stderr
        assert [of_swarm(node) for node in (0, 1)] == before
        down = machine.run(tmp_path, "lab", "down")
        assert down.exit_code == 0, down.stderr
