"""Wire sizes of every shipped profile at five MTUs in every path state, worked out by hand.

What this kernel can do is held against frames in tests/lab/test_frames.py.

Headers: IPv4 20, IPv6 40, UDP 8, VXLAN and Geneve 8, inner Ethernet 14, GRE 4, WireGuard 16 + 16, TCP with timestamps
32, OpenVPN's length 2. A full-size packet of 1500 bytes has 1480 behind its IPv4 header, one of 9000 has 8980. Cut at
an MTU, each fragment but the last holds the largest multiple of 8 that fits behind 20 bytes, or behind 40 + 8 of IPv6:
at 1450 1424 of 1430, at 1500 all of 1480, at 9000 8976 of 8980. WireGuard fills up to a multiple of 16, but not above
1420: 1400 to 1408, 50 to 64, 100 to 112, 600 to 608. ESP takes 26, and fills up to a multiple of 4: 50 to 52.
"""

import pytest

from harness.fabric.profiles import load
from harness.model.path import BLACK_HOLED, WHOLE, Fate, PathState
from harness.truth import wire

NEVER = [0]
"""Packets that no kernel makes: WireGuard's device is never too wide for the NIC, and TCP's segments always fit it."""
Row = tuple[int, list[int] | None, list[int] | None, list[int] | None]
"""The MTU, and the underlay's packets: whole, cut in front of the tunnel, cut outside; None: that cannot be."""


def fitting(mtu: int, size: int) -> Row:
    """Return the row of packets that fit, which nothing cuts."""
    return (mtu, [size], [size], [size])


# profiles, the largest packet that passes whole at a NIC of 1500 bytes and at one of 9000, TCP at that size, rows
TABLE: list[tuple[str, tuple[int, int], tuple[int, int], list[Row]]] = [
    (
        "underlay host-gw flannel-direct",
        (1500, 9000),
        (1500, 9000),
        [fitting(1280, 1280), fitting(1400, 1400), fitting(1450, 1450), fitting(1500, 1500), fitting(9000, 9000)],
    ),
    (
        "vxlan vxlan-one-port flannel geneve swarm",
        (1450, 8950),
        (1500, 9000),
        [
            fitting(1280, 1330),
            fitting(1400, 1450),
            fitting(1450, 1500),
            (1500, None, [1494, 126], [1500, 70]),  # 1424 + 56 of 1480; outside 1480 + 50 of 1530
            (9000, None, [8998, 122], [8996, 74]),  # 8928 + 52 of 8980; outside 8976 + 54 of 9030
        ],
    ),
    (
        "vxlan-1500",
        (1500, 1500),
        (0, 1550),  # 1550 does not fit 1500, but 9000
        [
            fitting(1280, 1330),
            fitting(1400, 1450),
            fitting(1450, 1500),
            (1500, None, None, [1500, 70]),
            (9000, None, [1550, 1550, 1550, 1550, 1550, 1550, 170], [8996, 74]),  # 6 x 1480 + 100 of 8980
        ],
    ),
    (
        "vxlan6",
        (1430, 8930),
        (1500, 9000),
        [
            fitting(1280, 1350),
            fitting(1400, 1470),
            (1450, None, [1498, 112], [1496, 80]),  # 1408 + 22 of 1430; outside 1448 + 32 of 1480
            (1500, None, [1498, 162], [1496, 130]),  # 1408 + 72 of 1480; outside 1448 + 82 of 1530
            (9000, None, [8994, 166], [9000, 126]),  # 8904 + 76 of 8980; outside 8952 + 78 of 9030
        ],
    ),
    (
        "gre",
        (1462, 8962),
        (1500, 9000),
        [
            fitting(1280, 1318),
            fitting(1400, 1438),
            fitting(1450, 1488),
            (1500, None, [1498, 98], [1500, 58]),  # 1440 + 40 of 1480; outside 1480 + 38 of 1518
            (9000, None, [8994, 102], [8996, 62]),  # 8936 + 44 of 8980; outside 8976 + 42 of 9018
        ],
    ),
    (
        "ipip",
        (1480, 8980),
        (1500, 9000),
        [
            fitting(1280, 1300),
            fitting(1400, 1420),
            fitting(1450, 1470),
            (1500, None, [1496, 64], [1500, 40]),  # 1456 + 24 of 1480; outside 1480 + 20 of 1500
            (9000, None, [9000, 60], [8996, 44]),  # 8960 + 20 of 8980; outside 8976 + 24 of 9000
        ],
    ),
    (
        "wireguard",
        (1420, 1420),
        (1480, 1480),
        [
            (1280, [1340], [1340], NEVER),
            (1400, [1468], [1468], NEVER),  # 1408 + 60
            (1450, None, [1480, 124], NEVER),  # 1400 + 30 of 1430: 1420 and 50, which becomes 64
            (1500, None, [1480, 172], NEVER),  # 1400 + 80 of 1480: 1420 and 100, which becomes 112
            (9000, None, [1480, 1480, 1480, 1480, 1480, 1480, 668], NEVER),  # 6 x 1400 + 580 of 8980: 600 becomes 608
        ],
    ),
    (
        "swarm-encrypted",
        (1424, 8924),
        (1500, 9000),
        [
            fitting(1280, 1356),
            fitting(1400, 1476),
            (1450, None, [1496, 128], [1500, 48]),  # 1400 + 30 of 1430: 50 becomes 52; outside 1452, 1480 + 28 of 1508
            (1500, None, [1496, 176], [1500, 96]),  # 1400 + 80 of 1480; outside 1480 + 76 of 1556
            (9000, None, [9000, 172], [8996, 100]),  # 8904 + 76 of 8980; outside 8976 + 80 of 9056
        ],
    ),
    (
        "udp-userspace",
        (1472, 8972),
        (1500, 9000),
        [
            fitting(1280, 1308),
            fitting(1400, 1428),
            fitting(1450, 1478),
            (1500, None, [1496, 80], [1500, 48]),  # 1448 + 32 of 1480; outside 1480 + 28 of 1508
            (9000, None, [9000, 76], [8996, 52]),  # 8952 + 28 of 8980; outside 8976 + 32 of 9008
        ],
    ),
    (
        "tcp-userspace",
        (1446, 8946),
        (1500, 9000),
        [
            (1280, [1334], [1334], NEVER),
            (1400, [1454], [1454], NEVER),
            (1450, None, [1498, 80], NEVER),  # 1424 + 6 of 1430
            (1500, None, [1498, 130], NEVER),  # 1424 + 56 of 1480
            (9000, None, [8994, 134], NEVER),  # 8920 + 60 of 8980
        ],
    ),
]
CASES = [
    (profile, nic_mtu, path_mtus[nic_mtu == 9000], clamped[nic_mtu == 9000], row)
    for profiles, path_mtus, clamped, rows in TABLE
    for profile in profiles.split()
    for row in rows
    for nic_mtu in [9000 if row[0] == 9000 else 1500]
]


