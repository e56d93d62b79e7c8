"""Reports of a trace: what they say, that they fit, and that each is the golden one.

`python -m tests.unit.traces` writes the golden files anew.
"""

from __future__ import annotations

import io
import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import pytest
from rich.console import Console

from harness.model.errors import InputError
from harness.model.trace import By, Clock, Decision, Frame, Hop, Layer, Loss, Point, Trace
from harness.report import trace_layers
from harness.report.canvas import MONO
from harness.report.trace_formats import FORMATS
from harness.report.trace_json import from_json, to_json
from harness.report.trace_markdown import markdown
from harness.report.trace_names import WIDTH, Names, folded
from harness.report.trace_svg import shown, svg
from harness.report.trace_text import drawn, text
from harness.report.trace_view import bottom_lines, exchanges
from tests.unit.traces import (
    C01,
    C02,
    DOCKER_POINTS,
    GOLDEN,
    SUFFIXES,
    TRACES,
    docker,
    echo,
    ethernet,
    flannel,
    fragmented,
    golden_of,
    ipv4,
    lost,
    silent,
    wireguard,
)

VXLAN = "IPv4 20, UDP 8, VXLAN 8, Ethernet 14"
IPV6 = "2001:db8:1234:5678:9abc:def0:1234:5678"
NS = "{http://www.w3.org/2000/svg}"


def long_names() -> Trace:
    """Return a trace with the longest names and addresses that Linux has, more points, and characters of no name."""
    node = "node-of-a-cluster-with-a-long-name.example.org"
    whole = docker()
    many = [
        Point(number, node if number < 8 else "k8s-2", point.side, f"vethabcdef{number:05}", point.place, 65536)
        for number, point in enumerate((*DOCKER_POINTS[:8], *DOCKER_POINTS[2:]))
    ]
    packet = [ethernet(C01, C02), Layer("ipv6", 40, {"src": IPV6, "dst": IPV6[:-1] + "9", "ttl": 64})]
    hops = [
        Hop(point, (Frame(0.0, 20000, tuple(packet)),) * 45, 1.5 * point.number, ("a\x1b[31m | <b>&\x00 `x` " * 9,))
        for point in many
    ]
    walk = replace(
        whole.walks[2], hops=tuple(hops), loss=Loss(many[-1], None, "why " * 60, "x" * 200, "", ("n +1",) * 5)
    )
    return replace(
        whole, points=tuple(many), walks=(walk, replace(whole.walks[3], hops=tuple(hops[::-1]))), clock=Clock.APART
    )


ALL = {**TRACES, "long names": long_names}


@pytest.mark.parametrize(("name", "kind"), golden_of())
def test_is_the_golden_one(name: str, kind: str) -> None:
    assert FORMATS[kind](TRACES[name]()) == (GOLDEN / f"{name}.{SUFFIXES[kind]}").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALL)
def test_text_fits_eighty_columns(name: str) -> None:
    lines = text(ALL[name]()).split("\n")
    assert max(map(len, lines)) <= WIDTH
    assert [line for line in lines if line != line.rstrip() or not line.replace("µ", "").isprintable()] == []


@pytest.mark.parametrize("name", ["docker", "flannel", "fragmented", "wireguard"])
def test_text_breaks_no_address(name: str) -> None:
    trace = TRACES[name]()
    said = text(trace)
    for address in trace.owners:
        assert re.search(rf"(?<![\w.:]){re.escape(address)}(?![\w.:])", said)


@pytest.mark.parametrize("name", ALL)
def test_colours_change_no_character(name: str) -> None:
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    console.print(drawn(ALL[name]()), end="", highlight=False)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == text(ALL[name]())


SENT = "echo 1: k8s-1 172.17.0.2 -> k8s-2 172.17.0.3"
SIZES_DOCKER = f"98 bytes, 148 on the wire (+50: {VXLAN})"
SIZES_ARP = f"42 bytes, 92 on the wire (+50: {VXLAN})"
SIZES_CUT = f"1514 bytes, 1514 + 84 on the wire (+84: {VXLAN}, fragment 2 headers 34)"
SIZES_WIREGUARD = "98 bytes, 170 on the wire (+72: IPv4 20, UDP 8, WireGuard 32, padding 12)"
LOST = "request LOST after cni0@k8s-1, on the way to flannel.1@k8s-1: the node's firewall drops what it forwards"


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        (docker(), f"{SENT} and back, 10 + 10 hops, {SIZES_DOCKER}"),
        (docker(), f"{SENT.replace('echo', 'ARP')} and back, 10 + 10 hops, {SIZES_ARP}"),
        (docker(), "2 sent, 2 answered"),
        (fragmented(), f"{SENT}, 10 hops, {SIZES_CUT}"),
        (wireguard(), f"{SENT}, 6 hops, {SIZES_WIREGUARD}"),
        (lost(), f"echo 1: k8s-1 10.244.0.3 -> k8s-2 10.244.1.3: {LOST}"),
        (silent(), "No packet was seen on its way"),
    ],
)
def test_bottom_line(trace: Trace, line: str) -> None:
    assert line in bottom_lines(trace)


