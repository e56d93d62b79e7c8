"""Every fault at every moment of a run in the local lab, and what became of it, as the table of docs/reliability.md.

    sudo .venv/bin/python -m tests.faults.table [--jobs 3] [--only 'Ctrl-C@verify' ...] [--sample 12] [--write]

Of each run is checked: it ends with an exit code that is promised for the fault and with one sentence, no traceback;
what is on disk can be read, and the rows in it are those that were there when it happened or more; what was cut short
says so and is gone on with by --resume to its last trial; after `harness lab down` the machine has no process, file,
link, route or rule that it did not have before; no private key is in any result. Exit code 1 where one of them fails.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import pty
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.model.errors import HarnessError
from harness.report.trials import read_run
from harness.results.earlier import progress_of
from tests.faults.faults import BLOCKS, FAULTS, MOMENTS, Fault, Scene
from tests.lab.machine import HARNESS, OUT, Command, Machine

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
WORDS = f"run --profile vxlan --mtu 1450 --flows 1 --duration 1 --omit 0 --blocks {BLOCKS} --report --out {OUT}".split()
BEGIN, END = (f"<!-- result of python -m tests.faults.table: {word} -->" for word in ("begin", "end"))
SMALL_BYTES = 80_000_000
KILLED = (137,)
LAST_WORDS = "\nReport: "
"""With which a run ends: what happens behind it changes nothing."""
LAST_MOMENTS = ("summary", "report")
"""By these a run may be over."""
SHELLS_KILLED = 128
"""What a shell adds to the number of the signal that a program was ended by."""


@dataclass(frozen=True)
class Found:
    """What became of a run: its exit code (None: not met), what is not as promised, and whether there was a fault."""

    code: int | None
    problems: tuple[str, ...] = ()
    resumed: bool = False
    has_happened: bool = True

    @property
    def text(self) -> str:
        """The cell of the table."""
        if self.problems:
            return f"**{self.code}**"
        if not self.has_happened:
            return "-"
        return f"{self.code}{'+' if self.resumed else ''}"


@contextlib.contextmanager
def started(machine: Machine, folder: Path, fault: Fault) -> Iterator[Scene]:
    """Start the run that a fault is to happen to."""
    out = machine.root / OUT[1:]
    if fault.place == "small":
        machine.on_machine("mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", OUT)
    argv = [*machine.enter(), str(HARNESS), *WORDS]
    terminal = reader = None
    if fault.place == "terminal":
        terminal, follower = pty.openpty()
        command = Command(argv, folder, stderr=follower)
        os.close(follower)
    elif fault.place == "pipe":
        reader, writer = os.pipe()
        command = Command(argv, folder, stdout=writer)
        os.close(writer)
    else:
        command = Command(argv, folder)
    with command:
        scene = Scene(machine, command, out, reader=reader)
        if terminal is not None:
            scene.look_at(terminal)
        try:
            yield scene
        finally:
            scene.over.set()
            scene.leave_terminal()
            if scene.reader is not None:
                os.close(scene.reader)


def tried(fault: Fault, moment: str, folder: Path) -> Found:
    """Have a fault happen at a moment of a run on a machine of its own."""
    with Machine() as machine:
        before = machine.state()
        with started(machine, folder, fault) as scene:
            is_met = MOMENTS[moment](scene)
            rows = len(scene.rows)
            has_happened = is_met and fault.happens(scene)
            was_over = LAST_WORDS in scene.said
            code = scene.command.wait(240.0)
            code = SHELLS_KILLED - code if code < 0 else code
        problems = [] if is_met or moment in LAST_MOMENTS else ["the moment did not come"]
        codes = (*(fault.codes if has_happened else ()), *((0,) if was_over or not has_happened else ()))
        problems += _of_end(fault, scene, code, codes)
        if fault.place == "small":
            machine.on_machine("mount", "-o", "remount,rw", OUT)
            (scene.out / "filler").unlink(missing_ok=True)
        problems += _of_results(scene, rows)
        machine.run(folder, "lab", "down")
        problems += [f"left: {text}" for text in machine.changes(before)]
        resumed = False
        if scene.folder is not None and scene.rows and not progress_of(scene.folder).is_complete:
            resumed = True
            problems += _of_resumption(scene, folder)
            problems += [f"left after it was resumed: {text}" for text in machine.changes(before)]
    return Found(code, tuple(problems), resumed, has_happened)


def _of_end(fault: Fault, scene: Scene, code: int, codes: Sequence[int]) -> Iterator[str]:
    if code not in codes:
        yield f"exit code {code}, not {' or '.join(map(str, codes))}"
    text = scene.said + (scene.command.stdout if fault.place != "pipe" else "")
    if "Traceback" in text or "internal error" in text:
        yield f"not a sentence: {text[-300:]!r}"
    sentences = [line for line in scene.said.splitlines() if line.startswith("harness: ")]
    if fault.place != "terminal" and code not in (0, *KILLED) and len(sentences) != 1:
        yield f"{len(sentences)} sentences: {scene.said[-300:]!r}"


def _of_results(scene: Scene, rows: int) -> Iterator[str]:
    if len(scene.rows) < rows:
        yield f"{len(scene.rows)} rows, {rows} were there"
    if scene.folder is None or not scene.rows:
        return
    try:
        read_run(scene.folder)
    except HarnessError as error:
        yield f"cannot be read: {error}"
    if any(b"PRIVATE KEY" in path.read_bytes() for path in scene.folder.rglob("*") if path.is_file()):
        yield "a private key is in the results"


def _of_resumption(scene: Scene, folder: Path) -> Iterator[str]:
    """Go on with a run, and tell what is not as it would have been."""
    assert scene.folder is not None
    before = scene.rows
    if "cut short" not in scene.machine.run(folder, "compare", f"{OUT}/{scene.folder.name}").stdout:
        yield "its table does not say that it was cut short"
    again = scene.machine.run(folder, "run", "--resume", "last", "--out", OUT)
    if again.exit_code not in (0, 8):
        yield f"resumed with exit code {again.exit_code}: {again.stderr[-300:]!r}"
        return
    if scene.rows[: len(before)] != before and before:
        yield "resuming changed rows that were there"
    with (scene.folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        places = [(row["block"], row["position"], row["attempt"]) for row in csv.DictReader(file)]
    progress = progress_of(scene.folder)
    if len(set(places)) != len(places) or progress.done != progress.planned or not progress.is_complete:
        yield f"resumed to {progress}, {len(places)} rows"


def safely(fault: Fault, moment: str) -> Found:
    """Return what became of a run; what goes wrong around it is one more problem."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = tried(fault, moment, Path(folder))
        except Exception:  # noqa: BLE001 - one cell's failure is not that of the others
            found = Found(None, (traceback.format_exc()[-600:],))
    words = "; ".join(found.problems)
    sys.stdout.write(f"{fault.name} @ {moment}: {found.text}{f'  WRONG: {words}' if words else ''}\n")
    sys.stdout.flush()
    return found


