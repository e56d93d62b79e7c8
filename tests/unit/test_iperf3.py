"""iperf3: figures read from what iperf3 3.12 really printed (tests/golden, the command beside each output).

The expected figures are worked out by hand from the JSON: bytes of the receiver's own intervals that are not omitted,
over the receiver's own seconds.
"""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from harness.measures import factors
from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.iperf3 import MIN_PACKET_BYTES, Iperf3, load, offered_bps
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Port, Side
from harness.model.trial import Cell, Measured, Timing
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
IPERF3 = Iperf3()
TCP = Cell.of("iperf3", protocol="tcp", mtu=1500, flows=4)
UDP = Cell.of("iperf3", protocol="udp", mtu=1450, flows=2)


def at(cell: Cell, **levels: int | str) -> Cell:
    return cell.at(tuple(levels.items()))


def golden(name: str) -> tuple[str, str]:
    client, server = (GOLDEN / f"iperf3-3.12-{name}.{side}.json" for side in ("client", "server"))
    return client.read_text(encoding="utf-8"), server.read_text(encoding="utf-8")


def parse(cell: Cell, exit_code: int, client: str, server: str, stderr: str = "") -> Measured:
    done = {
        "client": Completed(("iperf3",), exit_code, client, stderr),
        "server": Completed(("iperf3",), 0, server, ""),
    }
    return IPERF3.parse(cell, done)


def parsed(name: str, cell: Cell) -> Measured:
    return parse(cell, 0, *golden(name))


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
            at(TCP, mtu=1450, flows=1),
            (113_715_710 + 115_295_526) * 8 / 2.004001,
            106_533_084 + 113_715_710 + 115_295_526,
            0,
            49,
        ),
        (
            "tcp-reverse",
            at(TCP, direction="reverse", flows=1),
            (116_523_008 + 117_702_656) * 8 / 2.000048,
            0,
            116_391_936 + 116_523_008 + 117_702_656,
            0,
        ),
    ],
)
def test_tcp(name: str, cell: Cell, bps: float, forward_bytes: int, reverse_bytes: int, retransmits: int) -> None:
    measured = parsed(name, cell)
    assert measured.figures["goodput_bps"] == pytest.approx(bps, rel=1e-12)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (forward_bytes, reverse_bytes)
    assert measured.figures["retransmits"] == retransmits
    assert set(measured.figures) == {"goodput_bps", "retransmits"}
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (forward_bytes, reverse_bytes)


def test_tcp_bidir_adds_both_directions() -> None:
    """Each side received 2.00 s: the server 75 MB, the client 195 MB; each sender counts its own retransmits."""
    measured = parsed("tcp-bidir", at(TCP, direction="bidir", flows=1))
    assert measured.figures["goodput_bps"] == pytest.approx((75_069_080 + 194_576_760) * 8 / 2.0, rel=0.01)
    assert measured.payload_forward_bytes == 97_975_944 + 63_403_672 + 11_665_408
    assert measured.payload_reverse_bytes == 33_357_448 + 77_398_392 + 117_178_368
    assert measured.figures["retransmits"] == 92 + 21


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
            at(UDP, direction="reverse", flows=1),
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
    assert measured.figures["goodput_bps"] == pytest.approx(bps, rel=1e-12)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (forward_bytes, reverse_bytes)
    assert measured.figures["udp_loss_ratio"] == pytest.approx(loss, rel=1e-12)
    assert measured.figures["udp_jitter_s"] == pytest.approx(jitter_s, rel=1e-12)
    assert set(measured.figures) == {*Iperf3.metrics} - {"retransmits", "forward_goodput_bps", "reverse_goodput_bps"}
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0)


