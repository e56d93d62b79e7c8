"""The run with a lab, nodes and playbooks that are fakes: its order, and that it always cleans up."""

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.fabric.ansible import paths
from harness.fabric.profiles import load
from harness.measures.registry import cells
from harness.model.errors import (
    ConnectionLostError,
    HarnessError,
    LabError,
    NodeGoneError,
    PlaybookError,
    TaskFailedError,
    VerificationError,
)
from harness.model.node import Node
from harness.model.notes import Note
from harness.model.path import Claim, Kind
from harness.model.trial import Cell
from harness.results.meta import read_meta
from harness.results.plan import Plan
from harness.run.experiment import Outcome
from harness.run.pair_run import NEIGHBOURS_NOTE
from tests.unit.world import (
    BIDIR,
    CLEAN_UP,
    ENVIRONMENT,
    NODES,
    PLAN,
    PROFILES,
    REFUSED,
    SETUP,
    TRIALS,
    Bench,
    FakeObserver,
    cleaned_up,
    raises,
)


def test_everything_in_its_order(bench: Bench) -> None:
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    trials = [f"trial {number}" for number in range(1, TRIALS + 1)]
    steps = ["up", "apply", "verify", *trials, *CLEAN_UP]
    assert [event for event in bench.world.events if event in steps] == steps
    assert bench.world.events[-1] == "down"
    for node in ("k8s-1", "k8s-2"):
        assert bench.world.events.count(f"connect {node}") == bench.world.events.count(f"close {node}") == 1
        assert bench.world.events.index(f"connect {node}") < bench.world.events.index("trial 1")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("apply", PlaybookError("k8s-2: no such device")),
        ("apply", KeyboardInterrupt()),
        ("verify", VerificationError("no ping")),
        ("trial 2", KeyboardInterrupt()),
        ("trial 1", RuntimeError("a bug of ours")),
        ("close k8s-1", OSError("broken pipe")),
    ],
    ids=str,
)
def test_cleans_up_whatever_happens(bench: Bench, event: str, error: BaseException) -> None:
    bench.world.failures[event] = error
    with pytest.raises(type(error)):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP


def test_set_up_that_fails_its_verification_is_told_from_one_that_fails(bench: Bench) -> None:
    bench.world.failures["verify"] = TaskFailedError("k8s-2: no reply")
    with pytest.raises(VerificationError, match="does not do what its profile says: k8s-2: no reply"):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP


def test_ansible_that_breaks_in_a_verification_says_nothing_of_the_set_up(bench: Bench) -> None:
    bench.world.failures["verify"] = PlaybookError("playbook verify ended as failed")
    with pytest.raises(PlaybookError, match=r"^playbook verify ended as failed$"):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP


def test_nodes_that_cannot_be_reached_need_no_teardown(bench: Bench) -> None:
    bench.world.failures["connect k8s-2"] = ConnectionLostError("no")
    with pytest.raises(ConnectionLostError):
        bench.run()
    assert "apply" not in bench.world.events
    assert bench.world.events[-1] == "down"


@pytest.mark.parametrize("error", [LabError("no root"), KeyboardInterrupt()])
def test_lab_that_does_not_come_up_goes_no_further(bench: Bench, error: BaseException) -> None:
    bench.world.failures["up"] = error
    with pytest.raises(type(error)):
        bench.run()
    assert set(bench.world.events) <= {"up", "down"}


def test_lab_goes_down_even_if_teardown_fails(bench: Bench) -> None:
    bench.world.failures["teardown"] = PlaybookError("unreachable")
    with pytest.raises(PlaybookError, match="unreachable"):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP


def test_failure_of_the_clean_up_does_not_hide_why_it_was_needed(bench: Bench) -> None:
    bench.world.failures |= {
        "apply": PlaybookError("no such device"),
        "teardown": PlaybookError("unreachable"),
        "down": LabError("does not end"),
    }
    with pytest.raises(PlaybookError, match="no such device"):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP
    first, second = (str(note) for note in bench.world.notes if "cleaning up failed as well: " in note.fact)
    assert "unreachable" in first
    assert second.endswith("does not end")


