"""`harness run` as a user starts it: a whole run, one that is interrupted, killed, or led around the tunnel."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.prepare import Options, prepare
from harness.labs.holder import enter_argv
from tests.lab.bench import eventually
from tests.lab.machine import OUT, Command, Machine
from tests.lab.runs import TRIAL_COLUMNS, rows_of, started, summary_rows, wait_for_rows

pytestmark = pytest.mark.lab

SUMMARY_COLUMNS = (
    "contrast,profile,baseline,measure,protocol,direction,mtu,flows,baseline_cell,metric,unit,blocks,median,"
    "baseline_median,replies,wire_ratio,baseline_wire_ratio,cv,ratio,ratio_low,ratio_high,difference,difference_low,"
    "difference_high,adjusted_low,adjusted_high,added,added_low,added_high,setups,between_setups_ratio,within_setups_ratio,ceiling_ratio,"
    "ceiling_verdict,verdict,blocks_to_tell,setups_to_tell,lost,notes"
).split(",")
FIGURES = ("median", "cv", "ratio", "ratio_low", "ratio_high")
SHORT = f"run --profile vxlan --blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()
WITHOUT_FIGURE = ("goodput_bps", "rtt_p50_s", "retransmits", "ping_sent")


@pytest.fixture(scope="module")
def whole(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Command, Path, list[str]]]:
    """A whole run: the command, its folder, and what it left behind on the machine."""
    command, before = started(machine, tmp_path_factory.mktemp("run"), *SHORT, "--mtu", "1450", "--seed", "7")
    with command:
        command.wait()
        (folder,) = machine.results()
        yield command, folder, machine.changes(before)


def test_run_ends_well_and_leaves_nothing(whole: tuple[Command, Path, list[str]]) -> None:
    command, folder, left = whole
    assert command.exit_code == 0, command.stderr
    assert folder.name in command.stderr
    assert "vxlan" in command.stdout
    assert left == []


def test_every_trial_is_proven(whole: tuple[Command, Path, list[str]]) -> None:
    _, folder, _ = whole
    rows = rows_of(folder / "trials.csv")
    assert list(rows[0]) == TRIAL_COLUMNS
    assert sorted((row["measure"], row["profile"], row["mtu"]) for row in rows) == [
        (measure, profile, mtu)
        for measure in ("iperf3", "ping")
        for profile, mtu in (("underlay", "1450"), ("underlay", "1500"), ("vxlan", "1450"))
    ]
    for row in rows:
        assert (row["status"], row["reason"], row["path_state"]) == ("ok", "", "whole"), row
        assert row["proof"].count("vxlan_docker") == (row["profile"] == "vxlan") * (
            2 if row["measure"] == "ping" else 1
        )
        assert int(row["outer_bytes"]) > int(row["inner_bytes"]) - (row["profile"] == "underlay")
        if row["measure"] == "iperf3":
            assert 1e8 < float(row["goodput_bps"]) < 1e9, "above zero, and not above the link's rate"
            assert row["rtt_p50_s"] == ""
        else:
            assert 0 < float(row["rtt_min_s"]) <= float(row["rtt_p50_s"]) <= float(row["rtt_max_s"]) < 0.1
            assert (row["goodput_bps"], float(row["ping_lost_ratio"])) == ("", 0)
            assert 0 < int(row["ping_sent"]) <= 49, "one each 20 ms of its second, and neither the first nor the last"


def test_raw_records_hold_argv_and_output(whole: tuple[Command, Path, list[str]]) -> None:
    _, folder, _ = whole
    rows = rows_of(folder / "trials.csv")
    assert {row["raw"] for row in rows} == {f"raw/{path.name}" for path in (folder / "raw").iterdir()}
    for row in rows:
        (step,) = json.loads((folder / row["raw"]).read_text(encoding="utf-8"))["steps"]
        client = step["jobs"]["client"]
        assert row["measure"] in client["argv"]
        assert client["exit_code"] == 0
        assert client["stdout"]
        assert [len(step["readings"][when]) for when in ("before", "after")] == [2, 2]
        if row["measure"] == "iperf3":
            assert "-s" in step["jobs"]["server"]["argv"]
            assert json.loads(step["jobs"]["server"]["stdout"])["end"]


def test_environment_and_run_are_described(whole: tuple[Command, Path, list[str]]) -> None:
    _, folder, _ = whole
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    assert set(environment) == {"k8s-1", "k8s-2"}
    for name, known in environment.items():
        assert known["hostname"] == name
        assert kernel in known["kernel"]
        assert all(known[key] for key in ("iperf3", "ping", "cpu_model", "congestion_control", "offloads"))
        assert "tbf" in known["qdisc"]
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (run["plan"]["seed"], run["plan"]["blocks"], run["shared_kernel"]) == (7, 1, True)
    assert isinstance(run["schema_version"], int)
    assert {row["run_id"] for row in rows_of(folder / "trials.csv")} == {run["run_id"]} == {folder.name}


def test_summary_compares_with_the_underlay(whole: tuple[Command, Path, list[str]]) -> None:
    _, folder, _ = whole
    rows = rows_of(folder / "summary.csv")
    assert list(rows[0]) == SUMMARY_COLUMNS
    (goodput,) = summary_rows(folder, "vxlan", "goodput_bps")
    assert float(goodput["ceiling_ratio"]) == pytest.approx(0.96547, abs=1e-5)
    assert 0.5 < float(goodput["ratio"]) < 1.5
    assert "not enough blocks" in goodput["verdict"]


# what the run says by then, the process that shows it is at it, how many trials must be kept
MOMENTS = {"setting up": ("[mux]", 0), "verifying": ("sleep infinity", 2), "tearing down": ("ansible-playbook", 4)}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_keeps_what_was_measured_and_cleans_up(machine: Machine, tmp_path: Path, moment: str) -> None:
    process, least = MOMENTS[moment]
    command, before = started(machine, tmp_path, *SHORT, "--mtu", "1500")
    with command:
        command.reaches(moment)
        wait_for_rows(machine, command, least)
        assert eventually(lambda: process in " ".join(machine.state()["processes"]))
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.stderr
    assert machine.changes(before) == []
    kept = [row for folder in machine.results() for row in rows_of(folder / "trials.csv")]
    assert len(kept) >= least
    assert {row["status"] for row in kept} <= {"ok"}
    assert "Traceback" not in command.stderr


def test_killed_run_is_cleaned_up_by_lab_down(machine: Machine, tmp_path: Path) -> None:
    """Killed while an offload switch of the nodes' NICs is off."""
    command, before = started(machine, tmp_path, *SHORT, "--mtu", "1500", "--offload", "tx=off")
    with command:
        wait_for_rows(machine, command, 1)
        assert len(machine.state()["processes"]) > len(before["processes"]) + 4
        command.send(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        (left,) = machine.labs.iterdir()
    down = machine.run(tmp_path, "lab", "down")
    assert (down.exit_code, left.name in down.stdout) == (0, True), down.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    rows = rows_of(folder / "trials.csv")
    assert all(row["status"] == "ok" and row["raw"] for row in rows)
    assert {row["offload"] for row in rows} == {"tx-checksumming=off"}
    compared = machine.run(tmp_path, "compare", f"{OUT}/{folder.name}", "--format", "csv")
    assert compared.exit_code == 0, compared.stderr
    assert set(compared.stdout.splitlines()[0].split(",")) == {*SUMMARY_COLUMNS, "offload"}
    again = machine.run(tmp_path, "lab", "down")
    assert (again.exit_code, "nothing" in again.stdout) == (0, True)


def seed_with_underlay_first() -> int:
    """Return a seed whose order leaves time to change the way of the overlay before its first trial."""
    options = Options(profile=("vxlan",), levels={"mtu": (1450,), "flows": (1,)}, blocks=1)
    for seed in range(1000):
        made = prepare(replace(options, seed=seed)).plan
        if [slot.profile for slot in made.slots[:2]] == ["underlay", "underlay"]:
            return seed
    raise AssertionError("no such order")


def lead_around_the_tunnel(machine: Machine) -> None:
    """Route each endpoint's peer by way of its own node and the underlay, past the tunnel."""
    (state,) = machine.labs.glob("run-*/state.json")
    nodes = json.loads(state.read_text(encoding="utf-8"))["nodes"]
    for node, peer, far in zip(nodes, nodes[::-1], ("172.17.0.3", "172.17.0.2"), strict=True):
        # Both docker0 hold 172.17.0.1 and either might answer for it, so its own one is entered by hand.
        script = f"""
            sysctl -q net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
            for device in ens33 docker0; do sysctl -q "net.ipv4.conf.$device.rp_filter=0"; done
            ip route add {far}/32 via {peer["address"]}
            gateway=$(cat /sys/class/net/docker0/address)
            ip -n harness-vxlan-1450 neigh replace 172.17.0.1 lladdr "$gateway" dev eth0 nud permanent
            ip -n harness-vxlan-1450 route add {far}/32 via 172.17.0.1
        """
        subprocess.run([*machine.enter(), *enter_argv(node["inside"]["pid"]), "sh", "-ec", script], check=True)


def test_way_around_the_tunnel_is_found_out(machine: Machine, tmp_path: Path) -> None:
    seed = str(seed_with_underlay_first())
    command, before = started(machine, tmp_path, *SHORT, "--mtu", "1450", "--seed", seed)
    with command:
        wait_for_rows(machine, command, 1)
        lead_around_the_tunnel(machine)
        assert command.wait() == 7, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    rows = rows_of(folder / "trials.csv")
    assert {(row["profile"], row["status"]) for row in rows} == {("underlay", "ok"), ("vxlan", "invalid")}
    for row in rows:
        if row["profile"] == "vxlan":
            assert [row[column] for column in WITHOUT_FIGURE] == [""] * len(WITHOUT_FIGURE)
            assert "around the tunnel" in row["reason"]
    overlay = [row for row in rows_of(folder / "summary.csv") if row["profile"] == "vxlan"]
    assert [row[column] for row in overlay for column in FIGURES if row[column]] == []
