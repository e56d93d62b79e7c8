"""The rules of iptables that a profile has on a node while it is up; each carries the profile's name as a comment.

FORWARD lets a profile's networks through a host that drops what it forwards. INPUT takes the tunnel's port from the
peer and drops it from everybody else, for VXLAN has no authentication (RFC 7348, section 7).
"""

from __future__ import annotations

import subprocess
from contextlib import suppress

from ansible.module_utils.harness_node import NodeError, alias_of, is_made_by_us, run

PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}
"""Who handles the rules of an address family, by nftables' name for it."""
SHARED_KINDS = {"47": ("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan"), "4": ("ipip",), "41": ("sit",)}
"""Link types by the IP protocol that they all receive; a protocol has no port that would tell them apart."""
FALLBACKS = ("gre0", "gretap0", "erspan0", "tunl0", "sit0", "ip6gre0", "ip6gretap0", "ip6erspan0")
"""Devices that come with the kernel's module and are somebody's tunnel only once they are up."""

TRIAL_TABLE = "harness_trial_"
"""How the tables are called that close the port of a trial's server on the node itself to others."""


def family_of(address):
    """Return nftables' name for the family of an address."""
    return "ip6" if ":" in address else "ip"


def mark_of(profile):
    """Return the words that mark a rule as a profile's."""
    return ["-m", "comment", "--comment", alias_of(profile)]


def forward_rules(profile, networks):
    """Return the rules that let a profile's networks through a host that drops by default."""
    return [
        ["iptables", "FORWARD", side, network, *mark_of(profile), "-j", "ACCEPT"]
        for network in networks
        for side in ("-s", "-d")
    ]


def port_rules(profile, port, *, shared):
    """Return the rules that take a tunnel's port (or IP protocol) from the peer and, unless `shared`, from nobody else.

    The two do not overlap, so their order does not matter and one that is missing can be put back by itself.
    """
    program = PROGRAMS[family_of(port["peer"])]
    what = ["-p", port["protocol"], *(["--dport", str(port["port"])] if port["port"] else [])]
    drop = [program, "INPUT", "!", "-s", port["peer"], *what, *mark_of(profile), "-j", "DROP"]
    accept = [program, "INPUT", "-s", port["peer"], *what, *mark_of(profile), "-j", "ACCEPT"]
    return [accept] if shared else [drop, accept]


def listing(program, chain):
    """Return a chain as `iptables -S` prints it, None where the node cannot say: no iptables, or no help for it."""
    with suppress(OSError, NodeError):
        return run([program, "-w", "-S", chain]).splitlines()
    return None


class Chains:
    """The chains as they are, less the rules whose deletion is queued."""

    def __init__(self):
        self._lines = {}
        self._left = set()

    def lines(self, program, chain):
        """Return a chain as `iptables -S` prints it, None where the node cannot say."""
        if (program, chain) not in self._lines:
            self._lines[program, chain] = listing(program, chain)
        return self._lines[program, chain]

    def holds(self, profile, rule):
        """Tell whether a rule of a profile's is in its chain."""
        argv = [rule[0], "-w", "-C", *rule[1:]]
        return profile not in self._left and subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def leave(self, profile):
        """Take a profile's rules for deleted; return the argv that deletes each."""
        mark = alias_of(profile)
        found = []
        for program, chain in (("iptables", "FORWARD"), ("iptables", "INPUT"), ("ip6tables", "INPUT")):
            lines = self.lines(program, chain) or []
            marked = [line for line in lines if f'--comment "{mark}" ' in line or f"--comment {mark} " in line]
            found += [[program, "-w", "-D", *line.replace('"', "").split()[1:]] for line in marked]
            if marked:
                self._lines[program, chain] = [line for line in lines if line not in marked]
        self._left.add(profile)
        return found


def insertion(rule):
    """Return the argv that puts a rule at the top of its chain."""
    return [rule[0], "-w", "-I", *rule[1:]]


def missing_forward_rules(profile, networks, chains):
    """Return the forwarding rules that are needed and not there: a chain that accepts everything needs none."""
    lines = chains.lines("iptables", "FORWARD") if networks else None
    if not [line for line in lines or [] if line != "-P FORWARD ACCEPT"]:
        return []
    return [rule for rule in forward_rules(profile, networks) if not chains.holds(profile, rule)]


def missing_port_rules(profile, ports, root, chains):
    """Return the rules of a profile's ports that are not there, and a sentence for each port that stays open to all."""
    rules = []
    notes = []
    for port in ports:
        program = PROGRAMS[family_of(port["peer"])]
        if chains.lines(program, "INPUT") is None:
            what = f"{port['protocol']} port {port['port']}" if port["port"] else f"IP protocol {port['protocol']}"
            notes.append(
                f"{what} of profile {profile} is open to everybody who reaches this node, for {program} does not work "
                "here; install iptables, or use a network that you trust"
            )
        else:
            wanted = port_rules(profile, port, shared=is_shared(root, port))
            rules += [rule for rule in wanted if not chains.holds(profile, rule)]
    return rules, notes


def is_shared(root, port):
    """Tell whether somebody else's tunnel receives on a port (or IP protocol): then it may not be closed to others."""
    for name, link in root.links.items():
        details = link.get("linkinfo", {})
        if is_made_by_us(link) or (name in FALLBACKS and "UP" not in link.get("flags", [])):
            continue
        if port["port"] and details.get("info_data", {}).get("port") == port["port"]:
            return True
        if not port["port"] and details.get("info_kind") in SHARED_KINDS.get(port["protocol"], ()):
            return True
    return False


def trial_tables():
    """Return the tables of nftables that servers of trials left which were killed; see harness/nodes/guard.py."""
    with suppress(OSError, NodeError):
        lines = run(["nft", "list", "tables"]).splitlines()
        return [line.split()[2] for line in lines if line.startswith(f"table inet {TRIAL_TABLE}")]
    return []


def state_of(family, chain):
    """Return what is there of a chain: `chain`, only its `table`, or nothing; `chain` where nft is missing."""
    for state, words in (("chain", ["chain", family, "filter", chain]), ("table", ["table", family, "filter"])):
        try:
            if subprocess.run(["nft", "list", *words], capture_output=True, check=False).returncode == 0:
                return state
        except OSError:
            return "chain"
    return ""


def remove_chain(family, chain, before):
    """Remove a chain that came with our first rule, and its table likewise, unless anybody has put something there."""
    program = PROGRAMS[family]
    with suppress(OSError, NodeError):
        if before != "chain" and listing(program, chain) == [f"-P {chain} ACCEPT"]:
            run(["nft", "delete", "chain", family, "filter", chain])
        untouched = {f"-P {name} ACCEPT" for name in ("INPUT", "FORWARD", "OUTPUT")}
        if not before and not set(run([program, "-w", "-S"]).splitlines()) - untouched:
            run(["nft", "delete", "table", family, "filter"])
