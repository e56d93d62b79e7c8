"""Ping under load: both programs are started in time, and both are in the figures (tests/golden)."""

import json
from itertools import count
from pathlib import Path

import pytest

from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.iperf3 import Iperf3
from harness.measures.loaded_ping import LoadedPing
from harness.measures.ping import INTERVAL_S, Ping
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Port, Ramp, Side
from harness.model.trial import Cell, Measured, Timing

GOLDEN = Path(__file__).parents[1] / "golden"
REPLIES, LOST = ((GOLDEN / f"ping-20221126{which}.txt").read_text(encoding="utf-8") for which in ("", "-lost"))
CLIENT, SERVER, REFUSED = (
    (GOLDEN / f"iperf3-3.12-{name}.json").read_text(encoding="utf-8")
    for name in ("tcp.client", "tcp.server", "refused.client")
)
LOADED = LoadedPing()
CELL = Cell.of("loaded-ping", mtu=1500, flows=4)
TICK_S = 0.004
"""By so much more than its spacing ping waits at most: one tick of a kernel with 250 a second."""


def done(replies: str = REPLIES, client: str = CLIENT, server: str = SERVER) -> dict[str, Completed]:
    printed = {"client": replies, "load": client, "server": server}
    return {name: Completed((name,), 0, text, "") for name, text in printed.items()}


def parse(**printed: str) -> Measured:
    return LOADED.parse(CELL, done(**printed))


def test_figures_are_those_of_both() -> None:
    """Of the ten round trips that count 62 µs is the fifth; the load moved 221 MB in 2.01 s."""
    measured = parse()
    echoed = Ping().parse(CELL, done())
    loaded = Iperf3().parse(CELL, {"client": done()["load"], "server": done()["server"]})
    assert set(measured.figures) == set(LoadedPing.metrics)
    assert measured.figures == {**echoed.figures, **loaded.figures}
    assert measured.figures["rtt_p50_s"] == pytest.approx(62e-6)
    assert measured.figures["goodput_bps"] == pytest.approx((117_178_368 + 103_740_024) * 8 / 2.012306)
    assert measured.figures["retransmits"] == 88
    assert measured.series == loaded.series


def test_payload_is_the_loads_there_and_the_echoes_back() -> None:
    measured = parse()
    moved = 114_425_856 + 117_178_368 + 103_740_024
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (moved, 10 * 1472)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (moved, 0)


def test_no_reply_at_all_is_silence_whatever_the_load_moved() -> None:
    measured = parse(replies=LOST)
    assert measured.is_silent
    assert measured.figures["ping_lost_ratio"] == 1.0
    assert measured.figures["goodput_bps"] > 0
    assert measured.tcp_forward_bytes > 0
    assert LoadedPing.silence == Ping.silence


def stalled(number: int) -> str:
    """Return the server's report with one of its three intervals, the first of which is omitted, at nothing."""
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
    given = Conditions(timing, "172.17.0.3", count(5207).__next__, "cubic", 1e9, shaped=True, versions={})
    return tuple(LOADED.jobs(CELL, given))


def test_load_is_up_to_speed_before_the_first_echo() -> None:
    server, load, client = jobs(Timing(10, 3))
    assert (server.name, server.side, server.ready) == ("server", Side.SERVER, Port("tcp", 5207))
    assert (load.name, load.side, load.ready, load.live) == ("load", Side.CLIENT, Ramp(3), False)
    assert (client.name, client.side, client.ready, client.live) == ("client", Side.CLIENT, None, True)
    assert all(job.ends for job in (server, load, client))
    assert load.argv == tuple(
        "iperf3 -c 172.17.0.3 -p 5207 -J -t 14 -O 3 -P 4 --connect-timeout 5000 -C cubic -M 1460".split()
    )
    assert client.argv == tuple("ping -n -D -c 501 -i 0.02 -W 1 -M dont -s 1472 172.17.0.3".split())


@pytest.mark.parametrize("duration_s", [1, 2, 5, 10, 30, 60, 600])
@pytest.mark.parametrize("omit_s", [0, 1, 3, 10])
def test_load_outlasts_the_echoes(duration_s: int, omit_s: int) -> None:
    """Even where each of them is a tick of the kernel late; so does the server's time limit outlast the load."""
    timing = Timing(duration_s, omit_s)
    server, load, client = jobs(timing)
    told = {key: load.argv[load.argv.index(key) + 1] for key in ("-t", "-O")}
    loading_s = int(told["-t"]) + int(told["-O"])
    assert isinstance(load.ready, Ramp)
    assert load.ready.seconds >= max(omit_s, 1), "TCP's slow start is over"
    echoes = int(client.argv[client.argv.index("-c") + 1])
    assert load.ready.seconds + echoes * (INTERVAL_S + TICK_S) < loading_s
    assert loading_s == LOADED.seconds(CELL, timing)
    assert load.limit_s == loading_s + CLIENT_GRACE_S
    assert int(server.argv[3]) > load.limit_s


def test_round_trip_of_each_reply_is_shown() -> None:
    heading, first = REPLIES.splitlines()[:2]
    assert (LOADED.live_figure(heading), LOADED.live_figure(first)) == (None, "136 µs")
    assert (LoadedPing.idle, set(LoadedPing.programs)) == (Ping.name, {*Ping.programs, *Iperf3.programs})