def test_udp_bidir_takes_each_direction_from_who_received_it() -> None:
    measured = parsed("udp-bidir", at(UDP, direction="bidir", flows=1))
    assert measured.figures["goodput_bps"] == pytest.approx((49_852_476 + 49_853_898) * 8 / 2.0, rel=0.01)
    assert measured.payload_forward_bytes == 24_960_366 + 24_867_936 + 24_984_540
    assert measured.payload_reverse_bytes == 24_944_724 + 24_848_028 + 25_005_870
    assert measured.figures["udp_loss_ratio"] == pytest.approx(
        (94 + 6 + 108 + 0) / (17_582 + 17_576 + 17_582 + 17_585), rel=1e-12
    )
    assert measured.figures["udp_jitter_s"] == pytest.approx(1.2421613397716186e-05, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "cell", "packets_per_s", "offered_bps"),
    [
        ("udp", UDP, (60_090 - 9_348 + 62_635 - 10_418) / 1.99971, 174_155_184 * 8 / 2.000653),
        (
            "udp-reverse",
            at(UDP, direction="reverse"),
            (56_408 - 14_309 + 60_653 - 14_664) / 1.997744,
            166_189_140 * 8 / 2.000253,
        ),
    ],
)
def test_packets_that_arrived_and_what_was_offered(
    name: str, cell: Cell, packets_per_s: float, offered_bps: float
) -> None:
    """Packets are the receiver's, less those that it missed; offered is what the sender says that it sent."""
    figures = parsed(name, cell).figures
    assert figures["packets_per_s"] == pytest.approx(packets_per_s, rel=1e-9)
    assert figures["offered_bps"] == pytest.approx(offered_bps, rel=1e-6)
    assert figures["packets_per_s"] * 1422 * 8 == pytest.approx(figures["goodput_bps"], rel=1e-3)


def test_packets_and_offer_of_both_directions_add_up() -> None:
    figures = parsed("udp-bidir", at(UDP, direction="bidir")).figures
    arrived = (17_582 - 94 + 17_576 - 6) / 2.003573 + (17_582 - 108 + 17_585 - 0) / 2.000169
    assert figures["packets_per_s"] == pytest.approx(arrived, rel=1e-5)
    assert figures["offered_bps"] == pytest.approx(49_996_098 * 8 / 2.00012 + 50_023_116 * 8 / 2.003573, rel=1e-6)


def rows(measured: Measured) -> list[tuple[object, ...]]:
    return [
        (part.start_s, part.end_s, part.omitted, round(part.goodput_bps), part.retransmits) for part in measured.series
    ]


def test_series_is_the_receivers_with_the_senders_retransmits() -> None:
    """iperf3 starts its clock anew when the omitted second is over; here that one lies before 0."""
    assert rows(parsed("tcp", TCP)) == [
        (-1.001, 0.0, True, 914_392_783, 39),
        (0.0, 1.0, False, 937_334_201, 1),
        (1.0, 2.012, False, 819_925_315, 87),
    ]
    assert rows(parsed("tcp-reverse", at(TCP, direction="reverse"))) == [
        (-1.001, 0.0, True, 930_234_043, 0),
        (0.0, 1.0, False, 932_169_173, 0),
        (1.0, 2.0, False, 941_557_270, 0),
    ]


def test_series_of_both_directions_together() -> None:
    tcp = rows(parsed("tcp-bidir", at(TCP, direction="bidir")))
    assert [row[3:] for row in tcp] == [
        (round(783_682_926.67 + 264_019_783.05), 13 + 0),
        (round(499_102_999.73 + 619_003_322.75), 92 + 21),
        (round(94_741_734.55 + 947_563_032.56), 0),
    ]
    udp = rows(parsed("udp-bidir", at(UDP, direction="bidir")))
    assert [row[3:] for row in udp] == [
        (round(199_622_840.83 + 199_551_202.63), None),
        (round(198_888_387.49 + 198_747_263.67), None),
        (round(199_213_534.17 + 200_050_358.32), None),
    ]


def test_series_without_a_senders_intervals_has_no_retransmits() -> None:
    report = json.loads(CLIENT)
    report["intervals"] = []
    assert [part.retransmits for part in parse(TCP, 0, json.dumps(report), SERVER).series] == [None] * 3


def test_udp_loss_is_not_the_clients_copy() -> None:
    """The client's copy counts 29974 lost, those of the omitted second among them; 19766 were lost in what counts."""
    end = json.loads(golden("udp")[0])["end"]
    assert end["sum_received"]["lost_packets"] == 10_208 + 9_348 + 10_418
    assert parsed("udp", UDP).figures["udp_loss_ratio"] == pytest.approx(19_766 / 122_725)


