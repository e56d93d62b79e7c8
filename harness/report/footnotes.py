"""Footnotes: each advice once, with all the facts that it is for, and marks by which rows refer to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.model.notes import Note
from harness.report.notes import joined, key_of, sentence


class Footnotes:
    """Notes of rows and of the whole; what holds for every row has no mark."""

    def __init__(self, rows: Sequence[Iterable[Note]], of_all: Iterable[Note]) -> None:
        columns = [list(notes) for notes in rows]
        everywhere = (
            [note for note in columns[0] if all(note in other for other in columns)] if len(columns) > 1 else []
        )
        marked = [note for notes in columns for note in notes if note not in everywhere]
        self._marked = joined(marked)
        self._general = joined([*everywhere, *of_all])
        self._marks = {key: number for number, (key, _) in enumerate(self._marked, 1)}

    def marks(self, notes: Iterable[Note]) -> str:
        """Return the marks of a row, such as " [1,3]"."""
        numbers = sorted({self._marks[key_of(note)] for note in notes if key_of(note) in self._marks})
        return f" [{','.join(map(str, numbers))}]" if numbers else ""

    def lines(self) -> tuple[str, ...]:
        """Return the notes as sentences, marked ones first."""
        marked = [f"[{self._marks[key]}] {sentence(notes)}" for key, notes in self._marked]
        return (*marked, *(sentence(notes) for _, notes in self._general))
