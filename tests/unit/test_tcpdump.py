"""What docs/packet-walk.md says of following a packet by hand: tcpdump takes flannel's port for another protocol's."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import PcapWriter

from harness.fabric.profiles import load

WALK = Path(__file__).parents[2] / "docs" / "packet-walk.md"
SHOWN = [line.split() for line in re.findall(r"tcpdump -[^`\n]*", WALK.read_text(encoding="utf-8"))]


def captured(port: int, vni: int) -> bytes:
    """Return a capture file with one echo in a tunnel."""
    inner = Ether() / IP(src="10.244.0.2", dst="10.244.1.2") / ICMP()
    file = io.BytesIO()
    writer = PcapWriter(file, linktype=1)
    writer.write(
        Ether() / IP(src="172.12.1.11", dst="172.12.1.12") / UDP(sport=48905, dport=port) / VXLAN(vni=vni) / inner
    )
    return file.getvalue()


def decoded(packets: bytes, *more: str) -> str:
    argv = [str(shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/sbin")), "-n", "-r", "-", *more]
    return subprocess.run(argv, input=packets, capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize(("words", "said"), [([], "OTV"), (["-T", "vxlan"], "VXLAN")])
def test_flannels_port_is_called_another_protocols_unless_it_is_said(words: list[str], said: str) -> None:
    (tunnel,) = (link for link in load("flannel").links if link.kind == "vxlan")
    text = decoded(captured(int(str(tunnel.attributes["dstport"])), 1), *words)
    assert f"{said}, " in text
    assert "10.244.0.2 > 10.244.1.2: ICMP echo request" in text


def test_what_is_shown_for_flannel_says_which_protocol_it_is() -> None:
    of_flannel = [words for words in SHOWN if "8472" in words]
    assert len(of_flannel) > 1
    assert [words for words in of_flannel if "vxlan" not in words[words.index("-T") + 1 :][:1]] == []
