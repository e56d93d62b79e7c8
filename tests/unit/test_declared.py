"""Paths that are there already, written down: in a profile's file, and in an inventory."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import app
from harness.cli.prepare import Options, prepare
from harness.fabric import declared
from harness.model.errors import InputError
from harness.model.found import Between, NamedPath, Spot, SpotKind, asked
from harness.model.node import Node
from harness.model.shipped import PROFILES

FILE = """\
name: web
kind: existing
summary: The shop, and what it asks
between:
  k8s-2: docker:web-2
  k8s-1: netns:web
"""
WEB = Between("web", Spot(SpotKind.NETNS, "web"), Spot(SpotKind.DOCKER, "web-2"))


def written(tmp_path: Path, text: str = FILE, name: str = "web") -> Path:
    path = tmp_path / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    return path


def nodes(*own: object) -> list[Node]:
    return [
        Node(name, index, f"192.0.2.{index}", "eth0", variables={} if said is None else {"overlay_endpoints": said})
        for index, (name, said) in enumerate(zip("ab", own, strict=True), 1)
    ]


def test_a_profile_names_a_path_as_between_does(tmp_path: Path) -> None:
    written(tmp_path)
    prepared = prepare(Options(profile=("web",), profiles_dirs=(tmp_path,)))
    assert prepared.between == WEB
    assert prepared.plan.setup.profiles == ("underlay", "web")
    assert set(prepared.profiles) == {"underlay"}


def test_profiles_of_other_kinds_name_none(tmp_path: Path) -> None:
    assert all(declared.load(path) is None for path in PROFILES.glob("*.yml"))
    assert declared.load(written(tmp_path, "- a\n")) is None
    assert prepare(Options(profile=("vxlan",))).between is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("k8s-2: docker:web-2", "k8s-2: x:y", "line 4: between: 'x:y' is no endpoint; give the name or id"),
        ("k8s-2: docker:web-2", "k8s-2: 7", "line 5: between.k8s-2: Input should be a valid string"),
        ("  k8s-2: docker:web-2\n", "", "line 4: between: 1 endpoint(s) are named; give one on each of two nodes"),
        ("summary:", "colour:", "line 3: colour: unknown key; known keys are name, kind, summary, between"),
        ("name: web", "name: Web", "line 1: name: String should match pattern"),
        ("name: web", "name: other", "the profile's name is 'other'; name the file other.yml"),
        ("k8s-1: netns:web", "k8s-2: netns:web", "line 6: key 'k8s-2' stands twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = written(tmp_path, FILE.replace(old, new))
    with pytest.raises(InputError) as raised:
        prepare(Options(profile=("web",), profiles_dirs=(tmp_path,)))
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


def test_nodes_that_are_not_measured_are_said(tmp_path: Path) -> None:
    written(tmp_path, FILE.replace("k8s-2", "k8s-3"))
    with pytest.raises(InputError, match=r"web\.yml: path web names an endpoint of k8s-3; .* k8s-1 and k8s-2"):
        prepare(Options(profile=("web",), profiles_dirs=(tmp_path,)))


@pytest.mark.parametrize("more", [{"profile": ("web", "vxlan")}, {"profile": ("web",), "between": asked("a,b")}])
def test_a_path_that_is_there_is_measured_by_itself(tmp_path: Path, more: dict[str, object]) -> None:
    written(tmp_path)
    with pytest.raises(InputError, match="profile web is a path that is there already"):
        prepare(Options(profiles_dirs=(tmp_path,), **more))  # type: ignore[arg-type]


def test_the_underlay_cannot_be_one(tmp_path: Path) -> None:
    path = written(tmp_path, FILE.replace("name: web", "name: underlay"), "underlay")
    with pytest.raises(InputError, match="line 1: name: underlay is the nodes' own network"):
        declared.load(path)


def test_commands_that_build_paths_refuse_one_that_is_there(tmp_path: Path) -> None:
    written(tmp_path)
    inventory = tmp_path / "mine.ini"
    inventory.write_text("[nodes]\nk8s-1 underlay_address=192.0.2.1\nk8s-2 underlay_address=192.0.2.2\n", "utf-8")
    for command, said in (
        (f"doctor --lab {inventory}", "is a path that is there already, for which nothing is set up"),
        ("trace", "does not go with --between"),
        ("ecmp", "does not go with --between"),
    ):
        words = [*command.split(), "--profile", "web", "--profiles-dir", str(tmp_path)]
        done = CliRunner().invoke(app, words, standalone_mode=False)
        assert isinstance(done.exception, InputError), done.output
        assert said in str(done.exception)


# ---- by its name alone


def test_a_name_alone_is_looked_up() -> None:
    assert asked("web") == NamedPath("web")
    assert asked("web=a,b") == Between.parse("web=a,b")
    assert asked("a,b") == Between.parse("a,b")
    found = NamedPath("web").of_nodes(nodes({"web": "web-1", "db": "pid:7"}, {"web": "docker:web-2"}), "mine.yml")
    assert found == Between("web", Spot(SpotKind.CONTAINER, "web-1"), Spot(SpotKind.DOCKER, "web-2"))


@pytest.mark.parametrize("text", ["underlay", "Web", "web_1", "-web"])
def test_what_is_neither_a_name_nor_two_endpoints_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give two with a comma between them"):
        asked(text)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ((None, None), "mine.yml: no host has a path web in its overlay_endpoints; give both endpoints, A,B"),
        (({"web": "web-1"}, {"db": "x"}), "mine.yml: path web names none of b; a path is between a and b"),
        (({"web": "web-1"}, {"web": "x:y"}), "mine.yml: path web: 'x:y' is no endpoint"),
        (("web-1", None), "mine.yml: host a: overlay_endpoints is not a mapping of paths to endpoints"),
        (({"web": 7}, {"web": "x"}), "mine.yml: host a: overlay_endpoints is not a mapping of paths to endpoints"),
    ],
)
def test_what_is_wrong_with_an_inventory_is_said(own: tuple[object, object], said: str) -> None:
    with pytest.raises(InputError) as raised:
        NamedPath("web").of_nodes(nodes(*own), "mine.yml")
    assert str(raised.value).startswith(said)


def test_an_inventory_names_the_endpoints(tmp_path: Path) -> None:
    inventory = tmp_path / "mine.yml"
    inventory.write_text(
        "nodes:\n  vars: {side: web}\n  hosts:\n"
        "    a: {underlay_address: 192.0.2.1, overlay_endpoints: {web: '{{ side }}-1'}}\n"
        "    b: {underlay_address: 192.0.2.2, overlay_endpoints: {web: '{{ side }}-2'}}\n",
        encoding="utf-8",
    )
    assert prepare(Options(lab=str(inventory), between=asked("web"))).between == Between.parse("web=web-1,web-2")