def test_profile_that_the_kernel_cannot_make_is_refused_before_anything_is_changed(bench: Bench) -> None:
    bench.world.unknown_link_types = ("vxlan",)
    with pytest.raises(LabError, match=r"vxlan needs link type vxlan.*--skip-unsupported"):
        bench.run()
    assert bench.world.playbook_profiles == []
    assert bench.world.events[-1] == "down"


def test_profile_that_the_kernel_cannot_make_is_left_out_on_demand(bench: Bench) -> None:
    bench.world.unknown_link_types = ("vxlan",)
    assert bench.run(skip=True) == Outcome(ok=2, failed=0, invalid=0)
    assert set(bench.world.playbook_profiles) == {("underlay",)}
    assert {row["profile"] for row in bench.rows()} == {"underlay"}
    assert "planned underlay" in bench.world.events
    assert "-underlay-" in bench.folder.path.name, "not named after what was left out"
    assert {row["run_id"] for row in bench.rows()} == {bench.folder.path.name}
    assert any("vxlan needs link type vxlan" in note.fact for note in bench.world.notes)


def test_what_is_left_out_is_no_reason_for_an_mtu(bench: Bench) -> None:
    bench.world.unknown_link_types = ("vxlan",)
    setup = replace(SETUP, mtus=(1450, 1500))
    bench.plan = replace(PLAN, setup=setup, cells=(*PLAN.cells, Cell.of("ping", mtu=1450)), same_mtu=False)
    bench.run(skip=True, own_mtus={"vxlan": 1450})
    assert {row["mtu"] for row in bench.rows()} == {"1500"}


@pytest.mark.parametrize("event", ["", "verify", "trial 2"])
def test_keep_leaves_everything_standing(bench: Bench, event: str) -> None:
    bench.world.failures[event] = PlaybookError("failed")
    try:
        outcome = bench.run(keep=True)
    except (PlaybookError, VerificationError):
        assert event
    else:
        assert outcome.ok == TRIALS
    assert cleaned_up(bench.world) == []


def test_interruption_in_a_trial_keeps_what_was_measured(bench: Bench) -> None:
    bench.world.behaviours[3] = raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert [row["status"] for row in bench.rows()] == ["ok", "ok"]
    assert cleaned_up(bench.world) == CLEAN_UP


def test_second_interruption_does_not_cut_the_clean_up_short(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    happens = bench.world.happens

    def impatient(event: str) -> None:
        if event in CLEAN_UP:
            os.kill(os.getpid(), signal.SIGINT)
        happens(event)

    monkeypatch.setattr(bench.world, "happens", impatient)
    bench.world.behaviours[2] = raises(KeyboardInterrupt())
    with bench.interruption.installed(), pytest.raises(KeyboardInterrupt):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP
    assert bench.interruption.requested


def test_nodes_may_name_their_nics_differently(bench: Bench) -> None:
    """Each host of an inventory has an underlay_device of its own."""
    bench.lab = replace(bench.lab, server=replace(bench.lab.server, device="enp0s3"))
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0), [row["reason"] for row in bench.rows()]


def test_run_and_environment_are_described(bench: Bench) -> None:
    bench.run()
    described = bench.json("run.json")
    assert described["schema_version"] == 2
    assert described["run_id"] == bench.folder.run_id
    assert Plan.from_json(described["plan"]) == PLAN
    assert described["rate_bps"] == 1e9
    headers = ["ipv4", "udp", "vxlan", "ethernet"]
    vxlan = {"kind": "tunnel", "headers": headers, "tunnel_mtu": None, "content_sha256": load("vxlan").content_sha256}
    vxlan["found"] = None
    assert described["profiles"]["vxlan"] == vxlan
    assert described["metrics"]["goodput_bps"]["unit"] == "bit/s"
    assert described["versions"]["iperf3"] == {"k8s-1": "3.12", "k8s-2": "3.12"}
    assert set(bench.json("environment.json")) == {"k8s-1", "k8s-2"}
    assert [note["fact"] for note in described["notes"]] == [note.fact for note in bench.world.notes]
    assert any("share one kernel" in note.fact for note in bench.world.notes)
    assert read_meta(bench.folder.path / "run.json").plan == PLAN


