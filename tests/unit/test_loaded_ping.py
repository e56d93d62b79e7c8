"""Ping under load: both programs are started in time, and both are in the figures (tests/golden)."""

import json
from itertools import count
from pathlib import Path

import pytest

from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.iperf3 import Iperf3
from harness.measures.loaded_ping import LoadedPing
from harness.measures.ping import Ping
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Port, Ramp, Side
from harness.model.trial import Cell, Measured, Timing
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
REPLIES, LOST, CLIENT, SERVER, REFUSED = (
    (GOLDEN / name).read_text(encoding="utf-8")
    for name in (
        *("ping-20221126.txt", "ping-20221126-lost.txt"),
        *("iperf3-3.12-tcp.client.json", "iperf3-3.12-tcp.server.json", "iperf3-3.12-refused.client.json"),
    )
)
LOADED = LoadedPing()
CELL = Cell.of("loaded-ping", mtu=1500, flows=4)
LOADED_BYTES = 114_425_856 + 117_178_368 + 103_740_024


def parse(replies: str = REPLIES, client: str = CLIENT, server: str = SERVER) -> Measured:
    printed = {"client": replies, "load": client, "server": server}
    return LOADED.parse(CELL, {name: Completed((name,), 0, text, "") for name, text in printed.items()})


def test_both_are_in_the_figures() -> None:
    """Of the 47 round trips that count 40 µs is the 24th; the load moved 221 MB in 2.01 s."""
    measured = parse()
    assert set(measured.figures) == set(LoadedPing.metrics)
    assert [measured.figures[f"rtt_{name}_s"] for name in ("min", "p50", "p90", "p99", "max")] == pytest.approx(
        [25e-6, 40e-6, 54e-6, 101e-6, 101e-6]
    )
    assert (measured.figures["ping_sent"], measured.figures["ping_lost_ratio"]) == (47, 0)
    assert measured.figures["goodput_bps"] == pytest.approx((117_178_368 + 103_740_024) * 8 / 2.012306)
    assert measured.figures["retransmits"] == 88
    assert [part.omitted for part in measured.series] == [True, False, False]


def test_payload_is_the_loads_there_and_the_echoes_back() -> None:
    measured = parse()
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (LOADED_BYTES, 47 * 1472)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (LOADED_BYTES, 0)


def test_no_reply_at_all_is_silence_whatever_the_load_moved() -> None:
    measured = parse(replies=LOST)
    assert measured.is_silent
    assert (measured.figures["ping_lost_ratio"], measured.tcp_forward_bytes) == (1.0, LOADED_BYTES)
    assert LoadedPing.silence == "no reply at all"


def stalled(number: int) -> str:
    """Return the server's report with one of its three intervals at nothing; the first is an omitted one."""
    report = json.loads(SERVER)
    report["intervals"][number]["sum"] |= {"bytes": 0, "bits_per_second": 0}
    return json.dumps(report)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ({"server": stalled(1)}, "the load stalled: a second of it moved nothing"),
        ({"server": stalled(2)}, "the load stalled: a second of it moved nothing"),
        ({"client": REFUSED}, "iperf3 client .*: unable to connect to server: Connection refused"),
        ({"server": ""}, "iperf3 server ended without results"),
        ({"replies": "ping: connect: Network is unreachable\n"}, "no summary: 'ping: connect: Network is unreachable'"),
    ],
)
def test_what_is_no_result(printed: dict[str, str], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        parse(**printed)


def test_stall_in_the_omitted_second_does_not_count() -> None:
    assert parse(server=stalled(0)).figures == parse().figures


def jobs(timing: Timing) -> tuple[Job, ...]:
    given = Conditions(timing, path_to("172.17.0.3"), count(5207).__next__, "cubic", 1e9, shaped=True, versions={})
    return tuple(LOADED.jobs(CELL, given))


def test_load_is_up_to_speed_before_the_first_echo() -> None:
    made = jobs(Timing(10, 3))
    assert [(job.name, job.side, job.ready, job.ends, job.live) for job in made] == [
        ("server", Side.SERVER, Port("tcp", 5207), True, False),
        ("load", Side.CLIENT, Ramp(3), True, False),
        ("client", Side.CLIENT, None, True, True),
    ]
    load = "iperf3 -c 172.17.0.3 -p 5207 -J -t 11 -O 3 -P 4 --connect-timeout 5000 -C cubic -M 1460"
    echo = "ping -n -D -w 10 -i 0.02 -l 2 -M dont -s 1472 172.17.0.3"
    assert [job.argv for job in made[1:]] == [tuple(load.split()), tuple(echo.split())]
    assert made[0].argv[0] == "timeout"


@pytest.mark.parametrize("duration_s", [1, 2, 5, 10, 30, 60, 600])
@pytest.mark.parametrize("omit_s", [0, 1, 3, 10])
def test_load_outlasts_the_echoes(duration_s: int, omit_s: int) -> None:
    """By most of a second; and the server's time limit outlasts the load."""
    timing = Timing(duration_s, omit_s)
    server, load, client = jobs(timing)
    loading_s = sum(int(load.argv[load.argv.index(name) + 1]) for name in ("-t", "-O"))
    assert load.ready == Ramp(max(omit_s, 1)), "TCP's slow start is over by then"
    echoing_s = int(client.argv[client.argv.index("-w") + 1])
    assert max(omit_s, 1) + echoing_s + 0.5 < loading_s
    assert (loading_s, load.limit_s) == (LOADED.seconds(CELL, timing), loading_s + CLIENT_GRACE_S)
    assert int(server.argv[3]) > load.limit_s


def test_round_trip_of_each_reply_is_shown() -> None:
    assert [LOADED.live_figure(line) for line in REPLIES.splitlines()[:2]] == [None, "238 µs"]
    assert (LoadedPing.idle, {*LoadedPing.programs}) == (Ping.name, {*Ping.programs, *Iperf3.programs})
