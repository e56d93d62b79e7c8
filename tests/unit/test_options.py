"""Bad input: each a sentence that names the option and the valid choices, exit code 2, and nothing changed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import cli
from harness.cli.options import FACTOR_PREFIX, OWN_MTUS
from harness.cli.plan import plan as plan_command
from harness.cli.prepare import Options, prepare
from harness.cli.types import MAX_VALUES, words_of
from harness.labs.access import NIC_MTU
from harness.labs.local import LocalLab
from harness.labs.static import StaticLab
from harness.labs.wires import parse_rate
from harness.measures.factors import FACTORS
from harness.measures.registry import MEASURES
from harness.model.errors import InputError
from harness.model.factors import Value
from harness.model.pairs import Wave
from harness.model.trial import ARM, MTU, Cell, Timing

REPO = Path(__file__).parents[2]
GIVEN = Options(profile=("vxlan",), seed=7)


def given(**levels: tuple[Value, ...]) -> Options:
    return replace(GIVEN, levels=levels)


def levels_of(cells: Sequence[Cell], factor: str) -> list[Value]:
    """Return the levels of a factor in the order in which cells first have them."""
    found = (cell.get(factor) for cell in cells)
    return list(dict.fromkeys(level for level in found if level is not None))


def test_defaults_of_the_command_line() -> None:
    plan = prepare(GIVEN).plan
    assert plan.setup.profiles == ("underlay", "vxlan")
    assert (plan.setup.mtus, plan.measures) == ((1450, 1500), ("iperf3", "ping"))
    assert [levels_of(plan.cells, name) for name in ("flows", "protocol", "direction")] == [
        [1, 4, 8],
        ["tcp"],
        ["forward"],
    ]
    assert (plan.name, plan.blocks, plan.timing, plan.seed) == ("quick", 6, Timing(2, 1), 7)
    assert plan.setup.nic_mtu == NIC_MTU


def test_underlay_comes_first_and_once() -> None:
    assert prepare(replace(GIVEN, profile=())).plan.setup.profiles == ("underlay",)
    twice = replace(GIVEN, profile=("vxlan", "underlay", "vxlan"))
    assert prepare(twice).plan.setup.profiles == ("underlay", "vxlan")
    assert set(prepare(twice).profiles) == {"underlay", "vxlan"}


def test_numbers_of_the_plan_can_be_given() -> None:
    plan = prepare(replace(GIVEN, plan="rfc", duration=5, omit=0, blocks=3)).plan
    assert (plan.name, plan.blocks, plan.timing) == ("rfc", 3, Timing(5, 0))


def test_levels_that_are_given_are_those_of_the_cells() -> None:
    plan = prepare(given(mtu=(1500, 1450), direction=("bidir", "forward"), protocol=("udp", "tcp"))).plan
    assert plan.setup.mtus == (1450, 1500), "endpoints have their addresses in the order of their MTUs"
    assert levels_of(plan.cells, "direction") == ["bidir", "forward"]
    assert levels_of(plan.cells, "protocol") == ["udp", "tcp"]


def test_only_what_is_chosen_is_measured() -> None:
    plan = prepare(replace(GIVEN, measures=("ping",))).plan
    assert plan.cells == (Cell.of("ping", mtu=1450), Cell.of("ping", mtu=1500))


def test_seed_is_made_where_none_is_given() -> None:
    seeds = {prepare(replace(GIVEN, seed=None)).plan.seed for _ in range(3)}
    assert len(seeds) == 3


CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="command")
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line in this process: exit code, standard output and standard error."""

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


