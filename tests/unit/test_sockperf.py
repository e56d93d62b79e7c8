"""sockperf: figures from its log of every round trip, as sockperf 3.7 really printed it (tests/golden)."""

from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.sockperf import Sockperf
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Port, Side
from harness.model.trial import Cell, Measured, Timing
from harness.truth import stats
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
TCP, UDP, TCP_REFUSED, UDP_REFUSED = (
    (GOLDEN / f"sockperf-3.7-{name}.txt").read_text(encoding="utf-8")
    for name in ("tcp", "udp", "tcp-refused", "udp-refused")
)
SOCKPERF = Sockperf()
RTTS = ("rtt_min_s", "rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "rtt_p999_s", "rtt_max_s")


def at(protocol: str, size: int | None = None) -> Cell:
    return Cell.of("sockperf", protocol=protocol, mtu=1450, **({} if size is None else {"size": size}))


def parse(text: str, cell: Cell | None = None, stderr: str = "") -> Measured:
    return SOCKPERF.parse(cell or at("tcp"), {"client": Completed(("sockperf",), 0, text, stderr)})


def output(longest_us: int, seconds: str) -> str:
    """Return sockperf's output with round trips of 1, 2, 3 … microseconds, the longest first."""
    valid = f"[Valid Duration] RunTime={seconds} sec; SentMessages={longest_us}; ReceivedMessages={longest_us}"
    log = [f"{n}, {n}.000000000, {n}.{longest_us - n:06d}000, {longest_us - n}.000" for n in range(longest_us)]
    return "\n".join([valid, "packet, txTime(sec), rxTime(sec), rtt(usec)", *log])


def rtts_us(measured: Measured) -> list[float]:
    return [round(measured.figures[name] * 1e6, 3) for name in RTTS]


@pytest.mark.parametrize(
    ("text", "cell", "number", "seconds", "expected_us", "message"),
    [
        (TCP, at("tcp"), 110, 0.545, [74.811, 108.213, 138.820, 168.556, 181.761, 181.761], 64),
        (UDP, at("udp", 512), 109, 0.540, [49.211, 77.124, 146.703, 272.680, 332.321, 332.321], 484),
        (output(1, "0.5"), at("tcp"), 1, 0.5, [1, 1, 1, 1, 1, 1], 64),
        (output(11, "2.000"), at("tcp"), 11, 2, [1, 6, 10, 11, 11, 11], 64),
        (output(1000, "10"), at("tcp"), 1000, 10, [1, 500, 900, 990, 999, 1000], 64),
        (output(1001, "10"), at("tcp"), 1001, 10, [1, 501, 901, 991, 1000, 1001], 64),
    ],
    ids=["tcp", "udp", "1", "11", "1000", "1001"],
)
def test_figures_and_what_the_record_keeps_of_them(
    text: str, cell: Cell, number: int, seconds: float, expected_us: list[float], message: int
) -> None:
    """Percentiles are by nearest rank over received less sent; the record has them as a histogram."""
    measured = parse(text, cell)
    assert set(measured.figures) == set(Sockperf.metrics)
    assert rtts_us(measured) == expected_us
    assert measured.figures["transactions_per_s"] == pytest.approx(number / seconds)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (number * message, number * message)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0), "segments that it does not limit"

    before, _, histogram = SOCKPERF.kept("client", text).partition("\nrtt_ns count\n")
    counts = Counter({int(rtt): int(times) for rtt, times in map(str.split, histogram.splitlines())})
    percentiles = stats.percentiles([*counts.elements()], (50, 90, 99, 99.9))
    assert [min(counts), *percentiles, max(counts)] == [round(rtt * 1000) for rtt in expected_us]
    assert (counts.total(), "\n1, " in before) == (number, False)
    assert next(line for line in text.splitlines() if "[Valid Duration]" in line) in before
    assert SOCKPERF.kept("server", text) == text


@pytest.mark.parametrize(
    ("text", "stderr", "words"),
    [
        (TCP_REFUSED, "", r".ERROR: Can`t connect socket \(errno=111 Connection refused\)"),
        (UDP_REFUSED, "", r"'No messages were received from the server. Is the server down\?'"),
        ("", "", "''"),
        ("", "sockperf: command not found\n", "'sockperf: command not found'"),
        (output(0, "0.5"), "", "'.*ReceivedMessages=0"),
        (TCP.replace("[Valid Duration]", "[Total Run]"), "", "'"),
    ],
)
def test_what_is_no_result(text: str, stderr: str, words: str) -> None:
    """sockperf exits with 0 all the same."""
    with pytest.raises(ToolError, match=f"sockperf measured nothing: {words}"):
        parse(text, stderr=stderr)


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (at("tcp"), ["--tcp"], 64),
        (at("tcp", 64), ["--tcp"], 14),  # 12 are left, and sockperf's own header takes 14
        (at("tcp", 1450), ["--tcp"], 1398),
        (at("udp"), [], 64),
        (at("udp", 64), [], 36),
        (at("udp", 1450), [], 1422),
    ],
)
def test_jobs(cell: Cell, options: list[str], message: int) -> None:
    given = Conditions(
        Timing(10, 3), path_to("172.17.0.3"), count(5207).__next__, "cubic", None, shaped=False, versions={}
    )
    server, client = SOCKPERF.jobs(cell, given)
    common = ["-i", "172.17.0.3", "-p", "5207", *options]
    assert (server.name, server.side, server.ends) == ("server", Side.SERVER, False)
    assert server.ready == Port(str(cell.get("protocol")), 5207)
    assert [*server.argv[:3], *server.argv[4:]] == ["timeout", "-k", "5", "sockperf", "server", *common]
    assert int(server.argv[3]) > client.limit_s == 10 + CLIENT_GRACE_S
    assert (client.name, client.side, client.ready, client.ends) == ("client", Side.CLIENT, None, True)
    log = "--full-rtt --full-log /dev/stdout".split()
    assert list(client.argv) == ["sockperf", "ping-pong", *common, "-t", "10", "-m", str(message), *log]
    assert SOCKPERF.seconds(cell, given.timing) == 10


def test_packets_are_small_where_nothing_is_asked_for() -> None:
    """64 bytes behind the headers of IP and TCP with its timestamps."""
    assert SOCKPERF.packet_bytes({"protocol": "tcp"}) == 64 + 20 + 20 + 12
    assert SOCKPERF.packet_bytes({"protocol": "udp", "size": 1400}) == 1400
