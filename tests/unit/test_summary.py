from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.model.errors import InputError
from harness.model.trial import SUMMARY_COLUMNS, TRIAL_COLUMNS, Direction, Status, Trial
from harness.report.summary import Pair, read_run, read_trials, summarise
from tests.unit.synthetic import META, RUN_ID, around, full_run, iperf3, ping, series, trial, write

UNDERLAY = [100e6, 101e6, 99e6, 100e6, 102e6, 98e6]
RATIOS = [0.965, 0.966, 0.967, 0.965, 0.966, 0.967]


def summary(folder: Path, trials: Sequence[Trial], meta: Mapping[str, Any] | None = META) -> pd.DataFrame:
    run = read_run(write(folder, trials, meta))
    return summarise(run.trials, run.meta)


def rows(frame: pd.DataFrame, **where: object) -> list[dict[str, Any]]:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return [{str(key): value for key, value in record.items()} for record in frame.to_dict("records")]


def one(frame: pd.DataFrame, **where: object) -> dict[str, Any]:
    found = rows(frame, **where)
    assert len(found) == 1, found
    return found[0]


def pair_of_cells(overlay: Sequence[float]) -> list[Trial]:
    """Return the overlay at 1450 beside the underlay at its NIC's MTU and at 1450, where it is 1 % slower."""
    return [
        *series("vxlan", iperf3(1450), overlay),
        *series("underlay", iperf3(1500), UNDERLAY),
        *series("underlay", iperf3(1450), [0.99 * value for value in UNDERLAY]),
    ]


def test_ratio_is_paired_by_block_against_the_underlay_at_its_own_mtu(tmp_path: Path) -> None:
    overlay = [ratio * base for ratio, base in zip(RATIOS, UNDERLAY, strict=True)]
    row = one(summary(tmp_path, pair_of_cells(overlay)), metric="goodput_bps")
    logs = [math.log(ratio) for ratio in RATIOS]
    mean = sum(logs) / 6
    half = 2.570582 * math.sqrt(sum((log - mean) ** 2 for log in logs) / 5 / 6)  # t(5), 97.5 %
    assert row["ratio"] == pytest.approx(math.exp(mean))
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(mean - half), math.exp(mean + half)])
    assert row["same_mtu_ratio"] == pytest.approx(math.exp(mean) / 0.99)
    assert row["ceiling_ratio"] == pytest.approx(0.96547, abs=5e-6)
    assert row["same_mtu_ceiling_ratio"] == pytest.approx(1488 / 1538)
    assert (row["profile"], row["baseline"], row["blocks"], row["unit"]) == ("vxlan", "underlay", 6, "bit/s")
    assert row["median"] == pytest.approx(sorted(overlay)[2] / 2 + sorted(overlay)[3] / 2)
    assert row["baseline_median"] == 100e6
    assert row["verdict"] == "worse"
    assert row["warnings"] == ""


def test_columns_are_exactly_the_summary_s(tmp_path: Path) -> None:
    frame = summary(tmp_path, full_run())
    assert list(frame.columns) == SUMMARY_COLUMNS
    # 2 MTUs: ping with p50 and p99, TCP over 3 numbers of flows with goodput and CPU.
    assert len(frame) == 2 * (2 + 3 * 2)
    assert set(frame["profile"]) == {"vxlan"}


def test_at_the_nic_s_mtu_both_ratios_are_the_same(tmp_path: Path) -> None:
    row = one(summary(tmp_path, full_run()), metric="goodput_bps", mtu=1500, flows=4)
    for part in ("ratio", "ratio_low", "ratio_high", "ceiling_ratio"):
        assert row[part] == row[f"same_mtu_{part}"], part


@pytest.mark.parametrize(
    ("values", "metric", "verdict"),
    [
        ([90e6, 91e6, 89e6, 90e6, 92e6, 88e6], "goodput_bps", "worse"),
        ([110e6, 111e6, 109e6, 110e6, 112e6, 108e6], "goodput_bps", "better"),
        (list(reversed(UNDERLAY)), "goodput_bps", "no difference"),
        ([90e6, 91e6, 89e6, 90e6, 92e6], "goodput_bps", "not enough blocks"),
        ([60e6, 91e6, 120e6, 90e6, 75e6, 88e6], "goodput_bps", "too noisy"),
    ],
)
def test_verdicts(tmp_path: Path, values: list[float], metric: str, verdict: str) -> None:
    assert one(summary(tmp_path, pair_of_cells(values)), metric=metric)["verdict"] == verdict


