"""What unit tests share: what Ansible makes of an inventory is asked once for each that they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.labs import static

_ANSWERS: dict[tuple[str, bytes, tuple[str, ...]], str] = {}


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
