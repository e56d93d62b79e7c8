"""The run folder: exactly the documented columns, each row on disk at once, names that never meet."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.measures.registry import MEASURES, cells
from harness.model.errors import InputError
from harness.model.pairs import Pair
from harness.model.path import WHOLE, Kind, PathState
from harness.model.trial import Cell, Direction, Interval, Slot, Status, Timing, Trial
from harness.results.plan import Plan, Setup
from harness.results.schema import HEAD, SERIES, Columns, unknown_factor
from harness.results.store import PairsFolder, RunFolder

COLUMNS = (
    "run_id,setup,block,position,attempt,profile,kind,measure,duration_s,started_at,status,reason,proof,path_state,raw,"
    "protocol,direction,mtu,flows,"
    "goodput_bps,forward_goodput_bps,reverse_goodput_bps,packets_per_s,offered_bps,retransmits,udp_loss_ratio,udp_jitter_s,rtt_min_s,rtt_p50_s,rtt_p90_s,"
    "rtt_p99_s,rtt_max_s,ping_sent,ping_lost_ratio,client_cpu_s,server_cpu_s,client_tools_cpu_s,server_tools_cpu_s,"
    "client_softirq_cpu_s,server_softirq_cpu_s,client_busiest_cpu_ratio,server_busiest_cpu_ratio,"
    "client_background_cpus,server_background_cpus,socket_dropped,foreign_cpu_s,stolen_ratio,inner_bytes,outer_bytes"
)
BY_DEFAULT = Columns.of_measures(("iperf3", "ping"), ("mtu", "protocol", "flows", "direction"))
SLOT = Slot(2, 7, "vxlan", Cell.of("iperf3", protocol="tcp", direction="bidir", mtu=1450, flows=8), setup=3)
TRIAL = Trial(
    run_id="r",
    slot=SLOT,
    kind=Kind.TUNNEL,
    duration_s=2,
    started_at="2026-11-23T02:07:00.000+00:00",
    status=Status.OK,
    proof="client -> server: vxlan_docker 5 B in 1 packets, ens33 55 B",
    path_state=WHOLE,
    figures={
        "goodput_bps": 923e6,
        "retransmits": 0,
        "client_cpu_s": 1.25,
        "server_cpu_s": 0.0,
        "inner_bytes": 5,
        "outer_bytes": 55,
    },
    raw="raw/x.json",
)
ROW = {
    "run_id": "r",
    "setup": "3",
    "block": "2",
    "position": "7",
    "attempt": "1",
    "profile": "vxlan",
    "kind": "tunnel",
    "measure": "iperf3",
    "protocol": "tcp",
    "direction": "bidir",
    "mtu": "1450",
    "flows": "8",
    "duration_s": "2",
    "started_at": "2026-11-23T02:07:00.000+00:00",
    "status": "ok",
    "proof": "client -> server: vxlan_docker 5 B in 1 packets, ens33 55 B",
    "path_state": "whole",
    "goodput_bps": "923000000.0",
    "retransmits": "0",
    "client_cpu_s": "1.25",
    "server_cpu_s": "0.0",
    "inner_bytes": "5",
    "outer_bytes": "55",
    "raw": "raw/x.json",
}


def rows(folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder.path / "trials.csv").read_text(encoding="utf-8"))))


def test_folder_is_named_by_time_profiles_and_chance(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "results", ["vxlan", "host-gw"], BY_DEFAULT)
    assert re.fullmatch(r"\d{8}T\d{6}Z-vxlan\+host-gw-[0-9a-f]{4}", folder.run_id)
    assert folder.path == tmp_path / "results" / folder.run_id
    assert sorted(path.name for path in folder.path.iterdir()) == ["raw", "trials.csv"]


def test_many_profiles_still_make_a_name_that_a_file_system_takes(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, [f"profile-{number}" for number in range(99)], BY_DEFAULT).path.is_dir()


def test_new_folder_has_exactly_the_documented_columns(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    assert (folder.path / "trials.csv").read_text(encoding="utf-8") == COLUMNS + "\n"


def test_row_has_every_column_and_nothing_where_nothing_was_measured(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    folder.append(TRIAL)
    assert rows(folder) == [dict.fromkeys(COLUMNS.split(","), "") | ROW]


def test_failed_trial_has_a_reason_and_no_figure(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    folder.append(
        replace(TRIAL, status=Status.FAILED, reason='it said "no", twice', path_state=None, figures={"outer_bytes": 55})
    )
    row = rows(folder)[0]
    assert (row["status"], row["reason"]) == ("failed", 'it said "no", twice')
    assert [row[column] for column in ("goodput_bps", "retransmits", "rtt_p50_s", "inner_bytes")] == [""] * 4
    assert (row["path_state"], row["outer_bytes"]) == ("", "55")


def test_each_row_is_on_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    path = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT).path
    folder = RunFolder(path, BY_DEFAULT)

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().read_text(encoding="utf-8").splitlines()[-1])

    monkeypatch.setattr(os, "fsync", fsync)
    for position in (1, 2, 3):
        folder.append(replace(TRIAL, slot=replace(SLOT, position=position)))
        assert [row["position"] for row in rows(folder)] == [str(number) for number in range(1, position + 1)]
    assert [line.split(",")[3] for line in synced] == ["1", "2", "3"]


def test_json_is_written_as_a_whole(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    folder.write_json("run.json", {"seed": 7, "path": Path("x"), "mtus": (1450, 1500)})
    folder.write_json("run.json", {"seed": 8})
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8")) == {"seed": 8}
    assert [path.name for path in folder.path.glob("*.partial")] == []


def test_json_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    folder.write_json("run.json", {"seed": 7})
    with pytest.raises(TypeError):
        folder.write_json("run.json", {("a", "tuple"): 1})  # type: ignore[dict-item] # what the test is about
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8")) == {"seed": 7}


@pytest.mark.parametrize("parent", ["file", "file/deeper", "x" * 300])
def test_folder_that_cannot_be_made(tmp_path: Path, parent: str) -> None:
    """A file in the way, not a folder without permission: root may write to that."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot write results to .*choose another folder"):
        RunFolder.create(tmp_path / parent, ["vxlan"], BY_DEFAULT)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_columns_are_those_of_what_is_measured_and_varied() -> None:
    """Factors and metrics come in the order of their registries, whatever order they are asked for in."""
    ping = Columns.of_measures(("ping",), ("mtu",))
    assert ping.names[: len(HEAD)] == HEAD
    assert "mtu rtt_min_s rtt_p50_s rtt_p90_s rtt_p99_s rtt_max_s ping_sent ping_lost_ratio client_cpu_s" in " ".join(
        ping.names
    )
    assert not {"protocol", "goodput_bps"} & set(ping.names)
    assert Columns.of_measures(("ping", "iperf3"), ("direction", "flows", "protocol", "mtu")).names == BY_DEFAULT.names
    rated = Columns.of_measures(("iperf3",), ("mtu", "udp_rate", "size"))
    assert [*rated.factors] == ["mtu", "udp_rate", "size"]
    assert [*Columns.of_measures(("ping",), ("mtu", "offload")).factors] == ["mtu", "offload"]


