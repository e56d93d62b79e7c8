"""`harness run` from its words to what it prints, on nodes, labs and playbooks that are fakes."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from harness.cli import app, detect, equipment, lab, run
from harness.cli import trace as trace_command
from harness.cli.console import err
from harness.cli.equipment import asked_passwords, finder, owner, require_source, with_found
from harness.cli.prepare import Options, Prepared, prepare
from harness.cli.progress import RunProgress
from harness.fabric.ansible import AnsibleFabric
from harness.fabric.playbook import Listener, PlaybookResult
from harness.inspect.sending import Sending
from harness.inspect.trace import Traced
from harness.labs.base import Lab
from harness.model.errors import (
    ConnectionLostError,
    FailedTrialsError,
    HarnessError,
    InputError,
    LabError,
    PlaybookError,
    VerificationError,
)
from harness.model.found import Between, Found
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.nodes.target import Passwords
from harness.results.plan import Setup
from harness.results.schema import Columns
from harness.results.store import RunFolder
from harness.run.interrupt import Interruption
from harness.run.standing import Equipment, Ground
from tests.unit import traces
from tests.unit.existing import FOUND
from tests.unit.world import OWNER, FakeRemote, FakeSource, World, plays, raises, refuse

SHORT = "--blocks 2 --duration 2 --omit 1 --flows 1 --mtu 1500 --protocol tcp --direction forward".split()


class Playbooks:
    """Playbooks that do what they should, but those that the test has fail."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(
        self, name: str, setup: Setup, *, cancellable: bool = True, listener: Listener | None = None
    ) -> PlaybookResult:
        assert cancellable == (name != "teardown")
        for play in plays(name, listener):
            self._world.happens(f"{play} {'+'.join(setup.profiles)}")
        return PlaybookResult({}, 0.1, {})


