"""Several pairs with fakes: their order, one that fails, an interruption, and that everything is always cleaned up."""

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.fabric.ansible import AnsibleFabric
from harness.fabric.playbook import Listener, PlaybookResult
from harness.labs.base import Lab
from harness.model.errors import ConnectionLostError, HarnessError, LabError, PlaybookError, VerificationError
from harness.model.found import Found
from harness.model.node import Node
from harness.model.notes import Note
from harness.model.pairs import Pair, parse, waves
from harness.model.trial import Slot, Trial
from harness.results.plan import Plan, Setup
from harness.results.store import PairsFolder, RunFolder
from harness.run.campaign import PARALLEL_NOTE, Campaign, End, Ends, Ledger, failure, total
from harness.run.experiment import Outcome
from harness.run.interrupt import Interruption
from harness.run.pair_run import Work
from harness.run.standing import Conduct, Equipment, Ground
from tests.unit.existing import FOUND, end
from tests.unit.world import (
    COLUMNS,
    PLAN,
    PROFILES,
    SETUP,
    TRIALS,
    Answer,
    FakeRemote,
    FakeSource,
    World,
    measure,
    plays,
    raises,
)

NAMES = ("k8s-1", "k8s-2", "k8s-3", "k8s-4")
NODES = [Node(name, index, f"172.12.1.{10 + index}", "ens33") for index, name in enumerate(NAMES, 1)]
DONE = Outcome(ok=TRIALS, failed=0, invalid=0)
SIDE_BY_SIDE = "k8s-1:k8s-2,k8s-3:k8s-4"


class Playbooks:
    """Playbooks of which one fails at `<name> <pairs>`."""

    def __init__(self, world: World, lab: Lab) -> None:
        self._world = world
        self._lab = lab

    def run(
        self, name: str, setup: Setup, *, cancellable: bool = True, listener: Listener | None = None
    ) -> PlaybookResult:
        assert setup == SETUP
        assert cancellable == (name != "teardown")
        hosts = [host for pair in self._lab.pairs for host in pair.hosts]
        assert [node.name for node in self._lab.nodes] == hosts
        assert [node.index for node in self._lab.nodes] == [1, 2] * len(self._lab.pairs)
        for play in plays(name, listener):
            self._world.happens(f"{play} {' '.join(map(str, self._lab.pairs))}")
        return PlaybookResult({}, 0.1, {})


class Watcher:
    """An observer, of one pair or of all."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def stage(self, text: str) -> None:
        assert text
        if text.startswith("setting up"):
            self._world.happens(text)

    def planned(self, plan: Plan) -> None:
        assert plan.setup == SETUP

    def started(self, slot: Slot, number: int) -> None:
        assert slot
        self._world.happens(f"trial {number} {self._name}")

    def live(self, figure: str) -> None:
        assert figure

    def finished(self, trial: Trial) -> None:
        assert trial.run_id.endswith(self._name.replace(":", "--"))

    def note(self, note: Note) -> None:
        self._world.notes.append(note)


@dataclass
class Bench:
    """Pairs about to be measured. A node's world is its own, for pairs at the same time count their own bytes."""

    tmp_path: Path
    world: World = field(default_factory=World)
    nodes: dict[str, World] = field(default_factory=dict)
    interruption: Interruption = field(default_factory=Interruption)
    described: list[dict[str, str]] = field(default_factory=list)
    plan: Plan = PLAN

    def __post_init__(self) -> None:
        for client, server in (NAMES[:2], NAMES[2:]):
            own = World(events=self.world.events, failures=self.world.failures)
            self.nodes |= {client: own, server: own}

    def run(self, text: str, *, parallel: bool = False, shared: bool = False, keep: bool = False) -> dict[str, End]:
        """Measure the pairs; `shared`: all nodes have one world, as pairs of any nodes one after the other need it."""
        first, second, *others = NODES
        lab = Lab("local", self.tmp_path / "i", None, first, second, 1e9, True, self.tmp_path, tuple(others))
        pairs = parse(text, NAMES)
        self.folder = PairsFolder.create(self.tmp_path / "results", ["vxlan"], COLUMNS, pairs)
        equipment = Equipment(
            FakeSource(self.world, lab),
            lambda node, _lab: FakeRemote(self.world if shared else self.nodes[node.name], node),
            lambda lab, profiles: AnsibleFabric(lab, profiles, Playbooks(self.world, lab)),
            self.interruption,
            Watcher(self.world, "all"),
        )
        turns = waves(pairs, parallel=parallel)
        ledger = Ledger(self.folder.runs.__getitem__, self.describe)
        campaign = Campaign(turns, ledger, equipment, lambda pair: Watcher(self.world, str(pair)))
        said = ""
        try:
            assert campaign.run(self.plan, PROFILES, Conduct(keep=keep)) == total(campaign.ends)
        except HarnessError as error:
            if not campaign.ends:
                raise
            said = str(error)
        assert said == str(failure(campaign.ends) or "")
        return {str(pair): end for pair, end in campaign.ends.items()}

    def describe(self, lab: Lab, ends: Ends) -> None:
        """Note what is known of the whole, before the first trial and at the end."""
        assert [node.name for node in lab.nodes] == [*NAMES]
        self.described.append({str(pair): str(end.error) for pair, end in ends.items() if end.error})

    def rows(self, pair: str) -> list[dict[str, str]]:
        path = self.folder.runs[Pair(*pair.split(":"))].path / "trials.csv"
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def json(self, name: str) -> Any:  # noqa: ANN401 - a JSON document
        return json.loads((self.folder.path / name).read_text(encoding="utf-8"))

    def happened(self, *words: str) -> list[str]:
        """Return the events that start with one of these words, in their order."""
        return [event for event in self.world.events if event.split()[0] in words]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def steps(pairs: str) -> list[str]:
    return [f"{name} {pairs}" for name in ("apply", "verify", "teardown")]


