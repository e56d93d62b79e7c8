"""The local lab without root: which commands make it, what it leaves on disk, and how it goes away again."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cluster
from harness.cli.lab import lab as lab_command
from harness.labs import access, engine, holder, kept, kubernetes, local, routers, shaping, vagrant, wiring
from harness.labs.holder import Holder, Keeping, end_marked, enter_argv
from harness.labs.local import LocalLab
from harness.labs.process import ProcessId, command
from harness.labs.wires import Wires
from harness.model.containers import Engine
from harness.model.errors import HarnessError, LabError

Commands = list[tuple[str, str]]
READY = "echo ready; exec sleep 60"


@pytest.fixture
def nodes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that stand for nodes: they end with the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, nodes: list[subprocess.Popen[bytes]]) -> Commands:
    """Have every program that makes a lab noted in the place of being run, as (its words, its input)."""
    noted: Commands = []

    def note(argv: Sequence[str], stdin: str | None = None) -> str:
        noted.append((" ".join(argv), stdin or ""))
        return ""

    def start(_script: str, name: str, *arguments: str, keeping: Keeping) -> Holder:
        noted.append((f"node {name} {' '.join(arguments)}", keeping.mark))
        nodes.append(subprocess.Popen(["sleep", "60"]))
        own = ProcessId.of(nodes[-1].pid)
        return Holder(own, own)

    for module in (local, wiring, routers, shaping, access):
        monkeypatch.setattr(module, "command", note)
    monkeypatch.setattr(holder, "start", start)
    monkeypatch.setattr(local, "prepare_sshd", lambda _folder, name, _pid: noted.append((f"sshd {name}", "")))
    monkeypatch.setattr(access.shutil, "which", lambda *_given, **_more: "/usr/sbin/sshd")  # type: ignore[attr-defined]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return noted


def ended(nodes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Return how many have: whoever ended them may have collected them, too."""
    return len([process for process in nodes if process.poll() is not None])


def commands(made: Commands, nodes: Sequence[subprocess.Popen[bytes]]) -> list[str]:
    """Return what was run, with nodes' numbers for their pids."""
    text = [words for words, _ in made]
    for number, process in enumerate(nodes, 1):
        text = [words.replace(str(process.pid), f"#{number}") for words in text]
    return [
        words.replace("nsenter --target ", "in ").replace(" --mount --uts --ipc --net --pid --", ":") for words in text
    ]


