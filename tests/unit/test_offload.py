"""Offload switches as `ethtool -k` printed them on a node's veth, with all as they were and with `tx off`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.on_node import module_utils

offload = module_utils("harness_offload")
GOLDEN = Path(__file__).parents[1] / "golden"
LISTING, LISTING_TX_OFF = (
    (GOLDEN / f"ethtool-6.1-features{which}.txt").read_text(encoding="utf-8") for which in ("", "-tx-off")
)
DEVICE, GONE = "lo", "nosuch0"
TX_OFF = "tx-checksum-ip-generic tx-checksum-sctp".split()
"""What `ethtool -K ens33 tx off` switched off; others wait for the first, and come back with it."""


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("rx-checksumming", "on"),
        ("generic-receive-offload", "off"),
        ("tx-scatter-gather", "on"),  # indented
        ("tx-udp_tnl-csum-segmentation", "on"),  # with an underscore
        ("tx-checksum-ipv4", None),  # off [fixed]
        ("rx-vlan-filter", None),
        ("tcp-segmentation-offload", None),  # sums up what is below it
        ("Features for ens33", None),
    ],
)
def test_what_can_be_switched(feature: str, value: str | None) -> None:
    assert offload.switches(LISTING).get(feature) == value


def test_what_waits_for_another_is_as_it_was_asked_to_be() -> None:
    before, after = offload.switches(LISTING), offload.switches(LISTING_TX_OFF)
    assert len(before) == 29
    assert before.keys() == after.keys()
    assert {name: after[name] for name in before if before[name] != after[name]} == dict.fromkeys(TX_OFF, "off")


def ethtool(listings: list[str], ran: list[str]) -> Callable[[list[str]], str]:
    """Stand in for ethtool: each listing in turn, and what is set is noted."""

    def run(argv: list[str]) -> str:
        if argv[1] == "-k":
            return listings.pop(0)
        ran.append(" ".join(argv))
        return ""

    return run


SET = f"ethtool -K {DEVICE} " + " ".join(f"{name} on" for name in LISTING.replace(":", "").split() if name in TX_OFF)


@pytest.mark.parametrize(
    ("device", "listings", "commands"),
    [
        (DEVICE, [LISTING], []),
        (DEVICE, [LISTING_TX_OFF, LISTING], [SET]),
        (DEVICE, [LISTING_TX_OFF, LISTING_TX_OFF, LISTING], [SET, SET]),
        (GONE, [], []),
        (DEVICE, [""], []),  # whatever was there is gone
        (DEVICE, [LISTING_TX_OFF.replace(": off", ": off [fixed]")], []),
    ],
)
def test_switched_back(monkeypatch: pytest.MonkeyPatch, device: str, listings: list[str], commands: list[str]) -> None:
    ran: list[str] = []
    monkeypatch.setattr(offload, "run", ethtool(listings, ran))
    offload.switch_back(device, offload.switches(LISTING))
    assert ran == commands
    assert listings == []


def test_what_cannot_be_switched_back_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "run", ethtool([LISTING_TX_OFF] * 3, []))
    with pytest.raises(offload.NodeError, match="`ethtool -K lo tx-checksum-ip-generic on "):
        offload.switch_back(DEVICE, offload.switches(LISTING))
