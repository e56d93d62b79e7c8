"""What reads input that somebody else made: each takes bytes, and raises nothing but the harness's own errors."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from harness.cli.options import parse_nodes, parse_rate_text, parse_service
from harness.cli.types import positive_share
from harness.fabric import topology
from harness.fabric.profiles import load_file
from harness.inspect import stack, tables
from harness.inspect.decode import Encapsulation, read
from harness.labs.vagrant import parse_ssh_config
from harness.measures import iperf3
from harness.measures.factors import FACTORS, rate_bps, share
from harness.measures.iperf3_files import figures_of, report_of
from harness.measures.registry import MEASURES, programs
from harness.model import pairs
from harness.model.errors import HarnessError
from harness.model.found import asked
from harness.model.node import Node
from harness.model.readings import Span
from harness.model.trial import MTU, Cell
from harness.nodes import background, environment, inventory, lock, pods, readings
from harness.report.analysis import analyse
from harness.report.formats import FORMATS
from harness.report.pairs import read_pairs_meta
from harness.report.trials import read_run
from harness.results.earlier import read_earlier
from harness.results.meta import read_json, read_meta
from harness.results.places import rules_of
from harness.results.schema import Columns
from harness.truth import cpu
from tests.fuzz import mutate
from tests.unit.test_lying_node import CELLS, measured

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = sorted((Path(__file__).parents[2] / "results/sample").glob("*/trials.csv"))
SAMPLE = SAMPLES[-1].parent
PROFILES = sorted((Path(__file__).parents[2] / "playbooks/profiles").glob("*.yml"))
CLIENT, SERVER = Node("k8s-1", 1, "172.12.1.11", "ens33"), Node("k8s-2", 2, "172.12.1.12", "ens33")
EXPECTED = (HarnessError, click.ClickException)
VXLAN = Encapsulation("udp", 4789, ("ipv4", "udp", "vxlan", "ethernet"))
ROWS = 24
"""How many trials of the sample a changed trials.csv has: enough for every kind of them."""


@dataclass(frozen=True)
class Target:
    """Something that reads: good input, how it is changed, and how often it is tried beside the others."""

    reads: Callable[[bytes, Path], object]
    corpus: Sequence[bytes]
    mutation: mutate.Mutation = mutate.of_bytes
    weight: int = 1


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _goldens(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob(pattern))]


def _measure(name: str) -> Callable[[bytes, Path], object]:
    def reads(data: bytes, _folder: Path) -> None:
        measured(name, CELLS[name], {"": _text(data)})

    return reads


def _one_side(data: bytes, _folder: Path) -> None:
    server = (GOLDEN / "iperf3-3.12-tcp.server.json").read_text(encoding="utf-8")
    measured("iperf3", CELLS["iperf3"], {"": server, "client": _text(data)})


_GOOD_READING = readings.parse((GOLDEN / "reading.txt").read_text(encoding="utf-8"))


def _reading(data: bytes, _folder: Path) -> None:
    usage = cpu.usage(Span(_GOOD_READING, readings.parse(_text(data)), "eth0"))
    assert math.isfinite(usage.busiest_ratio + usage.softirq_s + usage.stolen_ratio + (usage.busy_s or 0))


def _profile(data: bytes, folder: Path) -> None:
    path = folder / "own.yml"
    path.write_bytes(data)
    profile = load_file(path)
    for node, peer in ((CLIENT, SERVER), (SERVER, CLIENT)):
        topology.wanted_state(profile, node, peer, (1450, 1500))
        topology.probes(profile, node, peer, (1450, 1500))


def _inventory(data: bytes, _folder: Path) -> None:
    hostvars = json.loads(_text(data))
    if isinstance(hostvars, dict):
        values = {str(name): own for name, own in hostvars.items() if isinstance(own, dict)}
        inventory.nodes([*values], values, "mine.yml", several=True)


def _run(name: str) -> Callable[[bytes, Path], object]:
    """Return what reads a run of which one file is as it is given, makes every table of it, and goes on with it."""

    def reads(data: bytes, folder: Path) -> None:
        for path in SAMPLE.glob("*.*"):
            shutil.copy(path, folder)
        (folder / "trials.csv").write_bytes(_LINES)
        (folder / name).write_bytes(data)
        with suppress(HarnessError):
            read_earlier(folder, _COLUMNS)
        analysis = analyse(read_run(folder))
        for rendered in FORMATS.values():
            rendered(analysis)

    return reads


_LINES = b"".join((SAMPLE / "trials.csv").read_bytes().splitlines(keepends=True)[: ROWS + 1])
_COLUMNS = Columns.of_header(_LINES.decode("utf-8").splitlines()[0].split(","))


def _file(name: str, reads: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def read_file(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return reads(folder / name)

    return read_file


def _imported(data: bytes, _folder: Path) -> None:
    report = report_of(_text(data))
    figures_of(Cell("iperf3", tuple({MTU: 1500, **report.levels}.items())), report)


def _capture(data: bytes, _folder: Path) -> None:
    for encapsulation in (None, VXLAN):
        found = read(data, encapsulation)
        if encapsulation is None:
            stack.told(found, b"abcdefgh", 84)


def _pod(data: bytes, _folder: Path) -> None:
    value = json.loads(_text(data))
    if isinstance(value, dict):
        pods.is_running(value)
        pods.failure(value)


def _option(data: bytes, _folder: Path) -> None:
    text = _text(data)
    parsers: list[Callable[[str], object]] = [factor.parse for factor in FACTORS.values()]
    parsers += [rate_bps, share, parse_nodes, parse_rate_text, parse_service, positive_share, asked]
    parsers += [
        lambda word: pairs.parse(word, ("k8s-1", "k8s-2", "k8s-3")),
        lambda word: rules_of(word, None, None, {}),
    ]
    for parse in parsers:
        with suppress(*EXPECTED):
            parse(text)


_SSH_CONFIG = b"""Host k8s-1
  HostName 192.0.2.1
  User vagrant
  Port 22
  IdentityFile "/tmp/a b/key"

