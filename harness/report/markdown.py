"""Pages as GitHub-flavoured Markdown."""

from __future__ import annotations

from harness.report.page import Page, Section


def markdown(laid_out: Page) -> str:
    """Return what the table shows as Markdown."""
    lines: list[str] = [*laid_out.title.splitlines(), ""] if laid_out.title else []
    lines += [f"**{_escaped(finding)}**  " for finding in laid_out.findings]
    lines += [""] if laid_out.findings else []
    group = ""
    for section in laid_out.sections:
        if section.group != group:
            group = section.group
            lines += [f"### {group}", ""]
        lines += [*_table(section), ""]
        if section.caption:
            lines += [section.caption, ""]
    lines += [f"- {_escaped(note)}" for note in laid_out.notes]
    lines += ["", laid_out.legend] if laid_out.notes else [laid_out.legend]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> list[str]:
    headings = (section.title, *section.headings[1:])
    inner = ["---:"] * (len(headings) - 2)
    rows = [headings, ("---", *inner, "---:" if section.matrix else "---"), *section.rows]
    return [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
