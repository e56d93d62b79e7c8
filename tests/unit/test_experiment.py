"""The run with a lab, nodes and playbooks that are fakes: its order, its retries, and that it always cleans up."""

import csv
import io
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest

from harness.fabric.ansible import AnsibleFabric, paths
from harness.fabric.playbook import PlaybookResult
from harness.fabric.profiles import load
from harness.labs.base import Lab
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
from harness.model.jobs import MOST_BYTES, Completed, Job, Side
from harness.model.node import Node
from harness.model.notes import Note
from harness.model.path import Claim, Endpoint, Kind
from harness.model.path import Path as NetworkPath
from harness.model.trial import Cell, Slot, Timing, Trial
from harness.nodes import background
from harness.nodes.channel import Channel
from harness.nodes.lock import Owner
from harness.nodes.remote import Remote
from harness.nodes.running import Background
from harness.report.trials import read_trials
from harness.results.meta import read_meta
from harness.results.plan import Plan, Setup
from harness.results.schema import Columns
from harness.results.store import RunFolder
from harness.run.both_ways import ALONE_SECONDS
from harness.run.campaign import Campaign, Ledger
from harness.run.experiment import Outcome
from harness.run.interrupt import Interruption
from harness.run.pair_run import NEIGHBOURS_NOTE
from harness.run.stage import Meters, Record, Stage
from harness.run.standing import Conduct, Equipment
from harness.run.trial import FIRST_PORT, PORTS, TrialRunner
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
ENVIRONMENT = (GOLDEN / "environment.txt").read_text(encoding="utf-8")
CLIENT = (GOLDEN / "iperf3-3.12-tcp.client.json").read_text(encoding="utf-8")
SERVER = (GOLDEN / "iperf3-3.12-tcp.server.json").read_text(encoding="utf-8")
REFUSED = (GOLDEN / "iperf3-3.12-refused.client.json").read_text(encoding="utf-8")
PING = (GOLDEN / "ping-20221126.txt").read_text(encoding="utf-8")
ALL_LOST = (GOLDEN / "ping-20221126-lost.txt").read_text(encoding="utf-8")

IDLE = "cpu 9 0 0 9 0 0 0 0 0 0"
BIDIR = (GOLDEN / "iperf3-3.12-tcp-bidir.client.json").read_text(encoding="utf-8")

SETUP = Setup(("underlay", "vxlan"), (1500,), 1500, profiles_dirs=(Path("own"),))
PLAN = Plan(
    name="quick",
    setup=SETUP,
    cells=cells(("iperf3", "ping"), {"flows": (1,)}, SETUP.mtus),
    blocks=1,
    timing=Timing(2, 1),
    seed=1,
)
COLUMNS = Columns.of_measures(PLAN.measures, ("protocol", "direction", "mtu", "flows"))
TRIALS = 4
PROFILES = {name: load(name) for name in SETUP.profiles}
NODES = (Node("k8s-1", 1, "172.12.1.11", "ens33"), Node("k8s-2", 2, "172.12.1.12", "ens33"))

OWNER = Owner("run a", "alice", "desk", 4711, "2026-01-01 00:00:00 UTC")
CLEAN_UP = ["teardown", "down"]
Answer = tuple[int, str]
Behaviour = Callable[["World", Sequence[str]], Answer]


