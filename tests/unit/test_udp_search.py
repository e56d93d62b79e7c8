"""Loss-rate search: MLRsearch finds what a simulated path can carry, whose reports are iperf3's own (tests/golden)."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from harness.measures import udp_search
from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.iperf3 import MIN_PACKET_BYTES
from harness.measures.udp_search import MOST_BPS, UdpSearch
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Performed, Port, Side
from harness.model.trial import Cell, Measured, Timing

GOLDEN = Path(__file__).parents[1] / "golden"
CLIENT, SERVER = (
    (GOLDEN / f"iperf3-3.12-udp.{side}.json").read_text(encoding="utf-8") for side in ("client", "server")
)
SEARCH = UdpSearch()
LINK_BPS = 1e9
CELL = Cell.of("udp-search", mtu=1450, flows=2)
CAPACITY_PS = 31_415
BUSY_RATIO = 0.97
WITHIN = 0.005


def at(**levels: float) -> Cell:
    return CELL.at(tuple(levels.items()))


def option(job: Job, name: str) -> str:
    return job.argv[job.argv.index(name) + 1]


@dataclass
class SimulatedPath:
    """Carries so many packets a second; what is beyond is lost, and beside it a share of all (`lossy`).

    `unread` is the share of what arrived that the receiving socket dropped, `noted` how much of that the kernel
    counted. All senders together send no more than `senders_ps`.
    """

    capacity_ps: float = CAPACITY_PS
    lossy: float = 0.0
    unread: float = 0.0
    noted: float = 1.0
    senders_ps: float = math.inf
    performed: list[Sequence[Job]] = field(default_factory=list)

    def __call__(self, jobs: Sequence[Job]) -> Performed:
        self.performed.append(jobs)
        clients = [job for job in jobs if job.side is Side.CLIENT]
        asked = [int(option(job, "-b").partition("/")[0]) / 8 / int(option(job, "-l")) for job in clients]
        share_sent = min(1.0, self.senders_ps / sum(asked))
        share_arrived = min(1.0, self.capacity_ps / (sum(asked) * share_sent)) * (1 - self.lossy)
        done: dict[str, Completed] = {}
        dropped = 0
        for client, asked_ps in zip(clients, asked, strict=True):
            seconds, size = int(option(client, "-t")), int(option(client, "-l"))
            sent = round(asked_ps * share_sent * seconds)
            arrived = round(sent * share_arrived)
            unread = round(arrived * self.unread)
            dropped += unread
            printed = reports(sent, arrived - unread, seconds, size)
            for side, text in zip((Side.CLIENT, Side.SERVER), printed, strict=True):
                name = client.name.replace(Side.CLIENT, side)
                done[name] = Completed(("iperf3",), 0, text, "")
        return Performed(done, {Side.SERVER: {"UdpRcvbufErrors": round(dropped * self.noted)}}, BUSY_RATIO)


def reports(sent: int, received: int, seconds: int, size: int) -> tuple[str, str]:
    """Return what client and server print of so many packets; a server that got none knows of none."""
    ours, theirs = json.loads(CLIENT), json.loads(SERVER)
    moved = {"seconds": seconds, "bytes": received * size, "bits_per_second": received * size * 8 / seconds}
    ours["end"]["sum_sent"] |= {"bytes": sent * size, "bits_per_second": sent * size * 8 / seconds, "packets": sent}
    known = sent if received else 0
    theirs["end"]["sum_received"] |= {**moved, "packets": known, "lost_packets": known - received}
    theirs["intervals"] = [{"sum": {"start": 0, "end": seconds, "omitted": False, **moved}}]
    return json.dumps(ours), json.dumps(theirs)


def conditions(timing: Timing | None = None, link_bps: float | None = LINK_BPS) -> Conditions:
    return Conditions(
        timing or Timing(2, 1), "172.17.0.3", count(5201).__next__, "cubic", link_bps, shaped=True, versions={}
    )


def found(path: SimulatedPath, cell: Cell = CELL, timing: Timing | None = None) -> Measured:
    return SEARCH.run(cell, conditions(timing), path)


@pytest.mark.parametrize("capacity_ps", [25, 999, CAPACITY_PS, 80_000])
@pytest.mark.parametrize("loss", [0.0, 0.001])
@pytest.mark.parametrize("flows", [1, 2])
def test_finds_what_a_path_carries(capacity_ps: float, loss: float, flows: int) -> None:
    path = SimulatedPath(capacity_ps)
    measured = found(path, at(loss=loss, flows=flows))
    tolerance = max(WITHIN, 1 / (capacity_ps * 6))  # packets are whole
    assert measured.figures["packets_per_s"] == pytest.approx(capacity_ps, rel=tolerance)
    assert measured.figures["goodput_bps"] == pytest.approx(measured.figures["packets_per_s"] * 1422 * 8)
    assert measured.figures["udp_loss_ratio"] <= loss
    assert measured.figures["search_steps"] == len(path.performed)
    assert set(measured.figures) == set(UdpSearch.metrics)
    assert (measured.figures["unsent_ratio"], measured.figures["unsent_cpu_ratio"]) == (
        pytest.approx(0, abs=0.001),
        BUSY_RATIO,
    )


@pytest.mark.parametrize(("loss", "expected_ps"), [(0.0, None), (0.001, CAPACITY_PS)])
def test_loss_that_is_allowed_does_not_end_the_search(loss: float, expected_ps: float | None) -> None:
    """The path loses 0.05 % at whatever rate: with none allowed what is found is a rate too low to show that."""
    found_ps = found(SimulatedPath(lossy=0.0005), at(loss=loss)).figures["packets_per_s"]
    if expected_ps is None:
        assert found_ps < 0.02 * CAPACITY_PS
    else:
        assert found_ps == pytest.approx(expected_ps, rel=WITHIN)


@pytest.mark.parametrize(("size", "capacity_ps"), [(MIN_PACKET_BYTES, 300_000), (512, 100_000), (1450, CAPACITY_PS)])
def test_packets_have_the_size_asked_for(size: int, capacity_ps: float) -> None:
    path = SimulatedPath(capacity_ps)
    figures = found(path, at(size=size)).figures
    assert figures["packets_per_s"] == pytest.approx(capacity_ps, rel=WITHIN)
    assert figures["goodput_bps"] == pytest.approx(capacity_ps * (size - 28) * 8, rel=WITHIN)
    assert {option(job, "-l") for jobs in path.performed for job in jobs if "-l" in job.argv} == {str(size - 28)}
    assert SEARCH.packet_bytes({"size": size}) == size
    assert SEARCH.packet_bytes({"flows": 2}) is None


@pytest.mark.parametrize("noted", [1.0, 1.5])
def test_what_the_socket_dropped_does_not_end_the_search(noted: float) -> None:
    """Nor does it where the kernel counted more than the program missed, of another program's."""
    measured = found(SimulatedPath(unread=0.02, noted=noted))
    assert measured.figures["packets_per_s"] == pytest.approx(CAPACITY_PS, rel=WITHIN)


