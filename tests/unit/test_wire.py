from __future__ import annotations

import pytest

from harness.model.errors import InputError
from harness.model.path import WHOLE, PathState
from harness.truth import wire

VXLAN = ["ipv4", "udp", "vxlan", "ethernet"]
WIREGUARD = ["ipv4", "udp", "wireguard"]
VXLAN6 = ["ipv6", "udp", "vxlan", "ethernet"]

Case = tuple[str, int, list[str], int, str, int]
"""Protocol, MTU, headers, the NIC's MTU, path state as trials.csv has it, MTU of the baseline."""


def ceiling(case: Case) -> float | None:
    """Return the profile's ceiling over that of the underlay."""
    protocol, mtu, headers, nic_mtu, state, baseline = case
    ours = wire.efficiency(protocol, mtu, headers, nic_mtu, PathState.parse(state))
    base = wire.efficiency(protocol, baseline, (), baseline)
    return ours / base if ours and base else None


@pytest.mark.parametrize(
    ("protocol", "mtu", "headers", "nic_mtu", "state", "payload", "l1_bytes", "efficiency", "ratio"),
    [
        ("tcp", 1500, [], 1500, "whole", 1448, 1538, 0.94148, 1.0),
        ("tcp", 1450, VXLAN, 1500, "whole", 1398, 1538, 0.90897, 0.96547),
        ("tcp", 1500, VXLAN, 1500, "outer-fragmented", 1448, 1538 + 108, 0.87971, 0.93439),
        ("tcp", 1500, VXLAN, 1550, "whole", 1448, 1588, 0.91184, 0.96851),
        ("udp", 1500, [], 1500, "whole", 1472, 1538, 0.95709, 1.0),
        ("udp", 1450, VXLAN, 1500, "whole", 1422, 1538, 0.92458, 0.96603),
        ("udp", 1500, VXLAN, 1500, "inner-fragmented", 1472, 1696, 0.86792, 0.90684),
    ],
)
def test_agrees_with_the_table_of_ceilings(
    protocol: str,
    mtu: int,
    headers: list[str],
    nic_mtu: int,
    state: str,
    payload: int,
    l1_bytes: int,
    efficiency: float,
    ratio: float,
) -> None:
    found = PathState.parse(state)
    packets = wire.wire_packets(mtu, headers, nic_mtu, found)
    assert packets is not None
    assert wire.payload(mtu, protocol) == payload
    assert sum(map(wire.l1_bytes, packets)) == l1_bytes
    assert wire.efficiency(protocol, mtu, headers, nic_mtu, found) == pytest.approx(efficiency, abs=5e-6)
    assert ceiling((protocol, mtu, headers, nic_mtu, state, 1500)) == pytest.approx(ratio, abs=5e-6)


@pytest.mark.parametrize(
    ("headers", "mtu", "nic_mtu", "tunnel_mtu", "state", "packets"),
    [
        (
            WIREGUARD,
            1420,
            1500,
            1420,
            "whole",
            [1480],
        ),  # a multiple of 16 would be 1424, which the device does not take
        (WIREGUARD, 1410, 1500, 1420, "whole", [1480]),
        (WIREGUARD, 1400, 1500, 1420, "whole", [1408 + 60]),
        (WIREGUARD, 1280, 1500, 1420, "whole", [1280 + 60]),
        (WIREGUARD, 1500, 1500, 1420, "inner-fragmented", [1480, 112 + 60]),  # 1400 and 80 bytes behind 20 each
        (WIREGUARD, 1500, 1500, 1420, "clamped to 1380", [1392 + 60, 144 + 60]),  # 1360 and 120 behind 20 each
        (VXLAN, 9000, 9000, 1500, "inner-fragmented", [1550] * 6 + [170]),  # 6 x 1480 and 100 bytes behind 20 each
        (VXLAN, 9000, 9000, None, "inner-fragmented", [8948 + 50, 72 + 50]),
    ],
)
def test_tunnels_mtu_and_padding(
    headers: list[str], mtu: int, nic_mtu: int, tunnel_mtu: int | None, state: str, packets: list[int]
) -> None:
    assert wire.wire_packets(mtu, headers, nic_mtu, PathState.parse(state), tunnel_mtu) == packets


@pytest.mark.parametrize(
    ("headers", "added"),
    [
        ([], 0),
        (VXLAN, 50),
        (VXLAN6, 70),
        (["ipv4", "udp"], 28),
        (["ipv4"], 20),
        (["ipv4", "gre", "ethernet"], 38),
        (["ipv4", "gre", "gre_key", "ethernet"], 42),
        (["ipv4", "udp", "wireguard"], 60),
        (["ipv6", "udp", "wireguard"], 80),
        (["ipv4", "udp", "geneve", "ethernet"], 50),
        (["ipv4", "tcp", "tcp_timestamps"], 52),
    ],
)
def test_overhead_is_the_sum_of_the_headers(headers: list[str], added: int) -> None:
    assert wire.overhead(headers) == added


