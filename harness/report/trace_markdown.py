"""A trace as GitHub-flavoured Markdown, for documents and issues: the facts of `trace_text`, in tables and quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.model.trace import Decision, Trace
from harness.report.trace_names import GLUE, plain
from harness.report.trace_view import UNCHANGED, HopView, TraceView, WalkView, view

_MARKS = re.compile(r"[\\`*\[\]<|]|(?<!\w)_|_(?!\w)")
_MAC = re.compile(r"(?<![\w:])[0-9a-f]{2}(?::(?:[0-9a-f]{2}|\N{HORIZONTAL ELLIPSIS})){3,5}(?![\w:])", re.IGNORECASE)


def markdown(trace: Trace) -> str:
    """Return a trace as Markdown."""
    return "\n".join(_lines(view(trace))) + "\n"


def _lines(seen: TraceView) -> Iterator[str]:
    yield from (f"**{_said(line)}**  " for line in seen.bottom_lines)
    yield from ("", f"### {_said(seen.title)}", "")
    yield from _fenced([f"$ {seen.command}", *seen.said])
    if seen.points:
        yield from _table(("#", "node", "device", "what", "MTU"), [_all_said(row) for row in seen.points], right=(0, 4))
    if seen.legend:
        rows = [(_code(address), _code(short), _said(owner)) for address, short, owner in seen.legend]
        yield from _table(("address", "short", "owner"), rows)
    if seen.walks:
        yield from (UNCHANGED, "")
    for walk in seen.walks:
        yield from _walk(walk)
    if seen.clock:
        yield from ("### Times per step, in µs" if seen.times else "### Times", "")
        yield from _times(seen)
    if seen.notes:
        yield from ("### Notes", "", *(f"- {_said(note)}" for note in seen.notes), "")


def _walk(walk: WalkView) -> Iterator[str]:
    yield from (f"### {_said(walk.name)}: {_said(walk.summary)}", "")
    if walk.lost:
        yield f"> **{_said(walk.lost)}**"
        yield from (f"> - {label}: {_said(text)}" for label, text in walk.loss)
        yield ""
    if walk.hops:
        rows = [
            (*_all_said((str(hop.number), hop.where, hop.about, hop.since, hop.size)), _facts(hop)) for hop in walk.hops
        ]
        yield from _table(("#", "where", "what", "since the first hop", "size", "new here"), rows, right=(0, 3, 4))
    for hop in walk.hops:
        for decision in hop.decisions:
            yield from _decision(hop, decision)


def _facts(hop: HopView) -> str:
    return "<br>".join(
        f"**{_said(text)}**" if label == "changed" else f"{label} {_code(text)}" for label, text in hop.facts
    )


def _decision(hop: HopView, decision: Decision) -> Iterator[str]:
    yield from (f"Hop {hop.number}, {_said(hop.where)}, {decision.by.value}: {_said(plain(decision.meaning))}", "")
    command = [f"$ {plain(decision.command)}"] if decision.command else []
    quoted = [*command, *(plain(line) for line in decision.line.splitlines())]
    yield from _fenced(quoted) if quoted else ()


def _times(seen: TraceView) -> Iterator[str]:
    heads = ("packet", "from", "to", "packets", "median", "lower quartile", "upper quartile")
    if seen.times:
        yield from _table(heads, [_all_said(row) for row in seen.times], right=(3, 4, 5, 6))
    yield from (*(f"- {_said(sentence)}" for sentence in seen.clock), "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    rules = ["---:" if number in right else "---" for number in range(len(heads))]
    yield from (_row(cells) for cells in (heads, rules, *rows))
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(lines: Sequence[str]) -> list[str]:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *lines, fence, ""]


def _code(text: str) -> str:
    """Return a code span that may stand in a table's cell."""
    if not text:
        return ""
    inside = text.replace(GLUE, " ").replace("|", "\\|")
    return f"`` {inside} ``" if "`" in inside else f"`{inside}`"


def _all_said(texts: Sequence[str]) -> list[str]:
    return [_said(text) for text in texts]


def _said(text: str) -> str:
    """Return words with Markdown's marks escaped, and MACs as code: some sites take `:ab:` for a picture's name."""
    parts, end = [], 0
    for match in _MAC.finditer(text := text.replace(GLUE, " ")):
        parts += [_MARKS.sub(r"\\\g<0>", text[end : match.start()]), f"`{match.group()}`"]
        end = match.end()
    return "".join([*parts, _MARKS.sub(r"\\\g<0>", text[end:])])
