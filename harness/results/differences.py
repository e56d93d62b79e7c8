"""Differences between runs, of all that moves figures. Pure.

Nodes are matched by their role, client or server: what they are called moves no figure. What moves figures most comes
first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.results.meta import RunMeta

_ROLES = ("client", "server")
_MACHINE = ("cpu_model", "cpus", "offloads", "kernel")
_SURROUNDINGS = ("os", "congestion_control", "bridge_netfilter", "qdisc", "driver", "sysctls", "hostname")
_HASH_SHOWN = 12
_OF_PROFILE = ("headers of ", "content of ")
_LAST_OF_MACHINE = 1
"""The rank of settings up to which runs are of one machine, beside those that say what endpoints and flows are."""
_OF_SETUP = ("plan's containers", "plan's image", "plan's congestion control")

Environment = Mapping[str, Any] | None


@dataclass(frozen=True)
class Surroundings:
    """What a run says of itself: run.json and environment.json (by node), None where a file is not there."""

    meta: RunMeta | None
    environment: Environment


@dataclass(frozen=True)
class Difference:
    """What differs, and what it is on either side: as many values as its runs have, none where no run tells."""

    what: str
    a: tuple[str, ...]
    b: tuple[str, ...]


class _Key(NamedTuple):
    """A setting: how much it matters, what it is called, which of several it is, and whose it is."""

    rank: int
    name: str
    part: str = ""
    role: str = ""


class _Found(NamedTuple):
    """A setting that differs, and its values on either side."""

    key: _Key
    a: tuple[str, ...]
    b: tuple[str, ...]


_Settings = Mapping[_Key, object]


def differences(a: Sequence[Surroundings], b: Sequence[Surroundings], *, of_machine: bool = False) -> list[Difference]:
    """Return what is not the same in all runs of both sides, each once, what matters most first.

    What one side's runs do not tell is a difference as well, unless they lack the whole file. `of_machine`: only what
    `machine_of` is made of.
    """
    sides = [_of_meta(one) for one in (a, b)], [_of_nodes(one) for one in (a, b)]
    found: dict[_Key, list[_Found]] = {}
    for settings in sides:
        if not all(settings):  # a whole side without the file
            continue
        all_keys = dict.fromkeys(key for side in settings for run in side for key in run)
        keys = sorted((key for key in all_keys if not of_machine or _is_of_machine(key)), key=lambda key: key.rank)
        for key in keys:
            values = [tuple(dict.fromkeys(_worded(run.get(key)) for run in side)) for side in settings]
            if key.name.startswith(_OF_PROFILE) and not all(map(any, values)):
                continue  # which profiles there are is a setting of its own
            if len({*values[0], *values[1]}) > 1:
                found.setdefault(key._replace(part=""), []).append(_Found(key, _known(values[0]), _known(values[1])))
    return _of_both_roles([_joined(group) for group in sorted(found.values(), key=lambda group: group[0].key.rank)])


def machine_of(one: Surroundings) -> tuple[tuple[str, str], ...]:
    """Return what tells whether two runs are of one machine and set-up, by names; figures of others are not pooled.

    CPUs, kernel, offloads, lab, link, and what endpoints are; not what hosts are called, for a cloud names them anew.
    """
    found = [*_of_meta([one]), *_of_nodes([one])]
    return tuple(
        sorted(
            (" ".join(filter(None, (key.role, key.name, key.part))), _worded(value))
            for settings in found
            for key, value in settings.items()
            if _is_of_machine(key)
        )
    )


def _is_of_machine(key: _Key) -> bool:
    return key.rank <= _LAST_OF_MACHINE or key.name in _OF_SETUP


def lacking(a: Sequence[Surroundings], b: Sequence[Surroundings]) -> tuple[bool, bool]:
    """Tell of each side whether none of its runs says what its nodes were, while the other's do."""
    known = [any(one.environment for one in side) for side in (a, b)]
    return known[1] and not known[0], known[0] and not known[1]


def _known(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value for value in values if value)


