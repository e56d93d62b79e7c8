"""Profiles: what ships is valid, and what is wrong is refused with file and line before anything is done with it."""

import copy
import ipaddress
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import ValidationError

from harness.cli.profiles import profiles as profiles_command
from harness.fabric.profiles import Profile, known_profiles, load, load_file
from harness.fabric.topology import wanted_state
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.path import Kind
from harness.model.shipped import PROFILES

Place = tuple[str | int, ...]
SHIPPED = sorted(PROFILES.glob("*.yml"))

# Every kind of value that a profile has, each filled in with something harmless.
FULL = """\
name: full
kind: tunnel
summary: Everything that a profile may have
headers: [ipv4, udp, vxlan, ethernet]
tunnel: tun0
tunnel_mtu: 1450
networks: [10.9.0.0/16]
links:
  - name: tun0
    kind: vxlan
    attributes:
      id: 20
      remote: $peer_address
      nolearning: true
    mtu: $tunnel_mtu
    mac: 02:00:00:00:00:01
    master: bridge0
    addresses: [10.9.0.1/16]
  - name: bridge0
    kind: bridge
routes:
  - dst: 10.9.1.0/24
    via: 10.9.0.2
    dev: tun0
    onlink: true
neighbours:
  - lladdr: 02:00:00:00:00:02
    dst: 10.9.0.2
    dev: tun0
fdb:
  - lladdr: 00:00:00:00:00:00
    dst: $peer_address
    dev: tun0
sysctls:
  net.ipv4.ip_forward: 1
forward: [10.9.0.0/16]
files:
  - path: /run/full/subnet.env
    values:
      FULL_MTU: $tunnel_mtu
forwarder:
  device: tun0
  protocol: udp
  port: 1194
endpoints:
  bridge: bridge0
  address: 10.9.0.$pair_host/16
  routes:
    - dst: default
      via: 10.9.0.1
  sysctls:
    net.ipv4.ip_no_pmtu_disc: 1
"""

# Where each kind of value stands in FULL.
VALUES: dict[str, Place] = {
    "name": ("name",),
    "kind": ("kind",),
    "header": ("headers", 0),
    "tunnel": ("tunnel",),
    "tunnel mtu": ("tunnel_mtu",),
    "network": ("networks", 0),
    "link name": ("links", 1, "name"),
    "link kind": ("links", 0, "kind"),
    "attribute": ("links", 0, "attributes", "id"),
    "attribute with a variable": ("links", 0, "attributes", "remote"),
    "flag": ("links", 0, "attributes", "nolearning"),
    "link mtu": ("links", 0, "mtu"),
    "mac": ("links", 0, "mac"),
    "master": ("links", 0, "master"),
    "address": ("links", 0, "addresses", 0),
    "route dst": ("routes", 0, "dst"),
    "route via": ("routes", 0, "via"),
    "route dev": ("routes", 0, "dev"),
    "route onlink": ("routes", 0, "onlink"),
    "neighbour lladdr": ("neighbours", 0, "lladdr"),
    "neighbour dst": ("neighbours", 0, "dst"),
    "neighbour dev": ("neighbours", 0, "dev"),
    "fdb lladdr": ("fdb", 0, "lladdr"),
    "fdb dst": ("fdb", 0, "dst"),
    "fdb dev": ("fdb", 0, "dev"),
    "sysctl": ("sysctls", "net.ipv4.ip_forward"),
    "forward": ("forward", 0),
    "file path": ("files", 0, "path"),
    "file value": ("files", 0, "values", "FULL_MTU"),
    "forwarder device": ("forwarder", "device"),
    "forwarder protocol": ("forwarder", "protocol"),
    "forwarder port": ("forwarder", "port"),
    "endpoint bridge": ("endpoints", "bridge"),
    "endpoint address": ("endpoints", "address"),
    "endpoint route dst": ("endpoints", "routes", 0, "dst"),
    "endpoint route via": ("endpoints", "routes", 0, "via"),
    "endpoint sysctl": ("endpoints", "sysctls", "net.ipv4.ip_no_pmtu_disc"),
}
KEYS: dict[str, Place] = {
    "attribute name": ("links", 0, "attributes"),
    "sysctl name": ("sysctls",),
    "file key": ("files", 0, "values"),
    "endpoint sysctl name": ("endpoints", "sysctls"),
}

INJECTIONS = [
    "{{ lookup('pipe', 'id') }}",
    "{% for x in y %}",
    "$(reboot)",
    "`reboot`",
    "x; rm -rf /",
    "x && reboot",
    "x | sh",
    "x\nlink del dev eth0",
    "x\n",
    "x link del dev eth0",
    "../../../etc/passwd",
    "-batch",
    "x\0y",
    "",
]


