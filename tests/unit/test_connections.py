"""Connections: their rate as wrk 4.1.0 really printed it (tests/golden), and a server that answers from no file."""

import re
from itertools import count
from pathlib import Path

import pytest

from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.connections import Connections, server_argv
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Port, Side
from harness.model.trial import Cell, Measured, Timing
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
WRK, REFUSED = ((GOLDEN / f"wrk-4.1.0{which}.txt").read_text(encoding="utf-8") for which in ("", "-refused"))
CONNECTIONS = Connections()
CELL = Cell.of("connections", mtu=1450, flows=8)


def parse(text: str, exit_code: int = 0, stderr: str = "") -> Measured:
    return CONNECTIONS.parse(CELL, {"client": Completed(("wrk",), exit_code, text, stderr)})


def failed(*counts: int) -> str:
    """Return wrk's line of errors: of connect, read, write, and what took too long."""
    return "Socket errors: connect {}, read {}, write {}, timeout {}".format(*counts)


def with_line(line: str) -> str:
    return WRK.replace("  Non-2xx", f"  {line}\n  Non-2xx", 1)


def test_rate_of_the_captured_output() -> None:
    measured = parse(WRK)
    assert set(measured.figures) == set(Connections.metrics)
    assert measured.figures["connections_per_s"] == pytest.approx(8728 / 1.10)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (8728 * 40, 8728 * 150)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0)
    assert "8728 requests in 1.10s, 3.46MB read" in WRK
    assert measured.payload_reverse_bytes <= 3.46 * 2**20, "no more than wrk read"


@pytest.mark.parametrize(
    ("said", "seconds"), [("10.00s", 10), ("500.25ms", 0.50025), ("1.50m", 90), ("900.00us", 9e-4)]
)
def test_time_in_each_of_its_units(said: str, seconds: float) -> None:
    measured = parse(WRK.replace("in 1.10s", f"in {said}"))
    assert measured.figures["connections_per_s"] == pytest.approx(8728 / seconds)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (87, 0, 0, 0), (21, 22, 22, 22)])
def test_failures_of_one_in_a_hundred_do_not_matter(counts: tuple[int, ...]) -> None:
    assert parse(with_line(failed(*counts))) == parse(WRK)


TOO_MANY = [(88, 0, 0, 0), (0, 88, 0, 0), (0, 0, 88, 0), (0, 0, 0, 88), (22, 22, 22, 22)]


@pytest.mark.parametrize(
    ("text", "exit_code", "stderr", "words"),
    [
        *(
            (with_line(failed(*counts)), 0, "", f"88 of 8816 connections failed: {failed(*counts)}")
            for counts in TOO_MANY
        ),
        (re.sub(r"\d+ requests", "0 requests", with_line(failed(1, 0, 0, 0))), 0, "", "1 of 1 connections failed"),
        ("", 1, REFUSED, "wrk exited with 1: 'unable to connect to 127.0.0.1:5999 Connection refused'"),
        (REFUSED, 1, "", "wrk exited with 1: 'unable to connect to 127.0.0.1:5999 Connection refused'"),
        (WRK, 124, "", "wrk exited with 124"),
        ("", 0, "", "wrk exited with 0: ''"),
        (WRK[: WRK.index("requests in")], 0, "", "wrk exited with 0"),
    ],
)
def test_what_is_no_result(text: str, exit_code: int, stderr: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        parse(text, exit_code, stderr)


@pytest.mark.parametrize(("address", "host"), [("172.17.0.3", "172.17.0.3"), ("fd00::3", "[fd00::3]")])
def test_jobs(address: str, host: str) -> None:
    given = Conditions(Timing(10, 3), path_to(address), count(5207).__next__, "cubic", None, shaped=False, versions={})
    server, client = CONNECTIONS.jobs(CELL, given)
    assert (server.name, server.side, server.ready, server.ends) == ("server", Side.SERVER, Port("tcp", 5207), False)
    assert server.argv[:3] == ("timeout", "-k", "5")
    assert int(server.argv[3]) > client.limit_s == 10 + CLIENT_GRACE_S
    assert list(server.argv[4:]) == server_argv(f"{host}:5207", 5207)
    assert (client.name, client.side, client.ready, client.ends) == ("client", Side.CLIENT, None, True)
    url = f"http://{host}:5207/"
    assert client.argv == ("wrk", "-t", "1", "-c", "8", "-d", "10s", "-H", "Connection: close", url)
    assert CONNECTIONS.seconds(CELL, given.timing) == 10
    assert CONNECTIONS.packet_bytes({"flows": 8}) == 576, "so that it does not depend on the MTU"


def test_server_stays_in_the_foreground_and_reads_no_file() -> None:
    argv = server_argv("[fd00::3]:5207", 5207)
    assert argv[:4] == ["apache2", "-DFOREGROUND", "-f", "/dev/null"]
    assert set(argv[4::2]) == {"-C"}
    assert {"Listen [fd00::3]:5207", "ErrorLog /dev/null", "KeepAlive Off"} < set(argv[5::2])
    pids = {text for port in (5207, 5208) for text in server_argv("::", port) if text.startswith("PidFile")}
    assert len(pids) == 2, "two at once do not share it"