def test_reader_is_warned(bench: Bench) -> None:
    bench.lab = replace(bench.lab, rate_bps=None)
    bench.run()
    assert any("not shaped" in note["fact"] for note in bench.json("run.json")["notes"])


def test_node_that_tells_nothing_of_itself_is_an_error_and_no_traceback(bench: Bench) -> None:
    """A login shell that refuses commands prints nothing, or something else."""
    bench.world.environment = "This account is currently not available.\n"
    with pytest.raises(HarnessError):
        bench.run()
    assert "apply" not in bench.world.events
    assert bench.world.events[-1] == "down"


def without(program: str) -> str:
    """Return the environment of a node that lacks a program: its section is there, and empty."""
    head, mark, rest = f"{ENVIRONMENT}@end".partition(f"@{program}\n")
    return head + mark + rest[rest.index("@") :]


@pytest.mark.parametrize("tool", ["iperf3", "ping"])
def test_node_without_a_tool_is_named_with_the_remedy_and_nothing_is_changed(bench: Bench, tool: str) -> None:
    bench.world.environment = without(tool)
    with pytest.raises(LabError, match=rf"k8s-1 has no {tool}; `ansible-playbook -i \S+ playbooks/install.yml`"):
        bench.run()
    assert "apply" not in bench.world.events
    assert bench.world.events[-1] == "down"


@pytest.mark.parametrize("event", ["environment"])
def test_connection_lost_before_anything_is_changed(bench: Bench, event: str) -> None:
    bench.world.failures[event] = ConnectionLostError("no")
    with pytest.raises(ConnectionLostError):
        bench.run()
    assert bench.world.events[-1] == "down"


def claim(names: Sequence[str], name: str, mtu: int = 1500) -> Claim:
    profiles = {profile: load(profile) for profile in names}
    return paths(replace(SETUP, profiles=tuple(names)), profiles, *NODES)[name, mtu].claim


def test_what_each_profile_claims() -> None:
    names = ("underlay", "vxlan", "flannel-direct")
    vxlan, underlay, direct = claim(names, "vxlan"), claim(names, "underlay"), claim(names, "flannel-direct")
    assert (vxlan.kind, vxlan.tunnel, vxlan.overhead, vxlan.path_mtu) == (Kind.TUNNEL, "vxlan_docker", 50, 1450)
    assert (underlay.tunnel, underlay.overhead, underlay.path_mtu) == (None, 0, 1500)
    assert direct.tunnel is None
    assert set(vxlan.other_tunnels) == {load("flannel-direct").tunnel}
    assert set(underlay.other_tunnels) == set(direct.other_tunnels) == {"vxlan_docker", load("flannel-direct").tunnel}


def test_underlay_has_a_path_at_its_own_mtu_too() -> None:
    found = paths(replace(SETUP, mtus=(1450,)), PROFILES, *NODES)
    assert set(found) == {("underlay", 1450), ("underlay", 1500), ("vxlan", 1450)}


def test_data_moves_both_ways_before_the_first_trial(bench: Bench) -> None:
    bench.run()
    events = bench.world.events
    assert events.count("both ways") == 2 * len(PROFILES)
    last = len(events) - 1 - events[::-1].index("both ways")
    assert events.index("verify") < last < events.index("trial 1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"sum_received_bidir_reverse": 0},
            r"vxlan is dead from k8s-2 to k8s-1: .* 3 s of TCP 0 bytes arrived",
        ),
        (None, r"vxlan passes pings, but 3 s of TCP each way could not be moved: iperf3 client"),
    ],
)
def test_direction_that_is_dead_is_an_error_that_says_so(
    bench: Bench, change: dict[str, int] | None, words: str
) -> None:
    report = json.loads(BIDIR)
    for name, size in (change or {}).items():
        report["end"][name]["bytes"] = size
        for interval in report["intervals"]:
            interval["sum_bidir_reverse"]["bytes"] = size
    bench.world.both_ways = json.dumps(report) if change else REFUSED
    with pytest.raises(VerificationError, match=words):
        bench.run()
    assert bench.rows() == []
    assert cleaned_up(bench.world) == CLEAN_UP


def test_profile_that_moved_nothing_beside_others_is_tried_alone(bench: Bench) -> None:
    bench.world.both_ways, bench.world.alone = REFUSED, BIDIR
    assert bench.run().failed == 0
    assert bench.world.events.count("both ways") == 2 * 2 * len(PROFILES)