def test_higher_rtt_and_cpu_are_worse(tmp_path: Path) -> None:
    frame = summary(tmp_path, full_run())
    assert {row["verdict"] for row in rows(frame, metric="rtt_p50_s")} == {"worse"}
    assert {row["verdict"] for row in rows(frame, metric="cpu_s_per_gbit")} == {"worse"}
    assert frame.loc[frame["metric"] != "goodput_bps", "ceiling_ratio"].isna().all()


def test_fewer_than_six_blocks_keep_their_interval(tmp_path: Path) -> None:
    row = one(summary(tmp_path, pair_of_cells([90e6, 91e6])), metric="goodput_bps")
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert row["warnings"] == "2 blocks: a verdict takes 6, use --blocks 6 or more"


def test_only_blocks_with_both_sides_ok_count(tmp_path: Path) -> None:
    cell = iperf3(1500)
    trials = [
        *series("underlay", cell, UNDERLAY),
        trial("vxlan", 1, cell, None, Status.FAILED, reason="connection refused", path_state=""),
        trial("vxlan", 2, cell, 5e6, Status.INVALID, reason="went around the tunnel; all of it"),
        *series("vxlan", cell, [value * 0.5 for value in UNDERLAY], path_state="outer-fragmented")[2:],
    ]
    trials[5] = trial("underlay", 6, cell, None, Status.FAILED, reason="")
    row = one(summary(tmp_path, trials), metric="goodput_bps")
    assert row["blocks"] == 3
    assert row["ratio"] == pytest.approx(0.5)
    assert row["median"] == pytest.approx(50e6)
    warnings = row["warnings"].split("; ")
    assert warnings[0].startswith("vxlan outer-fragmented: ")
    assert warnings[1] == "vxlan 1 failed, 1 invalid: connection refused"
    assert warnings[2] == "underlay 1 failed: see reason in trials.csv"
    assert row["ceiling_ratio"] == pytest.approx(0.93439, abs=5e-6)


def test_nothing_but_failures_is_no_figure(tmp_path: Path) -> None:
    trials = [
        *series("underlay", iperf3(), UNDERLAY),
        *(trial("vxlan", block, iperf3(), None, Status.FAILED, reason="no route") for block in range(1, 7)),
    ]
    frame = summary(tmp_path, trials)
    row = one(frame)
    assert (row["metric"], row["verdict"], row["blocks"]) == ("goodput_bps", "no figure", 0)
    assert math.isnan(row["median"])
    assert math.isnan(row["ratio"])
    assert row["warnings"] == "vxlan 6 failed: no route"


def test_a_figure_of_zero_has_no_ratio(tmp_path: Path) -> None:
    row = one(summary(tmp_path, pair_of_cells([90e6, 91e6, 89e6, 90e6, 92e6, 88e6, 0.0])), metric="goodput_bps")
    assert row["blocks"] == 6
    assert row["warnings"] == "vxlan 1 of figure 0: left out, 0 has no ratio"


def test_different_path_states_are_never_averaged(tmp_path: Path) -> None:
    cell = iperf3(1500)
    trials = [
        *series("underlay", cell, UNDERLAY),
        *series("vxlan", cell, [96e6, 97e6], path_state="whole"),
        *series("vxlan", cell, [90e6] * 6, path_state="clamped to 1450")[2:],
    ]
    row = one(summary(tmp_path, trials), metric="goodput_bps")
    assert row["verdict"] == "mixed path states"
    assert all(math.isnan(row[column]) for column in row if "ratio" in column)
    assert row["warnings"] == "vxlan in different states: 4 clamped to 1450, 2 whole"


@pytest.mark.parametrize(
    ("state", "ceiling"),
    [("clamped to 1450", 0.96547), ("outer-fragmented", 0.93439), ("whole", None), ("black-holed", None), ("", None)],
)
def test_ceiling_follows_the_state_that_was_seen(tmp_path: Path, state: str, ceiling: float | None) -> None:
    trials = [
        *series("underlay", iperf3(1500), UNDERLAY),
        *series("vxlan", iperf3(1500), [90e6] * 6, path_state=state),
    ]
    row = one(summary(tmp_path, trials), metric="goodput_bps")
    assert row["verdict"] == "worse"
    if ceiling is None:
        assert math.isnan(row["ceiling_ratio"])
        assert "no ceiling" in row["warnings"]
    else:
        assert row["ceiling_ratio"] == pytest.approx(ceiling, abs=5e-6)


