"""iperf3: figures read from what iperf3 3.12 really printed (tests/golden, the command beside each output).

The expected figures are worked out by hand from the JSON: bytes of the receiver's own intervals that are not omitted,
over the receiver's own seconds.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.measures.base import Conditions
from harness.measures.iperf3 import Iperf3, load
from harness.model.errors import ToolError
from harness.model.trial import Cell, Direction, Measurement, Timing

GOLDEN = Path(__file__).parents[1] / "golden"
IPERF3 = Iperf3()
TCP = Cell("iperf3", "tcp", Direction.FORWARD, 1500, 4)
UDP = Cell("iperf3", "udp", Direction.FORWARD, 1450, 2)


def golden(name: str) -> tuple[str, str]:
    client, server = (GOLDEN / f"iperf3-3.12-{name}.{side}.json" for side in ("client", "server"))
    return client.read_text(encoding="utf-8"), server.read_text(encoding="utf-8")


def parsed(name: str, cell: Cell) -> Measurement:
    return IPERF3.parse(cell, 0, *golden(name))


@pytest.mark.parametrize(
    ("name", "cell", "bps", "forward_bytes", "reverse_bytes", "retransmits"),
    [
        (
            "tcp",
            TCP,
            (117_178_368 + 103_740_024) * 8 / 2.012306,
            114_425_856 + 117_178_368 + 103_740_024,
            0,
            88,
        ),
        (
            "tcp-mss",
            replace(TCP, mtu=1450, flows=1),
            (113_715_710 + 115_295_526) * 8 / 2.004001,
            106_533_084 + 113_715_710 + 115_295_526,
            0,
            49,
        ),
        (
            "tcp-reverse",
            replace(TCP, direction=Direction.REVERSE, flows=1),
            (116_523_008 + 117_702_656) * 8 / 2.000048,
            0,
            116_391_936 + 116_523_008 + 117_702_656,
            0,
        ),
    ],
)
def test_tcp(name: str, cell: Cell, bps: float, forward_bytes: int, reverse_bytes: int, retransmits: int) -> None:
    measured = parsed(name, cell)
    assert measured.goodput_bps == pytest.approx(bps, rel=1e-12)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (forward_bytes, reverse_bytes)
    assert measured.retransmits == retransmits
    assert (measured.udp_loss_ratio, measured.udp_jitter_s, measured.rtt_p50_s) == (None, None, None)


def test_tcp_bidir_adds_both_directions() -> None:
    """Each side received 2.00 s: the server 75 MB, the client 195 MB; each sender counts its own retransmits."""
    measured = parsed("tcp-bidir", replace(TCP, direction=Direction.BIDIR, flows=1))
    assert measured.goodput_bps == pytest.approx((75_069_080 + 194_576_760) * 8 / 2.0, rel=0.01)
    assert measured.payload_forward_bytes == 97_975_944 + 63_403_672 + 11_665_408
    assert measured.payload_reverse_bytes == 33_357_448 + 77_398_392 + 117_178_368
    assert measured.retransmits == 92 + 21


@pytest.mark.parametrize(
    ("name", "cell", "bps", "forward_bytes", "reverse_bytes", "loss", "jitter_s"),
    [
        (
            "udp",
            UDP,
            (72_155_124 + 74_252_574) * 8 / 1.99971,
            71_159_724 + 72_155_124 + 74_252_574,
            0,
            (9_348 + 10_418) / (60_090 + 62_635),
            1.6773778337824979e-05,
        ),
        (
            "udp-reverse",
            replace(UDP, direction=Direction.REVERSE, flows=1),
            (59_864_778 + 65_396_358) * 8 / 1.997744,
            0,
            66_770_010 + 59_864_778 + 65_396_358,
            (14_309 + 14_664) / (56_408 + 60_653),
            3.524290826160187e-05,
        ),
    ],
)
def test_udp(
    name: str, cell: Cell, bps: float, forward_bytes: int, reverse_bytes: int, loss: float, jitter_s: float
) -> None:
    measured = parsed(name, cell)
    assert measured.goodput_bps == pytest.approx(bps, rel=1e-12)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (forward_bytes, reverse_bytes)
    assert measured.udp_loss_ratio == pytest.approx(loss, rel=1e-12)
    assert measured.udp_jitter_s == pytest.approx(jitter_s, rel=1e-12)
    assert measured.retransmits is None


def test_udp_bidir_takes_each_direction_from_who_received_it() -> None:
    measured = parsed("udp-bidir", replace(UDP, direction=Direction.BIDIR, flows=1))
    assert measured.goodput_bps == pytest.approx((49_852_476 + 49_853_898) * 8 / 2.0, rel=0.01)
    assert measured.payload_forward_bytes == 24_960_366 + 24_867_936 + 24_984_540
    assert measured.payload_reverse_bytes == 24_944_724 + 24_848_028 + 25_005_870
    assert measured.udp_loss_ratio == pytest.approx((94 + 6 + 108 + 0) / (17_582 + 17_576 + 17_582 + 17_585), rel=1e-12)
    assert measured.udp_jitter_s == pytest.approx(1.2421613397716186e-05, rel=1e-12)


def test_udp_loss_is_not_the_clients_copy() -> None:
    """The client's copy counts 29974 lost, those of the omitted second among them; 19766 were lost in what counts."""
    end = json.loads(golden("udp")[0])["end"]
    assert end["sum_received"]["lost_packets"] == 10_208 + 9_348 + 10_418
    assert parsed("udp", UDP).udp_loss_ratio == pytest.approx(19_766 / 122_725)