@pytest.mark.parametrize("measure", MEASURES)
def test_every_factor_and_metric_of_a_measure_has_a_column(measure: str) -> None:
    own = MEASURES[measure]
    names = Columns.of_measures((measure,), ("mtu", *own.factors)).names
    assert len(names) == len(set(names))
    assert {"mtu", *own.factors, *own.metrics} <= set(names)


def test_header_is_read_back_as_the_columns_that_it_names() -> None:
    assert list(Columns.of_header(["what", "else"]).metrics) == ["what", "else"]
    assert Columns.of_header(COLUMNS.split(",")) == BY_DEFAULT


def test_columns_that_nobody_knows_are_factors_in_front_of_known_ones_and_metrics_behind() -> None:
    read = Columns.of_header([*HEAD, "colour", "mtu", "goodput_bps", "happiness"])
    assert [*read.factors] == ["colour", "mtu"]
    assert [*read.metrics] == ["goodput_bps", "happiness"]
    assert read.factors["colour"].parse("1450") == 1450
    told = Columns.of_header([*HEAD, "mtu", "colour", "goodput_bps"], Columns({"colour": unknown_factor("colour")}, {}))
    assert ([*told.factors], [*told.metrics]) == (["mtu", "colour"], ["goodput_bps"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-7", -7), ("0.5", 0.5), ("1e3", 1000.0), ("50%", "50%"), ("nan", "nan"), ("inf", "inf"), ("", "")],
)
def test_level_of_a_factor_that_nobody_knows(text: str, value: object) -> None:
    parsed = unknown_factor("colour").parse(text)
    assert (parsed, type(parsed)) == (value, type(value))


def test_path_state_is_its_text(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    folder.append(replace(TRIAL, path_state=PathState.parse("clamped to 1450")))
    assert rows(folder)[0]["path_state"] == "clamped to 1450"


def test_level_that_has_no_column_is_not_lost_in_silence(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], Columns.of_measures(("ping",), ("mtu",)))
    with pytest.raises(ValueError, match="dict contains fields not in fieldnames"):
        folder.append(TRIAL)
    assert rows(folder) == []


INTERVALS = (Interval(-1.0, 0.0, omitted=True, goodput_bps=9e8), Interval(0.0, 1.0, False, 9.5e8, 0))


def test_intervals_of_each_trial_are_kept_beside_it(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    folder.append(TRIAL)
    assert not (folder.path / "series.csv").exists(), "there is nothing to tell"
    folder.append(replace(TRIAL, series=INTERVALS))
    folder.append(replace(TRIAL, slot=replace(SLOT, position=8), series=INTERVALS[1:]))
    assert (folder.path / "series.csv").read_text(encoding="utf-8").splitlines() == [
        ",".join(SERIES),
        "2,7,1,-1.0,0.0,1,900000000.0,",
        "2,7,1,0.0,1.0,0,950000000.0,0",
        "2,8,1,0.0,1.0,0,950000000.0,0",
    ]


def test_intervals_are_on_disk_before_the_row_that_they_belong_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT)
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
    )
    folder.append(replace(TRIAL, series=INTERVALS))
    assert synced == ["series.csv", "trials.csv"]