@pytest.mark.parametrize(
    ("shared", "seconds_per_gbit"),
    [(True, 1.2 / 0.3), (False, (1.2 + 0.6) / 0.3)],  # 100 Mbit/s over 2 s and 1 s omitted are 0.3 Gbit
)
def test_cpu_per_gigabit(tmp_path: Path, shared: bool, seconds_per_gbit: float) -> None:
    trials = [
        *series("underlay", iperf3(1500), [100e6] * 6, cpu_s=(1.0, 1.0)),
        *series("vxlan", iperf3(1500), [100e6] * 6, cpu_s=(1.2, 0.6), path_state="clamped to 1450"),
    ]
    row = one(summary(tmp_path, trials, {**META, "shared_kernel": shared}), metric="cpu_s_per_gbit")
    assert row["median"] == pytest.approx(seconds_per_gbit)
    assert row["ratio"] == pytest.approx(1.2 if shared else 0.9)
    assert row["unit"] == "s/Gbit"


def test_udp_loss_has_medians_only(tmp_path: Path) -> None:
    cell = iperf3(1500, protocol="udp")
    trials = [
        *series("underlay", cell, UNDERLAY),
        *series("vxlan", cell, [90e6] * 6, path_state="inner-fragmented"),
    ]
    frame = summary(tmp_path, trials)
    row = one(frame, metric="udp_loss_ratio")
    assert (row["median"], row["baseline_median"], row["verdict"]) == (0.01, 0.01, "")
    assert math.isnan(row["ratio"])
    assert math.isnan(row["cv"])
    assert one(frame, metric="goodput_bps")["ceiling_ratio"] == pytest.approx(0.90684, abs=5e-6)


def test_without_run_json_there_are_no_ceilings_and_no_cpu(tmp_path: Path) -> None:
    frame = summary(tmp_path, full_run(), meta=None)
    assert set(frame["metric"]) == {"goodput_bps", "rtt_p50_s", "rtt_p99_s"}
    assert frame["ceiling_ratio"].isna().all()
    assert frame["warnings"].str.contains("no run.json beside trials.csv").all()
    with_meta = summary(tmp_path, full_run())
    # The NIC's MTU is then the underlay's largest, here the same.
    assert rows(frame, metric="goodput_bps")[0]["ratio"] == rows(with_meta, metric="goodput_bps")[0]["ratio"]


@pytest.mark.parametrize(
    ("versions", "flows", "warned"),
    [
        ({"k8s-1": "3.12", "k8s-2": "3.16"}, 4, True),
        ({"k8s-1": "3.12", "k8s-2": "3.12"}, 1, False),
        ({"k8s-1": "3.16", "k8s-2": "3.17.1"}, 4, False),
        ({"k8s-1": None, "k8s-2": "unknown"}, 4, False),
    ],
)
def test_single_threaded_iperf3_is_named_beside_several_flows(
    tmp_path: Path, versions: dict[str, str | None], flows: int, warned: bool
) -> None:
    frame = summary(tmp_path, full_run(), {**META, "versions": {"iperf3": versions}})
    warnings = one(frame, metric="goodput_bps", mtu=1450, flows=flows)["warnings"]
    assert ("iperf3 3.12: one thread for all flows before 3.16" in warnings) == warned
    assert one(frame, metric="rtt_p50_s", mtu=1450)["warnings"] == ""


def test_the_run_s_own_warnings_reach_every_row(tmp_path: Path) -> None:
    frame = summary(tmp_path, full_run(), {**META, "warnings": ["k8s-1 is busy; let it finish"]})
    assert frame["warnings"].str.endswith("k8s-1 is busy, let it finish").all()