@dataclass
class World:
    """Everything that happened, in order, and what the nodes are going to do.

    `behaviours`: what the client does that is started as the n-th, from 1; the others measure. `failures`: what is
    raised at an event. `around`: traffic of the overlay does not cross its tunnel. `both_ways`: what the second of
    data each way before the trials gives, `alone`: what a profile gives that is tried again, where it differs; these
    programs are none of the clients and servers counted here.
    """

    events: list[str] = field(default_factory=list)
    behaviours: dict[int, Behaviour] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)
    around: bool = False
    environment: str = ENVIRONMENT
    server_output: str = SERVER
    both_ways: str = BIDIR
    alone: str | None = None
    background: str = f"2\n10.000\n{IDLE}\n10.150\n{IDLE}\n"
    clients: list[tuple[str, ...]] = field(default_factory=list)
    servers: list[tuple[str, ...]] = field(default_factory=list)
    playbook_profiles: list[tuple[str, ...]] = field(default_factory=list)
    waited_for: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    unknown_link_types: tuple[str, ...] = ()
    uptime_s: float = 9.0
    nic_bytes: int = 0
    tunnel_bytes: int = 0
    cancelled: Callable[[], bool] = lambda: False
    gone: str = ""

    def is_gone(self, name: str) -> bool:
        return name == self.gone

    def happens(self, event: str) -> None:
        self.events.append(event)
        if event in self.failures:
            raise self.failures[event]

    def carry(self, argv: Sequence[str]) -> None:
        """Move the counters as a trial does; both nodes' read the same here."""
        self.nic_bytes += 10**9
        if "netns" in argv and not self.around:
            self.tunnel_bytes += 5 * 10**8

    def moved(self, argv: Sequence[str]) -> str:
        """Return what a client says that moves data before the trials."""
        again = argv[argv.index("-t") + 1] == f"{ALONE_SECONDS:g}"
        return self.alone if again and self.alone is not None else self.both_ways

    def reading(self, nic: str) -> str:
        devices = {nic: self.nic_bytes, "vxlan_docker": self.tunnel_bytes}
        dev = [f"{name}: {size} {size // 10**4} 0 0 0 0 0 0 {size} {size // 10**4}" for name, size in devices.items()]
        snmp = ["Ip: ReasmOKs FragCreates", "Ip: 0 0", "Tcp: OutSegs", f"Tcp: {self.nic_bytes // 1000}"]
        stat = [f"{self.uptime_s:.2f} 9.00", "cpu 9 0 0 9 0 0 0 0 0 0", "cpu0 9 0 0 9 0 0 0 0 0 0"]
        before = ["@clock", "9.0", "@proc", *stat, "@dev", *dev, *snmp, "@endpoint", *snmp, "@ancestors"]
        return "\n".join([*before, "@route", "[{}]", "@end"])


def is_preliminary(argv: Sequence[str]) -> bool:
    """Tell whether a program belongs to the second of data each way before the trials."""
    return "-p" in argv and int(argv[argv.index("-p") + 1]) > FIRST_PORT + PORTS


