"""Types of option values: click's own, and lists of levels as the factors parse them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from harness.measures.factors import share
from harness.model.errors import InputError

MAX_VALUES = 32
"""Values of one option; each MTU is a pair of endpoints with addresses of their own."""


class Parsed(click.ParamType[Any]):
    """A value that a function makes of its text; an InputError of that function is the option's."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's signature
        """Return what the function makes of a text; anything else is a value already."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class ListOf(Parsed):
    """One or more values with commas between them, each once, each as a function parses it; a tuple."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        super().__init__(name, lambda text: tuple(dict.fromkeys(parse(word) for word in words_of(text))))


def positive_share(text: str) -> float:
    """Return a share above 0 and below 1, written as `0.5%` or as a plain number."""
    found = share(text)
    if found == 0:
        raise InputError(f"{text!r} is nothing; give a share such as 0.5%")
    return found


def words_of(text: str) -> list[str]:
    """Return the words between commas; InputError where one is empty, or there are too many."""
    words = [word.strip() for word in text.split(",")]
    if len(words) > MAX_VALUES:
        raise InputError(f"{len(words)} values are too many; give at most {MAX_VALUES}")
    if not all(words):
        raise InputError(f"{text!r} has an empty value; give one or more values with commas between them")
    return words
