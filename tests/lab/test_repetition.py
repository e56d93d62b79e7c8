"""Small runs of what repeats: the harness against itself, whole and interrupted, a pilot, and a run that ends early."""

import json
import signal
from pathlib import Path

import pytest

from tests.lab.bench import eventually
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of, rows_so_far

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("emptied")]

TINY = f"--measure ping --duration 1 --omit 0 --seed 7 --out {OUT}".split()
VXLAN = ["--profile", "vxlan", "--mtu", "1450"]
WIDE = "90%"
"""Wide enough for the round trips of any machine that is not itself at its end."""


def test_a_profile_against_itself_is_interrupted_in_its_second_run(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    with machine.start(tmp_path, "aa", "--runs", "2", *VXLAN, *TINY) as command:
        assert eventually(
            lambda: (
                command.exit_code is not None
                or any(len(rows_so_far(path / "trials.csv")) > 12 for path in machine.results())
            )
        )
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    trials = rows_of(folder / "trials.csv")
    first = [row for row in trials if int(row["block"]) <= 6]
    assert {(row["profile"], row["status"], row["mtu"]) for row in first} == {("vxlan", "ok", "1450")}, first
    assert [row["arm"] for row in first].count("a") == [row["arm"] for row in first].count("b") == 6
    assert {"vxlan_docker" in row["proof"] for row in first} == {True}
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["plan"]["runs"] == 2
    assert "vxlan against itself" in command.stdout
    assert "1 of 2 runs were measured to their end" in command.stdout
    compared = machine.run(tmp_path, "compare", f"{OUT}/{folder.name}", "--format", "csv")
    assert compared.stdout == (folder / "summary.csv").read_text(encoding="utf-8")
    assert {(row["metric"], row["runs"]) for row in rows_of(folder / "summary.csv")} == {
        ("rtt_p50_s", "1"),
        ("rtt_p90_s", "1"),
    }


def test_a_run_ends_once_its_intervals_are_narrow(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    command = machine.run(tmp_path, "run", *VXLAN, *TINY, "--until-width", WIDE, "--max-blocks", "12")
    assert command.exit_code == 0, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    blocks = run["ended"]["blocks"]
    assert {int(row["block"]) for row in rows_of(folder / "trials.csv")} == {*range(1, blocks + 1)}
    assert (run["plan"]["blocks"], run["plan"]["until_width"]) == (12, 0.9)
    assert run["ended"]["narrow"] or blocks == 12
    assert f"{blocks} of at most 12 blocks, ± 90 %" in " ".join(command.stdout.split())
    assert "at most 0:" in command.stderr


def test_an_answer_is_one_mtu_of_vxlan_and_is_shown_on_its_way(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    command = machine.run(tmp_path, "run", "--plan", "answer", *TINY, "--until-width", WIDE, "--max-blocks", "12")
    assert command.exit_code == 0, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    rows = rows_of(folder / "trials.csv")
    assert {(row["profile"], row["mtu"], row["status"]) for row in rows} == {
        ("underlay", "1500", "ok"),
        ("vxlan", "1450", "ok"),
    }
    ended = json.loads((folder / "run.json").read_text(encoding="utf-8"))["ended"]
    assert len(rows) == 2 * ended["blocks"]
    assert 6 <= ended["blocks"] <= 12
    shown = [line.partition(" ")[2] for line in command.stderr.splitlines() if ", not final: " in line]
    assert [line.partition(",")[0] for line in shown] == [
        f"after block {block}" for block in range(2, min(ended["blocks"], 11) + 1)
    ]
    assert all(": vxlan mtu 1450 p50 " in line for line in shown)
    assert all(line.endswith(": not enough blocks") for line in shown[:4])


def test_a_pilot_says_how_many_blocks_it_takes(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    command = machine.run(tmp_path, "plan", "--detect", "50%", *VXLAN, *TINY, "--json")
    assert command.exit_code == 0, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    assert len(rows_of(folder / "trials.csv")) == 6 * 3
    piloted = json.loads(command.stdout)
    assert {row["metric"] for row in piloted["rows"]} == {"rtt_p50_s", "rtt_p90_s"}
    again = machine.run(tmp_path, "plan", "--detect", "50%", "--from", f"{OUT}/{folder.name}", "--json")
    assert json.loads(again.stdout) == piloted