class FakeBackground(Background):
    def __init__(self, world: World, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self._world = world
        self._is_server = "-s" in argv and "iperf3" in argv
        self._is_preliminary = is_preliminary(argv)
        if not self._is_preliminary:
            (world.servers if self._is_server else world.clients).append(self.argv)
        self._number = len(world.clients)

    def wait(
        self,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Completed:
        assert timeout_s > 0
        self._world.cancelled = cancelled
        if self._is_preliminary:
            self._world.happens("both ways")
            return Completed(self.argv, 0, SERVER if self._is_server else self._world.moved(self.argv), "")
        if self._is_server:
            return Completed(self.argv, 0, self._world.server_output, "")
        code, output = self._world.behaviours.get(self._number, measure)(self._world, self.argv)
        for line in output.splitlines() if on_line else []:
            assert on_line is not None
            on_line(line)
        return Completed(self.argv, code, output, "")

    @property
    def has_ended(self) -> bool:
        return True

    def end(self) -> None:
        if self._is_server and not self._is_preliminary:
            self._world.events.append("server ended")


class FakeRemote(Remote):
    def __init__(self, world: World, node: Node) -> None:
        self.name = node.name
        self._nic = node.device
        self._world = world

    def connect(self) -> None:
        self._world.happens(f"connect {self.name}")

    def close(self) -> None:
        self._world.happens(f"close {self.name}")

    def hold(self, owner: Owner) -> None:
        assert owner == OWNER
        self._world.happens(f"hold {self.name}")

    def is_connected(self) -> bool:
        return not self._world.is_gone(self.name)

    def open_channel(self, argv: Sequence[str]) -> Channel:
        raise AssertionError(f"{argv} would be started for good")

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        assert timeout_s > 0
        if argv[0] != "sh":
            refused = argv[-1] in self._world.unknown_link_types
            return Completed(tuple(argv), int(refused), "", "Error: Unknown device type." if refused else "")
        if "@hostname" in argv[2]:
            self._world.happens("environment")
            return Completed(tuple(argv), 0, self._world.environment, "")
        if argv == background.argv():
            self._world.happens("background")
            return Completed(tuple(argv), 0, self._world.background, "")
        self._world.waited_for.append(argv[7])
        return Completed(tuple(argv), 0, self._world.reading(self._nic), "")

    def background(self, argv: Sequence[str], most_bytes: int = MOST_BYTES) -> Background:
        assert most_bytes >= MOST_BYTES
        return FakeBackground(self._world, argv)


def measure(world: World, argv: Sequence[str]) -> Answer:
    world.carry(argv)
    return (0, PING if "ping" in argv else CLIENT)


def refuse(_world: World, argv: Sequence[str]) -> Answer:
    return (0, ALL_LOST if "ping" in argv else REFUSED)


def raises(error: BaseException) -> Behaviour:
    def behave(_world: World, _argv: Sequence[str]) -> Answer:
        raise error

    return behave


class FakeSource:
    def __init__(self, world: World, lab: Lab) -> None:
        self._world = world
        self._lab = lab

    def nodes(self) -> tuple[Node, ...]:
        return self._lab.nodes

    def probe(self) -> list[str]:
        return []

    def up(self) -> Lab:
        self._world.happens("up")
        return self._lab

    def down(self) -> None:
        self._world.happens("down")


class FakePlaybooks:
    def __init__(self, world: World, interruption: Interruption) -> None:
        self._world = world
        self._interruption = interruption

    def run(self, name: str, setup: Setup, *, cancellable: bool = True) -> PlaybookResult:
        assert replace(setup, profiles=SETUP.profiles) == SETUP
        assert cancellable == (name != "teardown")
        self._world.playbook_profiles.append(setup.profiles)
        self._world.happens(name)
        return PlaybookResult({}, 0.1, {})


class FakeObserver:
    """Looks at trials.csv whenever a trial begins: every one before it must be there."""

    def __init__(self, world: World, folder: RunFolder) -> None:
        self._world = world
        self._folder = folder
        self._before = len(read(folder))
        self.finished_trials: list[Trial] = []
        self.lives: list[str] = []
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def planned(self, plan: Plan) -> None:
        self._plan = plan
        self._world.happens(f"planned {'+'.join(plan.setup.profiles)}")

    def started(self, slot: Slot, number: int) -> None:
        rows = read(self._folder)
        assert len(rows) == self._before + len(self.finished_trials)
        assert len([row for row in rows if row["attempt"] == "1"]) == number - 1
        assert slot == self._plan.slots[number - 1]
        self._world.happens(f"trial {number}")

    def live(self, figure: str) -> None:
        self.lives.append(figure)

    def finished(self, trial: Trial) -> None:
        self.finished_trials.append(trial)
        assert read(self._folder)[-1]["status"] == trial.status.value

    def note(self, note: Note) -> None:
        self._world.notes.append(note)


def read(folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder.path / "trials.csv").read_text(encoding="utf-8"))))


