"""Runs as one page: which article each folder becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import MappingProxyType

from harness.report import aa, aa_page, ecmp, ecmp_page, matrix, pairs
from harness.report.analysis import Analysis, analyse
from harness.report.canvas import Picture
from harness.report.command import command_of
from harness.report.formats import Result
from harness.report.html.article import article_of
from harness.report.html.hosts import hosts_of
from harness.report.html.model import Article, Figure, Grid, Group
from harness.report.html.render import page as rendered
from harness.report.page import Page
from harness.report.plots import ecmp as ecmp_plot
from harness.report.trials import read_run
from harness.truth.verdicts import MARGIN

MOST_PAIRS = 12
"""Pairs of a run whose own articles follow its matrices; of more, each pair's folder makes a page of its own."""


def articles_of(
    paths: Sequence[Path], margin: float = MARGIN, known: Mapping[Path, Result] = MappingProxyType({})
) -> list[Article]:
    """Return the articles of runs, given by their folders or their trials.csv; pairs follow the run that they are of.

    `known` are analyses at this margin that there are already. Raises InputError for what cannot be read.
    """
    made: list[Article] = []
    numbers = count(1)
    for path in paths:
        folder = path if path.is_dir() else path.parent
        if pairs.has_pairs(path):
            earlier = known.get(path)
            analysis = earlier if isinstance(earlier, pairs.PairsAnalysis) else pairs.analyse_pairs(path, margin)
            made.append(_of_pairs(analysis, f"r{next(numbers)}"))
            if len(analysis.pairs) <= MOST_PAIRS:
                own = {path / pair.folder: one for pair, one in analysis.pairs.items()}
                made += [_of_run(one, one, margin, f"r{next(numbers)}", own) for one in own]
        else:
            made.append(_of_run(path, folder, margin, f"r{next(numbers)}", known))
    return made


def page(articles: Sequence[Article]) -> str:
    """Return the page of articles as HTML."""
    return rendered(
        articles, f"{articles[0].title} and {len(articles) - 1} more" if len(articles) > 1 else articles[0].title
    )


def plots(articles: Sequence[Article]) -> dict[str, Picture]:
    """Return every picture of a page by the name of its file, without an ending."""
    made: dict[str, Picture] = {}
    for article in articles:
        front = f"{article.name}-" if len(articles) > 1 else ""
        for group in article.groups:
            for figure in group.figures:
                for number, picture in enumerate(figure.pictures, 1):
                    name = figure.name.removeprefix(f"{article.name}-")
                    made[f"{front}{name}-{number}"] = picture
    return made


def _of_run(path: Path, folder: Path, margin: float, name: str, known: Mapping[Path, Result]) -> Article:
    run, earlier = read_run(path), known.get(path)
    if ecmp.is_over_links(run):
        of_links = ecmp.analyse_ecmp(run)
        return _of_page(ecmp_page.page(of_links), name, [ecmp_plot.picture(of_links)])
    if aa.is_against_itself(run):
        article = _of_page(aa_page.page(aa.analyse_aa(run, margin)), name)
        return replace(article, command=command_of(run.meta) if run.meta else "")
    return article_of(folder, run, earlier if isinstance(earlier, Analysis) else analyse(run, margin), name)


def _of_page(page: Page, name: str, drawn: Sequence[Picture] = ()) -> Article:
    """Return the article of what has a text report only, perhaps with pictures."""
    groups: dict[str, list[Figure]] = {}
    for number, section in enumerate(page.sections, 1):
        figures = groups.setdefault(section.group, [])
        figures.append(Figure(f"{name}-{number}", section.title, drawn if number == 1 else (), [Grid.of(section)]))
    title, *conditions = page.title.splitlines() or [""]
    made = [Group(f"{name}-compared-{number}", group, own) for number, (group, own) in enumerate(groups.items(), 1)]
    findings, notes = page.findings, page.notes
    return Article(name, title.removeprefix("run "), conditions, findings, groups=made, notes=notes, legend=page.legend)


def _of_pairs(analysis: pairs.PairsAnalysis, name: str) -> Article:
    article = _of_page(matrix.page(analysis), name)
    pictures = Figure(f"{name}-hosts", "Hosts against each other", hosts_of(analysis), (), matrix.LEGEND)
    meta = next((own.meta for own in analysis.pairs.values() if own.meta), None)
    groups = [Group(f"{name}-matrix", "Matrix of hosts", [pictures])] if pictures.pictures else []
    command = command_of(meta, analysis.meta.waves) if meta else ""
    return replace(article, groups=[*groups, *article.groups], command=command)
