"""Connections: their rate as wrk really printed it (tests/golden), and a server that answers from no file."""

import re
from itertools import count
from pathlib import Path

import pytest

from harness.measures.base import CLIENT_GRACE_S, Conditions
from harness.measures.connections import Connections, server_argv
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Port, Side
from harness.model.trial import Cell, Measured, Timing

GOLDEN = Path(__file__).parents[1] / "golden"
WRK, REFUSED = ((GOLDEN / f"wrk-4.1.0{which}.txt").read_text(encoding="utf-8") for which in ("", "-refused"))
CONNECTIONS = Connections()
CELL = Cell.of("connections", mtu=1450, flows=8)


def parse(text: str, exit_code: int = 0, stderr: str = "") -> Measured:
    return CONNECTIONS.parse(CELL, {"client": Completed(("wrk",), exit_code, text, stderr)})


def with_errors(*counts: int) -> str:
    """Return the captured output with wrk's line of errors: of connect, read, write, and what took too long."""
    errors = "  Socket errors: connect {}, read {}, write {}, timeout {}\n".format(*counts)
    return WRK.replace("  Non-2xx", f"{errors}  Non-2xx", 1)


def test_rate_of_the_captured_output() -> None:
    measured = parse(WRK)
    assert measured.figures == {"connections_per_s": pytest.approx(8728 / 1.10)}
    assert set(measured.figures) == set(Connections.metrics)
    assert (measured.payload_forward_bytes, measured.payload_reverse_bytes) == (8728 * 40, 8728 * 150)
    assert (measured.tcp_forward_bytes, measured.tcp_reverse_bytes) == (0, 0)


def test_no_more_payload_is_claimed_than_wrk_read() -> None:
    read = re.search(r"requests in [0-9.]+s, ([0-9.]+)MB read", WRK)
    assert read is not None
    assert parse(WRK).payload_reverse_bytes <= float(read[1]) * 2**20


@pytest.mark.parametrize(
    ("said", "seconds"), [("1.10s", 1.1), ("10.00s", 10), ("500.25ms", 0.50025), ("1.50m", 90), ("900.00us", 9e-4)]
)
def test_time_in_each_of_its_units(said: str, seconds: float) -> None:
    text = re.sub(r"\d+ requests in [0-9.]+s", f"900 requests in {said}", WRK)
    assert parse(text).figures["connections_per_s"] == pytest.approx(900 / seconds)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (87, 0, 0, 0), (21, 22, 22, 22)])
def test_few_failures_do_not_matter(counts: tuple[int, ...]) -> None:
    """One in a hundred of what did not fail."""
    assert parse(with_errors(*counts)) == parse(WRK)


@pytest.mark.parametrize("counts", [(88, 0, 0, 0), (0, 88, 0, 0), (0, 0, 88, 0), (0, 0, 0, 88), (22, 22, 22, 22)])
def test_more_failures_are_no_result(counts: tuple[int, ...]) -> None:
    errors = "Socket errors: connect {}, read {}, write {}, timeout {}".format(*counts)
    with pytest.raises(ToolError, match=f"88 of 8816 connections failed: {errors}"):
        parse(with_errors(*counts))


@pytest.mark.parametrize(
    ("text", "exit_code", "stderr", "words"),
    [
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
    given = Conditions(Timing(10, 3), address, count(5207).__next__, "cubic", 1e9, shaped=True, versions={})
    server, client = CONNECTIONS.jobs(CELL, given)
    assert (server.name, server.side, server.ready, server.ends) == ("server", Side.SERVER, Port("tcp", 5207), False)
    assert server.argv[:3] == ("timeout", "-k", "5")
    assert int(server.argv[3]) > client.limit_s == 10 + CLIENT_GRACE_S
    assert list(server.argv[4:]) == server_argv(f"{host}:5207", 5207)
    assert (client.name, client.side, client.ready, client.ends) == ("client", Side.CLIENT, None, True)
    url = f"http://{host}:5207/"
    assert client.argv == ("wrk", "-t", "1", "-c", "8", "-d", "10s", "-H", "Connection: close", url)
    assert CONNECTIONS.seconds(CELL, given.timing) == 10


def test_server_listens_in_the_foreground_and_has_no_file_but_its_pids() -> None:
    argv = server_argv("[fd00::3]:5207", 5207)
    assert argv[:4] == ["apache2", "-DFOREGROUND", "-f", "/dev/null"]
    assert argv[4::2] == ["-C"] * (len(argv) // 2 - 2)
    settings = dict(text.split(" ", 1) for text in argv[5::2] if not text.startswith("LoadModule"))
    assert settings["Listen"] == "[fd00::3]:5207"
    assert (settings["ErrorLog"], settings["KeepAlive"]) == ("/dev/null", "Off")
    pids = [server_argv("127.0.0.1:1", port) for port in (5207, 5208)]
    assert pids[0] != pids[1], "two at once do not share it"


def test_no_packet_is_larger_than_the_least_mtu() -> None:
    assert CONNECTIONS.packet_bytes({"flows": 8}) == 576