def hops_text(trace: Trace, number: int) -> str:
    """Return what the text says of a hop of the last walk."""
    parts = re.split(
        r"^(?=[ 1]\d  \w)", text(trace).rpartition("-" * WIDTH)[2].partition("\nTimes")[0], flags=re.MULTILINE
    )
    return parts[number]


def test_first_hop_shows_all_and_later_ones_what_is_new() -> None:
    first, second, cni0, vtep, nic, far, *_ = (hops_text(flannel(), number) for number in range(1, 11))
    assert [word in first for word in ("MAC ", "IP  ", "ICMP")] == [True] * 3
    assert second.count("\n") <= 2
    assert [word in cni0 for word in ("MAC  ", "10.244.1.0 lladdr 0e:f0:b5:8c:28:f5 PERMANENT")] == [False, True]
    assert "d2:ba:…:77 = flannel.1@k8s-1 -> 0e:f0:…:f5 = flannel.1@k8s-2" in vtep
    assert [word in vtep for word in ("TTL 63", "ICMP")] == [True, False]
    assert [word in nic for word in ("outer IP", "VNI 1", "inner       MAC, IP, ICMP: as before")] == [True] * 3
    assert "outer" not in far


def test_opaque_packet_is_said_to_be_so_and_compared_with_what_was_read_last() -> None:
    assert "not readable here" in hops_text(wireguard(), 3)
    assert "not readable" not in hops_text(wireguard(), 4)
    assert " IP " not in hops_text(wireguard(), 5)


def test_packet_in_a_form_not_decoded_is_known_by_its_foreign_addresses() -> None:
    datagram = Frame(0, 126, (ethernet(C01, C02), ipv4("172.12.1.11", "172.12.1.12"), Layer("udp", 8, {"dport": 8285})))
    assert trace_layers.coats(datagram, ("10.244.0.3", "10.244.1.3")).outer == datagram.layers
    assert trace_layers.coats(datagram, ("172.12.1.11", "172.12.1.12")).outer == ()


def test_packet_quoted_in_an_icmp_error_is_no_inner_packet() -> None:
    quoted = Frame(
        0, 98, (ethernet(C01, C02), ipv4("10.0.0.1", "10.0.0.2"), echo("unreachable"), ipv4("10.0.0.2", "10.0.0.9"))
    )
    assert trace_layers.coats(quoted).outer == ()


def test_packet_directly_in_a_packet() -> None:
    frame = Frame(0, 118, (ethernet(C01, C02), ipv4("10.0.0.1", "10.0.0.2"), ipv4("10.9.0.1", "10.9.0.2"), echo()))
    found = trace_layers.coats(frame)
    assert [len(found.outer), len(found.inner)] == [2, 2]
    assert trace_layers.addresses(frame.layers) == ("10.9.0.1", "10.9.0.2")


def test_fragments_are_told_once() -> None:
    assert "2 of 2: 84 bytes, from byte 1480 on, the last" in hops_text(fragmented(), 5)
    assert "1 of 2: 1514 bytes, from byte 0 on, more follow (MF)" in hops_text(fragmented(), 5)
    assert "fragment" not in hops_text(fragmented(), 6)


def test_times_of_clocks_apart_count_on_each_node_for_itself() -> None:
    assert "+25.0 µs" in hops_text(fragmented(), 5)
    assert "+0.0 µs on k8s-2" in hops_text(fragmented(), 6)
    assert "-2.0 µs on k8s-2" in hops_text(fragmented(), 8)
    assert "ens33@k8s-1 -> ens33@k8s-2" not in text(fragmented()).partition("Times")[2]


