"""sockperf: figures from its log of every round trip, as sockperf really printed it (tests/golden)."""

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

GOLDEN = Path(__file__).parents[1] / "golden"
TCP, UDP, TCP_REFUSED, UDP_REFUSED = (
    (GOLDEN / f"sockperf-3.7-{name}.txt").read_text(encoding="utf-8")
    for name in ("tcp", "udp", "tcp-refused", "udp-refused")
)
SOCKPERF = Sockperf()
RTTS = ("rtt_min_s", "rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "rtt_p999_s", "rtt_max_s")


def at(protocol: str, size: int | None = None) -> Cell:
    cell = Cell.of("sockperf", protocol=protocol, mtu=1450)
    return cell if size is None else cell.at((("size", size),))


def parse(text: str, cell: Cell | None = None, stderr: str = "") -> Measured:
    return SOCKPERF.parse(cell or at("tcp"), {"client": Completed(("sockperf",), 0, text, stderr)})


def output(rtts_us: list[int], seconds: float = 1.0) -> str:
    """Return sockperf's output with these round trips, one sent each second."""
    heading = (
        f"[Valid Duration] RunTime={seconds:.3f} sec; SentMessages={len(rtts_us)}; ReceivedMessages={len(rtts_us)}"
    )
    lines = [f"{n}, {n}.000000000, {n}.{us:06d}000, {us}.000" for n, us in enumerate(rtts_us, 1)]
    return "\n".join([heading, "packet, txTime(sec), rxTime(sec), rtt(usec)", *lines])


def rtts_us(measured: Measured) -> list[float]:
    return [round(measured.figures[name] * 1e6, 3) for name in RTTS]


@pytest.mark.parametrize(
    ("text", "cell", "number", "seconds", "expected_us", "message"),
    [
        (TCP, at("tcp"), 110, 0.545, [74.811, 108.213, 138.820, 168.556, 181.761, 181.761], 64),
        (UDP, at("udp", 512), 109, 0.540, [49.211, 77.124, 146.703, 272.680, 332.321, 332.321], 484),
    ],
    ids=["tcp", "udp"],
)
def test_figures_of_the_captured_log(
    text: str, cell: Cell, number: int, seconds: float, expected_us: list[float], message: int
) -> None:
    measured = parse(text, cell)
    assert set(measured.figures) == set(Sockperf.metrics)
    assert rtts_us(measured) == expected_us
    assert measured.figures["transactions_per_s"] == pytest.approx(number / seconds)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (number * message, number * message)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0), "segments that it does not limit"
    assert f"RunTime={seconds:.3f} sec; SentMessages={number}; ReceivedMessages={number}\n" in text


@pytest.mark.parametrize(
    ("number", "expected_us"),
    [
        (1, [1, 1, 1, 1, 1, 1]),
        (2, [1, 1, 2, 2, 2, 2]),
        (10, [1, 5, 9, 10, 10, 10]),
        (11, [1, 6, 10, 11, 11, 11]),
        (1000, [1, 500, 900, 990, 999, 1000]),
        (1001, [1, 501, 901, 991, 1000, 1001]),
    ],
)
def test_percentiles_are_by_nearest_rank(number: int, expected_us: list[int]) -> None:
    """Round trips of 1, 2, 3 … microseconds, the longest first, in half a second."""
    measured = parse(output([*range(number, 0, -1)], 0.5))
    assert rtts_us(measured) == expected_us
    assert measured.figures["transactions_per_s"] == number * 2


@pytest.mark.parametrize(
    ("text", "stderr", "words"),
    [
        (TCP_REFUSED, "", r"sockperf measured nothing: .ERROR: Can`t connect socket \(errno=111 Connection refused\)"),
        (UDP_REFUSED, "", "measured nothing: 'No messages were received from the server. Is the server down?'"),
        ("", "", "sockperf measured nothing: ''"),
        ("", "sockperf: command not found\n", "measured nothing: 'sockperf: command not found'"),
        (output([]), "", r"measured nothing: '.*ReceivedMessages=0"),
        (TCP.replace("[Valid Duration]", "[Total Run]"), "", "measured nothing: "),
    ],
)
def test_what_is_no_result(text: str, stderr: str, words: str) -> None:
    """sockperf exits with 0 all the same."""
    with pytest.raises(ToolError, match=words):
        parse(text, stderr=stderr)


@pytest.mark.parametrize("text", [TCP, UDP, output([9, 7, 7, 8])], ids=["tcp", "udp", "made"])
def test_record_keeps_a_histogram_with_the_same_percentiles(text: str) -> None:
    kept = SOCKPERF.kept("client", text)
    before, _, histogram = kept.partition("\nrtt_ns count\n")
    counts = Counter({int(rtt): int(times) for rtt, times in map(str.split, histogram.splitlines())})
    figures = parse(text).figures
    percentiles = stats.percentiles([rtt / 1e9 for rtt in counts.elements()], (50, 90, 99, 99.9))
    assert percentiles == pytest.approx([figures[name] for name in RTTS[1:-1]])
    assert [min(counts) / 1e9, max(counts) / 1e9] == pytest.approx([figures["rtt_min_s"], figures["rtt_max_s"]])
    valid = next(line for line in text.splitlines() if "[Valid Duration]" in line)
    assert valid in before.splitlines()
    assert f"ReceivedMessages={counts.total()}" in valid
    assert len(before) < len(text) / 2


def test_record_keeps_all_that_others_print() -> None:
    assert SOCKPERF.kept("server", TCP) == TCP
    assert TCP_REFUSED.strip() in SOCKPERF.kept("client", TCP_REFUSED)


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
        Timing(10, 3), "172.17.0.3", count(5207).__next__, "cubic", 1e9, shaped=True, versions={"sockperf": "3.7"}
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


def test_packets_are_small_where_nothing_is_asked_for() -> None:
    assert SOCKPERF.packet_bytes({"protocol": "tcp"}) == 64 + 20 + 20 + 12
    assert SOCKPERF.packet_bytes({"protocol": "udp", "size": 1400}) == 1400
    assert SOCKPERF.seconds(at("tcp"), Timing(10, 3)) == 10
