"""What can be varied and what is measured: levels read from text, cells made of them, their names and their order.

What holds of every measure, factor and metric is tested over the registries, so that one that is added is tested too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest

from harness.measures import registry
from harness.measures.base import Conditions, Measure, served
from harness.measures.factors import FACTORS, one_of, rate_bps, whole
from harness.measures.metrics import CPU_ROWS, METRICS, NODE_METRICS
from harness.measures.registry import (
    DEFAULT,
    MEASURES,
    cells,
    factors_of,
    grouping,
    label_of,
    metrics_of,
    order_of,
    programs,
    title_of,
)
from harness.model.errors import InputError
from harness.model.factors import Factor, Scope, Value
from harness.model.jobs import Completed, Job, Performed, Port, Program, Ramp, Side
from harness.model.metrics import Better, Facts
from harness.model.trial import ARM, MTU, Cell, Direction, Measured, Timing
from harness.truth.wire import HEADER_BYTES
from tests.unit.synthetic import path_to

# Every factor: texts that make a level, and texts that make none with what is said of them.
LEVELS: dict[str, list[tuple[str, Value]]] = {
    "protocol": [("tcp", "tcp"), ("udp", "udp")],
    "direction": [("forward", "forward"), ("reverse", "reverse"), ("bidir", "bidir")],
    "mtu": [("576", 576), ("1450", 1450), ("65535", 65535), ("01450", 1450)],
    "flows": [("1", 1), ("128", 128)],
    "udp_rate": [
        ("none", "none"),
        ("50%", "50%"),
        ("0.5%", "0.5%"),
        ("12.375%", "12.375%"),
        ("200%", "200%"),
        ("500mbit", 500_000_000),
        ("2.5gbit", 2_500_000_000),
        ("1kbit", 1_000),
        ("400gbit", 400_000_000_000),
        ("500000000", 500_000_000),
    ],
    "size": [("44", 44), ("512", 512), ("65535", 65535)],
    "arm": [("a", "a"), ("b", "b")],
    "offload": [
        ("gro=off", "generic-receive-offload=off"),
        ("nic:gro=on", "generic-receive-offload=on"),
        ("generic-receive-offload=off", "generic-receive-offload=off"),
        ("tunnel:tx-checksum-ip-generic=off", "tunnel:tx-checksum-ip-generic=off"),
        ("tunnel:gso=on tso=off", "tunnel:generic-segmentation-offload=on tcp-segmentation-offload=off"),
        ("gro=off nic:gro=on", "generic-receive-offload=on"),
    ],
    "loss": [
        ("0", 0.0),
        ("0%", 0.0),
        ("0.1%", 0.001),
        ("0.001", 0.001),
        ("5%", 0.05),
        ("99%", 0.99),
        ("0.5", 0.5),
        ("0.7%", 0.007),
        ("0.001%", 1e-5),
        ("1e-05", 1e-5),
    ],
}
WHOLE = "is not a whole number; give numbers from"
BOUNDS = "is out of bounds; choose a number from"
RATE = "is not a rate; give a share such as 50%, a rate such as 500mbit, or none"
SHARE = "is not a share; give one such as 0.1%, or 0"
SWITCH = "is no switch with a state; give gro=off, or tunnel:tx-checksum-ip-generic=off"
REFUSED: dict[str, list[tuple[str, str]]] = {
    "protocol": [(text, f"{text!r} is unknown; choose from tcp, udp") for text in ("", "TCP", "sctp", "tcp ", "icmp")],
    "direction": [
        (text, f"{text!r} is unknown; choose from forward, reverse, bidir")
        for text in ("", "Forward", "both", "forwar")
    ],
    "mtu": [
        ("575", f"575 {BOUNDS} 576 to 65535"),
        ("65536", f"65536 {BOUNDS} 576 to 65535"),
        ("0", f"0 {BOUNDS} 576 to 65535"),
        *[
            (text, f"{text!r} {WHOLE} 576 to 65535")
            for text in ("", "-1450", "1450.0", "0x5aa", "1e3", "١٤٥٠", "9" * 10)
        ],
    ],
    "flows": [
        ("0", f"0 {BOUNDS} 1 to 128"),
        ("129", f"129 {BOUNDS} 1 to 128"),
        ("two", f"'two' {WHOLE} 1 to 128"),
    ],
    "udp_rate": [
        (text, f"{text!r} {RATE}")
        for text in (
            *("", "0%", "201%", "-5%", "50 %", "%", "1.5.5%", "None", "999", "5e8", "-500mbit"),
            *("500Mbit", "500 mbit", "500m", "mbit", "0gbit", "401gbit", "1tbit", "500mbit;x", "50%\n", "0000"),
        )
    ],
    "size": [("43", f"43 {BOUNDS} 44 to 65535"), ("big", f"'big' {WHOLE} 44 to 65535")],
    "offload": [
        ("", "'' has no switch in it; give one such as gro=off"),
        ("gro=off gso", f"'gso' {SWITCH}"),
        *[
            (text, f"{text!r} {SWITCH}")
            for text in ("gro", "gro=maybe", "gro=on,off", "GRO=off", "=off", "eth0:gro=off", "a;reboot=off", "-K=on")
        ],
    ],
    "arm": [(text, f"{text!r} is unknown; choose from a, b") for text in ("", "c", "A")],
    "loss": [
        *[
            (text, f"{text} is out of bounds; choose a share from 0 to below 100%")
            for text in ("100%", "1", "1.5", "-1%", "-0.1", "nan", "inf%")
        ],
        *[(text, f"{text!r} {SHARE}") for text in ("", "%", "few", "0,1%", "0.1%%")],
    ],
}


def test_every_factor_is_in_these_tables() -> None:
    assert set(LEVELS) == set(REFUSED) == set(FACTORS)


@pytest.mark.parametrize(
    ("factor", "text", "level"), [(name, *case) for name, table in LEVELS.items() for case in table]
)
def test_level_of_a_text(factor: str, text: str, level: Value) -> None:
    found = FACTORS[factor].parse(text)
    assert (found, type(found)) == (level, type(level))


@pytest.mark.parametrize(
    ("factor", "text", "words"), [(name, *case) for name, table in REFUSED.items() for case in table]
)
def test_text_that_is_no_level_says_what_is(factor: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        FACTORS[factor].parse(text)


@pytest.mark.parametrize(("factor", "level"), [(name, level) for name, table in LEVELS.items() for _, level in table])
def test_level_that_a_file_holds_is_read_back(factor: str, level: Value) -> None:
    """A CSV file has it as Python writes it."""
    found = FACTORS[factor].parse(str(level))
    assert (found, type(found)) == (level, type(level))


@pytest.mark.parametrize("name", FACTORS)
def test_factor_is_whole(name: str) -> None:
    factor = FACTORS[name]
    nodes = [other for other, own in FACTORS.items() if own.scope is Scope.NODE]
    assert factor.name == name
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name), "a column and, with dashes, an option"
    assert factor.help.endswith(".")
    assert [factor.parse(str(level)) for level in factor.default] == list(factor.default)
    assert set(factor.default) <= set(factor.choices or factor.default)
    assert (factor.enter is not None) == (factor.scope is Scope.NODE)
    assert any(name in measure.factors for measure in MEASURES.values()) or name in (MTU, *nodes, ARM)


@pytest.mark.parametrize(
    ("text", "bps"), [("1kbit", 1e3), ("2.5gbit", 2.5e9), ("0.001gbit", 1e6), ("400gbit", 400e9), ("1.5mbit", 1.5e6)]
)
def test_rate(text: str, bps: float) -> None:
    assert rate_bps(text) == pytest.approx(bps)


@pytest.mark.parametrize("text", ["", "1", "none", "0.5kbit", "401gbit", "1Gbit", "1 gbit", "1.2345gbit", "1gbit\n"])
def test_bad_rate(text: str) -> None:
    with pytest.raises(InputError, match="is not a rate; give a number with kbit, mbit or gbit, from 1kbit to 400gbit"):
        rate_bps(text)


def test_whole_numbers_and_words() -> None:
    assert [whole(1, 3)(text) for text in ("1", "3")] == [1, 3]
    assert one_of("a", "b")("b") == "b"


def made(*measures: str, **levels: tuple[Value, ...]) -> list[str]:
    """Return the cells of these measures at these levels, by their titles."""
    return [title_of(cell) for cell in cells(measures, levels, (1450, 1500))]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        pytest.param(
            {},
            ["tcp 1450 x1", "tcp 1500 x1", "tcp 1450 x4", "tcp 1500 x4", "tcp 1450 x8", "tcp 1500 x8"],
            id="by default",
        ),
        pytest.param({"flows": (8,)}, ["tcp 1450 x8", "tcp 1500 x8"], id="what is given takes the default's place"),
        pytest.param(
            {"flows": (1,), "direction": ("bidir", "forward")},
            ["tcp bidir 1450 x1", "tcp bidir 1500 x1", "tcp 1450 x1", "tcp 1500 x1"],
            id="in the order in which they are given",
        ),
        pytest.param(
            {"flows": (1,), "protocol": ("tcp", "udp"), "udp_rate": ("10%", "none")},
            [
                *("tcp 1450 x1", "tcp 1500 x1"),
                *("udp 1450 x1 10%", "udp 1500 x1 10%", "udp 1450 x1 unlimited", "udp 1500 x1 unlimited"),
            ],
            id="TCP has no rate, and so each cell of it once",
        ),
    ],
)
def test_cells_are_every_combination_once(levels: dict[str, tuple[Value, ...]], expected: list[str]) -> None:
    assert made("iperf3", **levels) == [f"iperf3 {label}" for label in expected]


@pytest.mark.parametrize(
    ("mtus", "size", "expected"),
    [
        pytest.param((1450, 1500), 64, [1450], id="fits all of them"),
        pytest.param((1500, 1450), 64, [1450], id="whichever comes first"),
        pytest.param((1450, 1500), 1450, [1450], id="fills the smallest"),
        pytest.param((1450, 1500), 1451, [1500], id="does not fit the smallest"),
        pytest.param((1450, 1500), 1500, [1500], id="fills the largest"),
        pytest.param((1280, 1450, 1500), 1400, [1450, 1500], id="fits two of three, so they are told apart"),
        pytest.param((1450,), 64, [1450], id="there is but one"),
    ],
)
def test_packet_that_fits_every_mtu_is_measured_at_the_smallest_only(
    mtus: tuple[int, ...], size: int, expected: list[int]
) -> None:
    found = cells(("iperf3",), {"protocol": ("udp",), "flows": (1,), "size": (size,)}, mtus)
    assert [cell.mtu for cell in found] == expected


def test_size_says_nothing_of_those_that_have_none() -> None:
    """TCP fills its MTU beside UDP of a size, and ping too."""
    assert made("iperf3", "ping", protocol=("tcp", "udp"), flows=(1,), size=(64, 1500)) == [
        *("iperf3 tcp 1450 x1", "iperf3 tcp 1500 x1", "iperf3 udp 1450 x1 64B", "iperf3 udp 1500 x1 1500B"),
        *("ping mtu 1450", "ping mtu 1500"),
    ]


@pytest.mark.parametrize(
    ("measures", "levels", "words"),
    [
        (("ping",), {"flows": (8,)}, "^flows means nothing to ping: leave it out, or measure iperf3( or .*)?, too"),
        (("iperf3",), {"udp_rate": ("50%",)}, "^udp rate means nothing to iperf3 as they are .* or add protocol udp"),
        (
            ("iperf3", "ping"),
            {"size": (64,)},
            "^size means nothing to iperf3 and ping as they are chosen: leave it out",
        ),
        (
            ("iperf3",),
            {"protocol": ("udp",), "size": (1501,)},
            "^iperf3 has nothing to measure with these levels: no packet size fits any MTU",
        ),
    ],
)
def test_levels_that_make_no_cell_say_what_to_do(
    measures: tuple[str, ...], levels: dict[str, tuple[Value, ...]], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        cells(measures, levels, (1450, 1500))


def test_nodes_are_changed_for_every_measure() -> None:
    off, on = "generic-receive-offload=off", "generic-receive-offload=on"
    assert made("ping", offload=(off, on)) == [
        *("ping mtu 1450 gro=off", "ping mtu 1450 gro=on", "ping mtu 1500 gro=off", "ping mtu 1500 gro=on")
    ]
    assert all(cell.get("offload") is None for cell in cells(DEFAULT, {}, (1450,))), "unless that is asked for"


@pytest.mark.parametrize(
    ("texts", "levels"),
    [
        (["gro=off"], ["gro=off"]),
        (["gro=on,off"], ["gro=on", "gro=off"]),
        (["gro=on, off,on"], ["gro=on", "gro=off"]),
        (["gro=on,off", "gso=off"], ["gro=on gso=off", "gro=off gso=off"]),
        (
            ["tunnel:gro=on,off", "gro=on,off"],
            [f"tunnel:gro={inner} gro={outer}" for inner in ("on", "off") for outer in ("on", "off")],
        ),
    ],
)
def test_switches_are_combined(texts: list[str], levels: list[str]) -> None:
    offload = FACTORS["offload"]
    assert offload.expand is not None
    found = offload.expand(texts)
    assert [offload.label(level) for level in found] == levels
    assert [offload.parse(str(level)) for level in found] == list(found)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["gro"], "'gro' is no switch with a state"),
        (["gro=on,"], "'gro=' is no switch with a state"),
        (["gro=on,off", "generic-receive-offload=on"], "generic-receive-offload stands twice; give each switch once"),
        ([f"{name}=on,off" for name in ("gro", "gso", "tso", "sg", "rx")], "these are 32 combinations; .* at most 16"),
    ],
)
def test_switches_that_cannot_be_combined(texts: list[str], words: str) -> None:
    offload = FACTORS["offload"]
    assert offload.expand is not None
    with pytest.raises(InputError, match=words):
        offload.expand(texts)


UDP = Cell.of("iperf3", protocol="udp", mtu=1450, flows=1)


@pytest.mark.parametrize(
    ("cell", "title"),
    [
        (Cell.of("iperf3", protocol="tcp", direction="forward", mtu=1450, flows=8), "iperf3 tcp 1450 x8"),
        (Cell.of("iperf3", protocol="udp", direction="bidir", mtu=1500, flows=1), "iperf3 udp bidir 1500 x1"),
        (Cell.of("ping", mtu=1500), "ping mtu 1500"),
        (UDP.at((("udp_rate", "50%"),)), "iperf3 udp 1450 x1 50%"),
        (UDP.at((("udp_rate", "none"),)), "iperf3 udp 1450 x1 unlimited"),
        (UDP.at((("udp_rate", 500_000_000),)), "iperf3 udp 1450 x1 500 Mbit/s"),
        (UDP.at((("udp_rate", 1_500),)), "iperf3 udp 1450 x1 0.0015 Mbit/s"),
        (UDP.at((("size", 64), ("udp_rate", "10%"))), "iperf3 udp 1450 x1 10% 64B"),
        (Cell.of("udp-search", mtu=1450, loss=0.001), "udp-search mtu 1450 ≤0.1%"),
        (Cell.of("udp-search", mtu=1450, loss=0.0), "udp-search mtu 1450 ≤0%"),
        (Cell.of("ping", mtu=1450, offload="generic-receive-offload=off"), "ping mtu 1450 gro=off"),
        (
            UDP.at((("offload", "tunnel:tx-checksum-ip-generic=on"),)),
            "iperf3 udp 1450 x1 tunnel:tx-checksum-ip-generic=on",
        ),
        (Cell.of("nosuch", mtu=1450, colour="blue", weight=7), "nosuch mtu 1450 colour=blue weight=7"),
    ],
)
def test_cell_as_text(cell: Cell, title: str) -> None:
    assert title_of(cell) == title
    assert label_of(cell) == title.removeprefix(f"{cell.measure} ")


def test_cell_is_its_levels_in_whatever_order_they_are_given() -> None:
    first = Cell("iperf3", (("mtu", 1450), ("flows", 8)))
    assert first == Cell.of("iperf3", flows=8, mtu=1450)
    assert hash(first) == hash(Cell.of("iperf3", flows=8, mtu=1450))
    assert (first.mtu, first.flows, first.direction) == (1450, 8, Direction.FORWARD)
    assert (first.get("flows"), first.get("protocol")) == (8, None)
    assert first.at((("flows", 1), ("protocol", "udp"))) == Cell.of("iperf3", flows=1, mtu=1450, protocol="udp")
    assert first.without("flows", "colour") == Cell.of("iperf3", mtu=1450)
    assert Cell.of("ping", mtu=1450).flows == 1


def test_cells_are_shown_by_measure_and_then_by_their_levels() -> None:
    """Numbers by their size and words as the factor has them: x8 comes before x16, and bidir after reverse."""
    shown = [
        *made("iperf3", protocol=("tcp", "udp"), direction=("forward", "reverse", "bidir"), flows=(1, 8, 16)),
        *made("ping"),
        *made("udp-search", loss=(0.0, 0.001, 0.01)),
        "later mtu 1450",
    ]
    every = [
        *cells(
            ("iperf3",), {"protocol": ("udp", "tcp"), "direction": tuple(Direction), "flows": (16, 8, 1)}, (1500, 1450)
        ),
        *cells(("udp-search", "ping"), {"loss": (0.01, 0.0, 0.001)}, (1450, 1500)),
        Cell.of("later", mtu=1450),
    ]
    ordered = [title_of(cell) for cell in sorted(every, key=order_of)]
    assert sorted(ordered) == sorted(shown)
    assert [title.split()[0] for title in ordered] == [title.split()[0] for title in shown]
    tcp = [title for title in ordered if " tcp " in title]
    assert tcp[:6] == [f"iperf3 tcp {mtu} x{flows}" for mtu in (1450, 1500) for flows in (1, 8, 16)]
    assert [title.split()[2] for title in tcp[6::6]] == ["reverse", "bidir"]
    assert [title.split()[-1] for title in ordered if "≤" in title] == ["≤0%", "≤0.1%", "≤1%"] * 2


def test_order_has_room_for_levels_of_any_kind() -> None:
    mixed = [
        UDP,
        *(UDP.at((("udp_rate", rate),)) for rate in ("none", "100%", "50%", 500_000_000, 1_000)),
        Cell.of("x", mtu=1, a="b"),
    ]
    ordered = [mixed[number] for number in (0, 5, 4, 3, 2, 1, 6)]
    assert sorted(mixed, key=order_of) == ordered, "none given, then numbers, then shares, then words"


def test_what_is_compared_is_grouped_by_what_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints are all up at once, so they vary within a group; nodes are changed, so each state is together."""
    monkeypatch.setitem(FACTORS, "governor", Factor("governor", "", one_of("on", "off"), scope=Scope.NODE))
    cell = UDP.at((("governor", "on"),))
    assert grouping(cell) == (UDP.without("mtu"), cell.without("mtu"))
    assert grouping(cell.at(((ARM, "a"),))) == grouping(cell), "arms that are alike are measured close together"
    assert grouping(Cell.of("ping", mtu=1450, colour="blue"))[0] == Cell.of("ping", colour="blue")