def write(folder: Path, text: str, name: str = "full") -> Path:
    path = folder / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str, text: str = FULL) -> str:
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


def test_some_ship() -> None:
    assert {"underlay", "vxlan"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_profile_loads(path: Path) -> None:
    profile = load(path.stem)
    assert profile.name == path.stem
    assert (profile.endpoints is None) == (profile.kind is Kind.UNDERLAY)
    assert bool(profile.headers) == (profile.kind is Kind.TUNNEL)
    assert 1280 <= profile.path_mtu(1500) <= 1500


def test_seeds_profile_has_the_seeds_numbers() -> None:
    vxlan = load("vxlan")
    assert vxlan.headers == ("ipv4", "udp", "vxlan", "ethernet")
    assert vxlan.path_mtu(1500) == 1450
    assert vxlan.links[1].attributes == {"id": 20, "remote": "$peer_address", "dstport": 4789, "dev": "$nic"}


def test_full_profile_loads_as_written(tmp_path: Path) -> None:
    profile = load_file(write(tmp_path, FULL))
    assert profile.links[0].attributes == {"id": 20, "remote": "$peer_address", "nolearning": True}
    assert profile.links[0].addresses == ("10.9.0.1/16",)
    assert profile.sysctls == {"net.ipv4.ip_forward": 1}
    assert profile.routes[0].onlink is True
    assert profile.path_mtu(1500) == 1450
    assert profile.endpoints is not None
    assert profile.endpoints.address == "10.9.0.$pair_host/16"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("summary: Everything that", "summary: All that", True),  # moves no figure
        ("onlink: true", "onlink: true  # said", True),
        ("      id: 20\n      remote: $peer_address\n", "      remote: $peer_address\n      id: 20\n", True),
        ("      id: 20\n", "      id: 21\n", False),
        ("tunnel_mtu: 1450", "tunnel_mtu: 1449", False),
        ("    onlink: true\n", "", False),
    ],
)
def test_the_hash_of_its_content_tells_profiles_apart(tmp_path: Path, old: str, new: str, same: bool) -> None:
    first = load_file(write(tmp_path, FULL)).content_sha256
    second = load_file(write(tmp_path, changed(old, new))).content_sha256
    assert (first == second) == same
    assert len(first) == 64


def within(tree: Any, place: Place) -> Any:  # noqa: ANN401 - any part of a YAML document
    for step in place:
        tree = tree[step]
    return tree


def accepts(tree: object) -> bool:
    try:
        Profile.model_validate(tree, strict=False)
    except ValidationError:
        return False
    return True


def test_full_profile_is_accepted_in_the_same_way() -> None:
    assert accepts(yaml.safe_load(FULL))


@pytest.mark.parametrize("value", [*VALUES, *KEYS])
def test_injection_is_refused(value: str) -> None:
    taken = []
    whole = yaml.safe_load(FULL)
    for injection in INJECTIONS:
        tree = copy.deepcopy(whole)
        if value in KEYS:
            within(tree, KEYS[value])[injection] = 1
        else:
            *place, last = VALUES[value]
            within(tree, tuple(place))[last] = injection
        if accepts(tree):
            taken.append(injection)
    assert taken == []


@pytest.mark.parametrize("injection", [text for text in INJECTIONS if "\0" not in text])
def test_injection_in_a_file_names_file_and_line(tmp_path: Path, injection: str) -> None:
    text = changed("dst: default", f"dst: {json.dumps(injection)}")
    path = write(tmp_path, text)
    with pytest.raises(InputError) as raised:
        load_file(path)
    assert str(raised.value).startswith(f"{path}, line {line_of(text, 'dst: ' + json.dumps(injection))}: ")


@pytest.mark.parametrize(
    ("after", "indent"),
    [("kind: tunnel", ""), ("kind: vxlan", "    "), ("via: 10.9.0.2", "    "), ("bridge: bridge0", "  ")],
)
def test_unknown_key_names_file_and_line(tmp_path: Path, after: str, indent: str) -> None:
    text = changed(after, f"{after}\n{indent}colour: blue")
    path = write(tmp_path, text)
    with pytest.raises(InputError) as raised:
        load_file(path)
    assert str(raised.value).startswith(f"{path}, line {line_of(text, 'colour')}: ")
    assert "colour: unknown key" in str(raised.value)