@dataclass
class Bench:
    """One experiment about to be run."""

    world: World
    folder: RunFolder
    lab: Lab
    interruption: Interruption = field(default_factory=Interruption)
    plan: Plan = PLAN

    def run(
        self,
        *,
        keep: bool = False,
        skip: bool = False,
        look: Callable[[Path, int], bool] | None = None,
        accept: bool = False,
        own_mtus: Mapping[str, int] | None = None,
    ) -> Outcome:
        self.observer = FakeObserver(self.world, self.folder)
        equipment = Equipment(
            FakeSource(self.world, self.lab),
            lambda node, _lab: FakeRemote(self.world, node),
            lambda lab, profiles: AnsibleFabric(lab, profiles, FakePlaybooks(self.world, self.interruption)),
            self.interruption,
            self.observer,
            owner=OWNER,
        )
        ledger = Ledger(lambda _pair: self.folder, stay=lambda names: self.folder.rename(["vxlan"], names))
        campaign = Campaign((), ledger, equipment, lambda _pair: self.observer)
        conduct = Conduct(keep, skip, look, accept_differences=accept, own_mtus=own_mtus or {})
        return campaign.run(self.plan, PROFILES, conduct)

    def resumed(self) -> Self:
        """Return what goes on with the run, in a world that is as this one was."""
        path = self.folder.path
        self.folder.close()
        return replace(self, world=World(), folder=RunFolder.reopened(path, COLUMNS), interruption=Interruption())

    def rows(self) -> list[dict[str, str]]:
        return read(self.folder)

    def raw(self, row: dict[str, str]) -> Any:  # noqa: ANN401 - a JSON document
        return json.loads((self.folder.path / row["raw"]).read_text(encoding="utf-8"))

    def json(self, name: str) -> Any:  # noqa: ANN401 - a JSON document
        return json.loads((self.folder.path / name).read_text(encoding="utf-8"))


def bench_in(folder: Path) -> Bench:
    """Return an experiment that has a folder to itself."""
    lab = Lab("local", folder / "inventory", None, *NODES, rate_bps=1e9, shared_kernel=True, scratch=folder)
    return Bench(World(), RunFolder.create(folder / "results", ["vxlan"], COLUMNS), lab)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_in(tmp_path)


def job(record: Any, name: str) -> Any:  # noqa: ANN401 - a JSON document
    """Return what the raw record of a trial in one step has of a job."""
    (step,) = record["steps"]
    return step["jobs"][name]


def stage_of(world: World, meters: Meters) -> Stage:
    client, server = (FakeRemote(world, node) for node in NODES)
    path = replace(path_to("172.17.0.3"), client=Endpoint("172.17.0.2", ("ip", "netns", "exec", "own")))
    return Stage((client, server), path, ThreadPoolExecutor(2), meters=meters)


def test_job_on_a_node_is_not_started_in_its_endpoint() -> None:
    stage = stage_of(World(), Meters())
    made = {
        name: Job(name, Side.CLIENT, ("ping", name), limit_s=1, on_node=name == "outside")
        for name in ("inside", "outside")
    }
    stage.perform([*made.values()])
    (step,) = stage.record.steps
    assert step["jobs"]["inside"]["argv"] == ("ip", "netns", "exec", "own", "ping", "inside")
    assert step["jobs"]["outside"]["argv"] == ("ping", "outside")


def test_links_carried_what_they_had_more_of_afterwards() -> None:
    moments = iter([((100, 10), (200, 20)), ((150, 11), (200, 22))])
    stage = stage_of(World(), Meters(link_bytes=lambda: next(moments)))
    performed = stage.perform([Job("one", Side.CLIENT, ("ping",), limit_s=1)])
    assert list(performed.link_bytes) == [50, 0]
    (step,) = stage.record.steps
    assert step["link_bytes"] == {"before": ((100, 10), (200, 20)), "after": ((150, 11), (200, 22))}


def number_of(profile: str, measure: str) -> int:
    """Return which trial that is, from 1; as long as nothing is tried again, it is also the client's number."""
    return next(n for n, s in enumerate(PLAN.slots, 1) if (s.profile, s.cell.measure) == (profile, measure))


def cleaned_up(world: World) -> list[str]:
    """Return the steps of cleaning up that were taken, in their order."""
    return [event for event in world.events if event in CLEAN_UP]


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


TWICE = replace(PLAN, blocks=2, setups=2)


def test_profiles_are_torn_down_and_set_up_again_between_groups_of_blocks(bench: Bench) -> None:
    bench.plan = TWICE
    assert bench.run() == Outcome(ok=2 * TRIALS, failed=0, invalid=0)
    once = ["apply", "verify"]
    trials = [f"trial {number}" for number in range(1, 2 * TRIALS + 1)]
    expected = ["up", *once, *trials[:TRIALS], "teardown", *once, *trials[TRIALS:], "teardown", "down"]
    assert [event for event in bench.world.events if event in {*expected}] == expected
    assert [(row["setup"], row["block"]) for row in bench.rows()] == [("1", "1")] * TRIALS + [("2", "2")] * TRIALS
    assert bench.world.events.count("environment") == 2, "each node's, before anything was changed"
    assert bench.json("run.json")["plan"]["setups"] == 2