def conditions(**changes: Any) -> Conditions:  # noqa: ANN401 - fields of Conditions
    known: dict[str, Any] = {
        "timing": Timing(10, 3),
        "path": path_to("172.17.0.3"),
        "next_port": count(5201).__next__,
        "congestion_control": "cubic",
        "link_bps": 1e9,
        "shaped": True,
        "versions": {},
    }
    return Conditions(**known | changes)


@pytest.mark.parametrize("name", MEASURES)
def test_measure_is_whole(name: str) -> None:
    measure = MEASURES[name]
    assert measure.name == name
    assert set(measure.factors) <= set(FACTORS) - {MTU}
    assert set(measure.metrics) <= set(METRICS)
    assert not {metric for metric in measure.metrics if METRICS[metric].derive}, "those are worked out from others"
    assert set(measure.rows) <= {*measure.metrics, *CPU_ROWS}
    assert measure.rows[0] in measure.metrics
    assert measure.protocol in ("tcp", "udp")
    assert measure.idle in ("", *MEASURES)
    assert measure.programs
    for program in measure.programs:
        assert re.compile(program.version_pattern).groups == 1
        assert program.version_argv[0] == program.name
        assert program.package
        assert program.purpose


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("mtus", [(1450,), (1450, 1500), (1280, 1450, 9000)])
def test_cells_of_a_measure_are_its_own_and_each_once(name: str, mtus: tuple[int, ...]) -> None:
    measure = MEASURES[name]
    found = cells((name,), {}, mtus)
    assert len(set(found)) == len(found) > 0
    assert len({title_of(cell) for cell in found}) == len(found)
    for cell in found:
        assert cell.measure == name
        assert {factor for factor, _ in cell.levels} - {MTU} <= set(measure.factors)
        assert cell.mtu in mtus
        assert (measure.packet_bytes(dict(cell.levels)) or 0) <= cell.mtu
        assert measure.seconds(cell, Timing(10, 3)) >= 10


