"""Loss-rate search: MLRsearch finds what a simulated path carries, told by iperf3's reports (tests/golden)."""

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
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
CLIENT, SERVER = (
    (GOLDEN / f"iperf3-3.12-udp.{side}.json").read_text(encoding="utf-8") for side in ("client", "server")
)
SEARCH = UdpSearch()
CELL = Cell.of("udp-search", mtu=1450, flows=2)
LINK_BPS, CAPACITY_PS, BUSY_RATIO, WITHIN = 1e9, 31_415, 0.97, 0.005


def at(**levels: float) -> Cell:
    return CELL.at(tuple(levels.items()))


def option(job: Job, name: str) -> str:
    return job.argv[job.argv.index(name) + 1]


@dataclass
class SimulatedPath:
    """Carries so many packets a second, and loses a share of all (`lossy`) beside what is more than that.

    Of what arrived the receiving socket drops a share (`unread`), and the kernel counts so much of it (`noted`). All
    senders together send no more than `senders_ps`.
    """

    capacity_ps: float = CAPACITY_PS
    lossy: float = 0.0
    unread: float = 0.0
    noted: float = 1.0
    senders_ps: float = math.inf
    performed: list[list[Job]] = field(default_factory=list)

    def __call__(self, jobs: Sequence[Job]) -> Performed:
        clients = [job for job in jobs if job.side is Side.CLIENT]
        self.performed.append(clients)
        asked_bps = [int(option(job, "-b").partition("/")[0]) * int(option(job, "-P")) for job in clients]
        asked_ps = [bps / 8 / int(option(job, "-l")) for bps, job in zip(asked_bps, clients, strict=True)]
        sending = min(1.0, self.senders_ps / sum(asked_ps))
        arriving = min(1.0, self.capacity_ps / (sum(asked_ps) * sending)) * (1 - self.lossy)
        done, dropped = {}, 0
        for client, own_ps in zip(clients, asked_ps, strict=True):
            sent = round(own_ps * sending * int(option(client, "-t")))
            arrived = round(sent * arriving)
            unread = round(arrived * self.unread)
            dropped += unread
            texts = reports(sent, arrived - unread, int(option(client, "-t")), int(option(client, "-l")))
            for side, text in zip(Side, texts, strict=True):
                done[client.name.replace(Side.CLIENT, side)] = Completed(("iperf3",), 0, text, "")
        return Performed(done, {Side.SERVER: {"UdpRcvbufErrors": round(dropped * self.noted)}}, BUSY_RATIO)


def reports(sent: int, received: int, seconds: int, size: int) -> tuple[str, str]:
    """Return what client and server print of so many packets; a server that got none knows of none."""
    ours, theirs = json.loads(CLIENT), json.loads(SERVER)
    ours["end"]["sum_sent"] |= {"bits_per_second": sent * size * 8 / seconds}
    moved = {"seconds": seconds, "bytes": received * size, "bits_per_second": received * size * 8 / seconds}
    known = sent if received else 0
    theirs["end"]["sum_received"] |= {**moved, "packets": known, "lost_packets": known - received}
    theirs["intervals"] = [{"sum": {"start": 0, "end": seconds, "omitted": False, **moved}}]
    return json.dumps(ours), json.dumps(theirs)


def conditions(timing: Timing, link_bps: float | None = LINK_BPS, *, shaped: bool = True) -> Conditions:
    return Conditions(
        timing, path_to("172.17.0.3"), count(5201).__next__, "cubic", link_bps, shaped=shaped, versions={}
    )


def searched(path: SimulatedPath, cell: Cell = CELL, timing: Timing | None = None) -> Measured:
    return SEARCH.run(cell, conditions(timing or Timing(2, 1)), path)