def test_goodput_is_not_what_was_sent() -> None:
    sent = json.loads(golden("udp")[0])["end"]["sum"]["bits_per_second"]
    assert (parsed("udp", UDP).goodput_bps or 0) < 0.85 * sent


def test_refused_connection_exits_with_0_and_is_an_error() -> None:
    refused = (GOLDEN / "iperf3-3.12-refused.client.json").read_text(encoding="utf-8")
    with pytest.raises(
        ToolError, match=r"iperf3 client \(exit code 0\): unable to connect to server: Connection refused"
    ):
        IPERF3.parse(TCP, 0, refused, golden("tcp")[1])


CLIENT, SERVER = golden("tcp")


def without(text: str, *path: str) -> str:
    """Return a report that lacks one thing."""
    report = json.loads(text)
    inner = report
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return json.dumps(report)


@pytest.mark.parametrize(
    ("exit_code", "client", "server", "words"),
    [
        (1, CLIENT, SERVER, "exited with 1"),
        (124, CLIENT, SERVER, "exited with 124"),
        (0, CLIENT[: len(CLIENT) // 2], SERVER, r"iperf3 client .* printed no JSON"),
        (0, CLIENT, SERVER[:-3], "iperf3 server printed no JSON"),
        (0, "", SERVER, "iperf3 client .*without results"),
        (0, CLIENT, "", "iperf3 server ended without results"),
        (0, "iperf3: error - unable to create socket", SERVER, "printed no JSON: 'iperf3: error - unable"),
        (0, "[]", SERVER, "printed no JSON"),
        (0, "null", SERVER, "printed no JSON"),
        (0, without(CLIENT, "end"), SERVER, "client .*without results"),
        (0, CLIENT, without(SERVER, "end"), "server ended without results"),
        (0, CLIENT, without(SERVER, "end", "sum_received"), "sum_received"),
        (0, CLIENT, without(SERVER, "end", "sum_received", "bytes"), "bytes"),
        (0, CLIENT, without(SERVER, "end", "sum_received", "seconds"), "seconds"),
        (0, CLIENT, without(SERVER, "intervals"), "intervals"),
        (0, CLIENT, SERVER.replace('"seconds":\t2.012306', '"seconds":\t0'), "measuring time"),
        (0, CLIENT, json.dumps({"error": "the client has terminated", "end": {}}), "server: the client has terminated"),
    ],
)
def test_what_is_no_result(exit_code: int, client: str, server: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        IPERF3.parse(TCP, exit_code, client, server)


def events(text: str) -> str:
    """Return a report as --json-stream prints it: an event a line."""
    report = json.loads(text)
    stream = [("start", report["start"]), *(("interval", entry) for entry in report["intervals"])]
    return "".join(
        json.dumps({"event": event, "data": body}) + "\n" for event, body in [*stream, ("end", report["end"])]
    )


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("tcp", TCP),
        ("tcp-reverse", replace(TCP, direction=Direction.REVERSE)),
        ("udp-bidir", replace(UDP, direction=Direction.BIDIR)),
    ],
)
def test_streamed_events_make_the_same_report(name: str, cell: Cell) -> None:
    client, server = golden(name)
    assert IPERF3.parse(cell, 0, events(client), server) == parsed(name, cell)


def test_streamed_error_is_an_error() -> None:
    text = json.dumps({"event": "start", "data": {}}) + "\n" + json.dumps({"event": "error", "data": "control socket"})
    with pytest.raises(ToolError, match="client: control socket"):
        load(text, "client")


def test_stream_that_broke_off_has_no_results() -> None:
    lines = events(CLIENT).splitlines()
    with pytest.raises(ToolError, match="client ended without results"):
        load("\n".join(lines[:-1]), "client")
    with pytest.raises(ToolError, match="client printed no JSON"):
        load("\n".join([*lines[:-1], lines[-1][:50]]), "client")


@pytest.mark.parametrize("text", ['{"a": 1}\n{"b": 2}', "1\n2", "[]\n[]", '{"event": "end"}\n{"event": "end"}'])
def test_lines_of_json_that_are_no_events(text: str) -> None:
    with pytest.raises(ToolError, match="client"):
        load(text, "client")


def test_live_rate_is_that_of_each_interval() -> None:
    rates = [IPERF3.live_figure(line) for line in events(CLIENT).splitlines()]
    intervals = json.loads(CLIENT)["intervals"]
    assert rates == [None, *(f"{entry['sum']['bits_per_second'] / 1e6:.0f} Mbit/s" for entry in intervals), None]


@pytest.mark.parametrize("line", ["", "{", '"interval"', '{"event": "interval"}', '{"event": "interval", "data": {}}'])
def test_no_live_rate(line: str) -> None:
    assert IPERF3.live_figure(line) is None


CONDITIONS = Conditions(Timing(10, 3), "172.17.0.3", 5207, "cubic", 1.05e9)


@pytest.mark.parametrize(
    ("cell", "argv"),
    [
        (Cell("iperf3", "tcp", Direction.FORWARD, 1450, 8), "-P 8 --connect-timeout 5000 -C cubic -M 1410"),
        (Cell("iperf3", "tcp", Direction.REVERSE, 1500, 1), "-P 1 --connect-timeout 5000 -C cubic -M 1460 -R"),
        (Cell("iperf3", "tcp", Direction.BIDIR, 9000, 1), "-P 1 --connect-timeout 5000 -C cubic -M 8960 --bidir"),
        (Cell("iperf3", "udp", Direction.FORWARD, 1450, 1), "-P 1 --connect-timeout 5000 -u -l 1422 -b 1050000000"),
        (Cell("iperf3", "udp", Direction.REVERSE, 1500, 4), "-P 4 --connect-timeout 5000 -u -l 1472 -b 262500000 -R"),
    ],
)
def test_client_argv(cell: Cell, argv: str) -> None:
    expected = f"iperf3 -c 172.17.0.3 -p 5207 -J -t 10 -O 3 {argv}"
    assert IPERF3.client_argv(cell, CONDITIONS) == expected.split()


def test_client_streams_where_it_can() -> None:
    argv = IPERF3.client_argv(TCP, replace(CONDITIONS, streaming=True))
    assert "--json-stream" in argv
    assert "-J" not in argv


def test_udp_without_a_rate_goes_as_fast_as_it_can() -> None:
    argv = IPERF3.client_argv(UDP, replace(CONDITIONS, offered_bps=None))
    assert argv[argv.index("-b") + 1] == "0"


def test_server_serves_one_test_and_ends_by_itself() -> None:
    argv = IPERF3.server_argv(CONDITIONS)
    assert argv is not None
    assert argv[:3] == ["timeout", "-k", "5"]
    assert int(argv[3]) > 13
    assert argv[4:] == "iperf3 -s -1 -p 5207 -J".split()


def test_seconds_include_what_is_omitted() -> None:
    assert IPERF3.seconds(Timing(10, 3)) == 13