def test_loss_is_told_in_every_format_that_is_read() -> None:
    for kind in ("text", "markdown", "svg"):
        said = re.sub(r"\s+", " ", FORMATS[kind](lost()).replace("!!", ""))
        for word in (
            "after cni0@k8s-1",
            "drops what it forwards",
            "-P FORWARD DROP",
            "policy DROP: +3 packets",
            "-j ACCEPT",
        ):
            assert word in said, kind


@pytest.mark.parametrize("after", [None, DOCKER_POINTS[9]])
def test_loss_without_hops_or_without_a_next_point(after: Point | None) -> None:
    loss = Loss(after, None if after else DOCKER_POINTS[0], "nobody sent it", "", "")
    hops = docker().walks[2].hops if after else ()
    trace = replace(docker(), walks=(replace(docker().walks[2], hops=hops, loss=loss),))
    for kind in ("text", "markdown", "svg"):
        assert "nobody sent it" in FORMATS[kind](trace)
    assert "LOST before the first point" in text(trace) or after


def test_short_addresses_are_those_that_nobody_else_has() -> None:
    names = Names({C01: "a", C02: "b", "02:42:ff:00:00:02": "c", "10.0.0.1": "d"})
    assert [row[1] for row in names.legend()] == ["02:42:ac:…:00:02", "02:42:…:03", "02:42:ff:…:00:02", ""]
    assert names.beside("02:42:ac:11:00:09") == "02:42:ac:11:00:09"


def test_words_too_wide_are_parted_behind_a_mark() -> None:
    assert folded("a " + "bbb=ccc,ddd", 8, "- ") == ["- a", "  bbb=", "  ccc,", "  ddd"]
    assert folded("x" * 9, 4) == ["xxxx", "xxxx", "x"]


# --- Markdown --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_markdown_tables_have_as_many_cells_in_each_row(name: str) -> None:
    rows = [line for line in markdown(ALL[name]()).splitlines() if line.startswith("| ")]
    tables = [[*group] for _, group in itertools.groupby(rows, key=lambda row: len(re.findall(r"(?<!\\)\|", row)))]
    assert all(len(table) > 2 for table in tables)
    assert all("---" in table[1] for table in tables)


@pytest.mark.parametrize("name", ALL)
def test_markdown_shows_no_address_where_a_site_would_see_a_picture(name: str) -> None:
    """`:ab:` in a MAC is the name of one."""
    prose = re.sub(r"```.*?```|`` .*? ``|`[^`]*`", "", markdown(ALL[name]()), flags=re.DOTALL)
    assert re.findall(r":[0-9a-f]{2}:", prose) == []


# --- JSON ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_json_round_trip_is_equal(name: str) -> None:
    trace = ALL[name]()
    again = from_json(to_json(trace))
    assert again == trace
    assert {kind: made(again) for kind, made in FORMATS.items()} == {
        kind: made(trace) for kind, made in FORMATS.items()
    }


def test_json_takes_mappings_that_cannot_be_changed() -> None:
    frozen = replace(docker(), owners=MappingProxyType(dict(docker().owners)))
    assert from_json(to_json(frozen)) == docker()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("{", "["), "is not JSON"),
        (('"schema_version": 1', '"schema_version": 2'), "has schema_version 2, not 1"),
        (('"mtu": 1450', '"mtu": "wide"'), "trace.mtu: "),
        (('"clock": "shared"', '"clock": "sundial"'), "trace.clock: "),
    ],
)
def test_json_that_is_no_trace_is_refused(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        from_json(to_json(flannel()).replace(*change, 1), "trace.json")


def test_json_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match=r"trace\.json has schema_version None"):
        from_json("[]", "trace.json")


# --- SVG -------------------------------------------------------------------------------------------------------------

Box = tuple[float, float, float, float, str]


def tree_of(trace: Trace) -> ET.Element:
    return ET.fromstring(svg(trace))  # noqa: S314, our own text


def boxes(tree: ET.Element) -> Iterator[Box]:
    """Return left, top, right and bottom of each text, by the number of its characters."""
    for element in tree.iter(f"{NS}text"):
        x, y, size = (float(element.attrib[name]) for name in ("x", "y", "font-size"))
        width = len(element.text or "") * size * MONO.char
        left = x - {"start": 0, "middle": width / 2, "end": width}[element.attrib["text-anchor"]]
        yield left, y - size * 0.8, left + width, y + size * 0.25, element.text or ""


