"""One at a time: two runs on one standing lab, `lab down` in the middle, labs that were killed while they came up."""

import json
import signal
from pathlib import Path

import pytest

from tests.lab.bench import eventually
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of, wait_for_rows

pytestmark = pytest.mark.lab

SHORT = f"run --profile vxlan --blocks 1 --duration 1 --omit 0 --flows 1 --mtu 1450 --out {OUT}".split()
LOCK = "run/vxlan-harness.lock"


def lock_files(machine: Machine) -> list[Path]:
    """Return the locks of the kept lab's nodes that are there."""
    paths = [machine.root / f"proc/{pid}/root/{LOCK}" for pid in machine.nodes()]
    return [path for path in paths if path.exists()]


def test_second_run_on_a_standing_lab_is_refused_and_disturbs_nothing(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    assert machine.run(tmp_path, "lab", "up").exit_code == 0
    with machine.start(tmp_path, *SHORT) as first:
        wait_for_rows(machine, first, 1)
        second = machine.run(tmp_path, *SHORT)
        assert second.exit_code == 3
        (sentence,) = [line for line in second.stderr.splitlines() if line.startswith("harness: ")]
        assert "k8s-1 is in use by run 2" in sentence
        assert "root on" in sentence
        down = machine.run(tmp_path, "lab", "down")
        assert (down.exit_code, down.stdout) == (3, "")
        assert "the local lab is in use by run 2" in down.stderr
        assert "--force" in down.stderr
        assert first.wait() == 0, first.stderr
    (folder,) = machine.results()
    assert {row["status"] for row in rows_of(folder / "trials.csv")} == {"ok"}
    assert eventually(lambda: lock_files(machine) == [])
    assert machine.run(tmp_path, "lab", "down").stdout == "Taken down: lab.\n"
    assert machine.changes(before) == []


def test_lock_of_a_killed_run_is_taken_over_and_force_takes_a_lab_down(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    assert machine.run(tmp_path, "lab", "up").exit_code == 0
    with machine.start(tmp_path, *SHORT) as killed:
        killed.reaches("verifying")
        killed.send(signal.SIGKILL)
        killed.wait()
    with machine.start(tmp_path, *SHORT) as second:
        second.reaches("verifying")
        down = machine.run(tmp_path, "lab", "down", "--force")
        assert (down.exit_code, down.stdout) == (0, "Taken down: lab.\n"), down.stderr
        assert second.wait() in (4, 5, 7, 9), second.stderr
        assert "Traceback" not in second.stderr
    assert machine.changes(before) == []


def test_two_labs_side_by_side_say_so_in_both_results(machine: Machine, tmp_path: Path) -> None:
    others = machine.results()
    with machine.start(tmp_path, *SHORT) as first, machine.start(tmp_path, *SHORT) as second:
        assert (first.wait(), second.wait()) == (0, 0), first.stderr + second.stderr
    folders = [path for path in machine.results() if path not in others]
    assert len(folders) == 2
    for folder in folders:
        notes = json.loads((folder / "run.json").read_text(encoding="utf-8"))["notes"]
        assert [note for note in notes if "another local lab was in use" in note["fact"]]
    assert "another local lab was in use" in first.stderr
    assert "another local lab was in use" in second.stderr


def test_down_leaves_a_run_alone_that_has_no_state_yet(machine: Machine, tmp_path: Path) -> None:
    """Its folder says whose it is from the first moment on."""
    before = machine.state()
    for _ in range(3):
        with machine.start(tmp_path, *SHORT) as command:
            assert eventually(lambda: machine.labs.is_dir() and any(machine.labs.iterdir()), poll_s=0.001)
            down = machine.run(tmp_path, "lab", "down")
            assert down.exit_code == 0, down.stderr
            assert "run-" not in down.stdout
            command.reaches("setting up")
            command.send(signal.SIGINT)
            assert command.wait() == 130, command.stderr
    assert machine.changes(before) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("after", ["state.json", "id_ed25519.pub", "known_hosts"])
def test_lab_up_that_is_stopped_leaves_nothing_that_down_does_not_find(
    machine: Machine, tmp_path: Path, number: signal.Signals, after: str
) -> None:
    before = machine.state()
    with machine.start(tmp_path, "lab", "up") as command:
        assert eventually(
            lambda: (machine.labs / "lab" / after).exists() or command.exit_code is not None, poll_s=0.001
        )
        command.send(number)
        code = command.wait()
    assert code == (-number if number is signal.SIGKILL else 130), command.stderr
    if number is signal.SIGKILL:
        down = machine.run(tmp_path, "lab", "down")
        assert (down.exit_code, down.stdout) == (0, "Taken down: lab.\n"), down.stderr
    assert machine.changes(before) == []


def test_state_that_cannot_be_read_is_no_obstacle(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    (machine.labs / "lab").mkdir(parents=True)
    (machine.labs / "lab/state.json").touch()
    status = machine.run(tmp_path, "lab", "status")
    assert (status.exit_code, "not up" in status.stderr) == (3, True)
    assert machine.run(tmp_path, "lab", "up").exit_code == 0
    assert machine.run(tmp_path, "lab", "down").exit_code == 0
    assert machine.changes(before) == []
