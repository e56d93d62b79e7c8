"""Pages as GitHub-flavoured Markdown that pastes into a pull request: what was found first, details folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report.page import Page, Section

_REST = "Runs, notes and what the columns mean"


def markdown(laid_out: Page) -> str:
    """Return what the table shows as Markdown; tables of one group are folded together, and so is all that is prose."""
    lines = [f"**{_escaped(finding)}**  " for finding in laid_out.findings]
    lines += [""] if laid_out.findings else []
    groups: dict[str, list[Section]] = {}
    for section in laid_out.sections:
        groups.setdefault(section.group, []).append(section)
    for group, sections in groups.items():
        lines += _folded(group, [line for section in sections for line in _section(section)])
    lines += _folded(_REST, list(_rest(laid_out)))
    return "\n".join(lines).rstrip("\n") + "\n"


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    """Return lines that are shown once somebody asks for them; blank lines tell that they are Markdown again."""
    return ["<details>", f"<summary>{_escaped(summary)}</summary>", "", *lines, "</details>", ""]


def _section(section: Section) -> Iterator[str]:
    yield from _table(section)
    yield ""
    if section.caption:
        yield section.caption
        yield ""


def _rest(laid_out: Page) -> Iterator[str]:
    if laid_out.title:
        yield from (f"{_escaped(line)}  " for line in laid_out.title.splitlines())
        yield ""
    if laid_out.notes:
        yield from (f"- {_escaped(note)}" for note in laid_out.notes)
        yield ""
    yield _escaped(laid_out.legend)
    yield ""


def _table(section: Section) -> list[str]:
    headings = (section.title, *section.headings[1:])
    inner = ["---:"] * (len(headings) - 2)
    rows = [headings, ("---", *inner, "---:" if section.matrix else "---"), *section.rows]
    return [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]


def _escaped(text: str) -> str:
    """Return text that is no Markdown or HTML of its own, as far as that could end a cell or a fold."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", "<br>")