def test_one_after_the_other_each_set_up_measured_and_torn_down(bench: Bench) -> None:
    ends = bench.run("k8s-1:k8s-2,k8s-1:k8s-3", shared=True)
    assert ends == {"k8s-1:k8s-2": End(DONE), "k8s-1:k8s-3": End(DONE)}
    expected = ["up"]
    for pair in ends:
        apply, verify, teardown = steps(pair)
        expected += [apply, verify, *(f"trial {number} {pair}" for number in range(1, TRIALS + 1)), teardown]
    assert bench.happened("up", "apply", "verify", "trial", "teardown", "down") == [*expected, "down"]


def test_every_host_is_connected_to_and_looked_at_once_before_anything_is_changed(bench: Bench) -> None:
    bench.run("all", shared=True)
    assert sorted(bench.happened("connect", "close")) == sorted(
        f"{what} {name}" for what in ("connect", "close") for name in NAMES
    )
    assert bench.world.events.count("environment") == len(NAMES)
    before = bench.world.events[: bench.world.events.index("apply k8s-1:k8s-2")]
    assert [event for event in before if event.startswith("connect")] == [f"connect {name}" for name in NAMES]


def test_host_of_no_pair_is_left_alone(bench: Bench) -> None:
    bench.run("k8s-1:k8s-3", shared=True)
    assert bench.happened("connect") == ["connect k8s-1", "connect k8s-3"]


def test_host_that_cannot_be_reached_stops_all_before_anything_is_changed(bench: Bench) -> None:
    bench.world.failures["connect k8s-4"] = ConnectionLostError("no")
    with pytest.raises(ConnectionLostError):
        bench.run("all", shared=True)
    assert bench.happened("apply", "down") == ["down"]


def test_disjoint_pairs_share_one_set_up_and_are_measured_at_the_same_time(bench: Bench) -> None:
    """Each pair's first client waits for the other's: were they not at the same time, neither would go on."""

    def meeting(world: World, argv: Sequence[str]) -> Answer:
        world.happens("arrived")
        deadline = time.monotonic() + 60
        while world.events.count("arrived") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return measure(world, argv)

    for name in ("k8s-1", "k8s-3"):
        bench.nodes[name].behaviours[1] = meeting
    ends = bench.run(SIDE_BY_SIDE, parallel=True)
    assert ends == {pair: End(DONE) for pair in SIDE_BY_SIDE.split(",")}
    assert bench.happened("apply", "verify", "teardown") == steps(SIDE_BY_SIDE.replace(",", " "))