@pytest.mark.parametrize("name", MEASURES)
def test_jobs_of_a_measure_can_be_started_in_their_order(name: str) -> None:
    """What listens comes before what sends, ports are those that were given out, and something ends by itself."""
    for cell in cells((name,), {}, (1450, 1500)):
        given: list[int] = []

        def next_port(given: list[int] = given) -> int:
            given.append(5201 + len(given))
            return given[-1]

        jobs = MEASURES[name].jobs(cell, conditions(next_port=next_port))
        assert len({job.name for job in jobs}) == len(jobs)
        listening = [isinstance(job.ready, Port) for job in jobs]
        assert listening == sorted(listening, reverse=True)
        assert {job.ready.number for job in jobs if isinstance(job.ready, Port)} <= set(given)
        assert any(job.ends and job.side is Side.CLIENT and not isinstance(job.ready, Port | Ramp) for job in jobs)
        assert sum(job.live for job in jobs) <= 1, "one figure is shown"
        for job in jobs:
            assert all(isinstance(word, str) and word for word in job.argv)
            assert job.limit_s > 0
            if job.side is Side.SERVER:
                assert job.argv[0] == "timeout", "it ends, whatever becomes of the harness"


def test_timeout_around_a_server_outlasts_its_test() -> None:
    argv = served(["tool", "-s"], 13.0)
    assert (argv[:3], argv[4:]) == (("timeout", "-k", "5"), ("tool", "-s"))
    assert int(argv[3]) > 13 + 15