def _joined(group: Sequence[_Found]) -> tuple[_Key, Difference]:
    """Return the differences of one node's settings of one kind, such as offloads, as one."""
    first = group[0]
    if not first.key.part:
        return first.key, Difference(first.key.name, first.a, first.b)

    def all_of(values: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        named = zip(group, values, strict=True)
        return (", ".join(f"{one.key.part} {' or '.join(own) or 'not known'}" for one, own in named),)

    return first.key, Difference(first.key.name, all_of(one.a for one in group), all_of(one.b for one in group))


def _of_both_roles(found: Iterable[tuple[_Key, Difference]]) -> list[Difference]:
    """Return differences with whose they are in their names; what is true of both nodes is said once."""
    roles: dict[Difference, list[str]] = {}
    for key, difference in found:
        roles.setdefault(difference, []).append(key.role)
    return [
        Difference(" ".join([*filter(None, [" and ".join(filter(None, its))]), one.what]), one.a, one.b)
        for one, its in roles.items()
    ]


def _worded(value: object) -> str:
    return "" if value is None else str(value)


def _of_meta(runs: Sequence[Surroundings]) -> list[_Settings]:
    return [dict(_described(one.meta)) for one in runs if one.meta]


def _described(meta: RunMeta) -> Iterator[tuple[_Key, object]]:
    """Yield what a run was measured with, by the words a reader knows it by."""
    plan, setup = meta.plan, meta.plan.setup
    yield _Key(1, "lab"), meta.lab
    yield _Key(1, "rate_bps"), meta.rate_bps
    yield _Key(1, "nic_mtu"), meta.nic_mtu
    yield _Key(1, "nodes sharing a kernel"), meta.shared_kernel
    yield _Key(3, "plan's blocks"), plan.blocks
    yield _Key(3, "plan's set-ups"), plan.setups
    yield _Key(3, "plan's duration_s"), plan.timing.duration_s
    yield _Key(3, "plan's omit_s"), plan.timing.omit_s
    yield _Key(3, "plan's congestion control"), plan.congestion_control
    yield _Key(3, "plan's containers"), setup.containers.engine.value
    yield _Key(3, "plan's image"), setup.containers.image
    yield _Key(3, "profiles"), " ".join(sorted(meta.profiles))
    hashes = {name: profile.content_sha256 for name, profile in meta.profiles.items() if profile.content_sha256}
    yield _Key(3, "profiles' content"), "kept" if hashes else None
    for name, profile in meta.profiles.items():
        yield _Key(3, f"headers of {name}"), " ".join(profile.headers)
    for name, content in hashes.items():
        yield _Key(3, f"content of {name}"), content[:_HASH_SHOWN]
    yield _Key(4, "harness"), meta.harness_version or None
    for program, versions in meta.versions.items():
        for role, version in zip(_ROLES, versions.values(), strict=False):
            yield _Key(0 if program in _MACHINE else 4, program, role=role), version


def _of_nodes(runs: Sequence[Surroundings]) -> list[_Settings]:
    return [
        {
            key: value
            for role, node in zip(_ROLES, one.environment.values(), strict=False)
            if isinstance(node, dict)
            for key, value in _settings(role, node)
        }
        for one in runs
        if one.environment
    ]


def _settings(role: str, node: Mapping[str, Any]) -> Iterator[tuple[_Key, object]]:
    """Yield what a node was, flat; a qdisc's handle is a number drawn anew each time."""
    for rank, names in ((0, _MACHINE), (2, _SURROUNDINGS)):
        for name in names:
            value = node.get(name)
            if isinstance(value, dict):
                yield from ((_Key(rank, name, str(part), role), setting) for part, setting in value.items())
            elif name == "qdisc" and isinstance(value, str):
                yield _Key(rank, name, role=role), re.sub(r"\b[0-9a-f]+: ", "", value)
            else:
                yield _Key(rank, name, role=role), value


def node_settings(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a node was by name, what moves figures most first; what it does not tell is empty."""
    found = sorted(_settings("", node), key=lambda one: one[0].rank)
    yield from ((f"{key.name} {key.part}".strip(), _worded(value)) for key, value in found)