def test_data_is_moved_each_way_on_every_set_up(bench: Bench) -> None:
    bench.plan = TWICE
    bench.run()
    moved = [event for event in bench.world.events if event in ("both ways", "teardown")]
    both_profiles = ["both ways"] * 4
    assert moved == [*both_profiles, "teardown", *both_profiles, "teardown"]


def test_ports_of_one_set_up_are_not_those_of_the_next(bench: Bench) -> None:
    bench.plan = TWICE
    bench.run()
    ports = [argv[argv.index("-p") + 1] for argv in bench.world.servers]
    assert len(set(ports)) == len(ports) == TRIALS


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("apply", PlaybookError("k8s-2: no such device")),
        ("apply", KeyboardInterrupt()),
        ("verify", VerificationError("no ping")),
        ("both ways", KeyboardInterrupt()),
        ("trial 5", KeyboardInterrupt()),
    ],
    ids=str,
)
def test_what_goes_wrong_on_the_second_set_up_keeps_the_first_one_s_figures(
    bench: Bench, event: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plan = TWICE
    happens = bench.world.happens

    def watched(what: str) -> None:
        happens(what)
        if what == event and "teardown" in bench.world.events:
            raise error

    monkeypatch.setattr(bench.world, "happens", watched)
    with pytest.raises(type(error)):
        bench.run()
    assert [row["status"] for row in bench.rows()] == ["ok"] * TRIALS
    assert cleaned_up(bench.world) == ["teardown", *CLEAN_UP]


def test_teardown_between_set_ups_that_fails_ends_the_run(bench: Bench) -> None:
    bench.plan = TWICE
    bench.world.failures["teardown"] = PlaybookError("unreachable")
    with pytest.raises(PlaybookError, match="unreachable"):
        bench.run()
    assert len(bench.rows()) == TRIALS
    assert [event for event in bench.world.events if event in ("apply", *CLEAN_UP)] == ["apply", *CLEAN_UP]


def test_interruption_while_it_is_torn_down_between_set_ups_ends_the_run_after_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plan = TWICE
    happens = bench.world.happens

    def impatient(event: str) -> None:
        if event == "teardown":
            os.kill(os.getpid(), signal.SIGINT)
        happens(event)

    monkeypatch.setattr(bench.world, "happens", impatient)
    with bench.interruption.installed(), pytest.raises(KeyboardInterrupt):
        bench.run()
    assert [event for event in bench.world.events if event in ("apply", *CLEAN_UP)] == ["apply", *CLEAN_UP]
    assert len(bench.rows()) == TRIALS


def test_keep_leaves_the_last_set_up_standing(bench: Bench) -> None:
    bench.plan = TWICE
    bench.run(keep=True)
    assert [event for event in bench.world.events if event in ("apply", *CLEAN_UP)] == ["apply", "teardown", "apply"]


def test_what_was_stolen_is_of_all_set_ups() -> None:
    both = Outcome(ok=3, stolen_ratio=0.1) + Outcome(failed=1, stolen_ratio=0.3)
    assert (both.ok, both.failed) == (3, 1)
    assert both.stolen_ratio == pytest.approx(0.15)
    assert Outcome() + Outcome(1, 2, 3) == Outcome(1, 2, 3)


@pytest.mark.parametrize("tool", ["iperf3", "ping"])
def test_trial_that_fails_twice_is_recorded_once_as_failed(bench: Bench, tool: str) -> None:
    number = number_of("vxlan", tool)
    bench.world.behaviours |= {number: refuse, number + 1: refuse}
    assert bench.run() == Outcome(ok=TRIALS - 1, failed=1, invalid=0)
    assert len(bench.world.clients) == TRIALS + 1
    row = bench.rows()[number - 1]
    assert (len(bench.rows()), row["status"]) == (TRIALS, "failed")
    assert row["reason"].endswith("(tried 2 times)")
    assert ("Connection refused" if tool == "iperf3" else "no reply at all") in row["reason"]
    assert [row[column] for column in ("goodput_bps", "retransmits", "rtt_p50_s", "ping_lost_ratio")] == [""] * 4
    assert row["raw"].endswith("-try2.json")
    assert (bench.folder.path / row["raw"].replace("-try2", "")).exists()


class Stolen:
    """Takes CPU time away in the n-th trial that is run, from 1."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
        self._numbers, self._count, self._run = numbers, 0, TrialRunner.run

        def run(runner: TrialRunner, slot: Slot, path: NetworkPath, attempt: int) -> tuple[Trial, Record]:
            trial, record = self._run(runner, slot, path, attempt)
            self._count += 1
            stolen = 0.3 if self._count in self._numbers else 0.0
            return replace(trial, figures={**trial.figures, "stolen_ratio": stolen}), record

        monkeypatch.setattr(TrialRunner, "run", run)


def in_order(bench: Bench) -> list[tuple[int, int, str, int]]:
    rows = bench.rows()
    return [(int(row["block"]), int(row["attempt"]), row["measure"], int(row["position"])) for row in rows]


def test_group_of_a_disturbed_trial_is_measured_again_and_both_attempts_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second attempt nothing is refused, though it is as disturbed: there is no third."""
    Stolen(monkeypatch, 1, TRIALS + 1)
    bench.plan = replace(PLAN, blocks=2)
    assert bench.run() == Outcome(ok=2 * TRIALS, failed=0, invalid=0)
    stolen = [note["value"] for note in bench.json("run.json")["notes"] if note["about"] == "stolen"]
    assert stolen == [pytest.approx(0.3 / 8)], "of the attempts that count"
    group = [slot for slot in bench.plan.slots if slot.block == 1][:2]
    assert len({slot.cell.measure for slot in group}) == 1
    assert len({slot.profile for slot in group}) == 2
    assert in_order(bench) == [
        *((1, 1, slot.cell.measure, slot.position) for slot in bench.plan.slots if slot.block == 1),
        *((1, 2, slot.cell.measure, slot.position) for slot in group),
        *((2, 1, slot.cell.measure, slot.position) for slot in bench.plan.slots if slot.block == 2),
    ]
    names = [row["raw"] for row in bench.rows()]
    assert len(set(names)) == len(names)
    assert all((bench.folder.path / name).exists() for name in names)
    assert [name for name in names if name.endswith("-attempt2.json")] == names[TRIALS : TRIALS + 2]
    assert any("once more, up to 30% of the CPU time" in text for text in bench.observer.stages)
    counted = read_trials(bench.folder.path)
    assert counted.table.whole["attempt"].tolist() == [1, 1, 2, 2, 1, 1, 1, 1]
    assert "measured once more (underlay 1, vxlan 1)" in counted.notes[0].fact


def test_failure_in_the_attempt_that_does_not_count_is_none_of_the_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stolen(monkeypatch, 1)
    bench.world.behaviours |= {2: refuse, 3: refuse}
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    statuses = [(row["attempt"], row["status"]) for row in bench.rows()]
    assert statuses[:2] == [("1", "ok"), ("1", "failed")]
    assert {row for row in statuses if row[0] == "2"} == {("2", "ok")}


def test_interruption_in_a_repeat_leaves_the_first_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    Stolen(monkeypatch, 1)
    bench.world.behaviours[TRIALS + 2] = raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert [row["attempt"] for row in bench.rows()] == ["1"] * TRIALS + ["2"]
    counted = read_trials(bench.folder.path)
    assert counted.table.whole["attempt"].tolist() == [1] * TRIALS
    assert "cut short" in counted.notes[0].fact


def test_trial_that_fails_once_is_ok(bench: Bench) -> None:
    number = number_of("vxlan", "iperf3")
    bench.world.behaviours[number] = refuse
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    row = bench.rows()[number - 1]
    assert row["status"] == "ok"
    assert row["reason"].startswith("tried 2 times: iperf3 client")
    assert float(row["goodput_bps"]) == pytest.approx(878269575.3)
    assert "Connection refused" in job(bench.raw({"raw": row["raw"].replace("-try2", "")}), "client")["stdout"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionLostError("lost the connection to k8s-1:\n  Broken pipe."), "lost the connection to k8s-1: Broken"),
        (TimeoutError("`iperf3` on k8s-1 did not end in time"), r"`iperf3` on k8s-1 did not end in time (18 s)"),
    ],
)
def test_lost_connection_is_a_failed_trial_and_the_run_goes_on(bench: Bench, error: Exception, reason: str) -> None:
    number = number_of("vxlan", "iperf3")
    bench.world.behaviours |= {number: raises(error), number + 1: raises(error)}
    assert bench.run() == Outcome(ok=TRIALS - 1, failed=1, invalid=0)
    row = bench.rows()[number - 1]
    assert row["reason"].startswith(reason)
    assert row["goodput_bps"] == ""