def test_routed_profiles_split_the_loss_of_a_tunnel(tmp_path: Path) -> None:
    frame = summary(tmp_path, full_run(["host-gw", "flannel", "vxlan"]))
    pairs = list(dict.fromkeys(zip(frame["profile"], frame["baseline"], strict=True)))
    assert pairs == [
        ("host-gw", "underlay"),
        ("flannel", "underlay"),
        ("flannel", "host-gw"),
        ("vxlan", "underlay"),
        ("vxlan", "host-gw"),
    ]
    goodput = {"metric": "goodput_bps", "flows": 1}
    path = one(frame, profile="host-gw", mtu=1500, **goodput)
    for mtu in (1450, 1500):
        step = one(frame, profile="flannel", baseline="host-gw", mtu=mtu, **goodput)
        whole = one(frame, profile="flannel", baseline="underlay", mtu=mtu, **goodput)
        assert path["ratio"] * step["ratio"] == pytest.approx(whole["ratio"])
        assert step["ceiling_ratio"] == pytest.approx(whole["ceiling_ratio"])
    assert path["ceiling_ratio"] == 1.0


def test_a_routed_profile_without_the_nic_s_mtu_is_compared_at_the_cell_s(tmp_path: Path) -> None:
    trials = [
        one for one in full_run(["host-gw", "vxlan"]) if one.slot.profile == "underlay" or one.slot.cell.mtu == 1450
    ]
    frame = summary(tmp_path, trials)
    where = {"metric": "goodput_bps", "flows": 8, "mtu": 1450}
    path = one(frame, profile="host-gw", **where)
    step = one(frame, profile="vxlan", baseline="host-gw", **where)
    whole = one(frame, profile="vxlan", baseline="underlay", **where)
    assert path["ratio"] * step["ratio"] == pytest.approx(whole["ratio"])
    assert step["ceiling_ratio"] == pytest.approx(1488 / 1538)
    assert step["warnings"] == "host-gw was not measured at MTU 1500: compared at 1450"


def test_pairs_can_be_chosen(tmp_path: Path) -> None:
    run = read_run(write(tmp_path, full_run(["flannel", "vxlan"])))
    frame = summarise(run.trials, run.meta, [Pair("vxlan", "flannel")])
    assert set(zip(frame["profile"], frame["baseline"], strict=True)) == {("vxlan", "flannel")}
    assert one(frame, metric="goodput_bps", mtu=1450, flows=1)["ceiling_ratio"] == pytest.approx(1.0)


def test_the_false_discovery_rate_is_that_of_all_rows(tmp_path: Path) -> None:
    """Thirty A/A cells of which some stray from 1 by chance alone, as they do at 5 % each."""
    trials: list[Trial] = []
    for flows in range(1, 31):
        trials += series("vxlan", iperf3(1500, flows), around(100e6, 0.01, 3 * flows), path_state="clamped to 1450")
        trials += series("underlay", iperf3(1500, flows), around(100e6, 0.01, 3 * flows + 1))
    frame = pd.DataFrame(rows(summary(tmp_path, trials), metric="goodput_bps"))
    strays = frame[(frame["ratio_low"] > 1) | (frame["ratio_high"] < 1)]
    assert 0 < len(strays) <= 5
    assert set(frame["verdict"]) == {"no difference"}


def test_only_the_underlay_gives_an_empty_summary(tmp_path: Path) -> None:
    frame = summary(tmp_path, series("underlay", ping(1500), [1e-3] * 6))
    assert list(frame.columns) == SUMMARY_COLUMNS
    assert frame.empty


def test_directions_are_cells_of_their_own(tmp_path: Path) -> None:
    trials: list[Trial] = []
    for way, centre in ((Direction.FORWARD, 90e6), (Direction.REVERSE, 80e6), (Direction.BIDIR, 70e6)):
        trials += series("underlay", iperf3(1500, direction=way), [100e6] * 6)
        trials += series("vxlan", iperf3(1500, direction=way), [centre] * 6, path_state="clamped to 1450")
    found = rows(summary(tmp_path, trials), metric="goodput_bps")
    assert [(row["direction"], round(row["ratio"], 3)) for row in found] == [
        ("forward", 0.9),
        ("reverse", 0.8),
        ("bidir", 0.7),
    ]


# What is read