def test_each_pair_has_a_run_folder_and_an_order_of_its_own(bench: Bench) -> None:
    bench.run(SIDE_BY_SIDE, parallel=True)
    name = bench.folder.path.name
    for number, folder in enumerate(("k8s-1--k8s-2", "k8s-3--k8s-4")):
        described = bench.json(f"{folder}/run.json")
        assert described["run_id"] == f"{name}/{folder}"
        assert described["plan"]["seed"] == PLAN.seed + number
        assert [note["fact"] for note in described["notes"]].count(PARALLEL_NOTE.fact) == 1
        assert set(bench.json(f"{folder}/environment.json")) == set(folder.split("--"))
        rows = bench.rows(folder.replace("--", ":"))
        assert [row["status"] for row in rows] == ["ok"] * TRIALS
        assert {row["run_id"] for row in rows} == {f"{name}/{folder}"}
        slots = replace(PLAN, seed=PLAN.seed + number).slots
        expected = [(slot.profile, slot.cell.measure) for slot in slots]
        assert [(row["profile"], row["measure"]) for row in rows] == expected
    assert bench.described == [{}, {}]


def test_pairs_by_themselves_are_not_warned_of_each_other(bench: Bench) -> None:
    bench.run("k8s-1:k8s-2", parallel=True)
    assert PARALLEL_NOTE not in bench.world.notes


@pytest.mark.parametrize(
    ("event", "error"), [("apply", PlaybookError("no device")), ("verify", VerificationError("no ping"))]
)
def test_pair_whose_set_up_fails_does_not_stop_the_next(bench: Bench, event: str, error: Exception) -> None:
    bench.world.failures[f"{event} k8s-1:k8s-2"] = error
    ends = bench.run("k8s-1:k8s-2,k8s-1:k8s-3", shared=True)
    assert (ends["k8s-1:k8s-2"].error, ends["k8s-1:k8s-2"].outcome) == (error, Outcome())
    assert ends["k8s-1:k8s-3"] == End(DONE)
    assert bench.happened("teardown") == ["teardown k8s-1:k8s-2", "teardown k8s-1:k8s-3"]
    assert bench.described == [{}, {"k8s-1:k8s-2": str(error)}]
    assert any("k8s-1:k8s-2: " in note.fact for note in bench.world.notes)


def test_pairs_whose_common_set_up_fails_are_tried_one_by_one(bench: Bench) -> None:
    both = SIDE_BY_SIDE.replace(",", " ")
    error = PlaybookError("k8s-4: no device")
    bench.world.failures |= {f"apply {both}": error, "apply k8s-3:k8s-4": error}
    ends = bench.run(SIDE_BY_SIDE, parallel=True)
    assert ends == {"k8s-1:k8s-2": End(DONE), "k8s-3:k8s-4": End(error=error)}
    expected = [f"{word} {pairs}" for pairs in (both, "k8s-1:k8s-2", "k8s-3:k8s-4") for word in ("apply", "teardown")]
    assert bench.happened("apply", "teardown") == expected
    facts = [note["fact"] for note in bench.json("k8s-1--k8s-2/run.json")["notes"]]
    assert PARALLEL_NOTE.fact not in facts


def test_teardown_that_fails_keeps_the_figures_and_the_next_pair(bench: Bench) -> None:
    bench.world.failures["teardown k8s-1:k8s-2"] = PlaybookError("unreachable")
    ends = bench.run("k8s-1:k8s-2,k8s-3:k8s-4", shared=True)
    assert {pair: end.outcome for pair, end in ends.items()} == {"k8s-1:k8s-2": DONE, "k8s-3:k8s-4": DONE}
    assert "unreachable" in str(ends["k8s-1:k8s-2"].error)
    assert ends["k8s-3:k8s-4"].error is None
    assert len(bench.rows("k8s-1:k8s-2")) == TRIALS
    assert bench.world.events.count("down") == 1


def test_teardown_that_fails_does_not_have_parallel_pairs_measured_again(bench: Bench) -> None:
    bench.world.failures[f"teardown {SIDE_BY_SIDE.replace(',', ' ')}"] = PlaybookError("unreachable")
    ends = bench.run(SIDE_BY_SIDE, parallel=True)
    assert {pair: end.outcome for pair, end in ends.items()} == dict.fromkeys(SIDE_BY_SIDE.split(","), DONE)
    assert all("unreachable" in str(end.error) for end in ends.values())
    assert len(bench.happened("apply")) == 1


def test_pair_that_fails_in_the_middle_does_not_stop_the_one_beside_it(bench: Bench) -> None:
    error = LabError("no space left")
    bench.world.failures["trial 2 k8s-3:k8s-4"] = error
    ends = bench.run(SIDE_BY_SIDE, parallel=True)
    assert ends == {"k8s-1:k8s-2": End(DONE), "k8s-3:k8s-4": End(error=error)}
    assert len(bench.rows("k8s-3:k8s-4")) == 1


