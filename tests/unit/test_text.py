"""What a node or a file says is shown, never obeyed: neither by a terminal nor by a spreadsheet."""

import pytest

from harness.model.text import brief, cell, printable, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, with ünïcode µs and a\ttab\n", "plain, with ünïcode µs and a\ttab\n"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\rb\x08c\x7f", r"a\rb\x08c\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\ud800", r"\ud800"),
        ("line\u2028separator", r"line\u2028separator"),
    ],
)
def test_control_characters_are_written_out(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_whole_documents_are_made_printable() -> None:
    document = {"k\x1b": ["\x1b[2J", 1, None, {"x": "\x07"}]}
    assert shown(document) == {r"k\x1b": [r"\x1b[2J", 1, None, {"x": r"\x07"}]}


def test_quotation_is_one_bounded_line() -> None:
    assert brief("a\n" * 500 + "the \x1b end", 20) == r"a a a a a the \x1b end"[-20:]
    assert brief("x" * 10**6) == "x" * 200


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx"])
def test_formula_is_no_formula_in_a_cell(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+3", "ok", "", "a=b", 7, -1.5, None])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert cell(value) == value