def test_unknown_key_at_the_top_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known keys are name, kind, summary, headers, tunnel"):
        load_file(write(tmp_path, FULL + "colour: blue\n"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("headers: [ipv4, udp, vxlan, ethernet]", "headers: ipv4"),
        ("tunnel_mtu: 1450", "tunnel_mtu: large"),
        ("summary: Everything that a profile may have", "summary: 5"),
        ("summary: Everything that a profile may have", 'summary: ""'),
        ("kind: tunnel", "kind: tube"),
        ("id: 20", "id: 1.5"),
        ("id: 20", "id: [20]"),
        ("mtu: $tunnel_mtu", "mtu: 67"),
        ("mtu: $tunnel_mtu", "mtu: 65536"),
        ("addresses: [10.9.0.1/16]", "addresses: 10.9.0.1/16"),
        ("onlink: true", "onlink: 7"),
        ("path: /run/full/subnet.env", "path: /etc/passwd"),
        ("path: /run/full/subnet.env", "path: /run/full/../../etc/passwd"),
        ("protocol: udp", "protocol: sctp"),
        ("port: 1194", "port: 65536"),
        ("- name: bridge0", "- name: a-name-of-16-chr"),
        ("- name: bridge0\n    kind: bridge", "- name: bridge0"),
        ("endpoints:\n  bridge: bridge0", "endpoints:\n  bridge: 7"),
    ],
)
def test_wrong_type_names_file_and_line(tmp_path: Path, old: str, new: str) -> None:
    text = changed(old, new)
    path = write(tmp_path, text)
    first = line_of(text, new)
    with pytest.raises(InputError) as raised:
        load_file(path)
    assert any(str(raised.value).startswith(f"{path}, line {line}: ") for line in (first, first + 1))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("vxlan, ethernet]", "vxlan, ether]", "unknown header 'ether'; known are ethernet, vlan, ipv4"),
        ("networks: [10.9.0.0/16]", "networks: [10.9.0.1/16]", "10.9.0.1/16 has host bits set"),
        ("networks: [10.9.0.0/16]", "networks: [10.9.0.0/33]", "10.9.0.0/33"),
        ("tunnel: tun0", "tunnel: tun1", "`tunnel` names tun1, which is not among its links"),
        ("tunnel: tun0\n", "", "kind tunnel names its `tunnel` device"),
        (FULL[FULL.index("endpoints:") :], "", "every profile but the underlay has `endpoints`"),
        ("name: full", "name: underlay", "kind underlay and name underlay go together"),
        ("  - name: bridge0\n", "  - name: tun0\n", "link tun0 stands twice"),
        ("    master: bridge0\n", "    master: bridge1\n", "bridge bridge1 is not among the links"),
    ],
)
def test_inconsistent_profile_says_what_is_wrong(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_file(write(tmp_path, changed(old, new)))


def test_name_is_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the profile's name is 'full'; name the file full\.yml"):
        load_file(write(tmp_path, FULL, "other"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list\n",
        "just words\n",
        "a: [\n",
        "name: full\n\tkind: x\n",
        "a: !!python/object/apply:os.system [id]\n",
    ],
)
def test_what_is_no_profile_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"full\.yml"):
        load_file(write(tmp_path, text))


@pytest.mark.parametrize("value", ["2024-99-99", "9" * 5000])
def test_what_yaml_itself_stumbles_over(tmp_path: Path, value: str) -> None:
    """PyYAML raises plain ValueError for a date or a number that Python cannot hold."""
    text = changed("summary: Everything that a profile may have", f"summary: {value}")
    with pytest.raises(InputError, match=r"full\.yml"):
        load_file(write(tmp_path, text))


@pytest.mark.parametrize("mtu", [-1, 0, 67, 70000])
def test_tunnel_mtu_is_an_mtu(tmp_path: Path, mtu: int) -> None:
    with pytest.raises(InputError, match="tunnel_mtu"):
        load_file(write(tmp_path, changed("tunnel_mtu: 1450", f"tunnel_mtu: {mtu}")))


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "full.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_file(path)


def test_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown profile 'vxlam'; known are .*underlay, vxlan"):
        load("vxlam")


