"""One at a time: the lock of a node, which a process on the node holds for its owner as long as the connection stands.

Pure: the script's text, and the parsing of what it prints. The kernel of the node decides who has the lock (flock(2)):
its process ends with the connection, and with it the lock, whatever became of the owner. The file only says who it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from harness.model.errors import LabError
from harness.model.text import brief

PATH = "/run/vxlan-harness.lock"
HELD = b"held\n"
MOST_TEXT = 10_000
"""How many characters of a lock's file are looked at."""
TAKEN = 75
"""Exit code (EX_TEMPFAIL) where somebody else has it."""
# $1 the lock's file, $2 what it says of the owner. Whoever lets the lock go removes the file first, so what was opened
# may not be what is there any more. The shell's own pid holds the lock: `cat` does not get it.
_SCRIPT = f"""
umask 077
is_there() {{ [ "$(stat -Lc %d:%i /proc/self/fd/9)" = "$(stat -c %d:%i "$1" 2>/dev/null)" ]; }}
while :; do
  exec 9<>"$1" || exit 3
  if flock -n 9; then
    is_there "$1" && break
  elif [ "$?" -ne 1 ]; then
    exit 3
  elif is_there "$1"; then
    for _ in 1 2 3 4 5; do [ -s "$1" ] && break; sleep .05; done
    cat "$1" 2>/dev/null
    exit {TAKEN}
  fi
done
printf %s "$2" >"$1"
printf 'held\\n'
cat >/dev/null 9>&-
rm -f "$1"
"""


@dataclass(frozen=True)
class Owner:
    """Who uses a node: which run (or other command), of which user on which host, since when (UTC)."""

    run: str
    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.run} of {self.user} on {self.host} (pid {self.pid}) since {self.since}"


def argv(owner: Owner, path: str = PATH) -> list[str]:
    """Return the command that takes a node's lock, prints `held`, and keeps it until its standard input ends."""
    return ["sh", "-c", _SCRIPT, "sh", path, json.dumps(asdict(owner))]


def owner_of(text: str) -> str:
    """Return in words who has a lock, by what its file says."""
    try:
        return brief(str(Owner(**json.loads(text[:MOST_TEXT]))))
    except (ValueError, TypeError, RecursionError):
        return "somebody else"


def refusal(name: str, text: str) -> LabError:
    """Return the error for a node that somebody else has, by what its lock's file says."""
    return LabError(
        f"{name} is in use by {owner_of(text)}; two at a time would falsify each other's figures: wait for its end."
    )