@pytest.mark.parametrize("capacity_ps", [1_000, CAPACITY_PS, 80_000])
@pytest.mark.parametrize("loss", [0.0, 0.001])
@pytest.mark.parametrize("flows", [1, 8, 11])
def test_finds_what_a_path_carries(capacity_ps: float, loss: float, flows: int) -> None:
    path = SimulatedPath(capacity_ps)
    figures = searched(path, at(loss=loss, flows=flows)).figures
    assert set(figures) == set(UdpSearch.metrics)
    assert figures["packets_per_s"] == pytest.approx(capacity_ps, rel=WITHIN)
    assert figures["goodput_bps"] == pytest.approx(figures["packets_per_s"] * 1422 * 8)
    assert figures["udp_loss_ratio"] <= loss
    assert figures["search_steps"] == len(path.performed)
    assert figures["unsent_ratio"] == pytest.approx(0, abs=0.001)
    assert figures["unsent_cpu_ratio"] == BUSY_RATIO


@pytest.mark.parametrize(("loss", "low", "high"), [(0.001, 0.995, 1.001), (0.0, 0, 0.02)])
def test_loss_that_is_allowed_does_not_end_the_search(loss: float, low: float, high: float) -> None:
    """The path loses 0.05 % of all: with none allowed what is found is a rate too low to show that."""
    assert low < searched(SimulatedPath(lossy=0.0005), at(loss=loss)).figures["packets_per_s"] / CAPACITY_PS < high


@pytest.mark.parametrize(("size", "capacity_ps"), [(MIN_PACKET_BYTES, 300_000), (512, 100_000), (1450, CAPACITY_PS)])
def test_packets_have_the_size_asked_for(size: int, capacity_ps: float) -> None:
    path = SimulatedPath(capacity_ps)
    figures = searched(path, at(size=size)).figures
    assert figures["packets_per_s"] == pytest.approx(capacity_ps, rel=WITHIN)
    assert figures["goodput_bps"] == pytest.approx(capacity_ps * (size - 28) * 8, rel=WITHIN)
    assert {option(job, "-l") for clients in path.performed for job in clients} == {str(size - 28)}
    assert (SEARCH.packet_bytes({"size": size}), SEARCH.packet_bytes({"flows": 2})) == (size, None)


@pytest.mark.parametrize(("noted", "within"), [(1.0, WITHIN), (1.5, 0.015)])
def test_what_the_socket_dropped_does_not_end_the_search(noted: float, within: float) -> None:
    """Nor does what it dropped of others', which the kernel counts as well. It is no payload for the proof."""
    figures = searched(path := SimulatedPath(unread=0.02, noted=noted)).figures
    assert figures["packets_per_s"] == pytest.approx(CAPACITY_PS, rel=within)
    assert figures["udp_loss_ratio"] == 0
    jobs = SEARCH.jobs(CELL, conditions(Timing(10, 0)))
    assert SEARCH.parse(CELL, path(jobs).done).payload_forward_bytes == pytest.approx(
        CAPACITY_PS * 0.98 * 1422 * 10, rel=0.001
    )


@pytest.mark.parametrize("flows", [1, 4])
def test_limit_of_the_senders_is_found_and_said(flows: int) -> None:
    """What they did not send counts as lost once it is half a per cent; the path would have carried more."""
    figures = searched(SimulatedPath(80_000, senders_ps=CAPACITY_PS), at(flows=flows)).figures
    assert figures["packets_per_s"] == pytest.approx(CAPACITY_PS, rel=WITHIN)
    assert 0.005 < figures["unsent_ratio"] < 0.015
    assert (figures["unsent_cpu_ratio"], figures["udp_loss_ratio"]) == (BUSY_RATIO, 0)


def test_path_that_carries_the_links_rate_has_no_upper_bound() -> None:
    figures = searched(SimulatedPath(1e6)).figures
    assert figures["packets_per_s"] == pytest.approx(LINK_BPS / 8 / 1422, rel=1e-4)
    assert set(figures) == {*UdpSearch.metrics} - {"unsent_ratio", "unsent_cpu_ratio"}


@pytest.mark.parametrize(
    "path",
    [
        SimulatedPath(capacity_ps=1),
        SimulatedPath(lossy=0.05),
        SimulatedPath(lossy=1.0),
        SimulatedPath(unread=0.05, noted=0.0),
    ],
)
def test_path_that_loses_even_the_lowest_rate(path: SimulatedPath) -> None:
    with pytest.raises(ToolError, match=r"No lower bound|even 9 packets per second lose more than allowed"):
        searched(path)