def test_client_that_never_ends_on_a_path_too_small_is_a_black_hole(bench: Bench) -> None:
    number = number_of("vxlan", "iperf3")
    late = raises(TimeoutError("`iperf3` on k8s-1 did not end in time"))
    bench.world.behaviours |= {number: late, number + 1: late}
    bench.run()
    assert bench.rows()[number - 1]["path_state"] == "black-holed"


def test_nothing_arrived_is_a_failed_trial_without_a_figure(bench: Bench) -> None:
    """iperf3's control connection lives where full-size packets do not: it then ends well, with 0 bytes received."""
    report = json.loads(SERVER)
    report["end"]["sum_received"] |= {"bytes": 0, "bits_per_second": 0}
    for interval in report["intervals"]:
        interval["sum"] |= {"bytes": 0, "bits_per_second": 0}
    bench.world.server_output = json.dumps(report)
    outcome = bench.run()
    figures = {row["goodput_bps"] for row in bench.rows() if row["measure"] == "iperf3"}
    assert (outcome.failed, figures) == (2, {""})
    assert bench.rows()[number_of("vxlan", "iperf3") - 1]["path_state"] == "black-holed"


def test_invalid_trial_is_not_tried_again_and_has_no_figure(bench: Bench) -> None:
    bench.world.around = True
    assert bench.run() == Outcome(ok=2, failed=0, invalid=2)
    assert len(bench.world.clients) == TRIALS
    for row in bench.rows():
        expected = "invalid" if row["profile"] == "vxlan" else "ok"
        assert row["status"] == expected
        assert ("went around the tunnel" in row["reason"]) == (expected == "invalid")
        assert (row["goodput_bps"] + row["rtt_p50_s"] == "") == (expected == "invalid")