@pytest.mark.parametrize("directions", [("bidir",), ("forward", "reverse")])
def test_trials_that_send_both_ways_show_it_themselves(bench: Bench, directions: tuple[str, ...]) -> None:
    bench.plan = replace(PLAN, cells=cells(("iperf3",), {"flows": (1,), "direction": directions}, SETUP.mtus))
    bench.world.both_ways = REFUSED
    bench.run()
    assert "both ways" not in bench.world.events


def test_only_the_programs_of_the_measures_are_asked_for(bench: Bench) -> None:
    bench.plan = replace(PLAN, cells=cells(("ping",), {}, SETUP.mtus))
    bench.world.environment = without("iperf3")
    assert bench.run() == Outcome(ok=2, failed=0, invalid=0)


def test_errors_have_exit_codes_of_their_own() -> None:
    kinds = set(HarnessError.__subclasses__()) - {NodeGoneError}  # a node that is gone is a connection that is lost
    assert sorted(kind.exit_code for kind in kinds) == [*range(1, 10)]


class Silenced(FakeObserver):
    """Whoever is told is gone: a terminal that was closed, a reader that left."""

    def stage(self, text: str) -> None:
        super().stage(text)
        if text.startswith("tearing down"):
            raise OSError(5, "Input/output error")

    def note(self, note: Note) -> None:
        super().note(note)
        raise OSError(5, "Input/output error")


def test_output_that_fails_does_not_keep_clean_up_from_being_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.observers = Silenced
    monkeypatch.setattr("harness.run.conditions.notes_of", lambda *_: [])
    monkeypatch.setattr("harness.run.pair_run.notes_of", lambda *_: [])
    bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a bug")])
def test_clean_up_goes_on_whatever_one_step_raises(bench: Bench, error: Exception) -> None:
    bench.world.failures["teardown"] = error
    with pytest.raises(type(error)):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP
    bench.world.events.clear()
    bench.world.failures["verify"] = PlaybookError("k8s-1: wrong")
    with pytest.raises(HarnessError, match="wrong"):
        bench.run()
    assert cleaned_up(bench.world) == CLEAN_UP
    assert [str(note) for note in bench.world.notes if "cleaning up failed as well" in str(note)]


def test_teardown_that_fails_says_what_stays_and_how_to_remove_it(bench: Bench) -> None:
    bench.world.failures["teardown"] = PlaybookError("k8s-2: busy")
    with pytest.raises(PlaybookError, match=r"what was set up stays.*k8s-2: busy; `harness lab down` removes it"):
        bench.run()


@pytest.mark.parametrize(("client", "server"), [NODES, NODES[::-1]])
def test_nodes_are_locked_in_one_order_before_anything_is_done_on_them(
    bench: Bench, client: Node, server: Node
) -> None:
    """By address, whichever is the client: of two runs at once, one gets both."""
    bench.lab = replace(bench.lab, client=client, server=server)
    bench.run()
    held = [event for event in bench.world.events if event.startswith("hold")]
    assert held == ["hold k8s-1", "hold k8s-2"]
    after = bench.world.events[bench.world.events.index("hold k8s-2") :]
    assert {"environment", "apply", "trial 1"} <= set(after)


def test_node_that_is_somebody_elses_is_left_alone(bench: Bench) -> None:
    bench.world.failures["hold k8s-2"] = LabError("k8s-2 is in use by run b")
    with pytest.raises(LabError, match="in use by run b"):
        bench.run()
    assert cleaned_up(bench.world) == ["down"]
    assert not {"environment", "apply"} & set(bench.world.events)


def test_another_lab_on_the_same_cpus_is_noted_once_whenever_it_comes(bench: Bench) -> None:
    seen = iter([False, False, True, False])
    bench.lab = replace(bench.lab, neighbours=lambda: ["run-1-2"] if next(seen, False) else [])
    bench.run()
    facts = [note["fact"] for note in bench.json("run.json")["notes"]]
    assert facts.count(NEIGHBOURS_NOTE.fact) == 1
    assert [note.fact for note in bench.world.notes].count(NEIGHBOURS_NOTE.fact) == 1
