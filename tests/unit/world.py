"""A lab, nodes and playbooks that are fakes, and an experiment about to be run on them."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest

from harness.fabric.ansible import VERIFYING, AnsibleFabric
from harness.fabric.playbook import Listener, PlaybookResult
from harness.fabric.profiles import load
from harness.labs.base import Lab
from harness.measures.registry import cells
from harness.model.jobs import MOST_BYTES, Completed
from harness.model.node import Node
from harness.model.notes import Note
from harness.model.path import Path as NetworkPath
from harness.model.trial import Slot, Timing, Trial
from harness.nodes import background
from harness.nodes.channel import Channel
from harness.nodes.lock import Owner
from harness.nodes.remote import Remote
from harness.nodes.running import Background
from harness.results.plan import Plan, Setup
from harness.results.schema import Columns
from harness.results.store import RunFolder
from harness.run.both_ways import ALONE_SECONDS
from harness.run.campaign import Campaign, Ledger
from harness.run.experiment import Outcome
from harness.run.interrupt import Interruption
from harness.run.stage import Record
from harness.run.standing import Conduct, Equipment
from harness.run.trial import FIRST_PORT, PORTS, TrialRunner

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


PLAYS = {"up": ("apply", "verify")}
"""What the playbooks do that are made of others."""


def plays(name: str, listener: Listener | None) -> Iterator[str]:
    """Yield what a playbook does, one after the other, and tell it as Ansible would."""
    for play in PLAYS.get(name, (name,)):
        if listener is not None:
            listener.play(VERIFYING if play == "verify" else play)
        yield play


class FakePlaybooks:
    def __init__(self, world: World, interruption: Interruption) -> None:
        self._world = world
        self._interruption = interruption

    def run(
        self, name: str, setup: Setup, *, cancellable: bool = True, listener: Listener | None = None
    ) -> PlaybookResult:
        assert replace(setup, profiles=SETUP.profiles) == SETUP
        assert cancellable == (name != "teardown")
        for play in plays(name, listener):
            self._world.playbook_profiles.append(setup.profiles)
            self._world.happens(play)
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
    observers: type[FakeObserver] = FakeObserver

    def run(
        self,
        *,
        keep: bool = False,
        skip: bool = False,
        look: Callable[[Path, int], bool] | None = None,
        accept: bool = False,
        own_mtus: Mapping[str, int] | None = None,
    ) -> Outcome:
        self.observer = self.observers(self.world, self.folder)
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


def job(record: Any, name: str) -> Any:  # noqa: ANN401 - a JSON document
    """Return what the raw record of a trial in one step has of a job."""
    (step,) = record["steps"]
    return step["jobs"][name]


def number_of(profile: str, measure: str) -> int:
    """Return which trial that is, from 1; as long as nothing is tried again, it is also the client's number."""
    return next(n for n, s in enumerate(PLAN.slots, 1) if (s.profile, s.cell.measure) == (profile, measure))


def cleaned_up(world: World) -> list[str]:
    """Return the steps of cleaning up that were taken, in their order."""
    return [event for event in world.events if event in CLEAN_UP]


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