def test_nodes_may_name_their_nics_differently(bench: Bench) -> None:
    """Each host of an inventory has an underlay_device of its own."""
    bench.lab = replace(bench.lab, server=replace(bench.lab.server, device="enp0s3"))
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0), [row["reason"] for row in bench.rows()]


def test_each_trial_has_its_own_server_and_waits_for_it(bench: Bench) -> None:
    bench.run()
    ports = [argv[argv.index("-p") + 1] for argv in bench.world.servers]
    assert len(set(ports)) == len(ports) == 2
    awaited = [words.removeprefix("-t:") for words in bench.world.waited_for if words]
    assert [port for port in awaited if int(port) <= FIRST_PORT + PORTS] == ports
    assert [argv[argv.index("-p") + 1] for argv in bench.world.clients if "iperf3" in argv] == ports
    assert bench.world.events.count("server ended") == 2


def test_overlay_runs_in_its_endpoint_and_the_underlay_on_the_node(bench: Bench) -> None:
    bench.run()
    inside = ["ip", "netns", "exec", "harness-vxlan-1500"]
    for slot, argv in zip(PLAN.slots, bench.world.clients, strict=True):
        address = "172.17.0.3" if slot.profile == "vxlan" else "172.12.1.12"
        assert (list(argv[:4]) == inside) == (slot.profile == "vxlan")
        assert address in argv


