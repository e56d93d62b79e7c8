"""What check mode says is what apply then runs, and teardown likewise: overheard from the programs themselves."""

from collections.abc import Sequence

import pytest

from harness.fabric.playbook import PlaybookResult
from harness.model.trial import UNDERLAY
from harness.nodes.remote import Remote
from tests.lab.bench import NOTHING, Bench, commands, done, possible_profiles

pytestmark = pytest.mark.lab

HEARD = "/run/overheard"
# A file system of its own, which snapshots of /run do not look into. Each program notes its command line, or the
# lines of a batch, and goes on as the real one.
OVERHEAR = f"""
mkdir {HEARD}
mount -t tmpfs tmpfs {HEARD}
cat >{HEARD}/hear <<'END'
#!/bin/bash
name=${{0##*/}} real={HEARD}/real/$(readlink -f "$0")
if [ "${{*: -2}}" = "-batch -" ]; then
  batch=$(cat)
  while read -r line; do echo "$name ${{*:1:$#-2}} $line" >>{HEARD}/log; done <<<"$batch"
  exec -a "$name" "$real" "$@" <<<"$batch"
fi
echo "$name $*" >>{HEARD}/log
exec -a "$name" "$real" "$@"
END
chmod +x {HEARD}/hear
for program in ip bridge iptables ip6tables; do
  path=$(readlink -f "$(command -v $program)") || continue
  [ ! -e "{HEARD}/real/$path" ] || continue
  mkdir -p "{HEARD}/real/${{path%/*}}"
  cp -p "$path" "{HEARD}/real/$path"
  mount --bind {HEARD}/hear "$path"
done
"""
READING = {
    "ip": ("-j", "-o", "exec", "list", "probe"),
    "bridge": ("-j",),
    "iptables": ("-S", "-C"),
    "ip6tables": ("-S", "-C"),
}
"""Words of command lines that change nothing: `probe` is tried in a namespace that is gone at once."""
HARM = (
    "ip link del cni0; ip link set cni-gw0 mtu 1300; sysctl -q net.ipv4.ip_forward=0; rm /run/flannel/subnet.env",
    "ip link del vxlan_docker; ip netns del harness-flannel-1450; ip -n harness-vxlan6-1450 link set eth0 down",
)


def overheard(node: Remote) -> list[str]:
    """Return the commands that have changed something since this was asked last."""
    heard = done(node, "sh", "-c", f"cat {HEARD}/log; : >{HEARD}/log").splitlines()
    return [" ".join(line.split()) for line in heard if not is_reading(line.split())]


def is_reading(words: Sequence[str]) -> bool:
    """Tell whether a command line only looks, or is for the program behind it to say."""
    return any(word in READING[words[0]] for word in words)


def by_programs(lines: Sequence[str]) -> list[str]:
    """Return the lines that are commands of one of the programs that are overheard."""
    return [line for line in lines if line.split()[0] in READING and not is_reading(line.split())]


def play_overheard(bench: Bench, name: str, profiles: Sequence[str]) -> PlaybookResult:
    """Run a playbook in check mode and then for good: the first changes nothing, the second what the first has said."""
    before = bench.snapshot()
    for node in bench.nodes:
        overheard(node)
    told = bench.play(name, profiles, check=True)
    assert [overheard(node) for node in bench.nodes] == [[], []]
    assert bench.changes(before) == []
    applied = bench.play(name, profiles)
    assert applied.changed == told.changed
    for node in bench.nodes:
        said = commands(told, node.name)
        assert commands(applied, node.name) == said
        assert overheard(node) == by_programs(said)
    return applied


def test_apply_and_teardown_of_all_profiles(bench: Bench) -> None:
    profiles = [UNDERLAY, *possible_profiles()]
    for node in bench.nodes:
        done(node, "bash", "-ec", OVERHEAR)
        done(node, "iptables", "-P", "FORWARD", "DROP")
    before = bench.snapshot()
    applied = play_overheard(bench, "apply", profiles)
    for node in bench.nodes:
        assert len(commands(applied, node.name)) > 10 * len(profiles)
    for node, lines in zip(bench.nodes, HARM, strict=True):
        done(node, "sh", "-ec", lines)
    play_overheard(bench, "apply", profiles)
    up = bench.snapshot()
    assert play_overheard(bench, "apply", profiles).changed == NOTHING
    assert bench.play("verify", profiles).changed == NOTHING
    assert bench.changes(up) == []
    for node, lines in zip(bench.nodes, reversed(HARM), strict=True):
        done(node, "sh", "-ec", lines)
    play_overheard(bench, "teardown", profiles)
    assert bench.changes(before) == []
    assert play_overheard(bench, "teardown", profiles).changed == NOTHING