@pytest.fixture(name="refused")
def refused_words(command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is said of options of `plan`, in one sentence, with nothing changed and nothing printed beside it."""
    monkeypatch.chdir(tmp_path)

    def refused(*words: str) -> str:
        code, out, err = command("plan", "--profile", "vxlan", *words)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert list(tmp_path.iterdir()) == []
        return line.removeprefix("harness: ")

    return refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--profile vxlam", "unknown profile 'vxlam'; known are .*underlay.*vxlan"),
        ("--profile ../vxlan", "unknown profile '../vxlan'; known are"),
        ("--measure iperf", "Invalid value for '--measure': 'iperf' is unknown; choose from iperf3, ping"),
        ("--measure ping,iperf3,", "Invalid value for '--measure': 'ping,iperf3,' has an empty value"),
        ("--mtu 0", "Invalid value for '--mtu': 0 is out of bounds; choose a number from 576 to 65535"),
        ("--mtu 575", "Invalid value for '--mtu': 575 is out of bounds; choose a number from 576"),
        (
            "--mtu 1450,1451.5",
            "Invalid value for '--mtu': '1451.5' is not a whole number; give numbers from 576 to 65535",
        ),
        ("--mtu 70000", "Invalid value for '--mtu': 70000 is out of bounds; choose a number from 576 to 65535"),
        ("--mtu abc", "Invalid value for '--mtu': 'abc' is not a whole number"),
        ("--mtu -1500", "Invalid value for '--mtu': '-1500' is not a whole number"),
        ("--mtu ١٤٥٠", "Invalid value for '--mtu': .* is not a whole number"),
        ("--mtu=", "Invalid value for '--mtu': '' has an empty value; give one or more values with commas between"),
        ("--mtu 1450,,1500", "Invalid value for '--mtu': '1450,,1500' has an empty value; give one or more values"),
        ("--mtu 9000", "MTU 9000 is larger than the underlay's own 1500; choose at most 1500"),
        ("--flows 0", "Invalid value for '--flows': 0 is out of bounds; choose a number from 1 to 128"),
        ("--flows 1,129", "Invalid value for '--flows': 129 is out of bounds; choose a number from 1 to 128"),
        ("--flows two", "Invalid value for '--flows': 'two' is not a whole number"),
        ("--protocol sctp", "Invalid value for '--protocol': 'sctp' is unknown; choose from tcp, udp"),
        ("--protocol tcp,icmp", "Invalid value for '--protocol': 'icmp' is unknown"),
        ("--direction sideways", "Invalid value for '--direction': .* choose from forward, reverse, bidir"),
        ("--direction Forward", "Invalid value for '--direction': 'Forward' is unknown"),
        ("--udp-rate fast", "Invalid value for '--udp-rate': 'fast' is not a rate; give a share such as 50%"),
        ("--size 43", "Invalid value for '--size': 43 is out of bounds; choose a number from 44 to 65535"),
        ("--udp-rate 50%", "udp rate means nothing to iperf3 and ping as they are chosen: leave it out, or add proto"),
        ("--size 512", "size means nothing to iperf3 and ping as they are chosen: leave it out, or add protocol udp"),
        ("--measure ping --flows 8", "flows means nothing to ping: leave it out, or measure iperf3( or .*)?, too"),
        ("--measure iperf3 --protocol udp --size 1501", "iperf3 has nothing to measure with these levels: no packet"),
        ("--offload gro", "Invalid value for '--offload': 'gro' is no switch with a state; give gro=off"),
        ("--offload gro=on --offload gro=off", "Invalid value for '--offload': .* stands twice; give each switch once"),
        ("--plan slow", "Invalid value for '--plan': 'slow' is not one of 'answer', 'quick', 'standard', 'rfc'"),
        ("--duration 0", "Invalid value for '--duration': 0 is not in the range 1<=x<=3600"),
        ("--duration 3601", "Invalid value for '--duration': 3601 is not in the range 1<=x<=3600"),
        ("--duration soon", "Invalid value for '--duration': 'soon' is not a valid integer"),
        ("--omit -1", "Invalid value for '--omit': -1 is not in the range 0<=x<=60"),
        ("--setups 0", "Invalid value for '--setups': 0 is not in the range 1<=x<=1000"),
        (
            "--setups 7",
            "7 set-ups of 6 blocks in all: each takes a block at least; choose 1 to 6 set-ups, or more blocks",
        ),
        ("--blocks 0", "Invalid value for '--blocks': 0 is not in the range 1<=x"),
        ("--rate fast", "Invalid value for '--rate': 'fast': give none, or a number with kbit, mbit or gbit"),
        ("--containers lxc", "Invalid value for '--containers': 'lxc' is not one of 'none', 'docker', 'podman'"),
        ("--image debian:12", "image debian:12: endpoints are not containers; choose an engine with it"),
        ("--nodes 1", "Invalid value for '--nodes': 1 is not in the range 2<=x<=8"),
        ("--nodes 9 --pairs all", "Invalid value for '--nodes': 9 is not in the range 2<=x<=8"),
        ("--nodes 4", "--nodes 4: say which of them are measured, by --pairs k8s-1:k8s-2,… or --pairs all"),
        ("--nodes 2 --lab own.yml", "--nodes is for the local lab; an inventory has the hosts that are in it"),
        ("--pairs k8s-1:k8s-3", "--pairs: there is no host 'k8s-3'; there are k8s-1, k8s-2, --nodes makes more"),
        ("--nodes 8 --pairs k8s-1:x", "--pairs: there is no host 'x'; there are k8s-1, .*, k8s-8\\."),
        ("--nodes 4 --pairs k8s-1", "--pairs: 'k8s-1' is not CLIENT:SERVER"),
        ("--nodes 4 --parallel-pairs", "--nodes 4: say which of them"),
        ("--parallel-pairs", "--parallel-pairs is of no use without --pairs"),
        ("--lab missing.yml", "--lab missing.yml: there is no such inventory; give local, vagrant, or the path"),
        ("--profiles-dir /missing", "/missing is not a folder of profiles; give one that holds YAML files"),
    ],
)
def test_bad_option(refused: Callable[..., str], words: str, said: str) -> None:
    assert re.match(said, refused(*words.split())) is not None


@pytest.mark.parametrize("digits", [20, 5000])
def test_number_with_very_many_digits(refused: Callable[..., str], digits: int) -> None:
    assert "'--flows'" in refused("--flows", "9" * digits)


def test_too_many_values(refused: Callable[..., str]) -> None:
    """Each MTU would be a pair of endpoints."""
    many = ",".join(str(1000 + number) for number in range(MAX_VALUES + 1))
    assert refused("--mtu", many) == "Invalid value for '--mtu': 33 values are too many; give at most 32"


def planned(command: CommandLine, *words: str) -> list[dict[str, object]]:
    code, out, err = command("plan", "--profile", "vxlan", "--blocks", "1", "--seed", "7", "--json", *words)
    assert (code, err) == (0, "")
    return list(json.loads(out)["trials"])


@pytest.mark.parametrize(
    ("words", "factor", "levels"),
    [
        (["--mtu", "1500, 1450,1500"], "mtu", {1450, 1500}),
        (["--flows", "8,1,8"], "flows", {1, 8}),
        (["--direction", "bidir,forward"], "direction", {"bidir", "forward"}),
        (["--protocol", "udp,tcp"], "protocol", {"udp", "tcp"}),
        (["--protocol", "udp", "--udp-rate", "50%,500mbit,none"], "udp_rate", {"50%", 500_000_000, "none"}),
        (["--protocol", "udp", "--size", "64,512"], "size", {64, 512}),
        (
            ["--measure", "ping", "--offload", "gro=on,off", "--offload", "gso=off"],
            "offload",
            {f"generic-receive-offload={gro} generic-segmentation-offload=off" for gro in ("on", "off")},
        ),
        (["--measure", "ping"], "measure", {"ping"}),
        (["--measure", "ping,iperf3,ping"], "measure", {"ping", "iperf3"}),
    ],
)
def test_lists_are_split_once_each(command: CommandLine, words: list[str], factor: str, levels: set[object]) -> None:
    trials = planned(command, *words)
    assert {trial[factor] for trial in trials if factor in trial} == levels
    visits = [json.dumps({**trial, "position": 0}, sort_keys=True) for trial in trials]
    assert len(set(visits)) == len(visits), "nothing is measured twice"


@pytest.mark.parametrize(
    ("text", "words"), [("1", ["1"]), ("1, 2 ,3", ["1", "2", "3"]), (",".join("x" * MAX_VALUES), ["x"] * MAX_VALUES)]
)
def test_words_between_commas(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize("text", ["", ",", "1,", ",1", "1, ,2", ",".join("x" * (MAX_VALUES + 1))])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(InputError, match=r"empty value|too many"):
        words_of(text)


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
    with pytest.raises(InputError, match=r"^'.*': give none, or a number with kbit, mbit or gbit from 1mbit"):
        parse_rate(text)


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
    prepared = prepare(replace(given(mtu=(8950, 9000)), lab="own.yml"))
    assert prepared.plan.setup.nic_mtu == 9000
    assert isinstance(prepared.source, StaticLab)


@pytest.mark.parametrize(
    ("profiles", "plan", "mtus"),
    [
        ("vxlan", "quick", (1450, 1500)),
        ("vxlan", "answer", (1450,)),
        ("host-gw vxlan", "answer", (1450, 1500)),
        ("vxlan host-gw wireguard", "standard", (1420, 1450, 1500)),
        ("flannel wireguard", "answer", (1420, 1450)),
        ("vxlan-1500", "quick", (1500,)),
        ("", "quick", (1450, 1500)),
    ],
)
def test_each_profile_is_measured_at_its_own_largest_mtu_unless_others_are_asked_for(
    profiles: str, plan: str, mtus: tuple[int, ...]
) -> None:
    options = replace(GIVEN, profile=tuple(profiles.split()), plan=plan)
    assert prepare(options).plan.setup.mtus == mtus
    assert prepare(replace(options, levels={MTU: (1400,)})).plan.setup.mtus == (1400,)


def test_what_profiles_carry_follows_from_the_hosts_own_mtu(monkeypatch: pytest.MonkeyPatch) -> None:
    static(monkeypatch, 9000, 9000)
    assert prepare(replace(GIVEN, lab="own.yml")).plan.setup.mtus == (8950, 9000)
    static(monkeypatch, 1460, 1460)
    assert prepare(replace(GIVEN, lab="own.yml", profile=("vxlan", "vxlan-1500"))).plan.setup.mtus == (1410, 1460)


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
    asked = replace(GIVEN, nodes=4, pairs="k8s-1:k8s-2,k8s-3:k8s-4")
    assert len(prepare(replace(asked, parallel_pairs=True), keep=True).waves) == 1
    with pytest.raises(
        InputError, match="--keep: these 2 pairs are set up and torn down in 2 turns; give one pair, or"
    ):
        prepare(asked, keep=True)


def test_pairs_of_own_hosts_must_agree_on_the_mtu_if_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    mtus = {"a": 9000, "b": 1500, "c": 9000}
    hosts = {n: {"underlay_address": f"192.0.2.{i}", "underlay_mtu": mtu} for i, (n, mtu) in enumerate(mtus.items(), 1)}
    printed = {"_meta": {"hostvars": hosts}, "nodes": {"hosts": [*hosts]}}
    monkeypatch.setattr("harness.labs.static.listing", lambda _path: printed)
    asked = replace(given(mtu=(8950,)), lab="own.yml")
    prepared = prepare(replace(asked, pairs="a:c"))
    assert (prepared.plan.setup.nic_mtu, text_of(prepared.waves)) == (9000, "a:c")
    with pytest.raises(InputError, match=r"own\.yml: underlay_mtu is 9000 on a and 1500 on b"):
        prepare(replace(asked, pairs="all"))
    with pytest.raises(InputError, match=r"has 3 host\(s\) \(a, b, c\); a run needs exactly two.*; --pairs \(overlay"):
        prepare(asked)


def test_local_lab_is_made_with_the_rate_and_not_yet_up() -> None:
    source = prepare(replace(GIVEN, rate="100mbit")).source
    assert isinstance(source, LocalLab)
    assert (source.wires.rate, source.wires.rate_bps) == ("100mbit", 1e8)
    assert not source.directory.exists()


def test_local_lab_takes_jumbo_frames() -> None:
    prepared = prepare(replace(given(mtu=(8950,)), nic_mtu=9000))
    assert {node.mtu for node in prepared.source.nodes()} == {9000}
    assert prepared.plan.setup.nic_mtu == 9000
    with pytest.raises(InputError, match="MTU 8950 is larger than the underlay's own 1500"):
        prepare(given(mtu=(8950,)))
    with pytest.raises(InputError, match="--nic-mtu is for the local lab"):
        prepare(replace(GIVEN, lab="vagrant", nic_mtu=9000))


def harness(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the program as its entry point does, in this process: starting Python each time takes a second of CPU."""
    code = 0
    with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as streams:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["harness", *argv])
        patch.setattr(cli, "_prepare_process", lambda: None)  # signals are the test's own
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        stdout, stderr = (stream.getvalue().decode() for stream in streams[:2])
    return subprocess.CompletedProcess(argv, code, stdout, stderr)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("plan --profile vxlam", "unknown profile 'vxlam'; known are"),
        ("run --profile vxlan --mtu 0", "Invalid value for '--mtu': 0 is out of bounds; choose a number from 576"),
        ("run --profile vxlan --mtu 1450,1451.5", "'1451.5' is not a whole number"),
        ("plan --flows 129", "Invalid value for '--flows': 129 is out of bounds; choose a number from 1 to 128"),
        ("plan --plan slow --json", "Invalid value for '--plan': 'slow' is not one of"),
        ("run --rate fast", "Invalid value for '--rate': 'fast': give none"),
        ("run --profile bad --profiles-dir profiles", "bad.yml, line 4: colour: unknown key"),
        ("plan --nodes 4 --pairs k8s-1:k8s-2,k8s-2:k8s-1", "k8s-2:k8s-1 is k8s-1:k8s-2 the other way round"),
        ("run --nodes 4", "--nodes 4: say which of them are measured"),
        ("run --lab two.yml --pairs a:c", "there is no host 'c'; there are a, b."),
        ("lab up --nodes 9", "Invalid value for '--nodes': 9 is not in the range 2<=x<=8"),
        ("lab up --rate 1kbit", "Invalid value for '--rate': '1kbit': give none, or a number with kbit, mbit or gbit"),
        ("doctor --measure iperf", "Invalid value for '--measure': 'iperf' is unknown; choose from iperf3, ping"),
        ("doctor --mtu 0", "Invalid value for '--mtu': 0 is out of bounds; choose a number from 576"),
        ("run --lab three.yml", "group `nodes` has 3 host(s) (c, a, b); a run needs exactly two"),
        ("run --lab two.yml --out two.yml", "cannot write results to two.yml/"),
        ("plan --duration soon", "Invalid value for '--duration': 'soon' is not a valid integer"),
        ("compare missing", "missing"),
        ("compare a b c", "3 runs do not say which belong together; put -- between those of A and those of B"),
        ("compare a --", "there is no run on one side of --; give at least one on each"),
        ("compare -- a", "there is no run on one side of --; give at least one on each"),
        ("compare a -- b -- c", "-- stands twice"),
        ("compare a b --margin", "Option '--margin' requires an argument"),
        ("compare --margin -- b", "Option '--margin' requires an argument"),
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
    program = f"import sys; sys.path.insert(0, {str(REPO)!r}); from harness.cli import main; main()"
    words = [sys.executable, "-c", program, "plan", "--nodes", "4", "--debug"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "InputError: --nodes 4" in done.stderr


def test_plan_changes_nothing_and_tells_everything(tmp_path: Path) -> None:
    done = harness(tmp_path, *"plan --profile vxlan --mtu 1450 --flows 1 --blocks 2 --seed 7".split())
    assert (done.returncode, done.stderr) == (0, "")
    *trials, last, traffic = done.stdout.splitlines()
    assert traffic.startswith("It sends 2.8 GB at most in 0:30 (m:ss) of sending")
    assert len(trials) == 2 * 2 * 3, "2 blocks of ping and iperf3, on vxlan at 1450 and underlay at 1450 and 1500"
    assert last.startswith("12 trials in 2 blocks (seed 7), about ")
    assert list(tmp_path.iterdir()) == []


def test_plan_tells_what_a_rate_leaves_of_the_traffic(tmp_path: Path) -> None:
    words = "plan --profile vxlan --mtu 1450 --flows 1 --blocks 2 --seed 7 --max-rate 100mbit".split()
    assert "It sends 251.8 MB at most in 0:30 (m:ss)" in harness(tmp_path, *words).stdout
    made = json.loads(harness(tmp_path, *words, "--json").stdout)
    assert (made["max_bps"], made["sending_s"]) == (100e6, 30)
    assert made["most_bytes"] == pytest.approx(2 * 3 * 3 * 100e6 / 8 + 2 * 100e6 / 8, rel=0.02)
    refused = harness(tmp_path, *words[:-1], "1mbit")
    assert (refused.returncode, "give 5mbit or more" in refused.stderr) == (2, True)


def test_plan_of_a_found_path_says_what_stands_for_its_mtu(tmp_path: Path) -> None:
    done = harness(tmp_path, *"plan --between swarm=web-1,web-2 --flows 1 --blocks 1 --seed 7".split())
    assert done.returncode == 0, done.stderr
    assert "swarm            iperf3 tcp 1450 x1" in done.stdout
    assert "MTU 1450 stands for that of the endpoints, which a run finds" in done.stdout


def test_plan_of_pairs_tells_their_waves_and_the_time_of_all(tmp_path: Path) -> None:
    words = "plan --profile vxlan --mtu 1450 --flows 1 --blocks 2 --seed 7 --nodes 4 --pairs all".split()
    single = json.loads(harness(tmp_path, *words[:11], "--json").stdout)
    for more, expected in (((), 6), (("--parallel-pairs",), 3)):
        done = harness(tmp_path, *words, *more)
        assert (done.returncode, done.stderr) == (0, "")
        waves = [line.split()[1:] for line in done.stdout.splitlines()[:expected]]
        assert [len(wave) for wave in waves] == [6 // expected] * expected
        assert ("share a switch" in done.stdout) == bool(more)
        assert f"6 pairs in {expected} turns, 12 trials in 2 blocks each (seed 7" in done.stdout
        made = json.loads(harness(tmp_path, *words, *more, "--json").stdout)
        assert made["waves"] == waves
        assert made["expected_s"] == pytest.approx(expected * single["expected_s"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run", "plan", "aa"])
def test_words_are_those_of_the_command_line(name: str) -> None:
    """Every field of Options is an option, and every factor has one of its name."""
    options = {param.name: param.opts for param in cli.app.commands[name].params}
    assert set(Options.__dataclass_fields__) - {"levels"} <= set(options)
    assert f"{FACTOR_PREFIX}{ARM}" not in options, "no option makes two arms of a cell"
    for factor in [name for name in FACTORS if name != ARM]:
        assert options[f"{FACTOR_PREFIX}{factor}"] == [f"--{factor.replace('_', '-')}"]
    named = {opt for opts in options.values() for opt in opts}
    fields = {field.replace("_", "-").removesuffix("s") for field in set(Options.__dataclass_fields__) - {"levels"}}
    assert fields <= {opt.removeprefix("--").removesuffix("s") for opt in named}


def test_options_take_from_a_command_line_what_is_theirs() -> None:
    """A factor that was not given is left to its default; what belongs to the command itself is not an option."""
    levels = {f"{FACTOR_PREFIX}{factor}": None for factor in FACTORS}
    found = Options.of({"profile": ("vxlan",), "seed": 7, "keep": True, **levels, f"{FACTOR_PREFIX}mtu": (1450,)})
    assert found == given(mtu=(1450,))


def test_help_names_measures_factors_and_their_defaults(command: CommandLine) -> None:
    code, out, _ = command("plan", "--help")
    assert code == 0
    text = " ".join(out.split())
    assert f"any of {', '.join(MEASURES)}." in text
    for factor in [factor for name, factor in FACTORS.items() if name != ARM]:
        assert f"--{factor.name.replace('_', '-')} " in text
        assert " ".join(factor.help.split()) in text
        if factor.default:
            default = OWN_MTUS if factor.name == MTU else ",".join(map(str, factor.default))
            assert f"[default: {default}]" in text


def test_profiles_are_named_one_by_one_or_with_commas() -> None:
    outcome = CliRunner().invoke(
        plan_command, ["--profile", "vxlan,flannel", "--profile", "host-gw", "--profile", "vxlan"]
    )
    assert outcome.exit_code == 0, outcome.output
    assert {*outcome.output.split()} >= {"underlay", "vxlan", "flannel", "host-gw"}
    assert CliRunner().invoke(plan_command, ["--profile", "vxlan,"]).exit_code == 2


def test_what_the_help_says_of_protocols_is_taken_and_both_is_a_list() -> None:
    """`both` stood in the help, and was refused."""
    words = re.findall(r"[a-z]+(?:,[a-z]+)*", FACTORS["protocol"].help)
    lists = [word for word in words if word != "or"]
    assert lists == ["tcp", "udp", "tcp,udp"]
    for text in lists:
        done = CliRunner().invoke(plan_command, ["--profile", "vxlan", "--protocol", text])
        assert done.exit_code == 0, done.output
    assert CliRunner().invoke(plan_command, ["--profile", "vxlan", "--protocol", "both"]).exit_code == 2