def test_raw_record_keeps_argv_output_and_readings(bench: Bench) -> None:
    bench.run()
    row = bench.rows()[number_of("vxlan", "iperf3") - 1]
    record = bench.raw(row)
    assert job(record, "client")["stdout"] == CLIENT
    assert job(record, "server")["stdout"] == SERVER
    assert "-C" in job(record, "client")["argv"]
    (step,) = record["steps"]
    assert list(step["readings"]) == ["before", "after"]
    moved = [both[0]["devices"]["vxlan_docker"]["tx_bytes"] for both in step["readings"].values()]
    assert moved[1] - moved[0] == 5 * 10**8
    assert row["inner_bytes"] == str(2 * 5 * 10**8)


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


def test_each_trial_looks_first_at_what_else_runs_on_both_nodes(bench: Bench) -> None:
    bench.world.background = f"2\n10.000\n{IDLE}\n10.160\n{IDLE.replace('9 0 0 9', '9 0 0 17')}\n"
    bench.run()
    rows = bench.rows()
    assert {row[f"{side}_background_cpus"] for row in rows for side in ("client", "server")} == {"1.5"}
    events = [event for event in bench.world.events if event == "background" or event.startswith("trial")]
    assert events == [event for n in range(1, TRIALS + 1) for event in (f"trial {n}", "background", "background")]


def test_node_of_which_that_cannot_be_read_costs_the_trial(bench: Bench) -> None:
    bench.world.background = "sh: not found\n"
    assert bench.run() == Outcome(ok=0, failed=TRIALS, invalid=0)
    assert all("how busy a node is could not be read" in row["reason"] for row in bench.rows())


def test_node_whose_clock_was_set_meanwhile_has_none_and_is_measured_all_the_same(bench: Bench) -> None:
    bench.world.background = f"2\n10.000\n{IDLE}\n3610.150\n{IDLE}\n"
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    assert {row["client_background_cpus"] for row in bench.rows()} == {""}


def test_node_that_does_not_know_its_cpus_is_measured_all_the_same(bench: Bench) -> None:
    bench.world.environment = ENVIRONMENT.replace("@cpus\n2\n", "@cpus\n")
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)


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


@pytest.mark.parametrize(("version", "flag"), [("3.12", "-J"), ("3.16.1", "-J"), ("3.17", "--json-stream")])
def test_client_streams_where_its_version_can(bench: Bench, version: str, flag: str) -> None:
    bench.world.environment = ENVIRONMENT.replace("iperf 3.12", f"iperf {version}")
    bench.run()
    assert all(flag in argv for argv in bench.world.clients if "iperf3" in argv)


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
    monkeypatch.setitem(globals(), "FakeObserver", Silenced)
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


def pausing(seconds: float) -> Behaviour:
    def behave(world: World, argv: Sequence[str]) -> Answer:
        world.uptime_s += seconds
        return measure(world, argv)

    return behave


@pytest.mark.parametrize(("seconds", "tries"), [(7.0, 1), (12.0, 2)])
def test_trial_that_was_paused_is_measured_once_more(bench: Bench, seconds: float, tries: int) -> None:
    """Three seconds of measuring, or two of ping."""
    bench.world.behaviours[1] = pausing(seconds)
    assert bench.run() == Outcome(ok=TRIALS)
    reason = bench.rows()[0]["reason"]
    assert reason.startswith("tried 2 times: the readings lie 12.0 s apart for") == (tries > 1)
    assert len(bench.world.clients) == TRIALS + tries - 1


def test_trial_that_is_paused_each_time_has_no_figure(bench: Bench) -> None:
    bench.world.behaviours |= {1: pausing(20.0), 2: pausing(20.0)}
    assert bench.run() == Outcome(ok=TRIALS - 1, failed=1)
    assert bench.rows()[0]["goodput_bps"] == bench.rows()[0]["rtt_p50_s"] == ""
