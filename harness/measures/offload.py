"""The factor `offload`: switches of the nodes' devices, set for a group of trials and set back after it.

A level is every switch with its state, such as `gro=off tunnel:tx-checksum-ip-generic=on`. What is in front of the
colon says whose switch it is: the underlay's NIC, which need not be said, or the profiles' tunnel devices.

What was before is written to a claim on the node first, as the playbooks' own modules write theirs, so that teardown
puts it back should the harness be killed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

from harness.model.errors import InputError, LabError
from harness.model.factors import Factor, Restore, Scope, Shell, Site, Value

NIC, TUNNEL = "nic", "tunnel"
CLAIMS = "/run/vxlan-harness-node"
"""Where the playbooks' modules keep what they have to put back, playbooks/module_utils/harness_claims.py."""
ALIASES = {
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
    "lro": "large-receive-offload",
    "rxvlan": "rx-vlan-offload",
    "txvlan": "tx-vlan-offload",
    "ntuple": "ntuple-filters",
    "rxhash": "receive-hashing",
}
"""Short names that ethtool takes, and what it prints (ethtool.c, off_flag_def)."""
_SEGMENTED = "without it the CPU cuts segments in front of the device, and each of them passes it alone"
_SUMMED = "without it the CPU sums up every packet, and segmentation offload is off as well"
_TUNNEL_SEGMENTED = "without it the CPU cuts encapsulated segments in front of the device, which then passes each alone"
MEANINGS = {
    "generic-receive-offload": "without it every packet goes up the stack alone, through tunnel and bridge as well",
    "rx-gro-list": "without it forwarded packets go through the stack alone",
    "large-receive-offload": "without it every packet goes up the stack alone",
    "generic-segmentation-offload": _SEGMENTED,
    "tcp-segmentation-offload": _SEGMENTED,
    "tx-tcp-segmentation": _SEGMENTED,
    "tx-udp-segmentation": _SEGMENTED,
    "tx-udp_tnl-segmentation": _TUNNEL_SEGMENTED,
    "tx-udp_tnl-csum-segmentation": _TUNNEL_SEGMENTED,
    "tx-checksumming": _SUMMED,
    "tx-checksum-ip-generic": _SUMMED,
    "tx-checksum-ipv4": _SUMMED,
    "rx-checksumming": "without it the CPU sums up every packet that arrives",
    "scatter-gather": "without it every packet is copied together first, and segmentation offload is off as well",
    "tx-scatter-gather": "without it every packet is copied together first, and segmentation offload is off as well",
}
"""What an offload is for (Linux, Documentation/networking: segmentation-offloads.rst, netdev-features.rst)."""
MOST_LEVELS = 16
ATTEMPTS = 2
"""Some switches stay off until another one is on."""
_SETTING = re.compile(r"(?:(nic|tunnel):)?([a-z][a-z0-9_-]{0,40})=(on|off)")
_FEATURE = re.compile(
    r"(?P<indent>\s*)(?P<name>[a-z][a-z0-9_-]*): (?P<state>on|off)(?P<fixed> \[fixed\])?"
    r"(?: \[requested (?P<requested>on|off)\])?"
)
# $1 the claim's file, $2 its text, $3 the folder. A claim that a killed run has left holds what really was before, so
# the one that counts is printed.
_CLAIM = 'umask 077; mkdir -p "$3" && { [ -e "$1" ] || { printf %s "$2" >"$1.new" && mv "$1.new" "$1"; }; } && cat "$1"'
_RELEASE = 'rm -f "$1"; rmdir "$2" 2>/dev/null; true'


def parse(text: str) -> str:
    """Return a level in its one form; InputError for what is no list of switches and states."""
    settings: dict[str, str] = {}
    for word in text.split():
        setting = _SETTING.fullmatch(word)
        if setting is None:
            raise InputError(f"{word!r} is no switch with a state; give gro=off, or tunnel:tx-checksum-ip-generic=off")
        name = ALIASES.get(setting[2], setting[2])
        settings[f"{TUNNEL}:{name}" if setting[1] == TUNNEL else name] = setting[3]
    if not settings:
        raise InputError(f"{text!r} has no switch in it; give one such as gro=off")
    return " ".join(f"{name}={state}" for name, state in settings.items())


def expand(texts: Sequence[str]) -> tuple[str, ...]:
    """Return every combination of some switches with their states, each written as `gro=on,off`.

    Raises InputError for what is no such thing, a switch that stands twice, or too many combinations.
    """
    varied: dict[str, list[str]] = {}
    for text in texts:
        name, equals, states = text.partition("=")
        levels = [parse(f"{name}{equals}{state.strip()}") for state in states.split(",")]
        switch = levels[0].partition("=")[0]
        if switch in varied:
            raise InputError(f"{switch} stands twice; give each switch once, as {switch}=on,off")
        varied[switch] = list(dict.fromkeys(levels))
    combined = tuple(" ".join(settings) for settings in product(*varied.values()))
    if len(combined) > MOST_LEVELS:
        raise InputError(f"these are {len(combined)} combinations; give switches that make at most {MOST_LEVELS}")
    return combined


def label(value: Value) -> str:
    """Return a level with the short names of its switches."""
    short = {name: alias for alias, name in ALIASES.items()}
    words = []
    for setting in str(value).split():
        name, _, state = setting.rpartition("=")
        owner, colon, feature = name.rpartition(":")
        words.append(f"{owner}{colon}{short.get(feature, feature)}={state}")
    return " ".join(words)


