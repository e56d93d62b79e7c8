"""ping: figures from every reply, read from what iputils really printed (tests/golden)."""

from pathlib import Path

import pytest

from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.ping import Ping
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Side
from harness.model.trial import Cell, Measured, Timing
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
REPLIES = (GOLDEN / "ping-20221126.txt").read_text(encoding="utf-8")
LOST = (GOLDEN / "ping-20221126-lost.txt").read_text(encoding="utf-8")
ERROR = (GOLDEN / "ping-20221126-error.txt").read_text(encoding="utf-8")
CELL = Cell.of("ping", mtu=1500)
RTTS = ("rtt_min_s", "rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "rtt_max_s")


def parse(text: str, exit_code: int = 0, stderr: str = "") -> Measured:
    return Ping().parse(CELL, {"client": Completed(("ping",), exit_code, text, stderr)})


def output(rtts_ms: dict[int, float], transmitted: int) -> str:
    """Return ping's output with these round-trip times by sequence number."""
    lines = [f"[1.0] 1480 bytes from 172.12.1.12: icmp_seq={seq} ttl=64 time={rtt} ms" for seq, rtt in rtts_ms.items()]
    took_ms = 20 * max(transmitted - 2, 0)
    summary = f"{transmitted} packets transmitted, {len(rtts_ms)} received, 0% packet loss, time {took_ms}ms"
    return "\n".join([*lines, summary])


def rtts_us(measured: Measured) -> list[float | None]:
    return [round(measured.figures[name] * 1e6, 3) if name in measured.figures else None for name in RTTS]


def lost(measured: Measured) -> tuple[float, float]:
    """Return how many requests counted, and the share of them that was lost."""
    return measured.figures["ping_sent"], measured.figures["ping_lost_ratio"]


def test_percentiles_of_the_captured_replies() -> None:
    """Of 50 replies the first two and the last do not count; of the others, sorted, 40 us is the 24th, 54 the 43rd."""
    measured = parse(REPLIES)
    assert rtts_us(measured) == [25, 40, 54, 101, 101]
    assert set(measured.figures) == set(Ping.metrics)
    assert lost(measured) == (47, 0.0)


def test_first_replies_are_dropped() -> None:
    """The second is sent with the first, so it waits for ARP as well, or comes back in no time behind it."""
    assert "icmp_seq=1 ttl=64 time=0.238 ms" in REPLIES
    assert "icmp_seq=2 ttl=64 time=0.010 ms" in REPLIES
    figures = parse(REPLIES).figures
    assert (figures["rtt_min_s"], figures["rtt_max_s"]) == pytest.approx((25e-6, 101e-6))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [1, 1, 1, 1, 1]),
        (2, [1, 1, 2, 2, 2]),
        (3, [1, 2, 3, 3, 3]),
        (10, [1, 5, 9, 10, 10]),
        (11, [1, 6, 10, 11, 11]),
        (100, [1, 50, 90, 99, 100]),
        (101, [1, 51, 91, 100, 101]),
        (500, [1, 250, 450, 495, 500]),
    ],
)
def test_percentiles_are_by_nearest_rank(count: int, expected: list[int]) -> None:
    """Replies of 1, 2, 3 … microseconds, the longest first, between those that do not count."""
    rtts = {1: 9.0, 2: 9.0} | {seq: (count + 3 - seq) / 1000 for seq in range(3, count + 3)}
    assert rtts_us(parse(output(rtts, count + 3))) == expected


