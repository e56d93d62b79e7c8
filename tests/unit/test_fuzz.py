"""Input that somebody else made: changed in 1,000 ways, anything at all, and whatever a reader once fell over."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import CORPUS, numbered
from tests.fuzz.targets import TARGETS, case, problem

CASES, SEED, EXAMPLES = 1_000, 20, 40
SLUGS = {name.lower().replace(",", "").replace(".", "-").replace(" ", "-"): name for name in TARGETS}
FOUND = sorted(CORPUS.glob("*--*"))


@pytest.mark.parametrize("name", TARGETS)
def test_changed_input_is_read_or_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    found = {}
    for own, numbers in numbered(CASES, list(TARGETS)):
        for number in numbers if own == name else ():
            error = problem(name, case(name, number, SEED), tmp_path)
            if error is not None:
                found[number] = repr(error)[:200]
    assert found == {}


def keys_of(value: Any) -> set[str]:  # noqa: ANN401 - a JSON document
    """Return the keys of all objects in a JSON document."""
    if isinstance(value, dict):
        return {*value, *(key for own in value.values() for key in keys_of(own))}
    return {key for own in value for key in keys_of(own)} if isinstance(value, list) else set()


def documents(corpus: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes of any kind: a JSON document with the keys of good ones, texts, and what is neither."""
    keys: set[str] = set()
    for data in corpus:
        try:
            keys |= keys_of(json.loads(data))
        except ValueError:
            continue
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    named = st.sampled_from(sorted(keys)) if keys else st.text(max_size=8)
    values = st.recursive(
        plain, lambda own: st.lists(own, max_size=3) | st.dictionaries(named, own, max_size=5), max_leaves=20
    )
    return values.map(lambda value: json.dumps(value).encode()) | st.text().map(str.encode) | st.binary()


@pytest.mark.parametrize("name", TARGETS)
def test_anything_is_read_or_refused_in_a_sentence(name: str) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(documents([*TARGETS[name].corpus]))
    def holds(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert problem(name, data, Path(folder)) is None

    holds()


@pytest.mark.parametrize("number", range(len(FOUND)), ids=[path.name for path in FOUND])
def test_what_was_found_once_is_refused_now(number: int, tmp_path: Path) -> None:
    path = FOUND[number]
    error = problem(SLUGS[path.name.partition("--")[0]], path.read_bytes(), tmp_path)
    assert error is None, repr(error)
