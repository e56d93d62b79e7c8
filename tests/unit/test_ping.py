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
CELL = Cell.of("ping", mtu=1500)
RTTS = ("rtt_min_s", "rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "rtt_max_s")


def parse(text: str, exit_code: int = 0, stderr: str = "") -> Measured:
    return Ping().parse(CELL, {"client": Completed(("ping",), exit_code, text, stderr)})


def output(rtts_ms: dict[int, float], transmitted: int) -> str:
    """Return ping's output with these round-trip times by sequence number."""
    lines = [f"[1.0] 1480 bytes from 172.12.1.12: icmp_seq={seq} ttl=64 time={rtt} ms" for seq, rtt in rtts_ms.items()]
    return "\n".join([*lines, f"{transmitted} packets transmitted, {len(rtts_ms)} received, 0% packet loss, time 9ms"])


def rtts_us(measured: Measured) -> list[float | None]:
    return [round(measured.figures[name] * 1e6, 3) if name in measured.figures else None for name in RTTS]


def lost(measured: Measured) -> tuple[float, float]:
    """Return how many requests counted, and the share of them that was lost."""
    return measured.figures["ping_sent"], measured.figures["ping_lost_ratio"]


def test_percentiles_of_the_captured_replies() -> None:
    """Of 11 replies the first does not count; sorted the others are 52 57 57 60 62 70 71 75 78 79 microseconds."""
    measured = parse(REPLIES)
    assert rtts_us(measured) == [52, 62, 78, 79, 79]
    assert set(measured.figures) == set(Ping.metrics)
    assert lost(measured) == (10, 0.0)


def test_first_reply_is_dropped() -> None:
    assert "icmp_seq=1 ttl=64 time=0.136 ms" in REPLIES
    assert parse(REPLIES).figures["rtt_max_s"] == pytest.approx(79e-6)


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
    """Replies of 1, 2, 3 … milliseconds, the longest first, behind one that does not count."""
    rtts = {1: 9999.0} | {seq: float(count + 2 - seq) for seq in range(2, count + 2)}
    assert rtts_us(parse(output(rtts, count + 1))) == [ms * 1000 for ms in expected]


def test_duplicates_are_not_replies() -> None:
    """Neither an RTT of their own nor a reason to count less loss: 3 and 4 were lost, 2 came twice."""
    text = (
        "[1.0] 64 bytes from 172.12.1.12: icmp_seq=1 ttl=64 time=0.5 ms\n"
        "[1.1] 64 bytes from 172.12.1.12: icmp_seq=2 ttl=64 time=0.1 ms\n"
        "[1.2] 64 bytes from 172.12.1.12: icmp_seq=2 ttl=64 time=0.9 ms (DUP!)\n"
        "[1.2] 64 bytes from 172.12.1.12: icmp_seq=5 ttl=64 time=0.2 ms\n"
        "\n5 packets transmitted, 3 received, +1 duplicates, 40% packet loss, time 412ms\n"
    )
    measured = parse(text)
    assert rtts_us(measured) == [100, 100, 200, 200, 200]
    assert lost(measured) == (4, 0.5)


def test_all_lost() -> None:
    measured = parse(LOST, 1)
    assert lost(measured) == (3, 1.0)
    assert rtts_us(measured) == [None] * 5
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (0, 0)
    assert measured.is_silent
    assert set(measured.figures) == {"ping_sent", "ping_lost_ratio"}


def test_loss_of_the_first_does_not_count() -> None:
    measured = parse(output({2: 0.1, 3: 0.1, 5: 0.1}, 5))
    assert lost(measured) == (4, 0.25)


def test_errors_of_routers_are_not_replies() -> None:
    text = (
        "From 10.1.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1450)\n"
        "ping: local error: message too long, mtu=1450\n"
        "\n--- 10.2.0.2 ping statistics ---\n"
        "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 201ms\n"
    )
    assert parse(text, 1).figures["ping_lost_ratio"] == 1.0


def test_payload_is_what_was_echoed() -> None:
    measured = parse(REPLIES)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (14_720, 14_720)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0)


def test_sequence_numbers_start_again_after_65535() -> None:
    """iputils prints 16 bits: 65535, then 0, 1, 2. These are replies of their own, not duplicates."""
    count = 65_600
    lines = [
        f"[1.0] 24 bytes from 127.0.0.1: icmp_seq={seq % 65536} ttl=64 time=0.005 ms" for seq in range(1, count + 1)
    ]
    measured = parse(
        "\n".join([*lines, f"\n{count} packets transmitted, {count} received, 0% packet loss, time 796ms"])
    )
    assert lost(measured) == (count - 1, 0.0)


def test_late_reply_of_the_turn_before_is_its_own() -> None:
    """65535 overtaken by 0 and 1, which are the requests 65536 and 65537."""
    order = [*range(1, 65_535), 65_536, 65_537, 65_535, 65_538]
    lines = [f"[1.0] 24 bytes from 127.0.0.1: icmp_seq={seq % 65536} ttl=64 time=0.005 ms" for seq in order]
    measured = parse("\n".join([*lines, f"\n{len(order)} packets transmitted, {len(order)} received, time 796ms"]))
    assert lost(measured) == (len(order) - 1, 0.0)


@pytest.mark.parametrize(
    ("text", "exit_code", "words"),
    [
        ("", 2, r"ping exited with 2 and no summary: ''"),
        ("ping: connect: Network is unreachable\n", 2, "no summary: 'ping: connect: Network is unreachable'"),
        (REPLIES[: REPLIES.index("11 packets")], 0, "no summary"),
        (output({1: 0.1}, 1), 0, "fewer than two requests"),
        (output({}, 0), 1, "fewer than two requests"),
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
        (1500, 2, "ping -n -D -c 101 -i 0.02 -W 1 -M dont -s 1472 172.17.0.3"),
        (1450, 10, "ping -n -D -c 501 -i 0.02 -W 1 -M dont -s 1422 172.17.0.3"),
        (576, 1, "ping -n -D -c 51 -i 0.02 -W 1 -M dont -s 548 172.17.0.3"),
    ],
)
def test_client_argv_fills_the_mtu_and_sends_one_more_than_counts(mtu: int, duration_s: int, expected: str) -> None:
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