Ran = Callable[..., Result]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ran(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Run a command of the program in this process, all that it would reach being a fake."""

    @contextmanager
    def equipped(
        prepared: Prepared, _passwords: Passwords, purpose: str = ""
    ) -> Iterator[tuple[Equipment, RunProgress]]:
        client, server, *others = prepared.source.nodes()
        made = Lab(
            "local", tmp_path / "inventory", None, client, server, 1e9, shared_kernel=True, scratch=tmp_path,
            others=tuple(others),
        )  # fmt: skip
        world.events.append(purpose.partition(" 2")[0])
        with RunProgress(prepared.plan, err, prepared.waves) as progress:
            yield (
                Equipment(
                    FakeSource(world, made),
                    lambda node, _lab: FakeRemote(world, node),
                    lambda lab, profiles: AnsibleFabric(lab, profiles, Playbooks(world)),
                    Interruption(),
                    progress,
                    owner=OWNER,
                ),
                progress,
            )

    for module in (run, detect, lab):
        monkeypatch.setattr(module, "equipped", equipped, raising=module is not detect)
        monkeypatch.setattr(module, "require_source", lambda _prepared: None, raising=module is run)
    monkeypatch.setattr(equipment, "require_source", lambda _prepared: None)

    def invoke(*words: str) -> Result:
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(app, [*words], standalone_mode=False, obj=tuple(words))
        if result.exception and not isinstance(result.exception, HarnessError | click.Abort):
            raise result.exception
        return result

    return invoke


def folder(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "results").iterdir()
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with (path / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_measured_shown_and_written(ran: Ran, world: World, tmp_path: Path) -> None:
    result = ran("run", *SHORT, "--report")
    assert result.exception is None, result.exception
    path = folder(tmp_path)
    assert {row["status"] for row in rows(path)} == {"ok"}
    assert len(rows(path)) == 2 * 2 * 2
    assert "vxlan" in result.stdout
    assert f"Results: results/{path.name}" in result.stderr.replace("\n", "")
    assert "goodput_bps" in (path / "summary.csv").read_text(encoding="utf-8")
    assert (path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    meta = json.loads((path / "run.json").read_text(encoding="utf-8"))
    assert (meta["command"]["words"], meta["command"]["folder"]) == ([*SHORT, "--report"], str(tmp_path))
    assert world.events[-1] == "down"
    assert [event for event in world.events if event.startswith(("apply", "teardown"))] == [
        "apply underlay+vxlan",
        "teardown underlay+vxlan",
    ]


def test_json_is_what_is_asked_for(ran: Ran) -> None:
    result = ran("run", *SHORT, "--json")
    assert json.loads(result.stdout)["run"]["run_id"]


@pytest.mark.parametrize(
    ("lab_name", "words"),
    [
        ("local", "The lab and its profiles stay: `harness lab status` shows them"),
        ("vagrant", "The profiles stay on the machines: the same run without --keep takes them down."),
        ("mine.yml", "`harness lab down --lab mine.yml` takes them down."),
    ],
)
def test_what_stays_is_said(lab_name: str, words: str) -> None:
    assert words in run._stays(lab_name)


def test_keep_leaves_it_standing(ran: Ran, world: World) -> None:
    result = ran("run", *SHORT, "--keep")
    assert result.exception is None
    assert "The lab and its profiles stay" in " ".join(result.stderr.split())
    assert not any(event.startswith(("teardown", "down")) for event in world.events)


def test_trials_that_fail_are_an_exit_code(ran: Ran, world: World, tmp_path: Path) -> None:
    world.behaviours = dict.fromkeys(range(1, 40), refuse)
    result = ran("run", *SHORT)
    assert isinstance(result.exception, FailedTrialsError)
    assert "trial(s) failed; see the column reason in " in str(result.exception)
    assert (folder(tmp_path) / "summary.csv").exists()


def test_trials_around_the_tunnel_are_another(ran: Ran, world: World) -> None:
    world.around = True
    result = ran("run", *SHORT)
    assert isinstance(result.exception, VerificationError)
    assert "did not take the way that their profile claims" in str(result.exception)


def test_what_was_measured_before_an_error_is_shown(ran: Ran, world: World, tmp_path: Path) -> None:
    world.failures = {"teardown underlay+vxlan": PlaybookError("stuck")}
    result = ran("run", *SHORT)
    assert isinstance(result.exception, PlaybookError)
    assert "Results: " in result.stderr
    assert len(rows(folder(tmp_path))) == 8


def test_what_is_refused_leaves_no_folder(ran: Ran, world: World, tmp_path: Path) -> None:
    world.failures = {"hold k8s-1": LabError("in use")}
    result = ran("run", *SHORT)
    assert isinstance(result.exception, LabError)
    assert "Results: " not in result.stderr
    assert not (tmp_path / "results").exists() or [*(tmp_path / "results").iterdir()] == []


def test_an_interruption_tells_what_was_measured_and_resume_goes_on(
    ran: Ran, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[RunFolder] = []
    create = RunFolder.create

    def kept(parent: Path, names: Sequence[str], columns: Columns) -> RunFolder:
        opened.append(create(parent, names, columns))
        return opened[-1]

    monkeypatch.setattr(RunFolder, "create", kept)
    world.behaviours = {4: raises(KeyboardInterrupt())}
    result = ran("run", *SHORT)
    assert isinstance(result.exception, click.Abort)
    assert "3 of 8 trials are measured" in str(result.exception.__cause__)
    path = folder(tmp_path)
    assert len(rows(path)) == 3
    world.behaviours = {}
    for one in opened:
        one.close()  # as its process would have by its end
    result = ran("run", "--resume", "last", "--report")
    assert result.exception is None, result.exception
    assert len(rows(path)) == 8
    assert (path / "report.html").exists()
    result = ran("run", "--resume", path.name)
    assert isinstance(result.exception, InputError)
    assert "is complete: there is nothing left of it to be measured" in str(result.exception)


def test_a_run_whose_folder_is_gone_is_not_resumed(ran: Ran, world: World, tmp_path: Path) -> None:
    world.behaviours = {4: raises(KeyboardInterrupt())}
    ran("run", *SHORT)
    path = folder(tmp_path)
    document = json.loads((path / "run.json").read_text(encoding="utf-8"))
    for command, words in (
        ({**document["command"], "folder": str(tmp_path / "gone")}, "which cannot be entered: No such file"),
        (None, "does not say which command began it, so nothing can go on with it; start it anew"),
    ):
        (path / "run.json").write_text(json.dumps({**document, "command": command}), encoding="utf-8")
        result = ran("run", "--resume", str(path))
        assert isinstance(result.exception, InputError)
        assert words in str(result.exception)
    (path / "run.json").unlink()
    assert isinstance(ran("run", "--resume", str(path)).exception, InputError)
    assert isinstance(ran("run", "--resume", "last", "--out", str(tmp_path / "none")).exception, InputError)


# ---- pairs


def test_pairs_are_a_folder_each_and_a_matrix(ran: Ran, world: World, tmp_path: Path) -> None:
    result = ran("run", *SHORT, "--nodes", "4", "--pairs", "k8s-1:k8s-2,k8s-3:k8s-4", "--report")
    assert result.exception is None, result.exception
    path = folder(tmp_path)
    document = json.loads((path / "pairs.json").read_text(encoding="utf-8"))
    assert document["waves"] == [["k8s-1:k8s-2"], ["k8s-3:k8s-4"]] or len(document["waves"][0]) == 2
    assert (document["hosts"], document["errors"]) == (["k8s-1", "k8s-2", "k8s-3", "k8s-4"], {})
    for pair in ("k8s-1--k8s-2", "k8s-3--k8s-4"):
        assert len(rows(path / pair)) == 8
        assert (path / pair / "summary.csv").exists()
    assert (path / "pairs.csv").exists()
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "Hosts against each other" in page
    assert "Matrix of hosts" in page
    assert page.count("<article") == 3, "the matrix, and each pair"
    assert world.events.count("connect k8s-4") == 1


def test_a_pair_that_cannot_be_measured_is_named(ran: Ran, world: World, tmp_path: Path) -> None:
    failed = [0]
    real = world.happens

    def happens(event: str) -> None:
        if event.startswith("apply"):
            failed[0] += 1
            if failed[0] > 1:
                raise ConnectionLostError("k8s-3 is gone")
        real(event)

    world.happens = happens  # type: ignore[method-assign]
    result = ran("run", *SHORT, "--nodes", "3", "--pairs", "k8s-1:k8s-2,k8s-1:k8s-3", "--report")
    assert isinstance(result.exception, HarnessError)
    document = json.loads((folder(tmp_path) / "pairs.json").read_text(encoding="utf-8"))
    assert document["errors"] == {"k8s-1:k8s-3": "k8s-3 is gone"}
    assert "k8s-1:k8s-3" in " ".join(result.stdout.split())


# ---- a pilot, and hosts that are cleared


def test_a_pilot_tells_how_many_blocks(ran: Ran, tmp_path: Path) -> None:
    words = [word for word in SHORT if word not in ("--blocks", "2")] + ["--duration", "2"]
    words = "--duration 2 --omit 1 --flows 1 --mtu 1500 --protocol tcp --direction forward".split()
    result = ran("plan", "--detect", "1%", *words)
    assert result.exception is None, (result.exception, result.stderr)
    assert folder(tmp_path).name.endswith(tuple("0123456789abcdef"))
    assert "--from takes them for another --detect" in " ".join(result.stderr.split())
    again = ran("plan", "--detect", "2%", "--from", str(folder(tmp_path)), "--json")
    assert again.exception is None, again.exception
    assert json.loads(again.stdout)


def test_hosts_of_an_inventory_are_cleared(ran: Ran, world: World, tmp_path: Path) -> None:
    inventory = tmp_path / "mine.yml"
    hosts = {f"h{number}": {"underlay_address": f"192.0.2.{number}", "underlay_device": "eth0"} for number in (1, 2, 3)}
    inventory.write_text(json.dumps({"nodes": {"hosts": hosts}}), encoding="utf-8")
    result = ran("lab", "down", "--lab", str(inventory))
    assert result.exception is None, result.exception
    assert "Nothing of these profiles is left on the hosts of" in " ".join(result.stdout.split())
    cleared = [event for event in world.events if event.startswith("teardown")]
    assert len(cleared) == 2, "three hosts are two pairs"
    assert [event for event in world.events if event.startswith("hold")] == ["hold h1", "hold h2", "hold h3"]
    world.events.clear()
    assert ran("lab", "down", "--lab", str(inventory), "--force").exception is None
    assert not any(event.startswith("hold") for event in world.events)


# ---- a packet that is followed


@pytest.mark.parametrize("name", ["docker", "lost"])
def test_trace_prints_saves_and_fails_with_the_packet(
    ran: Ran, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_command, "require_source", lambda _prepared: None)
    sent: list[tuple[Sending, bool]] = []

    def traced(_prepared: Prepared, sending: Sending, _passwords: Passwords, *, keep: bool) -> Traced:
        sent.append((sending, keep))
        return Traced(traces.TRACES[name]())

    monkeypatch.setattr(trace_command, "_traced", traced)
    result = ran("trace", "--profile", "vxlan", "--count", "2", "--pcap", str(tmp_path / "pcap"))
    assert "echo 1 request" in result.stdout
    assert f"Captures: 0 files in {tmp_path / 'pcap'}" in result.stderr.replace("\n", "")
    assert (tmp_path / "pcap").is_dir()
    if name == "lost":
        assert isinstance(result.exception, VerificationError)
        assert "echo 1 request: the node's firewall drops what it forwards" in str(result.exception)
    else:
        assert result.exception is None
    assert sent == [(Sending(2, 84), False)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--profile", "vxlan", "--tcp", "--size", "100"), "--tcp sends segments of the size that TCP finds"),
        (("--profile", "vxlan", "--tcp", "-M", "do"), "leave --size and -M out"),
        (("--profile", "swarm", "--containers", "docker"), "Docker hides its devices in a namespace of its own"),
    ],
)
def test_what_cannot_be_traced_is_said(ran: Ran, words: Sequence[str], said: str) -> None:
    result = ran("trace", *words)
    assert isinstance(result.exception, InputError)
    assert said in str(result.exception)


# ---- what a run is equipped with


def test_who_locks_nodes_is_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.get_current_context", lambda: click.Context(run.run, info_name="run"))
    monkeypatch.setenv("SUDO_USER", "alice")
    assert owner().run == "harness run"
    assert (owner("run a").user, owner("run a").run, owner("run a").pid) == ("alice", "run a", os.getpid())
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert owner("run a").user == "uid 4000000"


def test_passwords_are_typed_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    typed: list[tuple[str, bool]] = []

    def prompt(text: str, *, hide_input: bool, err: bool) -> str:
        typed.append((text, hide_input and err))
        return text[:3]

    monkeypatch.setattr("click.prompt", prompt)
    assert asked_passwords("mine.yml", login=True, become=True) == Passwords("SSH", "BEC")
    assert typed == [("SSH password", True), ("BECOME password", True)]
    assert asked_passwords("mine.yml", login=False, become=False) == Passwords()
    for lab_name in ("local", "vagrant", "kubernetes"):
        with pytest.raises(InputError, match=f"are for hosts of your own; --lab {lab_name} takes no password"):
            asked_passwords(lab_name, login=True, become=False)


def test_what_a_lab_misses_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(Options(profile=("vxlan",)))
    monkeypatch.setattr("harness.labs.rootless.is_wanted", lambda: False)
    monkeypatch.setattr(prepared.source, "probe", lambda: ["no root.", "no luck."])
    with pytest.raises(LabError, match=r"no root\. no luck\."):
        require_source(prepared)


def test_who_is_not_root_is_replaced_by_one_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[object] = []

    class Context:
        obj = ("run",)

    prepared = prepare(Options(profile=("vxlan",)))
    monkeypatch.setattr(prepared.source, "probe", list)
    monkeypatch.setattr("harness.labs.rootless.is_wanted", lambda: True)
    monkeypatch.setattr("harness.labs.rootless.enter", entered.append)
    monkeypatch.setattr("click.get_current_context", Context)
    require_source(prepared)
    assert entered == [("run",)]


def test_paths_are_found_between_named_endpoints_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="say between which endpoints, by --between A,B"):
        finder(prepare(Options(profile=("vxlan",))))
    between = Between.parse("swarm=web-1,web-2")
    monkeypatch.setattr("harness.inspect.found.find", lambda asked, _ground: (asked, FOUND)[1])
    find = finder(prepare(Options(between=between)))
    nodes = Node("k8s-1", 1, "192.0.2.1", "e"), Node("k8s-2", 2, "192.0.2.2", "e")
    lab_up = Lab("local", None, None, *nodes, rate_bps=None, shared_kernel=False, scratch=Path("/none"))
    ground, pair = Ground(lab_up, {}, {}), Pair("k8s-1", "k8s-2")
    found: Sequence[Found] = find(ground, pair)
    assert [*found] == [FOUND]
    made = with_found(Equipment(*[None] * 5), find)  # type: ignore[arg-type]
    assert made.find is not None
    assert [*made.find(ground, pair)] == [FOUND]
    fabric: Any = made.fabric(lab_up.limited_to([pair]), {})
    fabric.preflight(Setup(("underlay",), (1450,), 1500))