def test_folder_without_any_trial_is_removed(tmp_path: Path) -> None:
    empty, full = (RunFolder.create(tmp_path, ["vxlan"], BY_DEFAULT) for _ in range(2))
    full.append(TRIAL)
    for folder in (empty, full):
        folder.discard_if_empty()
    assert [*tmp_path.iterdir()] == [full.path]


def test_pairs_have_a_folder_each_and_only_those_that_were_measured_stay(tmp_path: Path) -> None:
    first, second = Pair("a", "b"), Pair("c", "d")
    folder = PairsFolder.create(tmp_path, ["vxlan"], BY_DEFAULT, [first, second])
    assert [run.run_id for run in folder.runs.values()] == [f"{folder.path.name}/a--b", f"{folder.path.name}/c--d"]
    assert folder.measured() == [*folder.runs.values()]
    folder.runs[second].append(TRIAL)
    folder.discard_if_empty()
    assert folder.measured() == [folder.runs[second]]
    folder.write_json({"waves": []})
    folder.write_text("pairs.csv", "client,server\n")
    assert sorted(path.name for path in folder.path.iterdir()) == ["c--d", "pairs.csv", "pairs.json"]


def test_run_of_pairs_without_any_trial_leaves_nothing(tmp_path: Path) -> None:
    PairsFolder.create(tmp_path, ["vxlan"], BY_DEFAULT, [Pair("a", "b")]).discard_if_empty()
    assert [*tmp_path.iterdir()] == []


def test_raw_names_are_unique_over_a_run_and_its_attempts(tmp_path: Path) -> None:
    mtus = (1450, 1500)
    levels = {
        "flows": (1, 11, 111),
        "protocol": ("tcp", "udp"),
        "direction": tuple(Direction),
        "udp_rate": ("1%", "10%", "none", 1_000_000, 1_000_001),
        "size": (64, 641),
    }
    plan = Plan(
        name="quick",
        setup=Setup(("underlay", "vxlan", "vxlan-1500"), mtus, 1500),
        cells=cells(("iperf3", "ping"), levels, mtus),
        blocks=11,
        timing=Timing(2, 1),
        seed=1,
    )
    folder = RunFolder(tmp_path, BY_DEFAULT)
    twice = (1, 2)
    names = [folder.raw_name(slot, attempt, tries) for slot in plan.slots for attempt in twice for tries in twice]
    assert len(set(names)) == len(names) == 4 * len(plan.slots)
    assert all(re.fullmatch(r"raw/[A-Za-z0-9.%=-]+\.json", name) for name in names)


def test_raw_name_tells_what_it_holds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, BY_DEFAULT)
    assert folder.raw_name(SLOT, 1) == "raw/b02-p007-vxlan-iperf3-tcp-bidir-1450-x8.json"
    assert folder.raw_name(SLOT, 2) == "raw/b02-p007-vxlan-iperf3-tcp-bidir-1450-x8-attempt2.json"
    assert folder.raw_name(SLOT, 1, 2) == "raw/b02-p007-vxlan-iperf3-tcp-bidir-1450-x8-try2.json"
    assert folder.raw_name(SLOT, 2, 2) == "raw/b02-p007-vxlan-iperf3-tcp-bidir-1450-x8-attempt2-try2.json"
    udp = Cell.of("iperf3", protocol="udp", mtu=1450, flows=1, udp_rate="50%", size=512)
    assert folder.raw_name(replace(SLOT, cell=udp), 1) == "raw/b02-p007-vxlan-iperf3-udp-1450-x1-50%-512B.json"
    assert folder.raw_name(replace(SLOT, cell=Cell.of("ping", mtu=1450)), 1) == "raw/b02-p007-vxlan-ping-mtu-1450.json"


def test_raw_name_of_a_cell_that_changes_its_nodes(tmp_path: Path) -> None:
    cell = Cell.of("ping", mtu=1450, offload="tunnel:generic-receive-offload=off")
    name = RunFolder(tmp_path, BY_DEFAULT).raw_name(replace(SLOT, cell=cell), 1)
    assert name == "raw/b02-p007-vxlan-ping-mtu-1450-tunnel-gro=off.json"


def test_raw_name_has_nothing_of_a_level_that_a_path_could_not_have(tmp_path: Path) -> None:
    cell = Cell.of("iperf3", mtu=1450, colour="../../etc; $(reboot) 'x'")
    assert RunFolder(tmp_path, BY_DEFAULT).raw_name(replace(SLOT, cell=cell), 1) == (
        "raw/b02-p007-vxlan-iperf3-mtu-1450-colour=..-..-etc-reboot-x.json"
    )
