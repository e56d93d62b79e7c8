"""What became of full-size packets, as a value and as the text of trials.csv."""

import pytest

from harness.model.errors import InputError
from harness.model.path import BLACK_HOLED, WHOLE, Fate, PathState

TEXTS = [
    ("whole", WHOLE),
    ("clamped to 1450", PathState(Fate.CLAMPED, 1450)),
    ("clamped to 576", PathState(Fate.CLAMPED, 576)),
    ("outer-fragmented", PathState(Fate.OUTER_FRAGMENTED)),
    ("inner-fragmented", PathState(Fate.INNER_FRAGMENTED)),
    ("black-holed", BLACK_HOLED),
]


@pytest.mark.parametrize(("text", "state"), TEXTS)
def test_text_and_value_are_the_same(text: str, state: PathState) -> None:
    assert PathState.parse(text) == state
    assert str(state) == text
    assert f"{state}" == text


def test_every_fate_has_a_text_that_is_read_again() -> None:
    assert {state.fate for _, state in TEXTS} == set(Fate)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shrunk",
        "Whole",
        "whole ",
        "clamped",
        "clamped to",
        "clamped to ",
        "clamped to x",
        "clamped to -1450",
        "clamped to 1450 ",
        "clamped to 1450.0",
        "clamped to ١٤٥٠",
        "clamped to 1450 to 1400",
        "whole to 1450",
        "black-holed to 1450",
    ],
)
def test_what_is_no_path_state_names_those_there_are(text: str) -> None:
    with pytest.raises(InputError) as raised:
        PathState.parse(text)
    choices = "whole, clamped to N, outer-fragmented, inner-fragmented, black-holed"
    assert str(raised.value) == f"unknown path state {text!r}: use {choices}"


def test_states_are_alike_where_fate_and_mtu_are() -> None:
    """They are looked up and counted, so equal ones have to be one, and other MTUs others."""
    states = [PathState.parse(text) for text in ("clamped to 1450", "clamped to 1400", "clamped to 1450", "whole")]
    assert len(set(states)) == 3
    assert sorted(set(states)) == [PathState(Fate.CLAMPED, 1400), PathState(Fate.CLAMPED, 1450), WHOLE]