def test_goodput_is_not_what_was_sent() -> None:
    sent = json.loads(golden("udp")[0])["end"]["sum"]["bits_per_second"]
    assert parsed("udp", UDP).figures["goodput_bps"] < 0.85 * sent


def test_refused_connection_exits_with_0_and_is_an_error() -> None:
    refused = (GOLDEN / "iperf3-3.12-refused.client.json").read_text(encoding="utf-8")
    with pytest.raises(
        ToolError, match=r"iperf3 client \(exit code 0\): unable to connect to server: Connection refused"
    ):
        parse(TCP, 0, refused, golden("tcp")[1])


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
        parse(TCP, exit_code, client, server)


def test_client_that_said_something_to_standard_error_only() -> None:
    with pytest.raises(ToolError, match=r"client \(exit code 1\) printed no JSON: 'iperf3: unable to create socket'"):
        parse(TCP, 1, "", SERVER, stderr="iperf3: unable to create socket\n")


@pytest.mark.parametrize("path", [("end", "sum_sent", "retransmits"), ("end", "sum_sent")], ids="/".join)
def test_retransmits_that_a_sender_does_not_count_are_no_figure(path: tuple[str, ...]) -> None:
    measured = parse(TCP, 0, without(CLIENT, *path), SERVER)
    assert set(measured.figures) == {"goodput_bps"}


def test_udp_of_which_no_packet_came_has_no_ratio() -> None:
    client, server = golden("udp")
    report = json.loads(server)
    report["end"]["sum_received"] |= {"bytes": 0, "packets": 0, "lost_packets": 0}
    for interval in report["intervals"]:
        interval["sum"]["bytes"] = 0
    measured = parse(UDP, 0, client, json.dumps(report))
    assert measured.is_silent
    assert "udp_loss_ratio" not in measured.figures
    assert (measured.figures["goodput_bps"], measured.figures["packets_per_s"]) == (0, 0)


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
        ("tcp-reverse", at(TCP, direction="reverse")),
        ("udp-bidir", at(UDP, direction="bidir")),
    ],
)
def test_streamed_events_make_the_same_report(name: str, cell: Cell) -> None:
    client, server = golden(name)
    assert parse(cell, 0, events(client), server) == parsed(name, cell)


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


def conditions(**changes: object) -> Conditions:
    """Return conditions of a shaped link, whose next port is 5207, 5208, …"""
    known = Conditions(
        timing=Timing(10, 3),
        path=path_to("172.17.0.3"),
        next_port=count(5207).__next__,
        congestion_control="cubic",
        link_bps=1e9,
        shaped=True,
        versions={"iperf3": "3.12"},
    )
    return replace(known, **changes)  # type: ignore[arg-type] # each value has its field's type


def client_argv(cell: Cell, given: Conditions | None = None) -> list[str]:
    return list(IPERF3.jobs(cell, given or conditions())[1].argv)


@pytest.mark.parametrize(
    ("cell", "argv"),
    [
        (at(TCP, mtu=1450, flows=8), "-P 8 --connect-timeout 5000 -C cubic -M 1410"),
        (at(TCP, direction="reverse", flows=1), "-P 1 --connect-timeout 5000 -C cubic -M 1460 -R"),
        (at(TCP, direction="bidir", mtu=9000, flows=1), "-P 1 --connect-timeout 5000 -C cubic -M 8960 --bidir"),
        (at(UDP, flows=1), "-P 1 --connect-timeout 5000 -u -l 1422 -b 1050000000"),
        (at(UDP, direction="reverse", mtu=1500, flows=4), "-P 4 --connect-timeout 5000 -u -l 1472 -b 262500000 -R"),
        (at(UDP, size=512, udp_rate="10%"), "-P 2 --connect-timeout 5000 -u -l 484 -b 50000000"),
        (at(UDP, size=44, udp_rate="none", flows=1), "-P 1 --connect-timeout 5000 -u -l 16 -b 0"),
        (Cell.of("iperf3", mtu=1450), "-P 1 --connect-timeout 5000 -C cubic -M 1410"),
    ],
)
def test_client_argv(cell: Cell, argv: str) -> None:
    assert client_argv(cell) == f"iperf3 -c 172.17.0.3 -p 5207 -J -t 10 -O 3 {argv}".split()