Host k8s-2
  HostName 192.0.2.2
"""
_HOSTVARS = b"""{"a": {"ansible_host": "192.0.2.1", "underlay_device": "eth0", "underlay_mtu": 1500,
"underlay_address": "192.0.2.1"},
"b": {"ansible_host": "192.0.2.2", "underlay_address6": "2001:db8::2"}}"""
_POD = b"""{"metadata": {"name": "pod-1"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running",
"podIP": "10.1.1.1", "reason": "x", "message": "y", "containerStatuses": [{"state": {"running": {},
"waiting": {"reason": "ErrImagePull",
"message": "m"}, "terminated": {"exitCode": 137, "reason": "OOMKilled"}}}], "initContainerStatuses": []}}"""
_LINKS = b"""[{"ifindex": 2, "ifname": "eth0", "mtu": 1500, "link_type": "ether", "address": "02:00:00:00:00:01",
"master": "br0", "link_index": 3, "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 20, "port": 4789}},
"addr_info": [{"local": "192.0.2.1"}], "stats64": {"rx": {"dropped": 1}, "tx": {"dropped": 2}}}, {}]"""
_PAIRS = b"""{"schema_version": 2, "run_id": "a", "hosts": ["x", "y"], "waves": [["x:y"]], "errors": {}, "seed": 1,
"command": {"words": ["--flows", "1"], "folder": "/"}}"""
_OWNER = b'{"run": "run a", "user": "u", "host": "h", "pid": 1, "since": "2026-01-01"}'
_MAPPING = b"""underlay: bare
routed: [host-gw]
path: '{profile}/x{flows}/{block}.json'
files: [{match: '*.json', mtu: 1500}]
"""
_PCAP = bytes.fromhex(
    "d4c3b2a1020004000000000000000000ffff000001000000"
    "00000000000000006a0000006a000000"
    "0200000000020200000000010800450000" + "5c" + "000040004011" + "0000" + "ac0c010bac0c010c"
    "c00012b500480000" + "0800000000001400" + "020000000004020000000003" + "0800"
    "4500002a00004000400100000ac80101" + "0ac80102" + "0800000000010001" + "6162636465666768" * 2
)
_OPTIONS = [
    word.encode()
    for word in "1450,1500 100mbit 50% 0.5% a:b,b:c all 1-3 NodePort web-1,netns:x n=pid:1,pid:2 {profile}/*".split()
]
_IPERF3, _TEXTS = _goldens("iperf3*.json"), _goldens("*.txt")
TARGETS: Mapping[str, Target] = {
    **{
        f"measure {name}": Target(
            _measure(name), _IPERF3 if iperf3.PROGRAM in measure.programs else _TEXTS, mutate.of_json, weight=4
        )
        for name, measure in MEASURES.items()
    },
    "iperf3, one side": Target(_one_side, _IPERF3, mutate.of_json, weight=8),
    "reading": Target(_reading, _goldens("reading*.txt"), weight=8),
    "background": Target(
        lambda data, _folder: background.parse(_text(data)), [b"2\n10.0\ncpu 9 0 0 9 0 0 0 0\n"], weight=4
    ),
    "environment of a node": Target(
        lambda data, _folder: environment.parse(_text(data), programs([*MEASURES])),
        _goldens("environment.txt"),
        weight=4,
    ),
    "links": Target(lambda data, _folder: tables.links_of(_text(data), "k8s-1"), [_LINKS], mutate.of_json, weight=8),
    "dropped": Target(
        lambda data, _folder: tables.drops_of(_text(data)), [b"*filter\n:INPUT DROP [3:4]\n[1:2] -A INPUT -j DROP\n"]
    ),
    "capture": Target(_capture, [_PCAP], weight=2),
    "owner of a lock": Target(lambda data, _folder: lock.owner_of(_text(data)), [_OWNER], mutate.of_json, weight=8),
    "pod": Target(_pod, [_POD], mutate.of_json, weight=8),
    "ssh_config of Vagrant": Target(lambda data, _folder: parse_ssh_config(_text(data)), [_SSH_CONFIG], weight=8),
    "inventory": Target(_inventory, [_HOSTVARS], mutate.of_json, weight=8),
    "option": Target(_option, _OPTIONS, weight=8),
    "profile": Target(_profile, [path.read_bytes() for path in PROFILES], weight=1),
    "trials.csv": Target(_run("trials.csv"), [_LINES], mutate.of_csv, weight=1),
    "series.csv": Target(_run("series.csv"), [(SAMPLE / "series.csv").read_bytes()[:3000]], mutate.of_csv, weight=1),
    "run.json": Target(_run("run.json"), [(SAMPLE / "run.json").read_bytes()], mutate.of_json, weight=1),
    "environment.json": Target(
        _run("environment.json"), [(SAMPLE / "environment.json").read_bytes()], mutate.of_json, weight=1
    ),
    "run.json, read alone": Target(
        _file("run.json", read_meta), [(SAMPLE / "run.json").read_bytes()], mutate.of_json, weight=4
    ),
    "JSON file": Target(_file("a.json", read_json), [_PAIRS], mutate.of_json, weight=4),
    "pairs.json": Target(_file("pairs.json", read_pairs_meta), [_PAIRS], mutate.of_json, weight=4),
    "mapping of an import": Target(_file("m.yml", lambda path: rules_of(None, path, None, {})), [_MAPPING], weight=4),
    "imported iperf3 file": Target(_imported, _IPERF3, mutate.of_json, weight=4),
}


def case(name: str, number: int, seed: int) -> bytes:
    """Return the number-th changed input of a target."""
    target, rng = TARGETS[name], random.Random(f"{seed} {name} {number}")  # noqa: S311 - the same cases each time
    return target.mutation(rng.choice(target.corpus), rng, target.corpus)


def problem(name: str, data: bytes, folder: Path) -> BaseException | None:
    """Have a target read, and return what it raised that it should not."""
    try:
        TARGETS[name].reads(data, folder)
    except EXPECTED:
        return None
    except (ValueError, RecursionError) as error:
        # what is not JSON at all is refused by whoever asks the program, before these see it
        return (
            None if name in ("inventory", "pod") and isinstance(error, json.JSONDecodeError | RecursionError) else error
        )
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return error
    return None
