"""A trial's server on a node's own address is for the trial's client: who else comes to its port is not let in.

Pure: the script's text. It makes a table of nftables for the port (a profile's rules are iptables', in chains that
others use, too), runs the server, and takes the table away. One that a killed server left goes with the next teardown,
or with the next server on its port. A node without nft has none of it.
"""

from __future__ import annotations

from collections.abc import Sequence

TABLE = "harness_trial_"
"""How these tables are called, their port behind it."""
# $1 peer, $2 its family (ipv4, ipv6), $3 how the address of a packet is matched, $4 port, then the server's argv. The
# server is not exec'd: the shell has to outlive it. A second `wait` is for one that a signal has interrupted.
_SCRIPT = f"""
peer=$1 family=$2 source=$3 port=$4 table="inet {TABLE}$4"
shift 4
nft -f - 2>/dev/null <<END
add table $table
delete table $table
add table $table
add chain $table input {{ type filter hook input priority -10; }}
add rule $table input meta l4proto {{ tcp, udp }} th dport $port meta nfproto != $family drop
add rule $table input meta l4proto {{ tcp, udp }} th dport $port $source saddr != $peer drop
END
"$@" &
server=$!
trap 'kill "$server" 2>/dev/null' TERM INT HUP
while :; do
    wait "$server"
    code=$?
    kill -0 "$server" 2>/dev/null || break
done
nft delete table $table 2>/dev/null
exit "$code"
"""


def argv(peer: str, port: int, server: Sequence[str]) -> list[str]:
    """Return a server's argv with its port closed to everybody but the peer, by the peer's address."""
    family = ("ipv6", "ip6") if ":" in peer else ("ipv4", "ip")
    return ["sh", "-c", _SCRIPT, "sh", peer, *family, str(port), *server]