def test_search_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_search, "SEARCHING_S", 1e-9)
    with pytest.raises(ToolError, match=r"the search for the rate failed: .*takes too long"):
        searched(SimulatedPath())


@pytest.mark.parametrize(("timing", "last_s"), [(Timing(2, 1), 6), (Timing(10, 3), 13), (Timing(5.5, 1.5), 7)])
def test_trials_become_as_long_as_the_plans(timing: Timing, last_s: int) -> None:
    path = SimulatedPath()
    searched(path, timing=timing)
    lengths = [int(option(clients[0], "-t")) for clients in path.performed]
    assert (lengths[0], max(lengths), lengths[-1]) == (2, last_s, last_s)
    assert {option(job, "-O") for clients in path.performed for job in clients} == {"0"}


@pytest.mark.parametrize(
    ("cell", "rate_bps", "each", "shares"),
    [
        pytest.param(at(flows=1), 1_000_000_000, "1000000000/32", [1], id="no more than 32 in a row"),
        pytest.param(at(flows=4), 1_000_000_000, "250000000/21", [1] * 4, id="a millisecond's"),
        pytest.param(at(flows=3), 1_000_000_000, "333333333/29", [1] * 3, id="a share is whole"),
        pytest.param(at(flows=2), 10_000_000, "5000000", [1] * 2, id="less than one in a millisecond"),
        pytest.param(at(flows=2), 1, "1", [1] * 2, id="0 would be no limit"),
        pytest.param(CELL.without("flows"), 10_000_000, "10000000", [1], id="one, where the cell does not say"),
        pytest.param(at(flows=10), 10_000_000, "1000000", [2, 2, *[1] * 6], id="more flows than senders"),
    ],
)
def test_senders_share_flows_and_rate(cell: Cell, rate_bps: int, each: str, shares: list[int]) -> None:
    jobs = udp_search.jobs_of(cell, conditions(Timing(2, 0)), rate_bps)
    numbered = [(number, 5200 + number) for number in range(1, len(shares) + 1)]
    assert [(job.name, job.side, job.ready, job.ends, job.argv[0]) for job in jobs[: len(shares)]] == [
        (f"server {number}", Side.SERVER, Port("tcp", port), True, "timeout") for number, port in numbered
    ]
    clients = jobs[len(shares) :]
    assert [(job.name, job.side, job.ready, job.ends, job.limit_s) for job in clients] == [
        (f"client {number}", Side.CLIENT, None, True, 2 + CLIENT_GRACE_S) for number, _ in numbered
    ]
    assert [tuple(option(job, name) for name in ("-p", "-b", "-P")) for job in clients] == [
        (str(port), each, str(share)) for (_, port), share in zip(numbered, shares, strict=True)
    ]
    assert len(clients) <= UdpSearch.processes


@pytest.mark.parametrize(
    ("link_bps", "shaped", "most_bps"),
    [(LINK_BPS, True, LINK_BPS), (LINK_BPS, False, MOST_BPS), (None, False, MOST_BPS)],
)
def test_one_trial_is_at_the_highest_rate(link_bps: float | None, shaped: bool, most_bps: float) -> None:
    """What TCP reached on a link that is not shaped limits nothing."""
    jobs = SEARCH.jobs(CELL, conditions(Timing(2, 0), link_bps, shaped=shaped))
    assert [option(job, "-b") for job in jobs[2:]] == [f"{int(most_bps / 2)}/32"] * 2
    figures = SEARCH.parse(CELL, SimulatedPath()(jobs).done).figures
    assert figures["packets_per_s"] == pytest.approx(CAPACITY_PS, rel=1e-3)
    assert figures["goodput_bps"] == pytest.approx(CAPACITY_PS * 1422 * 8, rel=1e-3)


def test_search_begins_at_the_highest_rate() -> None:
    path = SimulatedPath()
    SEARCH.run(CELL, conditions(Timing(2, 1), shaped=False), path)
    assert [option(job, "-b") for job in path.performed[0]] == [f"{int(MOST_BPS / 2)}/32"] * 2