@pytest.mark.parametrize(
    ("version", "streams"),
    [("3.17", True), ("3.17.1", True), ("3.20", True), ("4.0", True), ("3.16", False), ("3.9", False), (None, False)],
)
def test_client_streams_where_it_can(version: str | None, streams: bool) -> None:
    argv = client_argv(TCP, conditions(versions={"iperf3": version}))
    assert ("--json-stream" in argv, "-J" in argv) == (streams, not streams)
    assert "-J" in client_argv(TCP, conditions(versions={}))


@pytest.mark.parametrize(
    ("rate", "link_bps", "shaped", "offered"),
    [
        pytest.param(None, 1e9, True, 1_050_000_000, id="a little more than the link takes, so that it is the limit"),
        pytest.param(None, None, False, 0, id="without a known rate, as fast as it can"),
        pytest.param(None, 9.4e8, False, 0, id="what TCP reached is no limit"),
        pytest.param("none", 1e9, True, 0, id="no limit asked for"),
        pytest.param(500_000_000, 1e9, True, 500_000_000, id="a rate"),
        pytest.param(500_000_000, None, False, 500_000_000, id="a rate needs no link"),
        pytest.param("50%", 1e9, True, 500_000_000, id="half of what the link is shaped to"),
        pytest.param("12.5%", 1e9, True, 125_000_000, id="an eighth"),
        pytest.param("150%", 1e9, True, 1_500_000_000, id="more than it takes"),
        pytest.param("50%", 9.4e8, False, 470_000_000, id="half of what TCP reached"),
    ],
)
def test_udp_is_offered_at(rate: int | str | None, link_bps: float | None, shaped: bool, offered: int) -> None:
    cell = UDP if rate is None else at(UDP, udp_rate=rate)
    given = conditions(link_bps=link_bps, shaped=shaped)
    assert offered_bps(cell, given) == offered
    argv = client_argv(cell, given)
    assert argv[argv.index("-b") + 1] == str(offered // 2), "each of its two flows has its share"


def test_share_of_a_link_whose_rate_nobody_knows() -> None:
    with pytest.raises(ToolError, match="50% of the link cannot be offered, for its rate is not known"):
        client_argv(at(UDP, udp_rate="50%"), conditions(link_bps=None, shaped=False))


def test_server_serves_one_test_and_ends_by_itself() -> None:
    server, client = IPERF3.jobs(TCP, conditions())
    assert (server.name, server.side, server.ready) == ("server", Side.SERVER, Port("tcp", 5207))
    assert server.argv[:3] == ("timeout", "-k", "5")
    assert int(server.argv[3]) > 13
    assert server.argv[4:] == tuple("iperf3 -s -1 -p 5207 -J".split())
    assert (client.name, client.side, client.ready, client.live) == ("client", Side.CLIENT, None, True)
    assert client.limit_s == 13 + CLIENT_GRACE_S
    assert server.ends
    assert client.ends


def test_each_trial_has_a_port_of_its_own() -> None:
    given = conditions()
    ports = [(client.argv[4], server.ready) for server, client in (IPERF3.jobs(TCP, given) for _ in range(2))]
    assert ports == [("5207", Port("tcp", 5207)), ("5208", Port("tcp", 5208))]


def test_seconds_include_what_is_omitted() -> None:
    assert IPERF3.seconds(TCP, Timing(10, 3)) == 13


def test_only_udp_has_a_rate_and_a_size() -> None:
    levels = (("flows", 4), ("size", 512), ("udp_rate", "10%"))
    assert IPERF3.admitted((("protocol", "udp"), *levels)) == (("protocol", "udp"), *levels)
    assert IPERF3.admitted((("protocol", "tcp"), *levels)) == (("protocol", "tcp"), ("flows", 4))
    assert (IPERF3.packet_bytes({"size": 512}), IPERF3.packet_bytes({"protocol": "udp"})) == (512, None)


def test_bounds_of_its_factors_are_its_own() -> None:
    assert factors.PACKET_BOUNDS[0] == MIN_PACKET_BYTES
    assert client_argv(at(UDP, size=MIN_PACKET_BYTES))[-3] == "16", "as large as iperf3's own header"