def test_duplicates_are_not_replies() -> None:
    """Neither an RTT of their own nor a reason to count less loss: 4 and 5 were lost, 3 came twice."""
    text = (
        "[1.0] 64 bytes from 172.12.1.12: icmp_seq=1 ttl=64 time=0.5 ms\n"
        "[1.0] 64 bytes from 172.12.1.12: icmp_seq=2 ttl=64 time=0.5 ms\n"
        "[1.1] 64 bytes from 172.12.1.12: icmp_seq=3 ttl=64 time=0.1 ms\n"
        "[1.2] 64 bytes from 172.12.1.12: icmp_seq=3 ttl=64 time=0.9 ms (DUP!)\n"
        "[1.2] 64 bytes from 172.12.1.12: icmp_seq=6 ttl=64 time=0.2 ms\n"
        "\n7 packets transmitted, 4 received, +1 duplicates, 42.8571% packet loss, time 100ms\n"
    )
    measured = parse(text)
    assert rtts_us(measured) == [100, 100, 200, 200, 200]
    assert lost(measured) == (4, 0.5)


def test_all_lost() -> None:
    measured = parse(LOST, 1)
    assert lost(measured) == (47, 1.0)
    assert rtts_us(measured) == [None] * 5
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (0, 0)
    assert measured.is_silent
    assert set(measured.figures) == {"ping_sent", "ping_lost_ratio"}


def test_loss_of_the_first_does_not_count() -> None:
    measured = parse(output({3: 0.1, 4: 0.1, 6: 0.1}, 7))
    assert lost(measured) == (4, 0.25)


@pytest.mark.parametrize(
    ("rtt_ms", "answered", "sent", "counted"),
    [
        pytest.param(0.1, 99, 100, 97, id="sent when the time was over"),
        pytest.param(0.1, 100, 100, 97, id="the same, and answered"),
        pytest.param(9.9, 99, 100, 97, id="back before the next one"),
        pytest.param(10.1, 99, 100, 96, id="may be on its way when the next one is sent"),
        pytest.param(23.0, 98, 100, 95, id="a full queue of 24 ms"),
        pytest.param(300.0, 85, 100, 67, id="the other side of the world"),
        pytest.param(1900.0, 50, 100, 48, id="not more than half"),
    ],
)
def test_what_was_on_its_way_at_the_end_is_not_lost(rtt_ms: float, answered: int, sent: int, counted: int) -> None:
    """Those sent less than two round trips before the last one do not count, whether they were answered or not."""
    measured = parse(output(dict.fromkeys(range(1, answered + 1), rtt_ms), sent))
    assert lost(measured) == (counted, 0.0)


def test_losses_in_front_of_the_last_ones_count() -> None:
    rtts = dict.fromkeys([*range(1, 90), *range(96, 101)], 0.1)
    assert lost(parse(output(rtts, 100))) == pytest.approx((97, 6 / 97))


def test_how_many_were_sent_is_what_ping_says() -> None:
    """Fewer than asked for where the machine was busy; these gaps are of 40 ms, so 30 ms there and back are in time."""
    lines = output(dict.fromkeys(range(1, 49), 15.0), 50).replace("time 960ms", "time 1920ms")
    assert lost(parse(lines)) == pytest.approx((47, 1 / 47))


def test_errors_of_routers_end_a_ping_and_its_trial() -> None:
    """With a deadline ping ends at the first of them (iputils ping_common.c, main_loop)."""
    with pytest.raises(ToolError, match=r"ended early, by an ICMP error: 'From 172\.12\.1\.11 icmp_seq=1 Destination"):
        parse(ERROR, 1)
    text = "9 packets transmitted, 7 received, +1 duplicates, +1 errors, 22% packet loss, time 160ms"
    with pytest.raises(ToolError, match="ended early"):
        parse(text, 1)


def test_payload_is_what_was_echoed() -> None:
    measured = parse(REPLIES)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (47 * 1472, 47 * 1472)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0)


def test_sequence_numbers_start_again_after_65535() -> None:
    """iputils prints 16 bits: 65535, then 0, 1, 2. These are replies of their own, not duplicates."""
    count = 65_600
    lines = [
        f"[1.0] 24 bytes from 127.0.0.1: icmp_seq={seq % 65536} ttl=64 time=0.005 ms" for seq in range(1, count + 1)
    ]
    measured = parse(
        "\n".join([*lines, f"\n{count} packets transmitted, {count} received, 0% packet loss, time 1312000ms"])
    )
    assert lost(measured) == (count - 3, 0.0)