def until_cancelled(world: World, _argv: Sequence[str]) -> Answer:
    """Measure for ever, as a long trial of the other pair does."""
    deadline = time.monotonic() + 60
    while not world.cancelled():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    world.happens("stopped")
    raise KeyboardInterrupt


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug of ours")], ids=repr)
def test_interruption_stops_every_pair_keeps_what_was_measured_and_cleans_up(
    bench: Bench, error: BaseException
) -> None:
    bench.nodes["k8s-1"].behaviours[3] = raises(error)
    bench.nodes["k8s-3"].behaviours[2] = until_cancelled
    with pytest.raises(type(error)):
        bench.run(f"{SIDE_BY_SIDE},k8s-1:k8s-3", parallel=True)
    assert [len(bench.rows(pair)) for pair in SIDE_BY_SIDE.split(",")] == [2, 1]
    both = SIDE_BY_SIDE.replace(",", " ")
    assert bench.happened("stopped", "teardown", "down", "apply") == [
        f"apply {both}",
        "stopped",
        f"teardown {both}",
        "down",
    ]


def test_signal_stops_pairs_at_the_same_time(bench: Bench) -> None:
    """The handler's exception comes up in the main thread while that waits for the pairs."""

    def request(_world: World, _argv: Sequence[str]) -> Answer:
        bench.interruption.requested = True
        return until_cancelled(_world, _argv)

    bench.nodes["k8s-1"].behaviours[2] = request
    bench.nodes["k8s-3"].behaviours[2] = until_cancelled
    with pytest.raises(KeyboardInterrupt):
        bench.run(SIDE_BY_SIDE, parallel=True)
    assert bench.happened("stopped", "down") == ["stopped", "stopped", "down"]


def test_signal_during_a_clean_up_ends_the_run_after_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    happens = bench.world.happens

    def impatient(event: str) -> None:
        bench.interruption.requested |= event.startswith("teardown")
        happens(event)

    monkeypatch.setattr(bench.world, "happens", impatient)
    with pytest.raises(KeyboardInterrupt):
        bench.run("k8s-1:k8s-2,k8s-3:k8s-4", shared=True)
    assert bench.happened("apply", "teardown", "down") == ["apply k8s-1:k8s-2", "teardown k8s-1:k8s-2", "down"]


def test_exit_code_of_pairs_is_that_of_the_first_error_and_all_are_named() -> None:
    first, second, third = parse("k8s-1:k8s-2,k8s-1:k8s-3,k8s-1:k8s-4", NAMES)
    ends = {first: End(Outcome(3, 1, 0)), second: End(Outcome(1, 0, 2))}
    assert failure(ends) is None
    assert total(ends) == Outcome(4, 1, 2)
    found = failure({**ends, third: End(error=PlaybookError("no")), second: End(DONE, ConnectionLostError("gone"))})
    assert (type(found), str(found)) == (ConnectionLostError, "k8s-1:k8s-3: gone; k8s-1:k8s-4: no")


def test_keep_leaves_the_only_wave_standing(bench: Bench) -> None:
    bench.run(SIDE_BY_SIDE, parallel=True, keep=True)
    assert bench.happened("teardown", "down") == []


def twice(bench: Bench, text: str, **how: bool) -> dict[str, End]:
    """Measure the pairs in two blocks, on a set-up each."""
    bench.plan = replace(PLAN, blocks=2, setups=2)
    return bench.run(text, **how)


def test_pairs_are_set_up_anew_for_each_group_of_blocks(bench: Bench) -> None:
    """One pair after the other, each on all of its set-ups; the lab stays up."""
    ends = twice(bench, "k8s-1:k8s-2,k8s-1:k8s-3", shared=True)
    assert ends == {pair: End(Outcome(ok=2 * TRIALS)) for pair in ("k8s-1:k8s-2", "k8s-1:k8s-3")}
    expected = ["up"]
    for pair in ends:
        apply, verify, teardown = steps(pair)
        for block in range(2):
            trials = [f"trial {number} {pair}" for number in range(block * TRIALS + 1, (block + 1) * TRIALS + 1)]
            expected += [apply, verify, *trials, teardown]
    assert bench.happened("up", "apply", "verify", "trial", "teardown", "down") == [*expected, "down"]
    assert [row["setup"] for row in bench.rows("k8s-1:k8s-3")] == ["1"] * TRIALS + ["2"] * TRIALS
    assert [event.split(":")[0] for event in bench.happened("setting")] == [
        "setting up, 1 of 2",
        "setting up, 2 of 2",
    ] * 2