def test_table_has_sixteen_profiles_at_five_mtus() -> None:
    assert len({(profile, row[0]) for profile, *_, row in CASES}) == len(CASES) == 16 * 5


@pytest.mark.parametrize(("profile", "nic_mtu", "path_mtu", "clamped", "row"), CASES)
def test_packets_of_every_state(profile: str, nic_mtu: int, path_mtu: int, clamped: int, row: Row) -> None:
    shape = load(profile)
    mtu, whole, inside, outside = row

    def packets(size: int, state: PathState) -> list[int] | None:
        return wire.wire_packets(size, shape.headers, nic_mtu, state, shape.tunnel_mtu)

    assert shape.path_mtu(nic_mtu) == path_mtu
    assert packets(mtu, BLACK_HOLED) is None
    assert packets(mtu, WHOLE) == whole
    assert packets(mtu, PathState(Fate.INNER_FRAGMENTED)) == inside
    assert packets(mtu, PathState(Fate.CLAMPED, path_mtu)) == inside, "a datagram; its sender cuts it"
    assert packets(path_mtu, PathState(Fate.CLAMPED, path_mtu)) == ([clamped] if clamped else None), "a TCP segment"
    if outside is not NEVER:
        assert packets(mtu, PathState(Fate.OUTER_FRAGMENTED)) == outside


# Of a stream that TCP carries, each 1448 bytes take up 1538 on the cable (NIC of 1500), or each 8948 9038 (of 9000).
@pytest.mark.parametrize(
    ("protocol", "mtu", "nic_mtu", "state", "payload", "stream"),
    [
        ("tcp", 1280, 1500, "whole", 1228, 1282),
        ("tcp", 1500, 1500, "clamped to 1446", 1394, 1448),
        ("udp", 1500, 1500, "inner-fragmented", 1472, 1446 + 78),
        ("udp", 9000, 9000, "inner-fragmented", 8972, 8942 + 82),
    ],
)
def test_packets_share_the_segments_of_a_stream(
    protocol: str, mtu: int, nic_mtu: int, state: str, payload: int, stream: int
) -> None:
    found = wire.efficiency(protocol, mtu, load("tcp-userspace").headers, nic_mtu, PathState.parse(state))
    assert found == pytest.approx(payload / stream * (nic_mtu - 52) / (nic_mtu + 38), rel=1e-12)
