"""Every measure beside the default ones, measured and proven in one run as a user starts it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from harness.measures import sockperf
from harness.measures.registry import MEASURES
from harness.truth import stats
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of

pytestmark = pytest.mark.lab

LINK_BPS = 100e6
"""Slow enough for the CPUs of any machine, other tests beside it included, so that the link is the limit."""
MEASURED = [name for name in MEASURES if name != "ping"]
WORDS = (
    f"run --profile vxlan --measure {','.join(MEASURED)} --protocol tcp,udp --udp-rate 10% --size 512 --mtu 1450 "
    f"--flows 2 --rate {LINK_BPS / 1e6:g}mbit --blocks 1 --duration 1 --omit 0 --seed 3 --out {OUT}"
).split()
WIRE_BYTES = {"underlay": 512 + 38, "vxlan": 512 + 50 + 38}
"""What a packet takes up on a cable, which the lab's shaper counts."""
STREAMED = ("iperf3", "loaded-ping", "ecmp")
"""Measures whose programs report intervals."""
RATIOS = ("udp_loss_ratio", "client_busiest_cpu_ratio", "server_busiest_cpu_ratio", "ping_lost_ratio", "unsent_ratio")


@pytest.fixture(name="folder", scope="module")
def measured(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run, which left nothing else."""
    before = machine.state()
    with machine.start(tmp_path_factory.mktemp("measures"), *WORDS) as command:
        assert command.wait(600.0) == 0, command.stderr + command.stdout
    assert machine.changes(before) == []
    return machine.results()[-1]


@pytest.fixture(name="rows")
def trials(folder: Path) -> list[dict[str, str]]:
    return rows_of(folder / "trials.csv")


def test_every_trial_is_proven_and_has_its_figures(rows: list[dict[str, str]]) -> None:
    assert {row["measure"] for row in rows} == set(MEASURED)
    for row in rows:
        assert (row["status"], row["reason"], row["path_state"]) == ("ok", "", "whole"), row
        assert row["proof"].startswith("client ->" if row["profile"] == "vxlan" else "ens33 carried it"), row["proof"]
        missing = [name for name in MEASURES[row["measure"]].metrics if row[name] == ""]
        udp = row["protocol"] == "udp"
        of_tcp = ["retransmits"] if udp else "packets_per_s offered_bps udp_loss_ratio udp_jitter_s".split()
        absent = {
            "iperf3": ["forward_goodput_bps", "reverse_goodput_bps", *of_tcp],  # of both directions, bidir only
            "ecmp": [name for name in MEASURES["ecmp"].metrics if "link" in name or "hashed" in name],
        }
        assert missing == absent.get(row["measure"], []), row
        assert all(0 <= float(row[name] or 0) <= 1 for name in RATIOS)
        for side in ("client", "server"):
            assert float(row[f"{side}_tools_cpu_s"]) > 0


def test_search_ends_at_what_the_link_takes(rows: list[dict[str, str]]) -> None:
    """The shaper is the limit: 2 % for its burst, and for how near the bounds are to each other in the end.

    Senders that other tests keep from a CPU do not send all of a rate, which ends the search below it.
    """
    found = {row["profile"]: float(row["packets_per_s"]) for row in rows if row["measure"] == "udp-search"}
    for profile, wire_bytes in WIRE_BYTES.items():
        assert 0.9 < found[profile] / (LINK_BPS / (8 * wire_bytes)) < 1.02, profile


def test_offered_rate_is_a_share_of_the_link(rows: list[dict[str, str]]) -> None:
    offered = [row for row in rows if (row["measure"], row["protocol"]) == ("iperf3", "udp")]
    assert len(offered) == 2
    for row in offered:
        assert float(row["offered_bps"]) == pytest.approx(LINK_BPS / 10, rel=0.05)
        assert float(row["packets_per_s"]) == pytest.approx(LINK_BPS / 10 / (8 * 484), rel=0.05)


def test_load_lengthens_the_round_trip(rows: list[dict[str, str]]) -> None:
    """A full queue takes milliseconds, an idle path some 100 microseconds."""
    for row in rows:
        if row["measure"] == "loaded-ping":
            assert float(row["rtt_p50_s"]) > 1e-3
            assert float(row["goodput_bps"]) > LINK_BPS / 2


def test_steps_of_a_search_are_in_the_record(folder: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        steps = json.loads((folder / row["raw"]).read_text(encoding="utf-8"))["steps"]
        assert len(steps) == (int(row["search_steps"]) if row["measure"] == "udp-search" else 1)
        assert all(job["argv"] for step in steps for job in step["jobs"].values())


def test_percentiles_are_those_of_the_kept_log(folder: Path, rows: list[dict[str, str]]) -> None:
    asked = [row for row in rows if row["measure"] == "sockperf"]
    assert {row["protocol"] for row in asked} == {"tcp", "udp"}
    for row in asked:
        (step,) = json.loads((folder / row["raw"]).read_text(encoding="utf-8"))["steps"]
        histogram = step["jobs"]["client"]["stdout"].partition("rtt_ns count\n")[2].splitlines()
        round_trips = [int(ns) / 1e9 for ns, count in map(str.split, histogram) for _ in range(int(count))]
        assert len(round_trips) > 100
        expected = stats.percentiles(sorted(round_trips), list(sockperf.PERCENTS.values()))
        figures = [float(row[name]) for name in sockperf.PERCENTS]
        assert all(math.isclose(*pair, abs_tol=1e-9) for pair in zip(figures, expected, strict=True))


def test_intervals_are_kept(folder: Path, rows: list[dict[str, str]]) -> None:
    series = rows_of(folder / "series.csv")
    kept = {(row["block"], row["position"]) for row in series}
    streamed = {(row["block"], row["position"]) for row in rows if row["measure"] in STREAMED}
    assert kept == streamed