def test_two_nodes_are_joined_by_a_shaped_cable(
    made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    source = LocalLab(Wires("100mbit"), state_root=tmp_path)
    lab = source.up()
    run = commands(made, nodes)
    assert "ip link add name ens33 mtu 1500 netns #1 type veth peer name ens33 mtu 1500 netns #2" in run
    assert "in #1: ip addr add 172.12.1.11/24 dev ens33" in run
    assert "in #2: ip addr add fd00:172:12:1::12/64 dev ens33 nodad" in run
    assert sum(": tc qdisc replace dev ens33" in words for words in run) == 4, "two for each direction"
    assert [node.name for node in lab.nodes] == ["k8s-1", "k8s-2"]
    assert (lab.rate_bps, lab.shared_kernel, lab.link_bytes) == (1e8, True, None)
    assert lab.neighbours is not None
    assert lab.neighbours() == []
    state = json.loads((source.directory / "state.json").read_text(encoding="utf-8"))
    assert state["complete"] is True
    assert lab.inventory is not None
    hosts = json.loads(lab.inventory.read_text(encoding="utf-8"))["nodes"]["hosts"]
    assert hosts["k8s-2"]["underlay_address"] == "172.12.1.12"
    assert lab.ssh_config is not None
    assert f"ProxyCommand nsenter --target {nodes[0].pid} " in lab.ssh_config.read_text(encoding="utf-8")
    source.down()
    assert ended(nodes) == 2
    assert [*tmp_path.iterdir()] == []


def test_without_a_rate_nothing_is_shaped(made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    lab = LocalLab(Wires("none"), state_root=tmp_path).up()
    assert lab.rate_bps is None
    assert not any("qdisc" in words for words in commands(made, nodes))


def test_more_nodes_have_a_switch_between(made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    source = LocalLab(Wires("1gbit", 3), state_root=tmp_path)
    lab = source.up()
    run = commands(made, nodes)
    assert "node switch " in run
    assert "ip link add name ens33 mtu 1500 netns #3 type veth peer name k8s-3 mtu 1500 netns #4" in run
    assert "in #4: ip link set dev k8s-3 master switch up" in run
    assert [node.address for node in lab.others] == ["172.12.1.13"]
    source.down()
    assert ended(nodes) == 4


def test_links_have_a_router_at_each_end(made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    lab = LocalLab(Wires("100mbit", links=2), state_root=tmp_path).up()
    run = commands(made, nodes)
    assert "ip link add name ens33 mtu 1500 netns #1 type veth peer name k8s-1 mtu 1500 netns #3" in run
    assert "ip link add name link2 mtu 1500 netns #3 type veth peer name link2 mtu 1500 netns #4" in run
    assert sum("tc qdisc replace dev link" in words for words in run) == 8, "two a link and side"
    assert not any("tc qdisc replace dev ens33" in words for words in run), "two bottlenecks tell nothing"
    batch = next(given for words, given in made if words.endswith("ip -batch -"))
    assert "route add 172.12.1.12/32 nexthop via 10.255.1.2 dev link1 nexthop via 10.255.2.2 dev link2\n" in batch
    assert "neigh add proxy fd00:172:12:1::12 dev k8s-1\n" in batch
    delays = [given for words, given in made if "proxy_delay" in words]
    assert delays == ["0\n"] * 4
    assert lab.rate_bps == 2e8
    assert lab.link_bytes is not None
    with pytest.raises(LabError, match="link1 between the routers is gone"):
        lab.link_bytes()


def test_unshaped_links_are_not_shaped(made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    lab = LocalLab(Wires("none", links=2), state_root=tmp_path).up()
    assert lab.rate_bps is None
    assert not any("qdisc" in words for words in commands(made, nodes))


def test_what_fails_half_way_is_taken_down(
    made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: object) -> None:
        raise LabError("no such luck")

    monkeypatch.setattr(local.wiring, "cable", fails)  # type: ignore[attr-defined]
    with pytest.raises(LabError, match="no such luck"):
        LocalLab(state_root=tmp_path).up()
    assert ended(nodes) == 2
    assert [*tmp_path.iterdir()] == []
    assert made


def test_a_folder_of_an_earlier_attempt_goes_first(
    made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    source = LocalLab(state_root=tmp_path)
    source.directory.mkdir()
    (source.directory / "left").touch()
    source.up()
    assert not (source.directory / "left").exists()
    assert len(nodes) == 2
    assert made


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="takes root; run this with sudo"):
        LocalLab(state_root=tmp_path).up()
    with pytest.raises(LabError, match="takes root; run this with sudo"):
        kept.require_root()


def test_without_sshd_it_says_so(monkeypatch: pytest.MonkeyPatch, made: Commands, tmp_path: Path) -> None:
    monkeypatch.setattr(access.shutil, "which", lambda *_given, **_more: None)  # type: ignore[attr-defined]
    with pytest.raises(LabError, match="sshd is not installed"):
        LocalLab(state_root=tmp_path).up()
    assert made


# ---- one that stands


@pytest.fixture
def standing(made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path) -> Iterator[LocalLab]:
    """A lab that `harness lab up` left."""
    source = LocalLab(Wires("100mbit"), keep=True, state_root=tmp_path)
    source.up()
    made.clear()
    yield source
    assert len(nodes) >= 2
    source.down()


def test_one_that_stands_is_found_by_runs(standing: LocalLab, made: Commands) -> None:
    root = standing.directory.parent
    found = LocalLab(Wires("100mbit"), state_root=root)
    lab = found.up()
    assert lab.scratch == root / kept.KEPT
    assert made == []
    with pytest.raises(
        LabError, match="the local lab is in use by a run that is starting; wait for its end, or give --force"
    ):
        kept.take_down_all(root)
    found.down()
    assert (root / kept.KEPT).exists(), "it was there before"


@pytest.mark.parametrize(
    ("wires", "containers", "words"),
    [
        (Wires("1gbit"), Engine.NONE, "has rate 100mbit, not 1gbit; `harness lab down` it, or give --rate 100mbit"),
        (Wires("100mbit", 3), Engine.NONE, "has 2 nodes, not 3"),
        (Wires("100mbit", links=2), Engine.NONE, "has no routers, and this takes 2 links between routers"),
        (Wires("100mbit", nic_mtu=9000), Engine.NONE, "has NICs of MTU 1500, not 9000"),
        (Wires("100mbit"), Engine.DOCKER, "was made without --containers docker; `harness lab down` it first"),
    ],
)
def test_one_that_stands_but_is_another_is_refused(
    standing: LocalLab, wires: Wires, containers: Engine, words: str
) -> None:
    with pytest.raises(LabError, match=words):
        LocalLab(wires, state_root=standing.directory.parent, containers=containers).up()


def test_paths_are_only_looked_for_on_one_that_stands(made: Commands, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not up, so no endpoint is there"):
        LocalLab(found=True, state_root=tmp_path).up()
    assert made == []
    assert not LocalLab(found=True, state_root=tmp_path).is_own
    assert LocalLab(state_root=tmp_path).is_own


def test_a_lab_with_a_dead_node_does_not_stand(standing: LocalLab, nodes: list[subprocess.Popen[bytes]]) -> None:
    root = standing.directory.parent
    assert kept.find_kept(root) is not None
    nodes[0].kill()
    nodes[0].wait()
    assert kept.find_kept(root) is None
    with pytest.raises(LabError, match="the local lab is not up; `harness lab up` brings it up"):
        kept.kept_state(root)


def test_taking_down_leaves_runs_alone_and_removes_what_was_killed(
    standing: LocalLab, nodes: list[subprocess.Popen[bytes]]
) -> None:
    root = standing.directory.parent
    standing._used = os.close(standing._used) if standing._used is not None else None  # type: ignore[func-returns-value]
    (root / kept.own_name()).mkdir()
    (root / "run-1-99999999").mkdir()
    (root / "file").touch()
    assert kept.take_down_all(root) == ["lab", "run-1-99999999"]
    assert sorted(path.name for path in root.iterdir()) == sorted(["file", kept.own_name()])
    assert ended(nodes) == 2
    assert kept.take_down_all(root / "none") == []


def test_force_takes_down_what_is_in_use(standing: LocalLab) -> None:
    root = standing.directory.parent
    with kept.changing(root), pytest.raises(LabError, match="somebody is bringing the local lab up or down"):
        kept.take_down_all(root)
    with kept.changing(root):
        assert kept.take_down_all(root, force=True) == ["lab"]


def test_one_that_is_being_taken_down_cannot_be_used(standing: LocalLab) -> None:
    assert standing._used is not None
    os.close(standing._used)
    standing._used = None
    number = os.open(standing.directory, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    with pytest.raises(LabError, match="being taken down; bring it up again"):
        kept.used(standing.directory)
    os.close(number)


def test_who_uses_it_by_way_of_an_inventory_is_named(
    standing: LocalLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert standing._used is not None
    os.close(standing._used)
    standing._used = None
    held = tmp_path / "lock"
    held.write_text(json.dumps({"run": "run a", "user": "u", "host": "h", "pid": 1, "since": "now"}), encoding="utf-8")
    real = Path
    lock_path = kept.lock.PATH  # type: ignore[attr-defined]
    monkeypatch.setattr(kept, "Path", lambda text: held if str(text).endswith(lock_path) else real(text))
    number = os.open(held, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    with pytest.raises(LabError, match=r"in use by run a of u on h \(pid 1\) since now"):
        kept.take_down_all(standing.directory.parent)
    os.close(number)


def test_another_lab_beside_is_told(standing: LocalLab) -> None:
    root = standing.directory.parent
    (root / kept.own_name()).mkdir()
    (root / "run-1-99999999").mkdir()
    assert sorted(kept.neighbours(root / "run-1-99999999")) == [kept.KEPT, kept.own_name()]
    assert kept.neighbours(root / kept.KEPT) == [kept.own_name()]


def test_a_node_that_does_not_end_is_said(standing: LocalLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessId, "kill", lambda _self: False)
    with pytest.raises(LabError, match=r"node k8s-1 \(pid \d+\) does not end; end it and try again"):
        kept.remove(standing.directory)
    monkeypatch.undo()


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / kept.KEPT).mkdir()
    (tmp_path / kept.KEPT / "state.json").write_text(text, encoding="utf-8")
    assert kept.find_kept(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_words: object, **_more: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "mkdir", gone)
    with pytest.raises(LabError, match=r"lab cannot be made\."):
        kept.make_folder(tmp_path / "lab")


def test_the_folder_of_all_labs_goes_with_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    monkeypatch.setattr(kept, "STATE_ROOT", root)
    (root / "lab").mkdir(parents=True)
    (root / "other").mkdir()
    kept.remove(root / "lab")
    assert root.is_dir(), "another lab is there"
    kept.remove(root / "other")
    assert not root.exists()


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        ('[{"ifalias": "harness:vxlan"}, {"ifalias": "harness:vxlan"}, {"ifalias": "other:x"}, {}]', ["vxlan"]),
        ('[{"ifalias": "harness:"}, {"ifalias": "harness:a"}]', ["a"]),
        ("", []),
        ("no JSON", []),
        ("[1]", []),
    ],
)
def test_profiles_that_stand_are_told_by_marks(printed: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: Sequence[str], **_more: object) -> subprocess.CompletedProcess[str]:
        assert argv[:3] == ["nsenter", "--target", "7"]
        return subprocess.CompletedProcess(argv, 0, printed, "")

    monkeypatch.setattr(kept.subprocess, "run", run)  # type: ignore[attr-defined]
    assert kept.standing_profiles({"nodes": [{"inside": {"pid": 7}}]}) == names


# ---- what holds a node


def held_by(script: str, monkeypatch: pytest.MonkeyPatch, *, detached: bool = True) -> Holder:
    """Start a holder whose namespaces are this process's own: making others takes root."""
    monkeypatch.setattr(holder, "_UNSHARE", "env")
    return holder.start(script, "n", keeping=Keeping("mark of a test", detached=detached))


@pytest.mark.parametrize("detached", [True, False])
def test_a_holder_is_ready_when_it_says_so(monkeypatch: pytest.MonkeyPatch, detached: bool) -> None:
    made = held_by("sleep 60 & echo ready; wait", monkeypatch, detached=detached)
    assert made.inside.is_alive()
    assert made.described()["holder"] == {"pid": made.holder.pid, "start_ticks": made.holder.start_ticks}
    end_marked("mark of another")
    assert made.inside.is_alive()
    end_marked("")
    assert made.inside.is_alive()
    end_marked("mark of a test")
    assert not made.inside.is_alive()
    assert not made.holder.is_alive()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'mount: not permitted' >&2; exit 1", "node n did not start: mount: not permitted"),
        ("echo ready; exec sleep 60", "node n ended as soon as it was up"),
    ],
)
def test_a_holder_that_does_not_hold_is_said(script: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match=words):
        held_by(script, monkeypatch)


def test_a_router_is_told_which_fields_to_hash(made: Commands) -> None:
    routers.start("router-1", keeping=Keeping("m"))
    assert made == [("node router-1 55", "m")]


def test_a_program_that_fails_is_said_in_its_words() -> None:
    assert command(["cat"], "given") == "given"
    with pytest.raises(LabError, match="`sh -c echo oh >&2; exit 3` failed: oh"):
        command(["sh", "-c", "echo oh >&2; exit 3"])
    with pytest.raises(LabError, match="no-such-program is not installed"):
        command(["no-such-program"])


def test_a_key_is_made_once_for_each_lab(tmp_path: Path) -> None:
    access.make_key(tmp_path / "key")
    assert (tmp_path / "key.pub").read_text(encoding="utf-8").endswith("throw-away key of a lab\n")


# ---- an engine in a node


def test_an_engine_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"dockerd is not installed.*for Debian, `make setup WITH=--docker`"):
        engine.require(Engine.DOCKER, str(tmp_path))
    with pytest.raises(LabError, match=r"podman is not installed; your distribution's package brings it\."):
        engine.require(Engine.PODMAN, str(tmp_path))
    engine.require(Engine.NONE, str(tmp_path))
    monkeypatch.setattr(engine.shipped, "IS_INSTALLED", True)  # type: ignore[attr-defined]
    with pytest.raises(LabError, match=r"`apt-get install docker.io`"):
        engine.require(Engine.DOCKER, str(tmp_path))


def test_an_engine_has_settings_of_its_own() -> None:
    assert engine.settings(Engine.NONE, "lab", "k8s-1") == ""
    assert engine.settings(Engine.PODMAN, "lab", "k8s-1") == '[engine]\ncgroup_manager = "cgroupfs"\n'
    assert json.loads(engine.settings(Engine.DOCKER, "lab", "k8s-1"))["cgroup-parent"] == "/vxlan-harness/lab/k8s-1"


def test_a_daemon_is_waited_for_and_its_log_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag = tmp_path / "asked"
    script = f"test -e {flag} || {{ touch {flag}; exit 1; }}"
    engine.await_docker(["sh", "-c", script], tmp_path, "k8s-1")
    monkeypatch.setattr(engine, "STARTING_S", -1.0)
    with pytest.raises(LabError, match="dockerd on k8s-1 does not answer: no log"):
        engine.await_docker(["false"], tmp_path, "k8s-1")
    (tmp_path / "run").mkdir()
    (tmp_path / engine.LOG).write_text("failed to start:\n no overlay", encoding="utf-8")
    with pytest.raises(LabError, match="does not answer: failed to start: no overlay"):
        engine.await_docker(["false"], tmp_path, "k8s-1")


def test_empty_control_groups_go_and_others_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "_ENDING_S", 0.1)
    own = tmp_path / "cpu" / "vxlan-harness" / "lab-1"
    (own / "k8s-1" / "container").mkdir(parents=True)
    other = tmp_path / "vxlan-harness" / "lab-2"
    other.mkdir(parents=True)
    engine.remove_cgroups(Engine.NONE, "lab-1", tmp_path)
    assert own.exists()
    engine.remove_cgroups(Engine.DOCKER, "lab-1", tmp_path)
    assert not own.parent.exists()
    assert other.exists(), "another lab's"
    busy = tmp_path / "libpod_parent" / "c"
    busy.mkdir(parents=True)
    (busy / "pids").touch()
    engine.remove_cgroups(Engine.PODMAN, "lab-1", tmp_path)
    assert busy.exists(), "somebody is in it"


def test_a_lab_with_docker_waits_for_its_daemons(
    made: Commands, nodes: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[tuple[str, str]] = []
    monkeypatch.setattr(engine, "require", lambda wanted, _path: waited.append(("require", str(wanted))))
    monkeypatch.setattr(engine, "await_docker", lambda argv, _root, node: waited.append((argv[-2], node)))
    source = LocalLab(state_root=tmp_path, containers=Engine.DOCKER)
    source.up()
    assert waited == [("require", "docker"), ("docker", "k8s-1"), ("docker", "k8s-2")]
    assert not source.is_own
    assert len(nodes) == 2
    assert made
    source.down()


# ---- the command


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `harness lab` in this process, with labs below a folder of the test's."""
    for function in (kept.find_kept, kept.kept_state, kept.take_down_all):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    monkeypatch.setattr(
        LocalLab.__init__, "__kwdefaults__", {**(LocalLab.__init__.__kwdefaults__ or {}), "state_root": tmp_path}
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(lab_command, words)
        if isinstance(done.exception, HarnessError | KeyboardInterrupt):
            return getattr(done.exception, "exit_code", 130), str(done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return invoke


def test_up_status_exec_down(
    run: Run, made: Commands, nodes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, said = run("up", "--rate", "100mbit")
    assert (code, "k8s-1 and k8s-2 are up, link 100mbit." in said) == (0, True), said
    assert "Ansible inventory: " in said
    assert run("up") == (3, "the local lab is already up; `harness lab down` takes it down.")
    monkeypatch.setattr(kept, "standing_profiles", lambda _state: [])
    code, said = run("status")
    assert f"k8s-1  172.12.1.11  pid {nodes[0].pid}" in said
    assert said.endswith("link 100mbit\nNo profile stands on it.\n")
    monkeypatch.setattr(kept, "standing_profiles", lambda _state: ["vxlan", "flannel"])
    code, said = run("status")
    assert "On it stands: vxlan, flannel." in said
    assert "harness lab exec k8s-1 -- ip -d link" in said
    assert "harness trace --profile vxlan" in said
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _file, argv: became.append(argv))
    run("exec", "k8s-2", "--", "ip", "-d", "link")
    run("exec", "k8s-2", "ip")
    run("shell", "k8s-1")
    assert became[0] == [*enter_argv(nodes[1].pid), "ip", "-d", "link"]
    assert became[1][-1] == "ip"
    assert "PS1=k8s-1 # " in became[2]
    assert run("exec", "k8s-9", "ip") == (2, "unknown node 'k8s-9'; the lab has k8s-1, k8s-2.")
    code, said = run("down", "--force")
    assert (code, said) == (0, "Taken down: lab.\n")
    assert run("down") == (0, "There was nothing to take down.\n")
    assert run("status")[0] == 3
    assert made
    assert tmp_path.exists()


def test_status_names_routers(run: Run, made: Commands, nodes: list[subprocess.Popen[bytes]]) -> None:
    assert run("up", "--links", "2")[0] == 0
    made.clear()
    code, said = run("status")
    assert (code, f"router-2  pid {nodes[3].pid}" in said) == (0, True), said
    assert "2 links of 1gbit each between two routers" in said


def test_an_interruption_takes_it_down_again(
    run: Run, made: Commands, nodes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(first: int, second: int, *_more: object) -> None:
        assert first != second
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(wiring, "cable", interrupted)
    assert run("up") == (1, "\nAborted!\n")
    assert not (tmp_path / kept.KEPT).exists()
    assert len(nodes) == 2
    assert made


def test_of_virtual_machines_it_speaks_by_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(vagrant, "bring_up", lambda: called.append("up"))
    monkeypatch.setattr(vagrant, "take_down", lambda: called.append("down"))
    monkeypatch.setattr(vagrant, "states", lambda: {"k8s-1": "running", "k8s-2": "running"})
    code, said = run("up", "--lab", "vagrant")
    assert (code, said) == (0, "Both machines are up; `harness run --lab vagrant` measures between them.\n")
    assert run("status", "--lab", "vagrant") == (0, "k8s-1  running\nk8s-2  running\n")
    monkeypatch.setattr(vagrant, "states", lambda: {"k8s-1": "running", "k8s-2": "poweroff"})
    code, said = run("status", "--lab", "vagrant")
    assert (code, said.startswith("the Vagrant lab is not up.")) == (3, True)
    run("down", "--lab", "vagrant")
    assert called == ["up", "down"]


def test_of_a_cluster_what_runs_left_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[list[str]] = [["harness"], []]
    monkeypatch.setattr(cluster, "kubectl", lambda context: context)
    monkeypatch.setattr(kubernetes, "take_down", lambda _kubectl: left.pop(0))
    assert run("down", "--lab", "kubernetes") == (0, "Removed: namespace harness.\n")
    assert run("down", "--lab", "kubernetes", "--context", "c") == (0, "There was nothing left.\n")
    assert run("down", "--context", "c") == (2, "--context is for --lab kubernetes.")