def test_own_folder_adds_to_the_shipped_one(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    assert set(known_profiles([tmp_path])) == {path.stem for path in SHIPPED} | {"full"}
    assert load("full", [tmp_path]).name == "full"


def test_own_profile_comes_before_a_shipped_one(tmp_path: Path) -> None:
    write(tmp_path, changed("name: full", "name: vxlan"), "vxlan")
    assert load("vxlan", [tmp_path]).tunnel == "tun0"
    assert load("vxlan").tunnel == "vxlan_docker"


def test_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing is not a folder of profiles; give one that holds YAML files"):
        known_profiles([tmp_path / "missing"])


@pytest.mark.parametrize("value", ["[1]", "[1, 2, 3]", "[1, two]", "[]", "{low: 1}"])
def test_attribute_of_several_numbers_has_two(tmp_path: Path, value: str) -> None:
    text = (PROFILES / "vxlan-one-port.yml").read_text(encoding="utf-8").replace("[50000, 50001]", value)
    path = tmp_path / "vxlan-one-port.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"line 22: links\.1\.attributes\.srcport"):
        load_file(path)


def test_a_profile_cannot_be_changed() -> None:
    profile = load("vxlan")
    with pytest.raises(ValueError, match="frozen"):
        profile.tunnel = "other"


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "alias within itself": "name: &a [*a]\n",
    "aliases upon aliases": BOMB,
    "no boolean": "name: !!bool x\n",
    "no number": "name: !!int x\n",
    "too many digits": f"name: 0x{'f' * 5000}\n",
    "no time": "name: !!timestamp x\n",
    "deep": "[" * 1500,
    "list for a key": "? [1, 2]\n: 3\n",
    "python": "name: !!python/object/apply:os.system [true]\n",
    "binary": "name: !!binary é\n",
    "too large": "# " + "x" * 200_000,
    "zero": "name: x\x00y\n",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_file_that_is_no_profile_is_refused_in_a_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / "odd.yml"
    path.write_text(HOSTILE[what], encoding="utf-8")
    with pytest.raises(InputError, match=r"odd\.yml") as refused:
        load_file(path)
    assert len(str(refused.value)) < 2000


def test_pipe_is_no_profile(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "odd.yml")
    with pytest.raises(InputError, match="is no file"):
        load_file(tmp_path / "odd.yml")


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("name: [", encoding="utf-8")
    done = CliRunner().invoke(profiles_command, ["--profiles-dir", str(tmp_path)])
    assert isinstance(done.exception, InputError)
    assert "broken.yml" in str(done.exception)
    assert [name for name in ("flannel", "vxlan") if name not in done.stdout] == []


def test_the_short_name_comes_first() -> None:
    names = list(known_profiles())
    assert names.index("vxlan") < names.index("vxlan-1500") < names.index("vxlan6")


COPIED = [path.stem for path in SHIPPED if path.stem not in ("underlay", "swarm", "swarm-encrypted")]
NODES = (
    Node("k8s-1", 1, "192.0.2.1", "eth0", 1500, "2001:db8::1"),
    Node("k8s-2", 2, "192.0.2.2", "eth0", 1500, "2001:db8::2"),
)


def held(name: str, folders: list[Path]) -> list[set[Any]]:
    """Return what only one may have of a profile: names of devices and files, networks, VNIs with their ports."""
    profile = load(name, folders)
    state = wanted_state(profile, *NODES, (1450, 1500))
    own = [link for link in state["links"] if not link.get("netns")]
    keys = {
        (link["attributes"].get("id"), link["attributes"].get("dstport")) for link in own if "id" in link["attributes"]
    }
    return [
        {link["name"] for link in own},
        set(state["networks"]),
        keys,
        {file["path"] for file in state["files"]} | set(state["namespaces"]),
    ]


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_has_nothing_in_common_with_what_it_is_of(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(profiles_command, ["copy", name, "--as", "mine", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"harness run --profile mine --profiles-dir {tmp_path}" in done.output
    copy, original = load("mine", [tmp_path]), load(name)
    assert (copy.kind, copy.headers, copy.path_mtu(1500)) == (original.kind, original.headers, original.path_mtu(1500))
    for ours, theirs in zip(held("mine", [tmp_path]), held(name, []), strict=True):
        assert len(ours) == len(theirs)
        assert not ours & theirs
    for one, other in zip(copy.networks, original.networks, strict=True):
        assert not ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))
    again = CliRunner().invoke(profiles_command, ["copy", name, "--as", "mine", "--into", str(tmp_path)])
    assert "there is a profile of that name already" in str(again.exception)


@pytest.mark.parametrize(
    ("name", "own"), [("swarm", "mine"), ("underlay", "mine"), ("vxlan", "Mine"), ("none", "mine")]
)
def test_what_cannot_be_copied_is_said_and_nothing_is_written(tmp_path: Path, name: str, own: str) -> None:
    done = CliRunner().invoke(profiles_command, ["copy", name, "--as", own, "--into", str(tmp_path / "new")])
    assert isinstance(done.exception, InputError)
    assert not (tmp_path / "new").exists()