@pytest.mark.parametrize("name", ALL)
def test_svg_texts_do_not_overlap_and_stay_inside(name: str) -> None:
    tree = tree_of(ALL[name]())
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    found = [*boxes(tree)]
    assert [box for box in found if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height] == []
    pairs = itertools.combinations(found, 2)
    assert [
        (one[4], other[4])
        for one, other in pairs
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ] == []
    assert 900 <= width <= 1200


@pytest.mark.parametrize("name", ALL)
def test_svg_needs_nothing_from_elsewhere(name: str) -> None:
    tree = tree_of(ALL[name]())
    assert [element.tag for element in tree][:3] == [f"{NS}title", f"{NS}desc", f"{NS}style"]
    assert all(element.text for element in [*tree][:3])
    assert {element.tag.removeprefix(NS) for element in tree.iter()} <= set(
        "svg title desc style rect text line polygon circle".split()
    )
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg\")|url\(|@import|href", svg(ALL[name]()))


def test_svg_has_every_class_in_light_and_dark() -> None:
    tree = tree_of(lost())
    style = next(tree.iter(f"{NS}style")).text or ""
    light, _, dark = style.partition("@media (prefers-color-scheme:dark)")
    for colours in (light, dark):
        for word in {word for one in tree.iter() for word in one.attrib.get("class", "").split()} - {"bold", "thick"}:
            assert re.search(rf"\.{word}\b", colours), word


def polygons(trace: Trace, style: str) -> int:
    return sum(element.attrib["class"] == style for element in tree_of(trace).iter(f"{NS}polygon"))


def test_svg_draws_a_coat_from_tunnel_to_tunnel() -> None:
    assert [polygons(flannel(), style) / 2 for style in ("bare", "coat")] == [6, 3]
    assert polygons(lost(), "coat") == 0


def test_svg_ends_a_loss_in_a_cross() -> None:
    crossed = [
        element for element in tree_of(lost()).iter(f"{NS}line") if element.attrib["class"].startswith("lostline")
    ]
    assert len(crossed) == 3


def test_svg_shows_the_first_exchange_of_each_kind_and_the_first_that_was_lost() -> None:
    request, reply = docker().walks[2:]
    loss = Loss(None, None, "", "", "")
    later = [
        replace(request, name="echo 2 request"),
        replace(reply, name="echo 2 reply"),
        replace(request, name="echo 3 request", loss=loss),
        replace(request, name="echo 4 request", loss=loss),
    ]
    names = [walk.name for walk in shown((*docker().walks, *later))]
    assert names == [*(walk.name for walk in docker().walks), "echo 3 request"]


def test_walk_without_a_number_and_loss_at_a_point() -> None:
    loss = Loss(DOCKER_POINTS[9], DOCKER_POINTS[9], "it did not answer", "no reply was seen", "")
    trace = replace(docker(), walks=(replace(docker().walks[2], name="echo", hops=(), loss=loss),))
    assert bottom_lines(trace)[0] == "echo: LOST at eth0@k8s-2: it did not answer"
    assert "LOST at eth0@k8s-2" in text(trace)


def test_burst_that_is_cut_to_segments_has_no_coat_of_less_than_nothing() -> None:
    first, *others = docker().walks[2].hops
    burst = replace(first, frames=(replace(first.frames[0], length=65226),))
    trace = replace(docker(), walks=(replace(docker().walks[2], hops=(burst, *others)),))
    assert bottom_lines(trace)[0] == f"{SENT}, 10 hops, 65226 bytes, 148 on the wire (-65078)"


def test_icmp_error_says_which_mtu_fits() -> None:
    error = Layer("icmp", 8, {"type": "unreachable", "code": 4, "mtu": 1450})
    assert trace_layers.described(error, Names({})) == "unreachable, code 4, MTU 1450"


def test_request_and_reply_are_one_exchange_wherever_their_number_stands() -> None:
    walks = [replace(walk, name=name) for walk in docker().walks[:2] for name in (walk.name, "echo request 12")]
    assert [[*exchanges(walks)], len(exchanges(walks)["ARP 1"])] == [["ARP 1", "echo 12"], 2]


def test_decision_that_no_table_shows_quotes_nothing() -> None:
    flood = Decision(By.FDB, "", "", "a broadcast goes to every other port")
    hop = replace(docker().walks[0].hops[2], decisions=(flood,))
    trace = replace(docker(), walks=(replace(docker().walks[0], hops=(hop,)),))
    assert [text(trace).count("$"), markdown(trace).count("```")] == [1, 2], "the command that was run, and no other"
    assert "a broadcast goes to every other port" in text(trace)
