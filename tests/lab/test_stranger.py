"""What the design promises: a profile is one YAML file, and nothing else has to know of it."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

STRANGER = """
name: stranger
kind: tunnel
summary: "A VXLAN of a stranger's"
headers: [ipv4, udp, vxlan, ethernet]
tunnel: vx77
tunnel_mtu: 1400
networks: [192.168.77.0/24]
links:
  - name: br77
    kind: bridge
    addresses: [192.168.77.1/24]
  - name: vx77
    kind: vxlan
    attributes: {id: 77, remote: $peer_address, dstport: 4795, dev: $nic}
    mtu: 1400
    master: br77
endpoints:
  bridge: br77
  address: 192.168.77.$pair_host/24
"""
HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]


def harness(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HARNESS, *argv], capture_output=True, text=True, check=False)


def test_one_file_is_listed_planned_applied_verified_measured_and_torn_down(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "stranger.yml").write_text(STRANGER, encoding="utf-8")
    given = ["--profiles-dir", str(folder)]
    assert "stranger" in harness("profiles", *given).stdout
    plan = ["--profile", "stranger", *given, "--mtu", "1400", "--flows", "1", "--blocks", "1"]
    planned = harness("plan", *plan)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.count("stranger") == 2
    done = harness("run", *plan, "--duration", "1", "--omit", "0", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "stranger against underlay" in done.stdout
    (run,) = (tmp_path / "out").iterdir()
    with (run / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["profile"] == "stranger"]
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all("vx77" in row["proof"] for row in rows)
    assert {row["path_state"] for row in rows} == {"whole"}