def test_what_the_socket_dropped_is_no_payload_for_the_proof() -> None:
    whole, partial = SimulatedPath(), SimulatedPath(unread=0.02)
    ratio = found(partial).payload_forward_bytes / found(whole).payload_forward_bytes
    assert ratio == pytest.approx(0.98, rel=1e-3)


def test_what_was_missed_and_nobody_counted_was_lost_on_the_path() -> None:
    with pytest.raises(ToolError):
        found(SimulatedPath(unread=0.02, noted=0.0))


@pytest.mark.parametrize("flows", [1, 4])
def test_limit_of_the_senders_is_found_and_said(flows: int) -> None:
    """What they did not send counts as lost once it is half a per cent; more of the path was to be had."""
    figures = found(SimulatedPath(80_000, senders_ps=CAPACITY_PS), at(flows=flows)).figures
    assert figures["packets_per_s"] == pytest.approx(CAPACITY_PS, rel=WITHIN)
    assert 0.005 < figures["unsent_ratio"] < 0.015
    assert figures["unsent_cpu_ratio"] == BUSY_RATIO
    assert figures["udp_loss_ratio"] == 0


def test_path_that_carries_the_links_rate_has_no_upper_bound() -> None:
    figures = found(SimulatedPath(1e6)).figures
    assert figures["packets_per_s"] == pytest.approx(LINK_BPS / 8 / 1422, rel=1e-4)
    assert set(figures) == {*UdpSearch.metrics} - {"unsent_ratio", "unsent_cpu_ratio"}


