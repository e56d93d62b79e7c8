"""Addresses of a trace as its reports write them, each with its owner, and text that fits a width."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

WIDTH = 80
GLUE = "\N{NO-BREAK SPACE}"
"""Stands between words that stay on one line; a space in the end."""
BROADCAST = "ff:ff:ff:ff:ff:ff"

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
_SHORT_FORMS = ((2, 1), (2, 2), (3, 2))  # octets kept in front and behind
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")


class Names:
    """How addresses are written: a MAC whose owner is known is short, as long as no other would look the same."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        """Take the owner of each address."""
        self._owners = {address.lower(): plain(owner) for address, owner in owners.items()}
        macs = [address for address in self._owners if _MAC.fullmatch(address)]
        self._short = {mac: _shortened(mac, macs) for mac in macs if mac != BROADCAST}

    def beside(self, address: str | int) -> str:
        """Return an address with its owner beside it, in full where nobody owns it."""
        text = plain(str(address))
        owner = self._owners.get(text.lower(), "everyone" if text.lower() == BROADCAST else "")
        if not owner:
            return text
        return f"{self._short.get(text.lower(), text)} = {owner}".replace(" ", GLUE)

    def legend(self) -> list[tuple[str, str, str]]:
        """Return each address, how it is shortened (nothing where it is not), and its owner; MACs first."""
        rows = [(address, self._short.get(address, ""), owner) for address, owner in self._owners.items()]
        rows = [(address, "" if short == address else short, owner) for address, short, owner in rows]
        return sorted(rows, key=lambda row: not _MAC.fullmatch(row[0]))


def _shortened(mac: str, macs: Iterable[str]) -> str:
    for front, back in _SHORT_FORMS:
        short = _cut(mac, front, back)
        if [other for other in macs if _cut(other, front, back) == short] == [mac]:
            return short
    return mac


def _cut(mac: str, front: int, back: int) -> str:
    octets = mac.split(":")
    return ":".join([*octets[:front], "\N{HORIZONTAL ELLIPSIS}", *octets[-back:]])


def plain(text: str) -> str:
    """Return text on one line and without control characters, which neither a terminal nor XML should get."""
    return _CONTROL.sub(" ", text).strip()


def folded(text: str, width: int, first: str = "", then: str | None = None) -> list[str]:
    """Return text in lines of at most `width`, `first` in front of the first, `then` of the others.

    Lines end between words; a word that is wider than a line is parted behind a comma, a slash or an equals sign, and
    only where there is none at the edge.
    """
    then = " " * len(first) if then is None else then
    lines: list[str] = []
    line, is_empty = first, True
    for word in text.split(" "):
        rest = word
        if not is_empty and len(line) + 1 + len(rest) > width:
            lines, line, is_empty = [*lines, line], then, True
        while is_empty and len(line) + len(rest) > width:
            end = _edge(rest, width - len(line))
            lines, line, rest = [*lines, line + rest[:end]], then, rest[end:]
        line, is_empty = line + ("" if is_empty else " ") + rest, False
    return [one.replace(GLUE, " ").rstrip() for one in [*lines, line]]


def _edge(word: str, room: int) -> int:
    """Return where a word that is too wide is parted."""
    room = max(room, 1)
    places = [match.end() for match in re.finditer(rf"[,/={GLUE}]", word[:room])]
    return places[-1] if places else room
