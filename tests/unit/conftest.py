"""What unit tests share: signals are handled as before each; what Ansible makes of an inventory is asked once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.labs import static
from harness.run.interrupt import RECEIVED, SIGNALS

if TYPE_CHECKING:
    from tests.unit.world import Bench

_ANSWERS: dict[tuple[str, bytes, tuple[str, ...]], str] = {}


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """`main` handles them for as long as its process lives, which here is pytest's."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    RECEIVED.clear()


@pytest.fixture(autouse=True)
def _asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting ansible-inventory takes a second; of a file of the same content it says the same."""
    real = static._ansible

    def ansible(path: Path, program: str, *words: str) -> str:
        if not path.is_file():
            return real(path, program, *words)
        key = program, path.read_bytes(), words
        if key not in _ANSWERS:
            _ANSWERS[key] = real(path, program, *words)
        return _ANSWERS[key]

    monkeypatch.setattr(static, "_ansible", ansible)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An experiment that has a folder to itself."""
    from tests.unit.world import bench_in  # noqa: PLC0415 - most files of tests start without it in half the time

    return bench_in(tmp_path)