def table(cells: dict[tuple[str, str], str]) -> str:
    """Return the table, a row a fault and a column a moment."""
    lines = [f"| | {' | '.join(MOMENTS)} |", "|---" * (len(MOMENTS) + 1) + "|"]
    lines += [
        f"| {fault.name} | {' | '.join(cells.get((fault.name, moment), '') for moment in MOMENTS)} |"
        for fault in FAULTS
    ]
    good = sum(not text.startswith("**") for text in cells.values())
    return "\n".join([*lines, "", f"{good} of {len(cells)} as promised, {datetime.now(UTC):%Y-%m-%d}."])


def cells_of(text: str) -> dict[tuple[str, str], str]:
    """Return what the table of an earlier time says, of those cells that there still are."""
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text.splitlines() if line.startswith("| ")}
    return {
        (fault.name, moment): cell.strip()
        for fault in FAULTS
        for moment, cell in zip(MOMENTS, rows.get(fault.name, []), strict=False)
        if cell.strip()
    }


def chosen(only: Sequence[str], sample: int) -> list[tuple[Fault, str]]:
    """Return the cells that are tried: all, those that are named, or so many of all by chance."""
    cells = [(fault, moment) for fault in FAULTS for moment in MOMENTS]
    if only:
        return [one for one in cells if f"{one[0].name}@{one[1]}" in only or one[0].name in only or one[1] in only]
    return random.sample(cells, sample) if sample else cells


def main() -> int:
    """Try them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/reliability.md, with --only those cells"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts beside itself ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what nohup starts this
    cells = chosen(given.only, given.sample)
    with ThreadPoolExecutor(given.jobs) as pool:
        results = [*pool.map(lambda one: safely(*one), cells)]
    cells_now = {(fault.name, moment): one.text for (fault, moment), one in zip(cells, results, strict=True)}
    sys.stdout.write(f"\n{table(cells_now)}\n")
    if given.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        earlier, after = rest.split(END)
        text = table((cells_of(earlier) if given.only else {}) | cells_now)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    return int(any(one.problems for one in results))


if __name__ == "__main__":
    sys.exit(main())
