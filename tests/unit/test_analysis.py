"""What the figures of a run say: ratios, ceilings, verdicts and notes, row by row."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.compare import rendered
from harness.measures.metrics import CPU_SHARES
from harness.model.metrics import Better, Metric
from harness.model.path import PathState
from harness.model.trial import Cell, Direction, Status, Trial
from harness.report.analysis import Analysis, analyse
from harness.report.answers import answers
from harness.report.layout import page
from harness.report.notes import text_of
from harness.report.records import summary_records
from harness.report.trials import read_run
from tests.unit.synthetic import CLAMPED, META, around, full_run, iperf3, note, ping, series, trial, write

UNDERLAY = [100e6, 101e6, 99e6, 100e6, 102e6, 98e6]
RATIOS = [0.965, 0.966, 0.967, 0.965, 0.966, 0.967]
OUTER, INNER = PathState.parse("outer-fragmented"), PathState.parse("inner-fragmented")
SAMPLE = Path(__file__).parents[2] / "results" / "sample" / "20261123T040142Z-vxlan-995d"

GRO, TSO = "generic-receive-offload", "tcp-segmentation-offload"

Record = dict[str, Any]


def analysed(folder: Path, trials: Sequence[Trial], meta: Mapping[str, Any] | None = META) -> Analysis:
    return analyse(read_run(write(folder, trials, meta)))


def summary(folder: Path, trials: Sequence[Trial], meta: Mapping[str, Any] | None = META) -> list[Record]:
    """Return the records of a run, notes as text, but for those of where CPU time goes."""
    records = summary_records(analysed(folder, trials, meta))
    return [{**one, "notes": text_of(one["notes"])} for one in records if one["metric"] not in CPU_SHARES]


def rows(records: Sequence[Record], contrast: str = "profile", **where: Any) -> list[Record]:  # noqa: ANN401
    wanted = {"contrast": contrast, **where}
    return [one for one in records if all(one[name] == value for name, value in wanted.items())]


def one(records: Sequence[Record], contrast: str = "profile", **where: Any) -> Record:  # noqa: ANN401
    found = rows(records, contrast, **where)
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
    records = summary(tmp_path, pair_of_cells(overlay))
    row, same = (one(records, contrast, metric="goodput_bps") for contrast in ("profile", "same-mtu"))
    logs = [math.log(ratio) for ratio in RATIOS]
    mean = sum(logs) / 6
    half = 2.570582 * math.sqrt(sum((log - mean) ** 2 for log in logs) / 5 / 6)  # t(5), 97.5 %
    assert row["ratio"] == pytest.approx(math.exp(mean))
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(mean - half), math.exp(mean + half)])
    assert (row["baseline_cell"], same["baseline_cell"]) == ("mtu=1500", None)
    assert same["ratio"] == pytest.approx(math.exp(mean) / 0.99)
    assert row["ceiling_ratio"] == pytest.approx(0.96547, abs=5e-6)
    assert same["ceiling_ratio"] == pytest.approx(1488 / 1538)
    assert (row["profile"], row["baseline"], row["blocks"], row["unit"]) == ("vxlan", "underlay", 6, "bit/s")
    assert row["median"] == pytest.approx(sorted(overlay)[2] / 2 + sorted(overlay)[3] / 2)
    assert row["baseline_median"] == 100e6
    assert row["verdict"] == "worse"
    assert row["notes"] == ""


def test_there_is_a_row_for_each_contrast_and_metric(tmp_path: Path) -> None:
    records = summary(tmp_path, full_run())
    # 2 MTUs: ping with p50 and p99, TCP over 3 numbers of flows with goodput and CPU.
    assert len(rows(records)) == len(rows(records, "same-mtu")) == 2 * (2 + 3 * 2)
    assert {record["profile"] for record in records} == {"vxlan"}


def test_at_the_nic_s_mtu_both_ratios_are_the_same(tmp_path: Path) -> None:
    records = summary(tmp_path, full_run())
    row, same = (one(records, name, metric="goodput_bps", mtu=1500, flows=4) for name in ("profile", "same-mtu"))
    for part in ("ratio", "ratio_low", "ratio_high", "ceiling_ratio"):
        assert row[part] == same[part], part


@pytest.mark.parametrize(
    ("values", "metric", "verdict"),
    [
        ([90e6, 91e6, 89e6, 90e6, 92e6, 88e6], "goodput_bps", "worse"),
        ([110e6, 111e6, 109e6, 110e6, 112e6, 108e6], "goodput_bps", "better"),
        ([100.1e6, 101e6, 99e6, 100e6, 101.9e6, 98e6], "goodput_bps", "same"),
        (list(reversed(UNDERLAY)), "goodput_bps", "inconclusive"),
        ([90e6, 91e6, 89e6, 90e6, 92e6], "goodput_bps", "not enough blocks"),
        ([60e6, 91e6, 120e6, 90e6, 75e6, 88e6], "goodput_bps", "inconclusive"),
        ([40e6, 61e6, 80e6, 60e6, 45e6, 58e6], "goodput_bps", "worse"),  # it scatters by 24 %, and is far away
    ],
)
def test_verdicts(tmp_path: Path, values: list[float], metric: str, verdict: str) -> None:
    assert one(summary(tmp_path, pair_of_cells(values)), metric=metric)["verdict"] == verdict


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(0.9655, "headers only"), (0.94, "more than headers"), (0.99, "above the ceiling")],
)
def test_goodput_is_held_against_what_the_headers_allow(tmp_path: Path, factor: float, verdict: str) -> None:
    scatter = around(1.0, 0.001, 5)
    overlay = [factor * base * own for base, own in zip(UNDERLAY, scatter, strict=True)]
    analysis = analysed(tmp_path, pair_of_cells(overlay))
    row = one(summary_records(analysis), metric="goodput_bps")
    assert row["ceiling_verdict"] == verdict
    (answer,) = answers(analysis)
    assert answer.text.startswith("vxlan at MTU 1450 costs ")
    said = {
        "headers only": "",
        "more than headers": "; more is lost on the way",
        "above the ceiling": "; the underlay falls short of its own ceiling",
    }
    assert f", headers alone 3.45 %{said[verdict]}; CPU" in answer.text


def test_what_failed_is_in_the_verdict(tmp_path: Path) -> None:
    trials = [
        *series("underlay", iperf3(1500), UNDERLAY * 2),
        *series("vxlan", iperf3(1500), [0.5 * value for value in UNDERLAY], path_state=CLAMPED),
        *(trial("vxlan", block, iperf3(1500), None, Status.FAILED, reason="refused") for block in range(7, 11)),
    ]
    analysis = analysed(tmp_path, trials)
    row = one(summary_records(analysis), metric="goodput_bps")
    assert (row["verdict"], row["lost"], row["blocks"]) == ("worse", 4, 6)
    (section, *_) = page(analysis).sections
    assert section.rows[0][-1].startswith("more than headers, 4 of 10 lost")


def test_higher_rtt_and_cpu_are_worse(tmp_path: Path) -> None:
    records = summary(tmp_path, full_run())
    assert {row["verdict"] for row in rows(records, metric="rtt_p50_s")} == {"worse"}
    assert {row["verdict"] for row in rows(records, metric="cpu_s_per_gbit")} == {"worse"}
    assert {row["ceiling_ratio"] for row in records if row["metric"] != "goodput_bps"} == {None}


def test_fewer_than_six_blocks_keep_their_interval(tmp_path: Path) -> None:
    row = one(summary(tmp_path, pair_of_cells([90e6, 91e6])), metric="goodput_bps")
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert row["notes"] == "2 blocks: a verdict takes 6, use --blocks 6 or more"


def test_only_blocks_with_both_sides_ok_count(tmp_path: Path) -> None:
    cell = iperf3(1500)
    trials = [
        *series("underlay", cell, UNDERLAY),
        trial("vxlan", 1, cell, None, Status.FAILED, reason="connection refused", path_state=None),
        trial("vxlan", 2, cell, 5e6, Status.INVALID, reason="went around the tunnel; all of it"),
        *series("vxlan", cell, [value * 0.5 for value in UNDERLAY], path_state=OUTER)[2:],
    ]
    trials[5] = trial("underlay", 6, cell, None, Status.FAILED, reason="")
    row = one(summary(tmp_path, trials), metric="goodput_bps")
    assert row["blocks"] == 3
    assert row["ratio"] == pytest.approx(0.5)
    assert row["median"] == pytest.approx(50e6)
    warnings = row["notes"].split("; ")
    assert warnings[0].startswith("vxlan outer-fragmented: ")
    assert warnings[1] == "vxlan 1 failed, 1 invalid: connection refused"
    assert warnings[2] == "underlay 1 failed: see reason in trials.csv"
    assert row["ceiling_ratio"] == pytest.approx(0.93439, abs=5e-6)


def test_nothing_but_failures_is_no_figure(tmp_path: Path) -> None:
    trials = [
        *series("underlay", iperf3(), UNDERLAY),
        *(trial("vxlan", block, iperf3(), None, Status.FAILED, reason="no route") for block in range(1, 7)),
    ]
    row = one(summary(tmp_path, trials))
    assert (row["metric"], row["verdict"], row["blocks"], row["lost"]) == ("goodput_bps", "no figure", 0, 6)
    assert (row["median"], row["ratio"]) == (None, None)
    assert row["notes"] == "vxlan 6 failed: no route"


def test_a_figure_of_zero_has_no_ratio(tmp_path: Path) -> None:
    row = one(summary(tmp_path, pair_of_cells([90e6, 91e6, 89e6, 90e6, 92e6, 88e6, 0.0])), metric="goodput_bps")
    assert (row["blocks"], row["ratio"], row["verdict"]) == (0, None, "no figure")
    assert row["median"] == 90e6
    assert row["notes"].startswith("vxlan 1 of figure 0: 0 has no ratio")


def test_different_path_states_are_never_averaged(tmp_path: Path) -> None:
    cell = iperf3(1500)
    trials = [
        *series("underlay", cell, UNDERLAY),
        *series("vxlan", cell, [96e6, 97e6], path_state=PathState.parse("whole")),
        *series("vxlan", cell, [90e6] * 6, path_state=CLAMPED)[2:],
    ]
    common, rare = rows(summary(tmp_path, trials), metric="goodput_bps")
    assert [row["blocks"] for row in (common, rare)] == [4, 2]
    assert common["ratio"] == pytest.approx(90 / 99.7, rel=0.01)
    assert rare["ratio"] == pytest.approx(96.5 / 100.5, rel=0.001)
    assert common["notes"].startswith("vxlan clamped to 1450 in 4 of 6 blocks: ")
    assert rare["notes"].startswith("vxlan whole in 2 of 6 blocks")


@pytest.mark.parametrize(
    ("state", "ceiling"),
    [("clamped to 1450", 0.96547), ("outer-fragmented", 0.93439), ("whole", None), ("black-holed", None), ("", None)],
)
def test_ceiling_follows_the_state_that_was_seen(tmp_path: Path, state: str, ceiling: float | None) -> None:
    trials = [
        *series("underlay", iperf3(1500), UNDERLAY),
        *series("vxlan", iperf3(1500), [90e6] * 6, path_state=PathState.parse(state) if state else None),
    ]
    row = one(summary(tmp_path, trials), metric="goodput_bps")
    assert row["verdict"] == "worse"
    if ceiling is None:
        assert row["ceiling_ratio"] is None
        assert "no ceiling" in row["notes"]
    else:
        assert row["ceiling_ratio"] == pytest.approx(ceiling, abs=5e-6)


@pytest.mark.parametrize(
    ("state", "resent", "noted"),
    [("outer-fragmented", 17, True), ("outer-fragmented", 5, False), ("clamped to 1450", 17, False)],
)
def test_what_went_out_twice_is_said_where_packets_are_cut(
    tmp_path: Path, state: str, resent: int, noted: bool
) -> None:
    overlay = [  # of 93 Mbit/s over 2 s, some 16,000 segments
        replace(made, figures={**made.figures, "retransmits": resent})
        for made in series("vxlan", iperf3(1500), [93e6] * 6, path_state=PathState.parse(state))
    ]
    row = one(summary(tmp_path, [*series("underlay", iperf3(1500), UNDERLAY), *overlay]), metric="goodput_bps")
    assert ("vxlan 0.11% of the segments were sent again: " in row["notes"]) == noted
    assert ("sent again" in row["notes"]) == noted


@pytest.mark.parametrize(
    ("shared", "seconds_per_gbit"),
    [(True, 1.2 / 0.3), (False, (1.2 + 0.6) / 0.3)],  # 100 Mbit/s over 2 s and 1 s omitted are 0.3 Gbit
)
def test_cpu_per_gigabit(tmp_path: Path, shared: bool, seconds_per_gbit: float) -> None:
    trials = [
        *series("underlay", iperf3(1500), [100e6] * 6, cpu_s=(1.0, 1.0)),
        *series("vxlan", iperf3(1500), [100e6] * 6, cpu_s=(1.2, 0.6), path_state=CLAMPED),
    ]
    row = one(summary(tmp_path, trials, {**META, "shared_kernel": shared}), metric="cpu_s_per_gbit")
    assert row["median"] == pytest.approx(seconds_per_gbit)
    assert row["ratio"] == pytest.approx(1.2 if shared else 0.9)
    assert row["unit"] == "s/Gbit"


@pytest.mark.parametrize(
    ("packets_per_s", "loss", "verdict"),
    [(1e5, 0.01, "same"), (1e5, 0.03, "worse"), (10.0, 0.01, "inconclusive")],
)
def test_udp_loss_is_compared_by_its_difference(
    tmp_path: Path, packets_per_s: float, loss: float, verdict: str
) -> None:
    """Of 120 datagrams a hundredth tells little, however equal the blocks are."""
    cell = iperf3(1500, protocol="udp")
    trials = [
        *series("underlay", cell, UNDERLAY),
        *series("vxlan", cell, [90e6] * 6, path_state=INNER),
    ]
    own = {"underlay": 0.01, "vxlan": loss}
    trials = [
        replace(one, figures={**one.figures, "packets_per_s": packets_per_s, "udp_loss_ratio": own[one.slot.profile]})
        for one in trials
    ]
    records = summary(tmp_path, trials)
    row = one(records, metric="udp_loss_ratio")
    assert (row["median"], row["baseline_median"], row["verdict"]) == (loss, 0.01, verdict)
    assert (row["ratio"], row["difference"]) == (None, pytest.approx(loss - 0.01))
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert one(records, metric="goodput_bps")["ceiling_ratio"] == pytest.approx(0.90684, abs=5e-6)


def test_without_run_json_there_are_no_ceilings_and_no_cpu(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, full_run(), meta=None)
    assert text_of(analysis.notes).startswith("no run.json beside trials.csv")
    records = summary_records(analysis)
    assert {record["metric"] for record in records} == {"goodput_bps", "rtt_p50_s", "rtt_p99_s"}
    assert {record["ceiling_ratio"] for record in records} == {None}
    with_meta = summary(tmp_path, full_run())
    # The NIC's MTU is then the underlay's largest, here the same.
    assert rows(records, metric="goodput_bps")[0]["ratio"] == rows(with_meta, metric="goodput_bps")[0]["ratio"]


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
    records = summary(tmp_path, full_run(), {**META, "versions": {"iperf3": versions}})
    notes = one(records, metric="goodput_bps", mtu=1450, flows=flows)["notes"]
    assert ("iperf3 3.12: one thread for all flows before 3.16" in notes) == warned
    assert one(records, metric="rtt_p50_s", mtu=1450)["notes"] == ""


def test_the_run_s_own_notes_are_those_of_the_analysis(tmp_path: Path) -> None:
    meta = {**META, "notes": [note("k8s-1 is busy", "let it finish; then again")]}
    (found,) = analysed(tmp_path, full_run(), meta).notes
    assert (found.fact, found.advice) == ("k8s-1 is busy", "let it finish; then again")


def test_routed_profiles_split_the_loss_of_a_tunnel(tmp_path: Path) -> None:
    frame = summary(tmp_path, full_run(["host-gw", "flannel", "vxlan"]))
    pairs = list(dict.fromkeys((row["profile"], row["baseline"]) for row in frame if row["contrast"] != "own-mtu"))
    assert pairs == [
        ("host-gw", "underlay"),
        ("flannel", "underlay"),
        ("flannel", "host-gw"),
        ("vxlan", "underlay"),
        ("vxlan", "host-gw"),
    ]
    goodput: Record = {"metric": "goodput_bps", "flows": 1}
    path = one(frame, profile="host-gw", mtu=1500, **goodput)
    for mtu in (1450, 1500):
        step = one(frame, profile="flannel", baseline="host-gw", mtu=mtu, **goodput)
        whole = one(frame, profile="flannel", baseline="underlay", mtu=mtu, **goodput)
        assert path["ratio"] * step["ratio"] == pytest.approx(whole["ratio"])
        assert step["ceiling_ratio"] == pytest.approx(whole["ceiling_ratio"])
    assert path["ceiling_ratio"] == 1.0


def test_a_routed_profile_without_the_nic_s_mtu_is_compared_at_the_cell_s(tmp_path: Path) -> None:
    trials = [
        own for own in full_run(["host-gw", "vxlan"]) if own.slot.profile == "underlay" or own.slot.cell.mtu == 1450
    ]
    frame = summary(tmp_path, trials)
    where: Record = {"metric": "goodput_bps", "flows": 8, "mtu": 1450}
    path = one(frame, profile="host-gw", **where)
    step = one(frame, profile="vxlan", baseline="host-gw", **where)
    whole = one(frame, profile="vxlan", baseline="underlay", **where)
    assert path["ratio"] * step["ratio"] == pytest.approx(whole["ratio"])
    assert step["ceiling_ratio"] == pytest.approx(1488 / 1538)
    assert step["notes"] == "host-gw was not measured at MTU 1500: compared at 1450"


def test_intervals_are_those_of_all_rows_together(tmp_path: Path) -> None:
    """Thirty A/A cells of which some stray from 1 by chance alone, as they do at 5 % each; no margin."""
    trials: list[Trial] = []
    for flows in range(1, 31):
        trials += series("vxlan", iperf3(1500, flows), around(100e6, 0.01, 3 * flows), path_state=CLAMPED)
        trials += series("underlay", iperf3(1500, flows), around(100e6, 0.01, 3 * flows + 1))
    found = rows(summary_records(analyse(read_run(write(tmp_path, trials, None)), 0.0)), metric="goodput_bps")
    strays = [row for row in found if row["ratio_low"] > 1 or row["ratio_high"] < 1]
    assert 0 < len(strays) <= 5
    assert {row["verdict"] for row in found} == {"inconclusive"}
    assert all(row["adjusted_low"] < row["ratio_low"] < row["ratio_high"] < row["adjusted_high"] for row in found)


def test_only_the_underlay_gives_an_empty_summary(tmp_path: Path) -> None:
    assert summary(tmp_path, series("underlay", ping(1500), [1e-3] * 6)) == []


def test_directions_are_cells_of_their_own(tmp_path: Path) -> None:
    trials: list[Trial] = []
    for way, centre in ((Direction.FORWARD, 90e6), (Direction.REVERSE, 80e6), (Direction.BIDIR, 70e6)):
        trials += series("underlay", iperf3(1500, direction=way), [100e6] * 6)
        trials += series("vxlan", iperf3(1500, direction=way), [centre] * 6, path_state=CLAMPED)
    found = rows(summary(tmp_path, trials), metric="goodput_bps")
    assert [(row["direction"], round(row["ratio"], 3)) for row in found] == [
        ("forward", 0.9),
        ("reverse", 0.8),
        ("bidir", 0.7),
    ]


NEWER = ("rtt_p90_s", "ping_lost_ratio")
"""What was not reported when the kept runs were measured."""


def test_every_figure_of_the_kept_sample_is_what_it_was() -> None:
    """Its summary.csv is of schema 1, written by the program that measured it."""
    records = summary_records(analyse(read_run(SAMPLE)))
    with (SAMPLE / "summary.csv").open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    kept = [old for old in kept if old["metric"] != "rtt_p99_s"]  # of 100 replies, for which p90 stands now
    known = [one for one in rows([{**record, "notes": ""} for record in records]) if one["metric"] not in NEWER]
    assert len(kept) == len(known)
    names = ("median", "baseline_median", "cv", "ratio", "ratio_low", "ratio_high", "ceiling_ratio")
    for old in kept:
        where = {name: old[name] for name in ("profile", "baseline", "metric")}
        levels = {"mtu": int(old["mtu"]), "flows": int(old["flows"]) if old["tool"] == "iperf3" else None}
        row, same = (one(records, name, **where, **levels) for name in ("profile", "same-mtu"))
        assert (old["tool"], int(old["blocks"])) == (row["measure"], row["blocks"])
        pairs = [(old[name], row[name]) for name in names]
        pairs += [(old[f"same_mtu_{name}"], same[name]) for name in names[3:]]
        for text, value in pairs:
            assert (text == "") == (value is None)
            assert value is None or value == pytest.approx(float(text), rel=1e-12)


@pytest.mark.parametrize(
    "folder",
    [
        path.parent
        for path in sorted(SAMPLE.parent.glob("*/run.json"))
        if json.loads(path.read_text(encoding="utf-8"))["schema_version"] == 2
    ],
    ids=lambda folder: folder.name,
)
def test_every_figure_of_the_kept_run_of_schema_2_is_what_it_was(folder: Path) -> None:
    """Its summary.csv was written by the program that measured it, of the default measures."""
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        kept = [old for old in csv.DictReader(file) if old["metric"] not in ("rtt_p99_s", *NEWER)]
    made = [
        new
        for new in csv.DictReader(io.StringIO(rendered(analyse(read_run(folder)), "csv")))
        if new["metric"] not in NEWER
    ]
    assert len(made) == len(kept) > 0
    for old, new in zip(kept, made, strict=True):
        for name in old.keys() - {"notes", "verdict"}:
            same = old[name] == new[name]
            assert same or float(new[name]) == pytest.approx(float(old[name]), rel=1e-12), (name, old)


def loaded(mtu: int = 1450) -> Cell:
    return Cell.of("loaded-ping", mtu=mtu, flows=1)


def test_loaded_is_set_against_idle_on_every_profile(tmp_path: Path) -> None:
    trials = [
        own
        for number, (profile, idle) in enumerate((("underlay", 60e-6), ("vxlan", 120e-6)))
        for own in (
            *series(profile, ping(1450), around(idle, 0.01, number)),
            *series(profile, loaded(), around(200 * idle, 0.01, 10 + number)),
            *series(profile, loaded(1500), around(200 * idle, 0.01, 20 + number)),
        )
    ]
    records = summary(tmp_path, trials)
    for profile in ("underlay", "vxlan"):
        row = one(records, "idle", profile=profile, metric="rtt_p50_s", mtu=1450)
        assert row["ratio"] == pytest.approx(200, rel=0.02)
        assert (row["baseline"], row["measure"], row["baseline_cell"]) == (profile, "loaded-ping", "measure=ping")
    row = one(records, profile="vxlan", measure="loaded-ping", metric="rtt_p50_s", mtu=1450)
    assert row["ratio"] == pytest.approx(2, rel=0.02)


def test_an_offload_off_is_set_against_the_same_on(tmp_path: Path) -> None:
    on, off = (
        Cell.of("iperf3", protocol="tcp", mtu=1500, flows=1, offload=f"{GRO}={state} {TSO}=off")
        for state in ("on", "off")
    )
    trials = [*series("underlay", on, around(1e9, 0.001, 1)), *series("underlay", off, around(0.8e9, 0.001, 2))]
    row = one(summary(tmp_path, trials), "offload", metric="goodput_bps")
    assert row["ratio"] == pytest.approx(0.8, rel=0.01)
    assert (row["offload"], row["verdict"]) == (f"{GRO}=off {TSO}=off", "worse")
    assert row["baseline_cell"] == f"offload={GRO}=on {TSO}=off"


@pytest.mark.parametrize(
    ("switch", "factor", "words"),
    [
        ("generic-receive-offload", 0.8, "goodput -20%: without it every packet goes up the stack alone"),
        ("tunnel:tx-checksum-ip-generic", 0.8, "ip-generic off, goodput -20%: without it the CPU sums"),
        ("tx-checksum-ip-generic", 1.3, "goodput +30%: better without it"),
        ("tx-nocache-copy", 0.8, "underlay tx-nocache-copy off, goodput -20%"),
        ("generic-receive-offload", 0.97, ""),  # too little to matter
    ],
)
def test_what_an_offload_is_for_is_said_where_it_matters(
    tmp_path: Path, switch: str, factor: float, words: str
) -> None:
    on, off = (
        Cell.of("iperf3", protocol="tcp", mtu=1500, flows=1, offload=f"{switch}={state}") for state in ("on", "off")
    )
    values = around(1e9, 0.001, 1)
    trials = [*series("underlay", on, values), *series("underlay", off, [factor * value for value in values])]
    row = one(summary(tmp_path, trials), "offload", metric="goodput_bps")
    assert (words in row["notes"]) if words else ("off, goodput" not in row["notes"])


@pytest.mark.parametrize(
    ("unsent", "busiest", "noted"),
    [(0.05, 0.97, True), (0.05, 0.7, False), (0.001, 0.97, False), (None, None, False)],
)
def test_a_search_that_ends_at_the_senders_is_said_to(
    tmp_path: Path, unsent: float | None, busiest: float | None, noted: bool
) -> None:
    """Not where a CPU had time left: then the path held the senders back."""
    cell = Cell.of("udp-search", mtu=1450, flows=2, loss=0.001)
    why = {} if unsent is None or busiest is None else {"unsent_ratio": unsent, "unsent_cpu_ratio": busiest}
    trials = [
        replace(made, figures={**made.figures, "packets_per_s": 8e4, **(why if profile == "vxlan" else {})})
        for profile in ("underlay", "vxlan")
        for made in series(profile, cell, [1e9] * 6)
    ]
    row = one(summary(tmp_path, trials), profile="vxlan", metric="packets_per_s")
    assert ("vxlan higher rates were not even sent" in row["notes"]) == noted


@pytest.mark.parametrize(("dropped", "noted"), [(3000, True), (300, False)])
def test_loss_of_datagrams_that_had_arrived_is_not_the_path_s(tmp_path: Path, dropped: int, noted: bool) -> None:
    """Of 200 000 datagrams in 2 s 1 % was lost; in the omitted second half as much was dropped as in those."""
    cell = iperf3(1450, protocol="udp")
    trials = [
        replace(made, figures={**made.figures, "packets_per_s": 99_000, "socket_dropped": dropped})
        for profile in ("underlay", "vxlan")
        for made in series(profile, cell, [1e9] * 6)
    ]
    row = one(summary(tmp_path, trials), profile="vxlan", metric="udp_loss_ratio")
    assert ("most of what vxlan lost had arrived" in row["notes"]) == noted


def test_metrics_and_factors_that_are_not_known_are_kept_and_reported(tmp_path: Path) -> None:
    """Another version wrote them, and said in run.json what they are."""
    trials = [
        *series("underlay", iperf3(1500), UNDERLAY),
        *series("vxlan", iperf3(1500), [90e6] * 6, path_state=CLAMPED),
    ]
    folder = write(tmp_path, trials, None)
    path = folder / "trials.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    head = header.replace("flows,", "flows,colour,") + ",power_w"
    factor = header.split(",").index("flows") + 1

    def widened(line: str, number: int) -> str:
        fields = next(csv.reader([line]))
        return ",".join([*fields[:factor], "red", *fields[factor:], str(5 if number < 6 else 10)])

    path.write_text("\n".join([head, *(widened(line, n) for n, line in enumerate(lines))]) + "\n", encoding="utf-8")
    run = read_run(folder)
    assert (list(run.trials.columns.factors)[-1], list(run.trials.columns.metrics)[-1]) == ("colour", "power_w")
    row = one([{**r, "notes": ""} for r in summary_records(analyse(run))], metric="power_w")
    assert (row["colour"], row["median"], row["baseline_median"], row["ratio"]) == ("red", 10, 5, None)
    described = Metric("power_w", "W", "power", Better.LOWER)
    meta = {**META, "metrics": {"power_w": {"unit": "W", "title": "power", "better": "lower"}}}
    (folder / "run.json").write_text(json.dumps(meta), encoding="utf-8")
    row = one(summary_records(analyse(read_run(folder))), metric="power_w")
    assert (row["unit"], row["ratio"], row["verdict"]) == (described.unit, pytest.approx(2), "worse")


def with_replies(trials: Sequence[Trial], sent: float, lost: float = 0.0) -> list[Trial]:
    """Return pings of so many echoes, of which a share was lost."""
    counted = {"ping_sent": sent, "ping_lost_ratio": lost}
    return [replace(one, figures={**one.figures, "rtt_p90_s": one.figures["rtt_p50_s"]} | counted) for one in trials]


@pytest.mark.parametrize(("sent", "shown"), [(500, "rtt_p99_s"), (400, "rtt_p99_s"), (399, "rtt_p90_s")])
def test_high_percentile_takes_many_replies(tmp_path: Path, sent: int, shown: str) -> None:
    trials = [
        *with_replies(series("underlay", ping(1500), around(60e-6, 0.01, 1)), 500),
        *with_replies(series("vxlan", ping(1500), around(120e-6, 0.01, 2)), sent),
    ]
    records = rows([{**record, "notes": ""} for record in summary(tmp_path, trials)])
    assert {row["metric"] for row in records} == {"rtt_p50_s", shown, "ping_lost_ratio"}
    assert one(records, metric="rtt_p50_s")["replies"] == 6 * sent


@pytest.mark.parametrize(("lost", "verdict"), [(0.0, "same"), (0.004, "same"), (0.03, "worse"), (0.9, "worse")])
def test_loss_of_echoes_has_a_verdict(tmp_path: Path, lost: float, verdict: str) -> None:
    trials = [
        *with_replies(series("underlay", ping(1500), around(60e-6, 0.01, 1)), 500),
        *with_replies(series("vxlan", ping(1500), around(60e-6, 0.01, 2)), 500, lost),
    ]
    row = one(summary(tmp_path, trials), metric="ping_lost_ratio")
    assert (row["verdict"], row["difference"], row["ratio"]) == (verdict, pytest.approx(lost), None)


def test_each_arm_is_held_against_its_own_ceiling(tmp_path: Path) -> None:
    """1448 of 1538 bytes on a link of 1 Gbit/s for the underlay, 1398 of them in VXLAN."""
    trials = [
        *series("underlay", iperf3(1500), [0.99e9 * 1448 / 1538] * 6),
        *series("vxlan", iperf3(1450), [0.98e9 * 1398 / 1538] * 6),
    ]
    row = one(summary(tmp_path, trials), metric="goodput_bps")
    assert (row["wire_ratio"], row["baseline_wire_ratio"]) == (pytest.approx(0.98), pytest.approx(0.99))
