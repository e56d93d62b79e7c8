"""A node may print whatever it likes: a parser returns figures that are some, or raises ToolError, and nothing else."""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.measures.base import Conditions
from harness.measures.registry import MEASURES, cells, programs
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Performed
from harness.model.readings import Span
from harness.model.trial import Cell, Timing
from harness.nodes import background, environment, readings
from harness.truth import cpu
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted(GOLDEN.iterdir())
    if path.suffix in (".txt", ".json") and not path.name.startswith("report")
}
NASTY = [
    "",
    "[" * 300_000,
    '{"a":' * 50_000,
    "null",
    "[]",
    "0",
    '"text"',
    "NaN",
    '{"end": NaN}',
    '{"end": []}',
    '{"end": {"sum_received": 1}, "intervals": {}}',
    '{"event": 1, "data": []}\n' * 3,
    '{"event": "interval", "data": []}\n{"event": "end", "data": 7}\n',
    "9" * 5000,
    "1e999",
    "-1",
    "\x00\x1b[2J\x07",
    "²",
    "5 packets transmitted, 5 received\n" + "icmp_seq=2 time=1.2.3 ms\n" * 3,
    f"{'9' * 5000} packets transmitted, 1 received",
    "[Valid Duration] RunTime=0.0.0 sec; SentMessages=1; ReceivedMessages=1\n1, a, b, c\n",
    "[Valid Duration] RunTime=0 sec; SentMessages=1; ReceivedMessages=1\n1, 1, 2, 3\n2, nan, nan, 1\n",
    "1 requests in 0.00s",
    f"{'9' * 400} requests in 1.0.0s",
    "0.0.0.0.5201 1 1",
    f"1.2.3.4.5 {'9' * 400} {'9' * 400}",
    "@endpoint\n@end",
    "@nic\n7",
    "@nic\n[]",
    "@containers_mtu\n²",
]
"""What has been seen to lead a parser astray, and its kin."""
CELLS = {name: cells((name,), {}, (1450,))[0] for name in MEASURES}
TOKENS = ["NaN", "-1", "1e999", "null", "[]", "{}", '"x"', "9" * 400, "", "\x1b[31m", "²", "[" * 2000, "true", "0"]


def mutated(text: str, count: int) -> Iterator[str]:
    """Yield a text with some of its words, numbers or lines replaced."""
    rng = random.Random(text[:50])  # noqa: S311 - the same cases each time
    for _ in range(count):
        words = list(text)
        for _ in range(rng.randint(1, 4)):
            first = rng.randrange(len(words)) if words else 0
            words[first : first + rng.choice((1, 5, 40))] = rng.choice(TOKENS)
        yield "".join(words)


CASES = [*NASTY, *TEXTS.values(), *(case for text in TEXTS.values() for case in mutated(text, 12))]


def conditions() -> Conditions:
    ports = iter(range(5201, 9000))
    return Conditions(Timing(2, 1), path_to("172.17.0.3"), lambda: next(ports), "cubic", 1e9, True, {"iperf3": "3.12"})


def is_figure(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def require_sentence(error: ToolError) -> None:
    """Assert that an error says something, and not too much."""
    assert 0 < len(str(error)) < 1000


def measured(name: str, cell: Cell, outputs: dict[str, str]) -> None:
    """Have a measure read these outputs, as a trial does."""
    measure = MEASURES[name]

    def perform(jobs: list[Job]) -> Performed:
        done = {}
        for job in jobs:
            text = outputs.get(job.name, outputs[""])
            for line in text.splitlines()[:50]:
                assert isinstance(measure.live_figure(line), str | None)
            assert isinstance(measure.kept(job.name, text), str)
            done[job.name] = Completed(job.argv, 0, text, "")
        return Performed(done)

    try:
        found = measure.run(cell, conditions(), perform)  # type: ignore[arg-type] # a list is a sequence
    except ToolError as error:
        require_sentence(error)
    else:
        figures = [*found.figures.values(), found.payload_forward_bytes, found.payload_reverse_bytes]
        assert [figure for figure in figures if not is_figure(figure)] == []


@pytest.mark.parametrize("name", MEASURES)
def test_measures_understand_output_or_say_so(name: str) -> None:
    for case in CASES:
        measured(name, CELLS[name], {"": case})


@pytest.mark.parametrize("liar", ["client", "server", "load"])
def test_one_side_may_lie(liar: str) -> None:
    client = TEXTS["iperf3-3.12-tcp.client.json"]
    server = TEXTS["iperf3-3.12-tcp.server.json"]
    for case in [*NASTY, *mutated(client, 150), *mutated(server, 150)]:
        for name in ("iperf3", "loaded-ping"):
            measured(name, CELLS[name], {"": server, "client": client, "load": client} | {liar: case})


def test_readings_are_read_or_refused_and_what_is_made_of_them_is_finite() -> None:
    good = readings.parse(TEXTS["reading.txt"])
    read = 0
    for case in [*NASTY, *(case for name in ("reading.txt", "reading-sshd.txt") for case in mutated(TEXTS[name], 400))]:
        try:
            usage = cpu.usage(Span(good, readings.parse(case), "eth0"))
        except ToolError as error:
            require_sentence(error)
            continue
        read += 1
        assert math.isfinite(usage.busiest_ratio + usage.softirq_s + usage.stolen_ratio + (usage.busy_s or 0))
    assert read > 50


def test_look_and_environment_are_read_or_refused() -> None:
    wanted = programs([*MEASURES])
    refused = 0
    for text in CASES:
        for read in (background.parse, lambda case: environment.parse(case, wanted)):
            try:
                read(text)
            except ToolError as error:
                refused += 1
                require_sentence(error)
    assert refused > 100


def test_environment_is_printable() -> None:
    told = environment.parse('@hostname\nk8s\x1b]0;owned\x07\n@nic\n[{"ifname": "\\u001b[2J"}]\n', {})
    assert told["hostname"] == r"k8s\x1b]0;owned\x07"
    assert told["nic"] == {"ifname": r"\x1b[2J"}