@dataclass(frozen=True)
class Switches:
    """A device's switches with their states: those that can be set, fixed ones, and headings that sum others up.

    To set a heading sets every switch below it, fixed ones too, so what has to be put back are the switches alone, and
    as they were `asked` to be: some are off for as long as another one is.
    """

    asked: Mapping[str, str]
    settable: Mapping[str, str]
    fixed: Mapping[str, str]
    headings: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> Switches:
        """Return what `ethtool -k` prints; a heading has indented lines below it."""
        lines = [line for line in map(_FEATURE.match, text.splitlines()) if line]
        headings = {
            line["name"]: line["state"]
            for line, below in zip(lines, [*lines[1:], None], strict=True)
            if below and below["indent"] and not line["indent"]
        }
        plain = [line for line in lines if line["name"] not in headings]
        settable = [line for line in plain if not line["fixed"]]
        return cls(
            {line["name"]: line["requested"] or line["state"] for line in settable},
            {line["name"]: line["state"] for line in settable},
            {line["name"]: line["state"] for line in plain if line["fixed"]},
            headings,
        )

    def state(self, name: str) -> str | None:
        """Return the state of a switch or a heading, None where there is none of that name."""
        return {**self.headings, **self.fixed, **self.settable}.get(name)

    def astray(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return what was asked otherwise before, as it was."""
        return {name: state for name, state in before.items() if self.asked.get(name, state) != state}

    def unlike(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Return what is wanted otherwise than it is; what is not there counts as it is wanted."""
        return {name: state for name, state in wanted.items() if self.state(name) not in (state, None)}


def enter(sites: Sequence[Site], value: Value) -> Restore:
    """Set a level's switches on every node and return what sets them back.

    Raises LabError where a device does not have a switch, cannot change it, or does not do as it was told; everything
    is as it was before then.
    """
    with ExitStack() as undo:
        for site in sites:
            for device, wanted in _by_device(site, value).items():
                _set(site, device, wanted, undo)
        return undo.pop_all().close


def _by_device(site: Site, value: Value) -> dict[str, dict[str, str]]:
    """Return the switches that a level wants on each device of a node."""
    wanted: dict[str, dict[str, str]] = {}
    for setting in str(value).split():
        name, _, state = setting.rpartition("=")
        owner, _, switch = name.rpartition(":")
        for device in site.tunnels if owner == TUNNEL else (site.nic,):
            wanted.setdefault(device, {})[switch] = state
    return wanted


def _set(site: Site, device: str, wanted: Mapping[str, str], undo: ExitStack) -> None:
    """Set some switches of one device, having noted how all of them were."""
    shell = site.shell
    before = _read(shell, device)
    for name, state in wanted.items():
        if before.state(name) is None:
            raise LabError(f"{device} on {shell.name} has no switch {name}; `ethtool -k {device}` shows what it has.")
        if before.fixed.get(name, state) != state:
            raise LabError(f"{device} on {shell.name} has {name} fixed to {before.fixed[name]}; leave it out.")
    path = f"{CLAIMS}/offload{device}.json"
    profiles = list(site.profiles)
    claim = {"kind": "offload", "target": device, "before": dict(before.asked), "profiles": profiles}
    claimed = json.loads(_run(shell, ["sh", "-c", _CLAIM, "sh", path, json.dumps(claim), CLAIMS]))
    undo.callback(_set_back, shell, device, claimed["before"], path)
    _switch(shell, device, before.astray(claimed["before"]))
    _switch(shell, device, _read(shell, device).unlike(wanted))
    deaf = _read(shell, device).unlike(wanted)
    if deaf:
        name, state = next(iter(deaf.items()))
        raise LabError(f"{device} on {shell.name} does not switch {name} {state}, whatever it is told.")


def _set_back(shell: Shell, device: str, before: Mapping[str, str], path: str) -> None:
    """Set back what differs from before, once more where one switch waited for another, and give the claim up."""
    for _ in range(ATTEMPTS):
        _switch(shell, device, _read(shell, device).astray(before))
    left = _read(shell, device).astray(before)
    if left:
        words = " ".join(f"{name} {state}" for name, state in left.items())
        raise LabError(f"{device} on {shell.name} is not as it was; `ethtool -K {device} {words}` there.")
    _run(shell, ["sh", "-c", _RELEASE, "sh", path, CLAIMS])


def _switch(shell: Shell, device: str, states: Mapping[str, str]) -> None:
    """Tell a device; what became of it has to be read, for ethtool also fails where only some switches do not move."""
    if states:
        shell.run(["ethtool", "-K", device, *(word for pair in states.items() for word in pair)])


def _read(shell: Shell, device: str) -> Switches:
    return Switches.of(_run(shell, ["ethtool", "-k", device]))


def _run(shell: Shell, argv: Sequence[str]) -> str:
    done = shell.run(argv)
    if done.exit_code != 0:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-200:]
        raise LabError(f"{shell.name}: `{argv[0]} {' '.join(argv[1:3])}` failed: {said}")
    return done.stdout


OFFLOAD = Factor(
    "offload",
    "A switch of the NIC (or tunnel:… of the tunnels) with its states, such as gro=on,off; repeatable, then every "
    "combination is measured.",
    parse,
    scope=Scope.NODE,
    label=label,
    expand=expand,
    enter=enter,
)