def test_registries_name_what_they_hold() -> None:
    assert set(DEFAULT) <= set(MEASURES)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title
        assert metric.unit in ("1", "1/s", "B", "bit/s", "ratio", "s", "s/Gbit"), "SI base units"
    assert {*NODE_METRICS, *CPU_ROWS} <= set(METRICS)
    assert {name for name, metric in METRICS.items() if metric.derive} == {*CPU_ROWS, "late_ratio", "udp_sent"}
    assert {name for name, metric in METRICS.items() if metric.ceiling} == {
        *("goodput_bps", "forward_goodput_bps", "reverse_goodput_bps")
    }
    shares = {name: metric.tries for name, metric in METRICS.items() if metric.tries}
    assert shares == {"udp_loss_ratio": "udp_sent", "ping_lost_ratio": "ping_sent"}
    assert METRICS["goodput_bps"].better is Better.HIGHER
    assert METRICS["rtt_p99_s"].better is Better.LOWER


def test_what_follows_from_the_measures_that_are_chosen() -> None:
    assert [*programs(("ping", "iperf3"))] == ["ping", "iperf3"]
    assert [*programs(("iperf3", "iperf3"))] == ["iperf3"]
    nodes = [name for name, factor in FACTORS.items() if factor.scope is Scope.NODE]
    assert [*factors_of(("ping",))] == ["mtu", *nodes, ARM], "whatever measures, its nodes can be changed"
    both_measures = ["protocol", "direction", "mtu", "flows", "udp_rate", "size", *nodes, ARM]
    assert [*factors_of(("ping", "iperf3"))] == both_measures
    assert set(metrics_of(("ping",))) == {*MEASURES["ping"].metrics, *NODE_METRICS}
    both = [name for name in METRICS if name in {*MEASURES["ping"].metrics, *MEASURES["iperf3"].metrics, *NODE_METRICS}]
    assert [*metrics_of(("ping", "iperf3"))] == both, "in the order of the registry"


