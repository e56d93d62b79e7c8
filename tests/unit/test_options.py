"""Bad input: each a sentence that names the option and the valid choices, exit code 2, and nothing changed."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import prepare as options
from harness.cli.prepare import RunOptions, bounded, choices, integers, prepare
from harness.labs.local import NIC_MTU, LocalLab, parse_rate
from harness.labs.static import StaticLab
from harness.model.errors import InputError
from harness.model.pairs import Wave
from harness.model.trial import Direction, Timing

REPO = Path(__file__).parents[2]
GIVEN = RunOptions(
    profile=("vxlan",),
    lab="local",
    mtu="1450,1500",
    flows="1,4,8",
    protocol="tcp",
    direction="forward",
    duration=None,
    omit=None,
    blocks=None,
    seed=7,
    rate="1gbit",
    plan="quick",
    profiles_dir=(),
)

INVENTORY = """\
nodes:
  hosts:
    a: {underlay_address: 192.0.2.11, underlay_device: eth0, underlay_mtu: MTU_A}
    b: {underlay_address: 192.0.2.12, underlay_device: eth0, underlay_mtu: MTU_B}
"""


def test_defaults_of_the_command_line() -> None:
    plan = prepare(GIVEN).plan
    assert plan.profiles == ("underlay", "vxlan")
    assert (plan.mtus, plan.flows, plan.protocols) == ((1450, 1500), (1, 4, 8), ("tcp",))
    assert plan.directions == (Direction.FORWARD,)
    assert (plan.name, plan.blocks, plan.timing, plan.seed) == ("quick", 6, Timing(2, 1), 7)
    assert plan.nic_mtu == NIC_MTU


def test_underlay_comes_first_and_once() -> None:
    assert prepare(replace(GIVEN, profile=())).plan.profiles == ("underlay",)
    given = replace(GIVEN, profile=("vxlan", "underlay", "vxlan"))
    assert prepare(given).plan.profiles == ("underlay", "vxlan")
    assert set(prepare(given).profiles) == {"underlay", "vxlan"}


def test_numbers_of_the_plan_can_be_given() -> None:
    plan = prepare(replace(GIVEN, plan="rfc", duration=5, omit=0, blocks=3)).plan
    assert (plan.name, plan.blocks, plan.timing) == ("rfc", 3, Timing(5, 0))


def test_lists_are_split_once_each() -> None:
    plan = prepare(replace(GIVEN, mtu="1500, 1450,1500", direction="bidir,forward", protocol="udp,tcp")).plan
    assert plan.mtus == (1450, 1500)
    assert plan.directions == (Direction.BIDIR, Direction.FORWARD)
    assert plan.protocols == ("udp", "tcp")


def test_seed_is_made_where_none_is_given() -> None:
    seeds = {prepare(replace(GIVEN, seed=None)).plan.seed for _ in range(3)}
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"profile": ("vxlam",)}, "unknown profile 'vxlam'; known are .*underlay.*vxlan"),
        ({"profile": ("../vxlan",)}, "unknown profile '../vxlan'; known are"),
        ({"mtu": "0"}, "--mtu 0: choose a number from 576 to 65535"),
        ({"mtu": "575"}, "--mtu 575: choose a number from 576"),
        ({"mtu": "1450,1451.5"}, "--mtu 1450,1451.5: '1451.5' is not a whole number; give numbers from 576 to 65535"),
        ({"mtu": "70000"}, "--mtu 70000: choose a number from 576 to 65535"),
        ({"mtu": "abc"}, "--mtu abc: 'abc' is not a whole number"),
        ({"mtu": "-1500"}, "--mtu -1500: '-1500' is not a whole number"),
        ({"mtu": "١٤٥٠"}, "--mtu .* is not a whole number"),
        ({"mtu": ""}, "--mtu '': give one or more values with commas between them"),
        ({"mtu": "1450,,1500"}, "--mtu '1450,,1500': give one or more values"),
        ({"mtu": "9000"}, "--mtu 9000 is larger than the underlay's own 1500"),
        ({"flows": "0"}, "--flows 0: choose a number from 1 to 128"),
        ({"flows": "1,129"}, "--flows 129: choose a number from 1 to 128"),
        ({"flows": "two"}, "--flows two: 'two' is not a whole number"),
        ({"protocol": "sctp"}, "--protocol sctp: 'sctp' is unknown; choose from tcp, udp"),
        ({"protocol": "tcp,icmp"}, "--protocol tcp,icmp: 'icmp' is unknown"),
        ({"direction": "sideways"}, "--direction sideways: .* choose from forward, reverse, bidir"),
        ({"direction": "Forward"}, "--direction Forward: 'Forward' is unknown"),
        ({"plan": "slow"}, "--plan slow: choose one of quick, standard, rfc"),
        ({"duration": 0}, "--duration 0: choose a number from 1"),
        ({"duration": 3601}, "--duration 3601: choose a number from 1 to 3600"),
        ({"omit": -1}, "--omit -1: choose a number from 0 to 60"),
        ({"blocks": 0}, "--blocks 0: choose a number from 1"),
        ({"rate": "fast"}, "--rate 'fast': give none, or a number with kbit, mbit or gbit"),
        ({"nodes": 1}, "--nodes 1: choose a number from 2 to 8"),
        ({"nodes": 9, "pairs": "all"}, "--nodes 9: choose a number from 2 to 8"),
        ({"nodes": 4}, "--nodes 4: say which of them are measured, by --pairs k8s-1:k8s-2,… or --pairs all"),
        ({"nodes": 2, "lab": "own.yml"}, "--nodes is for the local lab; an inventory has the hosts that are in it"),
        ({"pairs": "k8s-1:k8s-3"}, "--pairs: there is no host 'k8s-3'; there are k8s-1, k8s-2, --nodes makes more"),
        ({"nodes": 8, "pairs": "k8s-1:x"}, "--pairs: there is no host 'x'; there are k8s-1, .*, k8s-8\\."),
        ({"nodes": 4, "pairs": "k8s-1"}, "--pairs: 'k8s-1' is not CLIENT:SERVER"),
        ({"nodes": 4, "parallel_pairs": True}, "--nodes 4: say which of them"),
        ({"parallel_pairs": True}, "--parallel-pairs is of no use without --pairs"),
        ({"lab": "missing.yml"}, "--lab missing.yml: there is no such inventory; give local, vagrant, or the path"),
        ({"profiles_dir": (Path("/missing"),)}, "/missing is not a folder of profiles; give --profiles-dir"),
    ],
)
def test_bad_option(given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=f"^{words}"):
        prepare(replace(GIVEN, **given))  # type: ignore[arg-type] # each value has its option's type


@pytest.mark.parametrize("digits", [20, 5000])
def test_number_with_very_many_digits(digits: int) -> None:
    with pytest.raises(InputError, match="--flows"):
        prepare(replace(GIVEN, flows="9" * digits))


@pytest.mark.parametrize(
    ("text", "bps"),
    [("1gbit", 1e9), ("2.5gbit", 2.5e9), ("100mbit", 1e8), ("1000kbit", 1e6), ("400gbit", 400e9), ("none", None)],
)
def test_rate(text: str, bps: float | None) -> None:
    assert parse_rate(text) == bps


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1 gbit",
        "1Gbit",
        "gbit",
        "-1gbit",
        "0gbit",
        "999kbit",
        "401gbit",
        "1e3mbit",
        "1gbit;x",
        "NONE",
        "1tbit",
    ],
)
def test_bad_rate(text: str) -> None:
    with pytest.raises(InputError, match=r"--rate .*: give none, or a number with kbit, mbit or gbit from 1mbit"):
        parse_rate(text)


def test_integers_choices_and_bounds() -> None:
    assert integers("8, 1,8", "--flows", 1, 128) == (8, 1)
    assert choices("b,a", "--x", ("a", "b")) == ("b", "a")
    assert [bounded(value, "--x", 1, 3) for value in (1, 3)] == [1, 3]


def static(monkeypatch: pytest.MonkeyPatch, mtu_a: int, mtu_b: int) -> None:
    """Let an inventory be what ansible-inventory would print of it, without starting that."""
    hosts = {
        "a": {"underlay_address": "192.0.2.11", "underlay_mtu": mtu_a},
        "b": {"underlay_address": "192.0.2.12", "underlay_mtu": mtu_b},
    }
    printed = {"_meta": {"hostvars": hosts}, "nodes": {"hosts": ["a", "b"]}}
    monkeypatch.setattr("harness.labs.static.listing", lambda _path: printed)


def test_own_hosts_bring_their_own_mtu(monkeypatch: pytest.MonkeyPatch) -> None:
    static(monkeypatch, 9000, 9000)
    prepared = prepare(replace(GIVEN, lab="own.yml", mtu="8950,9000"))
    assert prepared.plan.nic_mtu == 9000
    assert isinstance(prepared.source, StaticLab)


def test_own_hosts_must_agree_on_the_mtu(monkeypatch: pytest.MonkeyPatch) -> None:
    static(monkeypatch, 9000, 1500)
    with pytest.raises(InputError, match=r"own\.yml: underlay_mtu is 9000 on a and 1500 on b; a path has one MTU"):
        prepare(replace(GIVEN, lab="own.yml"))


def text_of(waves: Sequence[Wave]) -> str:
    return " | ".join(" ".join(map(str, wave)) for wave in waves)


@pytest.mark.parametrize(
    ("nodes", "pairs", "parallel", "waves"),
    [
        (None, None, False, ""),
        (None, "all", False, "k8s-1:k8s-2"),
        (3, "all", False, "k8s-1:k8s-2 | k8s-1:k8s-3 | k8s-2:k8s-3"),
        (4, "k8s-2:k8s-1,k8s-3:k8s-4", False, "k8s-2:k8s-1 | k8s-3:k8s-4"),
        (4, "k8s-2:k8s-1,k8s-3:k8s-4", True, "k8s-2:k8s-1 k8s-3:k8s-4"),
    ],
)
def test_pairs_are_measured_in_waves(nodes: int | None, pairs: str | None, *, parallel: bool, waves: str) -> None:
    prepared = prepare(replace(GIVEN, nodes=nodes, pairs=pairs, parallel_pairs=parallel))
    assert text_of(prepared.waves) == waves
    assert [node.name for node in prepared.source.nodes()] == [f"k8s-{n}" for n in range(1, (nodes or 2) + 1)]


def test_keep_needs_pairs_that_can_stand_together() -> None:
    given = replace(GIVEN, nodes=4, pairs="k8s-1:k8s-2,k8s-3:k8s-4")
    assert len(prepare(replace(given, parallel_pairs=True), keep=True).waves) == 1
    with pytest.raises(
        InputError, match="--keep: these 2 pairs are set up and torn down in 2 turns; give one pair, or"
    ):
        prepare(given, keep=True)


def test_pairs_of_own_hosts_must_agree_on_the_mtu_if_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    mtus = {"a": 9000, "b": 1500, "c": 9000}
    hosts = {n: {"underlay_address": f"192.0.2.{i}", "underlay_mtu": mtu} for i, (n, mtu) in enumerate(mtus.items(), 1)}
    printed = {"_meta": {"hostvars": hosts}, "nodes": {"hosts": [*hosts]}}
    monkeypatch.setattr("harness.labs.static.listing", lambda _path: printed)
    given = replace(GIVEN, lab="own.yml", mtu="8950")
    prepared = prepare(replace(given, pairs="a:c"))
    assert (prepared.plan.nic_mtu, text_of(prepared.waves)) == (9000, "a:c")
    with pytest.raises(InputError, match=r"own\.yml: underlay_mtu is 9000 on a and 1500 on b"):
        prepare(replace(given, pairs="all"))
    with pytest.raises(InputError, match=r"has 3 host\(s\) \(a, b, c\); a run needs exactly two.*; --pairs \(overlay"):
        prepare(given)


def test_local_lab_is_made_with_the_rate_and_not_yet_up() -> None:
    source = prepare(replace(GIVEN, rate="100mbit")).source
    assert isinstance(source, LocalLab)
    assert (source.rate, source.rate_bps) == ("100mbit", 1e8)
    assert not source.directory.exists()


def harness(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(REPO)!r}); from harness.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *argv], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("plan --profile vxlam", "unknown profile 'vxlam'; known are"),
        ("run --profile vxlan --mtu 0", "--mtu 0: choose a number from 576"),
        ("run --profile vxlan --mtu 1450,1451.5", "'1451.5' is not a whole number"),
        ("plan --flows 129", "--flows 129: choose a number from 1 to 128"),
        ("plan --plan slow --json", "--plan slow: choose one of"),
        ("run --rate fast", "--rate 'fast': give none"),
        ("run --profile bad --profiles-dir profiles", "bad.yml, line 4: colour: unknown key"),
        ("plan --nodes 4 --pairs k8s-1:k8s-2,k8s-2:k8s-1", "k8s-2:k8s-1 is k8s-1:k8s-2 the other way round"),
        ("run --nodes 4", "--nodes 4: say which of them are measured"),
        ("run --lab two.yml --pairs a:c", "there is no host 'c'; there are a, b."),
        ("lab up --nodes 9", "--nodes 9: choose a number from 2 to 8"),
        ("run --lab three.yml", "group `nodes` has 3 host(s) (c, a, b); a run needs exactly two"),
        ("run --lab two.yml --out two.yml", "cannot write results to two.yml/"),
        ("plan --duration soon", "Invalid value for '--duration': 'soon' is not a valid integer"),
        ("compare missing", "missing"),
    ],
)
def test_command_line_says_it_in_a_sentence_and_exits_with_2(tmp_path: Path, argv: str, words: str) -> None:
    two = "nodes: {hosts: {a: {underlay_address: 192.0.2.11}, b: {underlay_address: 192.0.2.12}}}\n"
    (tmp_path / "two.yml").write_text(two, encoding="utf-8")
    (tmp_path / "three.yml").write_text(two.replace("a:", "c: {}, a:"), encoding="utf-8")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "bad.yml").write_text(
        "name: bad\nkind: routed\nsummary: s\ncolour: blue\nendpoints: {bridge: b, address: 10.9.0.$pair_host/16}\n"
    )
    before = sorted(tmp_path.rglob("*"))
    done = harness(tmp_path, *argv.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(re.findall(r"^(harness|Error): ", done.stderr, flags=re.MULTILINE)) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = harness(tmp_path, "plan", "--flows", "0", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "InputError: --flows 0" in done.stderr


def test_plan_changes_nothing_and_tells_everything(tmp_path: Path) -> None:
    done = harness(tmp_path, *"plan --profile vxlan --mtu 1450 --flows 1 --blocks 2 --seed 7".split())
    assert (done.returncode, done.stderr) == (0, "")
    *trials, last = done.stdout.splitlines()
    assert len(trials) == 2 * 2 * 3, "2 blocks of ping and iperf3, on vxlan at 1450 and underlay at 1450 and 1500"
    assert last.startswith("12 trials in 2 blocks (seed 7), about ")
    assert list(tmp_path.iterdir()) == []


def test_plan_of_pairs_tells_their_waves_and_the_time_of_all(tmp_path: Path) -> None:
    given = "plan --profile vxlan --mtu 1450 --flows 1 --blocks 2 --seed 7 --nodes 4 --pairs all".split()
    single = json.loads(harness(tmp_path, *given[:11], "--json").stdout)
    for more, expected in (((), 6), (("--parallel-pairs",), 3)):
        done = harness(tmp_path, *given, *more)
        assert (done.returncode, done.stderr) == (0, "")
        waves = [line.split()[1:] for line in done.stdout.splitlines()[:expected]]
        assert [len(wave) for wave in waves] == [6 // expected] * expected
        assert ("share a switch" in done.stdout) == bool(more)
        assert f"6 pairs in {expected} turns, 12 trials in 2 blocks each (seed 7" in done.stdout
        made = json.loads(harness(tmp_path, *given, *more, "--json").stdout)
        assert made["waves"] == waves
        assert made["expected_s"] == pytest.approx(expected * single["expected_s"])
    assert list(tmp_path.iterdir()) == []


def test_words_are_those_of_the_command_line() -> None:
    assert {field.replace("_", "-") for field in RunOptions.__dataclass_fields__} <= set(
        re.findall(r"--([a-z-]+)", (REPO / "harness/cli/options.py").read_text(encoding="utf-8"))
    )
    assert options.MTU_BOUNDS == (576, 65535)
