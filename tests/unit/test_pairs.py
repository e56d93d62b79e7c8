"""Which pairs `--pairs` means, and which of them are measured at the same time."""

import re

import pytest

from harness.model.errors import InputError
from harness.model.pairs import Pair, parse, waves

HOSTS = ["a", "b", "c", "d"]


def pairs(text: str) -> tuple[Pair, ...]:
    return tuple(Pair(*word.split(":")) for word in text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:b", "a:b"),
        ("c:a, a:b", "c:a a:b"),
        ("all", "a:b a:c a:d b:c b:d c:d"),
    ],
)
def test_pairs_are_those_asked_for_in_their_order(text: str, expected: str) -> None:
    assert parse(text, HOSTS) == pairs(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not CLIENT:SERVER; give such pairs with commas between them, or all."),
        ("a", "'a' is not CLIENT:SERVER"),
        ("a:b,", "'' is not CLIENT:SERVER"),
        ("a:", "'a:' is not CLIENT:SERVER"),
        (":b", "':b' is not CLIENT:SERVER"),
        ("a:b:c", "'a:b:c' is not CLIENT:SERVER"),
        ("a-b", "'a-b' is not CLIENT:SERVER"),
        ("a:x", "there is no host 'x'; there are a, b, c, d, so much is known."),
        ("$(id):a", "there is no host '$(id)'"),
        ("../a:b", "there is no host '../a'"),
        ("a:a", "a:a is one host; a pair takes two."),
        ("a:b,c:d,a:b", "a:b is there twice; give each pair once."),
        ("a:b,b:a", "b:a is a:b the other way round; give each pair once, the direction reverse measures that way."),
        ("all,a:b", "'all' is not CLIENT:SERVER"),
    ],
)
def test_what_is_no_pair_is_said_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        parse(text, HOSTS, ", so much is known")


def test_pair_as_text_and_as_folder() -> None:
    (pair,) = parse("a:b", HOSTS)
    assert (str(pair), pair.folder, pair.hosts) == ("a:b", "a--b", ("a", "b"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a:b", ["a:b"]),
        ("a:b c:d", ["a:b c:d"]),
        ("a:b a:c c:d", ["a:b c:d", "a:c"]),
        ("a:b a:c a:d b:c b:d c:d", ["a:b c:d", "a:c b:d", "a:d b:c"]),
        ("a:b b:c c:a", ["a:b", "b:c", "c:a"]),
    ],
)
def test_waves_hold_no_host_twice(asked: str, expected: list[str]) -> None:
    found = waves(pairs(asked), parallel=True)
    assert found == tuple(pairs(wave) for wave in expected)
    for wave in found:
        hosts = [name for pair in wave for name in pair.hosts]
        assert len(set(hosts)) == len(hosts)


def test_one_by_one_unless_asked_otherwise() -> None:
    asked = pairs("a:b c:d a:c")
    assert waves(asked, parallel=False) == tuple((pair,) for pair in asked)


@pytest.mark.parametrize("count", range(2, 9))
def test_every_pair_of_many_hosts_is_in_one_wave(count: int) -> None:
    asked = parse("all", [f"n{number}" for number in range(count)])
    found = [pair for wave in waves(asked, parallel=True) for pair in wave]
    assert len(asked) == count * (count - 1) // 2
    assert sorted(map(str, found)) == sorted(map(str, asked))