def test_late_reply_of_the_turn_before_is_its_own() -> None:
    """65535 overtaken by 0 and 1, which are the requests 65536 and 65537."""
    order = [*range(1, 65_535), 65_536, 65_537, 65_535, 65_538]
    lines = [f"[1.0] 24 bytes from 127.0.0.1: icmp_seq={seq % 65536} ttl=64 time=0.005 ms" for seq in order]
    measured = parse("\n".join([*lines, f"\n{len(order)} packets transmitted, {len(order)} received, time 1310000ms"]))
    assert lost(measured) == (len(order) - 3, 0.0)


@pytest.mark.parametrize(
    ("text", "exit_code", "words"),
    [
        ("", 2, r"ping exited with 2 and no summary: ''"),
        ("ping: connect: Network is unreachable\n", 2, "no summary: 'ping: connect: Network is unreachable'"),
        (REPLIES[: REPLIES.index("50 packets")], 0, "no summary"),
        (output({1: 0.1, 2: 0.1, 3: 0.1}, 3), 0, "ping sent 3 requests, and neither the first 2 nor the last count"),
        (output({1: 0.1}, 1), 0, "sent 1 requests"),
        (output({}, 0), 1, "sent 0 requests"),
    ],
)
def test_what_is_no_result(text: str, exit_code: int, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        parse(text, exit_code)


def test_what_ping_said_to_standard_error_only_is_shown() -> None:
    with pytest.raises(ToolError, match=r"exited with 2 and no summary: 'ping: connect: Network is unreachable'"):
        parse("", 2, stderr="ping: connect: Network is unreachable\n")


def no_port() -> int:
    raise AssertionError("ping needs no port")


def jobs(mtu: int, duration_s: float) -> list[Job]:
    given = Conditions(Timing(duration_s, 3), path_to("172.17.0.3"), no_port, "cubic", None, shaped=False, versions={})
    return list(Ping().jobs(Cell.of("ping", mtu=mtu), given))


@pytest.mark.parametrize(
    ("mtu", "duration_s", "expected"),
    [
        (1500, 2, "ping -n -D -w 2 -i 0.02 -l 2 -M dont -s 1472 172.17.0.3"),
        (1450, 10, "ping -n -D -w 10 -i 0.02 -l 2 -M dont -s 1422 172.17.0.3"),
        (576, 1, "ping -n -D -w 1 -i 0.02 -l 2 -M dont -s 548 172.17.0.3"),
    ],
)
def test_client_argv_fills_the_mtu_and_is_bounded_by_the_clock(mtu: int, duration_s: int, expected: str) -> None:
    assert [job.argv for job in jobs(mtu, duration_s)] == [tuple(expected.split())]


def test_there_is_no_server_and_nothing_to_omit() -> None:
    (job,) = jobs(1500, 2)
    assert (job.name, job.side, job.ready, job.ends, job.live) == ("client", Side.CLIENT, None, True, True)
    assert job.limit_s == 2 + CLIENT_GRACE_S
    assert Ping().seconds(CELL, Timing(2, 1)) == 2
    heading, first = REPLIES.splitlines()[:2]
    assert Ping().live_figure(heading) is None
    assert Ping().live_figure(first) == f"{float(first.split('time=')[1].split()[0]) * 1e3:.0f} µs"


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("rtt_p50_s", 57e-6, 1e-6),
        ("rtt_p50_s", 999e-6, 1e-6),
        ("rtt_p99_s", 1.23e-3, 10e-6),
        ("rtt_p99_s", 23.4e-3, 100e-6),
        ("rtt_max_s", 0.234, 1e-3),
        ("ping_sent", 500.0, 0.0),
    ],
)
def test_round_trips_come_in_steps(metric: str, value: float, expected: float) -> None:
    """iputils prints three digits from 1 ms on, and whole microseconds below (ping_common.c, gather_statistics)."""
    assert Ping().step(metric, value) == pytest.approx(expected)