def test_pairs_at_the_same_time_share_each_set_up(bench: Bench) -> None:
    ends = twice(bench, SIDE_BY_SIDE, parallel=True)
    assert ends == {pair: End(Outcome(ok=2 * TRIALS)) for pair in SIDE_BY_SIDE.split(",")}
    assert bench.happened("apply", "verify", "teardown") == steps(SIDE_BY_SIDE.replace(",", " ")) * 2
    for folder in ("k8s-1--k8s-2", "k8s-3--k8s-4"):
        facts = [note["fact"] for note in bench.json(f"{folder}/run.json")["notes"]]
        assert facts.count(PARALLEL_NOTE.fact) == 1


def test_pair_that_went_wrong_is_left_out_of_the_next_set_up(bench: Bench) -> None:
    error = LabError("no space left")
    bench.world.failures["trial 2 k8s-3:k8s-4"] = error
    ends = twice(bench, SIDE_BY_SIDE, parallel=True)
    assert ends == {"k8s-1:k8s-2": End(Outcome(ok=2 * TRIALS)), "k8s-3:k8s-4": End(error=error)}
    assert {row["setup"] for row in bench.rows("k8s-1:k8s-2")} == {"1", "2"}
    assert len(bench.rows("k8s-3:k8s-4")) == 1


def test_where_nothing_is_left_to_measure_nothing_is_set_up_again(bench: Bench) -> None:
    bench.world.failures["trial 1 k8s-1:k8s-2"] = LabError("no space left")
    twice(bench, "k8s-1:k8s-2")
    assert bench.happened("apply", "teardown") == ["apply k8s-1:k8s-2", "teardown k8s-1:k8s-2"]


def test_each_pair_has_the_paths_that_were_found_between_its_own_nodes(bench: Bench) -> None:
    first, second, *others = NODES
    lab = Lab("kubernetes", None, None, first, second, None, False, bench.tmp_path, tuple(others))
    pairs = parse("k8s-1:k8s-2,k8s-4:k8s-1", NAMES)
    asked: list[tuple[str, ...]] = []

    def find(ground: Ground, pair: Pair) -> Sequence[Found]:
        asked.append((*(node.name for node in ground.lab.nodes), str(pair)))
        mtu = {"k8s-1:k8s-2": 1450, "k8s-4:k8s-1": 8950}[str(pair)]
        return [replace(FOUND, name="cluster", client=end(1, mtu=mtu), server=end(2, mtu=mtu), nic_mtu=mtu + 50)]

    equipment = Equipment(
        FakeSource(bench.world, lab),
        lambda node, _lab: FakeRemote(bench.world, node),
        lambda lab, profiles: AnsibleFabric(lab, profiles, Playbooks(bench.world, lab)),
        bench.interruption,
        Watcher(bench.world, "all"),
        find=find,
    )
    folders: dict[Pair, RunFolder] = {}
    ledger = Ledger(folders.__getitem__)
    campaign = Campaign(waves(pairs, parallel=False), ledger, equipment, lambda pair: Watcher(bench.world, str(pair)))
    plan = replace(PLAN, setup=Setup(("underlay", "cluster"), (1500,), 1500))
    work = Work(plan, {"underlay": PROFILES["underlay"]}, Conduct(), Ground(lab, {}, {}))
    found = [campaign._found(work, pair) for pair in pairs]
    assert asked == [("k8s-1", "k8s-2", "k8s-1:k8s-2"), ("k8s-4", "k8s-1", "k8s-4:k8s-1")]
    assert [(one.plan.setup.mtus, one.plan.setup.nic_mtu) for one in found] == [((1450,), 1500), ((8950,), 9000)]
    assert all({"underlay", "cluster"} == {*one.profiles} for one in found)
    assert campaign._found(found[0], pairs[0]) == found[0], "it is found once"


def test_folders_without_a_trial_are_discarded(bench: Bench) -> None:
    bench.world.failures["apply k8s-1:k8s-2"] = PlaybookError("no device")
    bench.run("k8s-1:k8s-2,k8s-3:k8s-4", shared=True)
    bench.folder.discard_if_empty()
    assert sorted(path.name for path in bench.folder.path.iterdir()) == ["k8s-3--k8s-4"]
    empty = PairsFolder.create(bench.tmp_path / "results", ["vxlan"], COLUMNS, parse(SIDE_BY_SIDE, NAMES))
    empty.discard_if_empty()
    assert not empty.path.exists()
