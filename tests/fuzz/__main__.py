"""Changed input for everything that reads what somebody else wrote: `make fuzz`.

    .venv/bin/python -m tests.fuzz [--cases 1000000] [--seed N] [--jobs N] [--only TARGET ...] [--keep]

Anything but the harness's own errors, and a case that takes longer than 10 s, is a finding: it is printed, and with
--keep put into tests/fuzz/corpus, which the unit tests read from then on. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType

from tests.fuzz.targets import TARGETS, case, problem

CORPUS = Path(__file__).parent / "corpus"
CASES = 1_000_000
LIMIT_S = 10.0
CHUNK = 500


class Overdue(BaseException):
    """A case that does not come to its end; nothing that reads may catch it."""


def numbered(cases: int, names: Sequence[str]) -> Iterator[tuple[str, range]]:
    """Yield chunks of cases of each target, as many as its weight says."""
    total = sum(TARGETS[name].weight for name in names)
    for name in names:
        share = max(1, round(cases * TARGETS[name].weight / total))
        for first in range(0, share, CHUNK):
            yield name, range(first, min(first + CHUNK, share))


def tried(work: tuple[str, range, int]) -> list[tuple[str, str, bytes]]:
    """Try a chunk of a target's cases; return target, what was raised, and the input of each finding."""
    name, numbers, seed = work
    found = []
    signal.signal(signal.SIGALRM, _overdue)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:  # noqa: PTH112, S108 - files in memory
        for number in numbers:
            data = case(name, number, seed)
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            try:
                error: BaseException | None = problem(name, data, Path(folder))
            except Overdue as overdue:
                error = overdue
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if error is not None:
                where = traceback.extract_tb(error.__traceback__)
                own = [frame for frame in where if "/harness/" in frame.filename] or where
                last = own[-1]
                place = f"{Path(last.filename).name}:{last.lineno}"
                found.append((name, f"{type(error).__name__} at {place}: {str(error)[:120]!r}", data))
    return found


def _overdue(_number: int, _frame: FrameType | None) -> None:
    raise Overdue


def kept(name: str, data: bytes) -> Path:
    """Put a finding into the corpus and return where it is."""
    CORPUS.mkdir(exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = CORPUS / f"{slug}--{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def main() -> int:
    """Try them all, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="*", default=list(TARGETS))
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    began, places, done = time.monotonic(), Counter[str](), 0
    work = [(name, numbers, given.seed) for name, numbers in numbered(given.cases, given.only)]
    with ProcessPoolExecutor(given.jobs) as pool:
        for (_, numbers, _), found in zip(work, pool.map(tried, work), strict=True):
            done += len(numbers)
            for name, text, data in found:
                place = f"{name}: {text}"
                if not places[place.rpartition(": ")[0]]:
                    at = f" ({kept(name, data)})" if given.keep else ""
                    sys.stdout.write(f"{place}{at}\n")
                    sys.stdout.flush()
                places[place.rpartition(": ")[0]] += 1
    seconds = time.monotonic() - began
    sys.stdout.write(f"{done} cases of seed {given.seed} in {seconds:.0f} s: {sum(places.values())} findings\n")
    for place, count in places.most_common():
        sys.stdout.write(f"{count:8} {place}\n")
    return int(bool(places))


if __name__ == "__main__":
    sys.exit(main())