def edited(folder: Path, change: Callable[[list[str]], list[str]]) -> Path:
    path = write(folder, full_run()) / "trials.csv"
    lines = change(path.read_text(encoding="utf-8").splitlines(keepends=True))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_folder_and_its_csv_are_the_same_run(tmp_path: Path) -> None:
    write(tmp_path, full_run())
    of_folder, of_file = read_run(tmp_path), read_run(tmp_path / "trials.csv")
    pd.testing.assert_frame_equal(of_folder.trials, of_file.trials)
    assert of_folder.meta == of_file.meta
    assert of_folder.meta is not None
    assert of_folder.meta.run_id == RUN_ID
    assert list(of_folder.trials.columns) == TRIAL_COLUMNS
    assert of_folder.trials["goodput_bps"].dtype == float


def test_a_torn_last_line_is_dropped_and_said(tmp_path: Path) -> None:
    whole = len(full_run())
    path = edited(tmp_path, lambda lines: [*lines[:-1], lines[-1][:60]])
    trials = read_trials(path)
    assert len(trials) == whole - 1
    assert trials.attrs["warnings"] == [
        "the last line of trials.csv is incomplete: the run was killed, that trial is left out"
    ]
    run = read_run(path)
    assert summarise(run.trials, run.meta)["warnings"].str.contains("incomplete").all()


def test_a_complete_last_line_needs_no_newline(tmp_path: Path) -> None:
    trials = read_trials(edited(tmp_path, lambda lines: [*lines[:-1], lines[-1].rstrip()]))
    assert len(trials) == len(full_run())
    assert trials.attrs["warnings"] == []


def replaced(line: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    """Return a change to one line, counted from 1; the text has to be in it."""

    def change(lines: list[str]) -> list[str]:
        assert old in lines[line - 1]
        return [*lines[: line - 1], lines[line - 1].replace(old, new, 1), *lines[line:]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced(1, "goodput_bps,", ""), "trials.csv: column 'goodput_bps' is missing in line 1"),
        (replaced(1, "raw", "raw,colour"), "trials.csv: unknown column 'colour' in line 1"),
        (replaced(3, "ok", "okay"), "line 3: unknown status 'okay'; known are ok, failed, invalid"),
        (replaced(3, "underlay,underlay", "underlay,overlay"), "line 3: unknown kind 'overlay'"),
        (replaced(3, ",1450,", ",1450.5,"), "line 3: mtu is '1450.5', not a whole number"),
        (replaced(3, ",2.0,", ",fast,"), "line 3: duration_s is 'fast', not a number"),
        (replaced(3, ",2.0,", ",nan,"), "line 3: duration_s is 'nan', not a number"),
        (replaced(3, ",whole,", ",shrunk,"), "line 3: unknown path state 'shrunk'"),
        (replaced(3, ",1450,", ",,"), "line 3: mtu is empty"),
        (replaced(3, ",whole,", ","), "line 3: 31 fields, not 32"),
        (replaced(3, RUN_ID, "other"), "line 3: run other, but line 2 is of"),
        (lambda lines: [*lines, lines[4]], "the same trial as line 5"),
        (lambda lines: lines[:1], "holds no trial"),
        (lambda _: [], "column 'run_id' is missing"),
        (lambda lines: [*lines[:5], lines[5][:40] + "\n"], "line 6: "),
    ],
)
def test_unusable_csv_names_the_place(tmp_path: Path, change: Callable[[list[str]], list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_trials(edited(tmp_path, change))
    assert str(tmp_path / "trials.csv") in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_path_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; give a run's folder or its trials\.csv"):
        read_trials(tmp_path)


def test_bytes_that_are_no_text_are_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_trials(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({**META, "schema_version": 2}), "schema_version 2, this harness reads 1"),
        (json.dumps({key: META[key] for key in META if key != "schema_version"}), "schema_version None"),
        (json.dumps({key: META[key] for key in META if key != "nic_mtu"}), "nic_mtu: Field required"),
        (json.dumps({**META, "plan": {"name": "quick"}}), "plan.blocks: Field required"),
        (json.dumps({**META, "profiles": {"underlay": META["profiles"]["underlay"]}}), "no profile 'vxlan'"),
        (
            json.dumps({**META, "profiles": {**META["profiles"], "vxlan": {"kind": "tunnel", "headers": ["ip"]}}}),
            "unknown header 'ip'",
        ),
        ("{", "cannot be read as JSON"),
        ("[]", "is not a JSON object"),
    ],
)
def test_unusable_run_json_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, full_run())
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_run(tmp_path)


def test_keys_that_a_later_version_adds_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, full_run(), {**META, "colour": "blue"})
    assert read_run(tmp_path).meta is not None
