"""Every profile on the real kernel: applied, applied again, verified, torn down from any state."""

import shlex

import pytest

from harness.model.errors import HarnessError
from harness.nodes.remote import Remote
from tests.lab.bench import NOTHING, ONE_TASK, PROFILES, Bench, commands, done, missing_link_types, possible_profiles
from tests.lab.bench import bench as own_bench

pytestmark = pytest.mark.lab

PLANS: dict[str, dict[str, list[str]]] = {}
"""What applying each profile runs on each node, known once a test has applied it."""
APPLYING = "Bring the profiles' network state up"
UNHEARD_OF = """
name: unheard-of
kind: tunnel
summary: A link type that no kernel has
tunnel: nosuch0
networks: [192.168.78.0/24]
links:
  - {name: nosuch0, kind: nosuchlink}
endpoints:
  bridge: nosuch0
  address: 192.168.78.$pair_host/24
"""


def plan_of(bench: Bench, profile: str) -> dict[str, list[str]]:
    """Return the commands that bring a profile up, by node."""
    if profile not in PLANS:
        result = bench.play("apply", [profile], check=True)
        PLANS[profile] = {node.name: commands(result, node.name) for node in bench.nodes}
    return PLANS[profile]


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What applying says of all profiles that this kernel cannot make, of one that none can, and of a possible one."""
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "unheard-of.yml").write_text(UNHEARD_OF, encoding="utf-8")
    with own_bench() as bench:
        before = bench.snapshot()
        with pytest.raises(HarnessError) as refused:
            bench.play("apply", ["vxlan", *missing_link_types(), "unheard-of"], [folder])
        assert bench.changes(before) == []
    return str(refused.value)


def test_what_no_kernel_can_make_is_refused(refusal: str) -> None:
    assert "nosuchlink" in refusal
    assert "unheard-of" in refusal
    assert "input was" not in refusal, "a sentence, not what a program was fed"


@pytest.mark.parametrize("profile", PROFILES)
def test_comes_and_goes(bench: Bench, request: pytest.FixtureRequest, profile: str) -> None:
    if profile in missing_link_types():
        refused = request.getfixturevalue("refusal")
        assert [word for word in (profile, *missing_link_types()[profile]) if word not in refused] == []
        return
    before = bench.snapshot()
    # Its last part is to apply in check mode, which must have nothing to do; test_check_mode applies twice.
    up = bench.play("up", [profile])
    assert up.changed == ONE_TASK
    PLANS[profile] = {node.name: up.results[node.name, APPLYING]["commands"] for node in bench.nodes}
    assert bench.play("teardown", [profile]).changed == ONE_TASK
    assert bench.changes(before) == []


def cut(plan: list[str], where: float | str) -> list[str]:
    """Return the start of a plan: a share of it, or up to a link that has not got its alias yet."""
    runnable = [line for line in plan if line.startswith(("ip ", "bridge "))]
    if isinstance(where, float):
        return runnable[: round(where * len(runnable))]
    made = [number for number, line in enumerate(runnable, 1) if line.startswith(("ip link add", "ip tuntap add"))]
    return runnable[: {"first link": made[0], "second link": made[1], "last link": made[-1]}[where]]


# where the plan is cut off on the client node and on the server node
CUTS: list[tuple[float | str, float | str]] = [(0.15, 0.5), (0.8, "last link"), ("first link", "second link")]


@pytest.mark.parametrize("where", CUTS, ids=str)
def test_teardown_from_half_built(bench: Bench, where: tuple[float | str, float | str]) -> None:
    profiles = possible_profiles()
    before = bench.snapshot()
    for node, share in zip(bench.nodes, where, strict=True):
        lines = [line for profile in profiles for line in cut(plan_of(bench, profile)[node.name], share)]
        done(node, "sh", "-ec", "\n".join(shlex.join(line.split()) for line in lines))
    assert len(bench.changes(before)) >= 2 * len(profiles)
    assert bench.play("teardown", profiles).changed == ONE_TASK
    assert bench.changes(before) == []
    assert bench.play("teardown", profiles).changed == NOTHING
    assert bench.changes(before) == []


def undo(node: Remote, *lines: str) -> None:
    done(node, "sh", "-ec", "\n".join(lines))


def test_what_somebody_removed_by_hand_comes_back_and_goes(bench: Bench) -> None:
    before = bench.snapshot()
    bench.play("apply", ["flannel"])
    up = {node.name: state["links"].keys() for node, state in zip(bench.nodes, bench.snapshot().values(), strict=True)}
    undo(bench.client, "ip link del cni0", "rm /run/flannel/subnet.env", "sysctl -q net.ipv4.ip_forward=0")
    undo(bench.server, "ip link del flannel.1", "ip netns del harness-flannel-1450", "ip link set cni0 mtu 1300")
    assert bench.play("up", ["flannel"]).changed == ONE_TASK
    assert {name: state["links"].keys() for name, state in bench.snapshot().items()} == up
    undo(bench.client, "ip link del flannel.1", "sysctl -q net.ipv4.ip_forward=0")
    undo(bench.server, "ip link del cni0", "rm -r /run/flannel", "ip netns del harness-flannel-1500")
    bench.play("teardown", ["flannel"])
    assert bench.changes(before) == []


def test_host_that_drops_what_it_forwards(bench: Bench) -> None:
    for node in bench.nodes:
        done(node, "iptables", "-P", "FORWARD", "DROP")
    before = bench.snapshot()
    bench.play("up", ["flannel"])
    bench.play("teardown", ["flannel"])
    assert bench.changes(before) == []
