"""What the design promises: a profile, a measure, a factor and a metric are one file or one entry each, no more."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.test_stranger import STRANGER

pytestmark = pytest.mark.lab

REPOSITORY = Path(__file__).parents[2]
MEASURE = '''
"""Knocks: messages of one size over TCP, counted where they arrive."""

from collections.abc import Mapping, Sequence

from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure, served
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Port, Program, Side
from harness.model.trial import Cell, Measured, Timing

PROGRAM = Program("perl", "perl-base", "knocks", ("perl", "-v"), r"\\(v(\\d+\\.\\d+)")
SERVER = """
use IO::Socket::INET;
my $heard = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => $ARGV[1], Listen => 1)->accept;
my $bytes = 0;
while (my $read = sysread $heard, my $text, 65536) { $bytes += $read }
print $bytes;
"""
CLIENT = """
use IO::Socket::INET;
my $door = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1]) or die "nobody there";
my $until = time + $ARGV[2];
while (time < $until) { syswrite $door, "k" x $ARGV[3] for 1 .. 100; select undef, undef, undef, .01 }
"""


class Knock(Measure):
    name = "knock"
    programs = (PROGRAM,)
    factors = ("knock_bytes",)
    metrics = ("knocks_per_s",)
    rows = ("knocks_per_s",)

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        port, seconds = conditions.next_port(), conditions.timing.duration_s
        there = (conditions.address, str(port))
        client = ("perl", "-e", CLIENT, *there, str(int(seconds)), str(cell.get("knock_bytes")))
        return (
            Job("server", Side.SERVER, served(["perl", "-e", SERVER, *there], seconds), 9, Port("tcp", port)),
            Job("client", Side.CLIENT, client, limit_s=seconds + CLIENT_GRACE_S),
        )

    def seconds(self, cell: Cell, timing: Timing) -> float:
        return timing.duration_s

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        heard = done["server"].stdout
        if not heard.isdigit():
            raise ToolError(f"nobody heard a knock: {done['client'].stderr}")
        knocks = int(heard) / int(cell.get("knock_bytes") or 1)
        return Measured({"knocks_per_s": knocks}, payload_forward_bytes=int(heard))
'''
ENTRIES = {
    "registry.py": [
        ("from harness.measures.loaded_ping", "from harness.measures.knock import Knock\n"),
        ("    for measure in (", ""),
    ],
    "factors.py": [
        (
            "        OFFLOAD,\n",
            '        Factor("knock_bytes", "Bytes.", whole(1, 60000), "B", default=(100,)),\n',
        )
    ],
    "metrics.py": [('        Metric("rtt_min_s"', '        Metric("knocks_per_s", "1/s", "knocks", _HIGHER),\n')],
}
"""By module of harness/measures: in front of what another line is inserted. The measure's own line is in a tuple."""
CHOSEN = "--profile stranger --measure knock --knock-bytes 100,1000 --mtu 1400 --blocks 1".split()
FACTOR, METRIC = "knock_bytes", "knocks_per_s"


@dataclass(frozen=True)
class Copy:
    """A copy of the program with four things added, and what starts it."""

    root: Path

    def run(self, argv: Sequence[str], folder: str = "") -> str:
        """Return what a command prints that runs in a folder of the copy and has to end well."""
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.root / folder,
            env={**os.environ, "PYTHONPATH": str(self.root), "LC_ALL": "C.UTF-8", "COLUMNS": "200"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def harness(self, *words: str) -> str:
        """Return what the copy's own `harness` prints."""
        return self.run([sys.executable, "-c", "from harness.cli import main; main()", *words])


@pytest.fixture(name="copy", scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root = tmp_path_factory.mktemp("copy")
    for name in ("harness", "playbooks"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "playbooks/profiles/stranger.yml").write_text(STRANGER, encoding="utf-8")
    measures = root / "harness/measures"
    (measures / "knock.py").write_text(MEASURE, encoding="utf-8")
    for name, entries in ENTRIES.items():
        text = (measures / name).read_text(encoding="utf-8")
        for before, entry in entries:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, f"{entry}{before}" if entry else f"{before}Knock(), ")
        (measures / name).write_text(text, encoding="utf-8")
    return Copy(root)


@pytest.fixture(name="measured", scope="module")
def measured_run(copy: Copy) -> tuple[str, Path]:
    """A run of the copy: its table, its folder."""
    table = copy.harness("run", *CHOSEN, "--duration", "1", "--omit", "0", "--out", "out")
    (folder,) = (copy.root / "out").iterdir()
    return table, folder


def test_they_are_options_and_in_the_plan(copy: Copy) -> None:
    assert "--knock-bytes LIST" in copy.harness("run", "--help")
    assert "stranger" in copy.harness("profiles")
    planned = [line.split()[2:] for line in copy.harness("plan", *CHOSEN).splitlines()]
    for size in ("100", "1000"):
        assert ["stranger", "knock", "mtu", "1400", size] in planned


def test_what_is_needed_is_looked_for_and_installed(copy: Copy) -> None:
    assert "perl: knocks" in copy.harness("doctor", "--measure", "knock")
    assert "perl" not in copy.harness("doctor")
    ansible = str(Path(sys.executable).with_name("ansible"))
    words = [
        "localhost",
        "--playbook-dir",
        ".",
        "-c",
        "local",
        "-m",
        "ansible.builtin.debug",
        "-a",
        "msg={{ 'knock' | measure_packages }}",
    ]
    assert "perl-base" in copy.run([ansible, "-i", "localhost,", *words], "playbooks")


def test_they_are_measured_and_proven(measured: tuple[str, Path]) -> None:
    table, folder = measured
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["profile"] == "stranger"]
    assert sorted(row[FACTOR] for row in rows) == ["100", "1000"]
    for row in rows:
        assert (row["measure"], row["status"]) == ("knock", "ok"), row["reason"]
        assert float(row[METRIC]) > 0
        assert "vx77" in row["proof"]
    assert "stranger against underlay" in table
    assert "knocks" in table


def test_they_are_in_every_report(copy: Copy, measured: tuple[str, Path]) -> None:
    _, folder = measured
    assert "knocks" in copy.harness("compare", str(folder))
    other = folder.with_name("other")
    other.mkdir()
    for name in ("trials.csv", "run.json"):
        text = (folder / name).read_text(encoding="utf-8").replace(folder.name, other.name)
        (other / name).write_text(text, encoding="utf-8")
    both = json.loads(copy.harness("compare", str(folder), str(other), "--format", "json"))
    one = json.loads(copy.harness("compare", str(folder), "--format", "json"))
    for report in (one, both):
        rows = [row for row in report["rows"] if row["metric"] == METRIC and row["profile"] == "stranger"]
        assert {row[FACTOR] for row in rows} >= {100, 1000}


def test_a_program_without_them_reads_the_run(measured: tuple[str, Path]) -> None:
    _, folder = measured
    words = [sys.executable, "-c", "from harness.cli import main; main()", "compare", str(folder)]
    done = subprocess.run([*words, "--format", "json"], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    rows = [row for row in json.loads(done.stdout)["rows"] if row["metric"] == METRIC and row["profile"] == "stranger"]
    assert {row[FACTOR] for row in rows} >= {100, 1000}
    assert all(row["median"] > 0 for row in rows)