@pytest.mark.parametrize("path", [SimulatedPath(capacity_ps=1), SimulatedPath(lossy=0.05), SimulatedPath(lossy=1.0)])
def test_path_that_loses_even_the_lowest_rate(path: SimulatedPath) -> None:
    with pytest.raises(ToolError, match="No lower bound|even 9 packets per second lose more than allowed"):
        found(path)


def test_search_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_search, "SEARCHING_S", 0.0)
    with pytest.raises(ToolError, match="the search for the rate failed: .*takes too long"):
        found(SimulatedPath())


@pytest.mark.parametrize(("timing", "last_s"), [(Timing(2, 1), 6), (Timing(10, 3), 13), (Timing(5.5, 1.5), 7)])
def test_trials_are_short_at_first_and_as_long_as_the_plans_in_the_end(timing: Timing, last_s: int) -> None:
    path = SimulatedPath()
    found(path, timing=timing)
    lengths = [int(option(jobs[-1], "-t")) for jobs in path.performed]
    assert (lengths[0], max(lengths), lengths[-1]) == (2, last_s, last_s)
    assert {option(jobs[-1], "-O") for jobs in path.performed} == {"0"}
    assert SEARCH.seconds(CELL, timing) > last_s


@pytest.mark.parametrize(
    ("cell", "rate_bps", "each"),
    [
        pytest.param(at(flows=1), 1_000_000_000, "1000000000/32", id="no more than 32 in a row"),
        pytest.param(at(flows=4), 1_000_000_000, "250000000/21", id="a millisecond's"),
        pytest.param(at(flows=3), 1_000_000_000, "333333333/29", id="a share is whole"),
        pytest.param(at(flows=2, size=44), 10_000_000, "5000000/32", id="small ones"),
        pytest.param(at(flows=2), 10_000_000, "5000000", id="less than one in a millisecond"),
        pytest.param(at(flows=2), 1, "1", id="0 would be no limit"),
        pytest.param(CELL.without("flows"), 10_000_000, "10000000", id="one, where the cell does not say"),
    ],
)
def test_senders_share_the_rate(cell: Cell, rate_bps: int, each: str) -> None:
    jobs = udp_search.jobs_of(cell, conditions(), rate_bps)
    servers, clients = jobs[: cell.flows], jobs[cell.flows :]
    ports = [5201 + number for number in range(cell.flows)]
    assert [(job.name, job.side, job.ready, job.ends) for job in servers] == [
        (f"server {number}", Side.SERVER, Port("tcp", port), True) for number, port in enumerate(ports, 1)
    ]
    assert [(job.name, job.side, job.ready, job.ends) for job in clients] == [
        (f"client {number}", Side.CLIENT, None, True) for number in range(1, cell.flows + 1)
    ]
    assert [(option(job, "-p"), option(job, "-b"), option(job, "-P")) for job in clients] == [
        (str(port), each, "1") for port in ports
    ]
    assert {job.limit_s for job in clients} == {2 + CLIENT_GRACE_S}
    assert all(job.argv[0] == "timeout" for job in servers)


@pytest.mark.parametrize(("link_bps", "most_bps"), [(LINK_BPS, LINK_BPS), (None, MOST_BPS)])
def test_one_trial_is_at_the_highest_rate(link_bps: float | None, most_bps: float) -> None:
    path = SimulatedPath()
    jobs = SEARCH.jobs(CELL, conditions(link_bps=link_bps))
    assert [option(job, "-b") for job in jobs[2:]] == [f"{int(most_bps / 2)}/32"] * 2
    measured = SEARCH.parse(CELL, path(jobs).done)
    assert measured.figures["packets_per_s"] == pytest.approx(CAPACITY_PS, rel=1e-3)
    assert measured.figures["goodput_bps"] == pytest.approx(CAPACITY_PS * 1422 * 8, rel=1e-3)
    assert measured.payload_forward_bytes == pytest.approx(CAPACITY_PS * 1422 * 2, rel=1e-3)


def test_words_of_an_iperf3_that_failed() -> None:
    def perform(jobs: Sequence[Job]) -> Performed:
        return Performed(
            {job.name: Completed(job.argv, 0, '{"error": "control socket has closed"}', "") for job in jobs}
        )

    with pytest.raises(ToolError, match="iperf3 client .*: control socket has closed"):
        SEARCH.run(CELL, conditions(), perform)
