"""The run folder: exactly the documented columns, each row on disk at once, names that never meet."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.errors import InputError
from harness.model.trial import Cell, Direction, Kind, Measurement, Slot, Status, Timing, Trial
from harness.results.plan import Plan
from harness.results.store import RunFolder

COLUMNS = (
    "run_id,block,position,profile,kind,tool,protocol,direction,mtu,flows,duration_s,started_at,status,reason,"
    "proof,path_state,goodput_bps,retransmits,udp_loss_ratio,udp_jitter_s,rtt_min_s,rtt_p50_s,rtt_p90_s,rtt_p99_s,"
    "rtt_max_s,ping_sent,ping_lost_ratio,client_cpu_s,server_cpu_s,inner_bytes,outer_bytes,raw"
)
SLOT = Slot(2, 7, "vxlan", Cell("iperf3", "tcp", Direction.BIDIR, 1450, 8))
TRIAL = Trial(
    run_id="r",
    slot=SLOT,
    kind=Kind.TUNNEL,
    duration_s=2,
    started_at="2026-11-23T02:07:00.000+00:00",
    status=Status.OK,
    proof="client -> server: vxlan_docker 5 B in 1 packets, ens33 55 B",
    path_state="whole",
    measurement=Measurement(goodput_bps=923e6, payload_forward_bytes=5, retransmits=0),
    client_cpu_s=1.25,
    server_cpu_s=0.0,
    inner_bytes=5,
    outer_bytes=55,
    raw="raw/x.json",
)
ROW = {
    "run_id": "r",
    "block": "2",
    "position": "7",
    "profile": "vxlan",
    "kind": "tunnel",
    "tool": "iperf3",
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
    folder = RunFolder.create(tmp_path / "results", ["vxlan", "host-gw"])
    assert re.fullmatch(r"\d{8}T\d{6}Z-vxlan\+host-gw-[0-9a-f]{4}", folder.run_id)
    assert folder.path == tmp_path / "results" / folder.run_id
    assert sorted(path.name for path in folder.path.iterdir()) == ["raw", "trials.csv"]


def test_many_profiles_still_make_a_name_that_a_file_system_takes(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, [f"profile-{number}" for number in range(99)]).path.is_dir()


def test_new_folder_has_exactly_the_documented_columns(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"])
    assert (folder.path / "trials.csv").read_text(encoding="utf-8") == COLUMNS + "\n"


def test_row_has_every_column_and_nothing_where_nothing_was_measured(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"])
    folder.append(TRIAL)
    assert rows(folder) == [dict.fromkeys(COLUMNS.split(","), "") | ROW]


def test_failed_trial_has_a_reason_and_no_figure(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"])
    folder.append(
        replace(TRIAL, status=Status.FAILED, reason='it said "no", twice', measurement=Measurement(), inner_bytes=None)
    )
    row = rows(folder)[0]
    assert (row["status"], row["reason"]) == ("failed", 'it said "no", twice')
    assert [row[column] for column in ("goodput_bps", "retransmits", "rtt_p50_s", "inner_bytes")] == [""] * 4


def test_each_row_is_on_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    path = RunFolder.create(tmp_path, ["vxlan"]).path
    folder = RunFolder(path)

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().read_text(encoding="utf-8").splitlines()[-1])

    monkeypatch.setattr(os, "fsync", fsync)
    for position in (1, 2, 3):
        folder.append(replace(TRIAL, slot=replace(SLOT, position=position)))
        assert [row["position"] for row in rows(folder)] == [str(number) for number in range(1, position + 1)]
    assert [line.split(",")[2] for line in synced] == ["1", "2", "3"]


def test_json_is_written_as_a_whole(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"])
    folder.write_json("run.json", {"seed": 7, "path": Path("x"), "mtus": (1450, 1500)})
    folder.write_json("run.json", {"seed": 8})
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8")) == {"seed": 8}
    assert [path.name for path in folder.path.glob("*.partial")] == []


def test_json_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"])
    folder.write_json("run.json", {"seed": 7})
    with pytest.raises(TypeError):
        folder.write_json("run.json", {("a", "tuple"): 1})  # type: ignore[dict-item] # what the test is about
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8")) == {"seed": 7}


@pytest.mark.parametrize("parent", ["file", "file/deeper", "x" * 300])
def test_folder_that_cannot_be_made(tmp_path: Path, parent: str) -> None:
    """A file in the way, not a folder without permission: root may write to that."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot write results to .*choose another --out"):
        RunFolder.create(tmp_path / parent, ["vxlan"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_raw_names_are_unique_over_a_run_and_its_attempts(tmp_path: Path) -> None:
    plan = Plan(
        name="quick",
        profiles=("underlay", "vxlan", "vxlan-1500"),
        mtus=(1450, 1500),
        flows=(1, 11, 111),
        protocols=("tcp", "udp"),
        directions=tuple(Direction),
        blocks=11,
        timing=Timing(2, 1),
        seed=1,
        nic_mtu=1500,
    )
    folder = RunFolder(tmp_path)
    names = [folder.raw_name(slot, attempt) for slot in plan.slots for attempt in (1, 2)]
    assert len(set(names)) == len(names) == 2 * len(plan.slots)
    assert all(re.fullmatch(r"raw/[A-Za-z0-9.-]+\.json", name) for name in names)


def test_raw_name_tells_what_it_holds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.raw_name(SLOT, 1) == "raw/b02-p007-vxlan-iperf3-tcp-bidir-1450-x8.json"
    assert folder.raw_name(SLOT, 2) == "raw/b02-p007-vxlan-iperf3-tcp-bidir-1450-x8-attempt2.json"