class Own(Measure):
    """A measure that is added: one module, and a line in the registry."""

    name = "own"
    programs = (Program("own", "own-tools", "measures its own", ("own", "-V"), r"own (\d+)"),)
    factors = ("flows", "size")
    metrics = ("transactions_per_s",)
    rows = ("transactions_per_s",)

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        return (Job("client", Side.CLIENT, ("own", conditions.address, str(cell.flows)), limit_s=1.0),)

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:  # noqa: ARG002 - one figure
        return Measured({"transactions_per_s": float(done["client"].stdout)})

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        return timing.duration_s


def test_measure_that_is_added_is_measured_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.MEASURES, "own", Own())
    assert made("own", "ping", flows=(2,)) == ["own mtu 1450 x2", "own mtu 1500 x2", "ping mtu 1450", "ping mtu 1500"]
    assert [*programs(("own",))] == ["own"]
    assert "transactions_per_s" in metrics_of(("own",))
    with pytest.raises(InputError, match=r"^flows means nothing to ping: leave it out, or measure .* or own, too"):
        cells(("ping",), {"flows": (2,)}, (1450,))


def test_measure_of_one_step_parses_what_its_jobs_printed() -> None:
    performed: list[Sequence[Job]] = []

    def perform(jobs: Sequence[Job]) -> Performed:
        performed.append(jobs)
        return Performed({job.name: Completed(job.argv, 0, "7.5", "") for job in jobs})

    measure = Own()
    assert measure.run(Cell.of("own", mtu=1450, flows=3), conditions(), perform).figures == {"transactions_per_s": 7.5}
    assert [[job.argv for job in jobs] for jobs in performed] == [[("own", "172.17.0.3", "3")]]
    assert (measure.live_figure("anything"), measure.kept("client", "all of it")) == (None, "all of it")