@pytest.mark.parametrize(
    ("ip_bytes", "mtu", "ipv6", "sizes"),
    [
        (1500, 1500, False, [1500]),
        (1550, 1500, False, [1500, 70]),
        (1500, 1450, False, [1444, 76]),  # 1430 bytes of room are 1424 in units of 8
        (4000, 1500, False, [1500, 1500, 1040]),
        (2980, 1500, False, [1500, 1500]),  # fills both exactly
        (2874, 1450, False, [1444, 1450]),  # the last one may fill all of the 1430
        (1570, 1500, True, [1496, 130]),  # 8 bytes of fragment header in each
        (2842, 1450, True, [1448, 1448, 50]),  # 1402 bytes of room, but Linux leaves 2 of them for a fragment more
    ],
)
def test_fragments_are_cut_at_multiples_of_eight(ip_bytes: int, mtu: int, ipv6: bool, sizes: list[int]) -> None:
    assert wire.fragment_sizes(ip_bytes, mtu, ipv6=ipv6) == sizes


@pytest.mark.parametrize(
    ("case", "ratio"),
    [
        # A clamped TCP sender behaves as at the smaller MTU; a UDP sender's kernel cuts its datagrams there.
        (("tcp", 1500, VXLAN, 1500, "clamped to 1450", 1500), 0.96547),
        (("udp", 1500, VXLAN, 1500, "clamped to 1450", 1500), 0.90684),
        # Against the underlay at the same MTU, what is left is the encapsulation: (1450 + 38) / (1500 + 38).
        (("tcp", 1450, VXLAN, 1500, "whole", 1450), 1488 / 1538),
        (("tcp", 1450, [], 1500, "whole", 1500), (1398 / 1488) / (1448 / 1538)),
        (("tcp", 1430, VXLAN6, 1500, "whole", 1500), (1378 / 1538) / (1448 / 1538)),
        (("tcp", 8950, VXLAN, 9000, "whole", 9000), (8898 / 9038) / (8948 / 9038)),
    ],
)
def test_ceiling_of_other_states_and_baselines(case: Case, ratio: float) -> None:
    assert ceiling(case) == pytest.approx(ratio, abs=5e-6)


@pytest.mark.parametrize(
    "case",
    [
        ("tcp", 1500, VXLAN, 1500, "black-holed", 1500),
        ("tcp", 1500, VXLAN, 1500, "whole", 1500),  # 1550 bytes cannot go whole
        ("tcp", 1500, VXLAN, 1500, "clamped to 1480", 1500),
    ],
)
def test_no_ceiling_where_nothing_fits_or_nothing_arrives(case: Case) -> None:
    assert ceiling(case) is None


def test_timestamps_take_twelve_bytes_of_a_segment() -> None:
    assert wire.payload(1500, "tcp", timestamps=False) == 1460
    assert wire.payload(1450, "icmp") == 1422


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (("tcp", 1450, ["ipv4", "vxlam"], 1500, "whole", 1500), "unknown header 'vxlam': use ethernet, vlan, ipv4"),
        (("sctp", 1450, [], 1500, "whole", 1500), "unknown protocol 'sctp': use tcp, udp, icmp"),
        (("tcp", 1450, [], 1500, "shrunk", 1500), "unknown path state 'shrunk': use whole, clamped to N"),
        (("tcp", 1450, [], 1500, "clamped", 1500), "unknown path state 'clamped'"),
        (("tcp", 52, [], 1500, "whole", 1500), "MTU 52 has no room for tcp payload"),
    ],
)
def test_unknown_input_names_what_is_known(case: Case, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ceiling(case)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("", 0),
        ("ipv4 udp vxlan ethernet", 50),
        ("ipv4 udp wireguard", 28),  # measured: its device counts the 32 bytes and the padding itself
        ("ipv4 tcp tcp_timestamps openvpn_length", 2),
    ],
)
def test_what_the_nic_counts_beyond_the_tunnel_device(headers: str, expected: int) -> None:
    assert wire.least_overhead(headers.split()) == expected


def test_packets_go_whole_unless_it_is_known_otherwise() -> None:
    assert wire.efficiency("tcp", 1450, VXLAN, 1500) == wire.efficiency("tcp", 1450, VXLAN, 1500, WHOLE)