COLUMNS = {
    name: np.array(figures, np.float64)
    for name, figures in {
        "goodput_bps": [1e9, 5e8, None],
        "duration_s": [2.0] * 3,
        "omit_s": [1.0] * 3,
        "client_cpu_s": [6.0, 3.0, 1.0],
        "server_cpu_s": [3.0, 3.0, 1.0],
        "client_tools_cpu_s": [1.5, None, 1.0],
        "server_tools_cpu_s": [1.5, 1.0, 1.0],
        "client_softirq_cpu_s": [0.6, 0.3, 0.1],
        "server_softirq_cpu_s": [0.3, 0.6, 0.1],
        "client_busiest_cpu_ratio": [0.5, 0.9, 0.1],
        "server_busiest_cpu_ratio": [0.8, 0.2, 0.1],
    }.items()
}


@pytest.mark.parametrize(
    ("metric", "shared_kernel", "expected"),
    [
        pytest.param("cpu_s_per_gbit", False, [3.0, 4.0, None], id="both nodes together, over omitted seconds as well"),
        pytest.param("cpu_s_per_gbit", True, [2.0, 2.0, None], id="of a shared kernel either says it all"),
        pytest.param("softirq_cpu_s_per_gbit", False, [0.3, 0.6, None], id="interrupts"),
        pytest.param("softirq_cpu_s_per_gbit", True, [0.2, 0.2, None], id="interrupts of a shared kernel"),
        pytest.param("tools_cpu_s_per_gbit", False, [1.0, None, None], id="tools, where both are known"),
        pytest.param("tools_cpu_s_per_gbit", True, [1.0, None, None], id="tools are each node's own"),
        pytest.param("busiest_cpu_ratio", False, [0.8, 0.9, 0.1], id="the busier of both nodes"),
    ],
)
def test_derived_metric(metric: str, shared_kernel: bool, expected: list[float | None]) -> None:
    derive = METRICS[metric].derive
    assert derive is not None
    found = derive(COLUMNS, Facts(shared_kernel=shared_kernel))
    assert [None if math.isnan(value) else round(value, 9) for value in found] == expected


def test_headers_that_measures_take_off_are_those_of_the_wire() -> None:
    """Sizes that are asked for are those of IP packets, and what is left for a program is worked out from them."""
    own = HEADER_BYTES["ipv4"] + HEADER_BYTES["udp"]
    server, client = MEASURES["iperf3"].jobs(UDP.at((("size", 512),)), conditions())
    assert client.argv[client.argv.index("-l") + 1] == str(512 - own)
    assert server.side is Side.SERVER
