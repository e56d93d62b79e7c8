"""The reference pages of the site, made from the program itself: options, columns, exit codes, registries, profiles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc

import click

from harness.cli import app
from harness.cli.configuration import TYPED_ONLY
from harness.cli.types import ListOf
from harness.fabric.profiles import Profile, known_profiles, load_file
from harness.measures.factors import FACTORS
from harness.measures.metrics import METRICS, NODE_METRICS
from harness.measures.registry import DEFAULT, MEASURES
from harness.model.errors import INTERNAL, INTERRUPTED, HarnessError
from harness.model.factors import Scope, Value
from harness.model.metrics import Metric
from harness.model.path import WHOLE, Fate, Kind, PathState
from harness.report.records import SUMMARY_HEAD, SUMMARY_TAIL
from harness.results.schema import HEAD, SERIES
from harness.truth.wire import efficiency, largest, overhead
from scripts.docs.columns import described

NIC_MTU = 1500
"""Of the NIC that largest packets and ceilings are told for."""
_NOT_MARKDOWN = re.compile(r"([\\*_<\[\]])")
_CODE = re.compile(r"(`[^`]*`)")
_AS_IT_IS = "\b\n"
"""click's mark in front of lines that it does not fill."""
Rows = Iterable[Sequence[str]]


def pages() -> Mapping[str, str]:
    """Return the Markdown of each page by its name, in the order in which they are shown."""
    return {
        "commands": "# Commands\n\n" + "\n".join(_command(app, "harness", None)),
        "configuration": _configuration(),
        "columns": _columns(),
        "exit-codes": _exit_codes(),
        "measures": _measures(),
        "profiles": _profiles(),
    }


def table(head: Sequence[str], rows: Rows) -> str:
    """Return a Markdown table; `|` in a cell is escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"

    return line(head) + "|" + "---|" * len(head) + "\n" + "".join(map(line, rows))


def _text(text: str) -> str:
    """Return plain text so that Markdown shows it as it is; what stands in backticks is left."""
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") else _NOT_MARKDOWN.sub(r"\\\1", part) for part in parts)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# --- commands ---------------------------------------------------------------------------------------------------------


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """Yield the section of a command and of those below it."""
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"## {context.command_path}\n\n```text\n{usage}\n```\n"
    yield from _help(command)
    options = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
    rows = [(f"`{record[0]}`", _text(record[1])) for record in options if record]
    if rows:
        yield table(("option", "does"), rows)
    for below, own in _below(command):
        yield from _command(own, below, context)


def _below(command: click.Command) -> list[tuple[str, click.Command]]:
    return sorted(command.commands.items()) if isinstance(command, click.Group) else []


def _help(command: click.Command) -> Iterator[str]:
    """Yield what a command says of itself, a paragraph at a time."""
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith(_AS_IT_IS):
            yield f"```text\n{paragraph.removeprefix(_AS_IT_IS)}\n```\n"
        else:
            yield f"{_text(' '.join(paragraph.split()))}\n"


def _configuration() -> str:
    """Return the page of what a harness.toml may say."""
    parts = [
        "# harness.toml\n",
        "What counts first, and which file: [options from a file](../commands.md#options-from-a-file).\n",
    ]
    for path, command in _all_commands(app, ()):
        rows = [
            (f"`{option.opts[-1].removeprefix('--')}`", _toml(option), _text(option.help or ""))
            for option in command.params
            if isinstance(option, click.Option) and option.name not in TYPED_ONLY
        ]
        if rows:
            parts.append(f"## {'[' + '.'.join(path) + ']' if path else 'Above all tables'}\n")
            parts.append(table(("key", "value", "does"), rows))
    return "\n".join(parts)


def _all_commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    for name, below in _below(command):
        yield from _all_commands(below, (*path, name))


def _toml(option: click.Option) -> str:
    if option.is_flag:
        return "`true`, `false`"
    if isinstance(option.type, click.Choice):
        return _code(f'"{word}"' for word in option.type.choices)
    one = "a number" if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType) else "a text"
    return f"{one}, or a list" if option.multiple or isinstance(option.type, ListOf) else one


# --- columns ----------------------------------------------------------------------------------------------------------


def columns() -> Mapping[str, Rows]:
    """Return the columns of each CSV file, in their order, with the runs that have them where these differ."""
    trials, series, summary = (described(name) for name in ("trials.csv", "series.csv", "summary.csv"))
    return {
        "trials.csv": [
            *((f"`{name}`", "all", trials[name]) for name in HEAD),
            *((f"`{name}`", _measures_with(name), trials[name]) for name in (*FACTORS, *_stored())),
        ],
        "series.csv": [(f"`{name}`", series[name]) for name in SERIES],
        "summary.csv": [
            *((f"`{name}`", summary[name]) for name in SUMMARY_HEAD),
            ("the run's factors", "as in trials.csv"),
            *((f"`{name}`", summary[name]) for name in SUMMARY_TAIL),
        ],
    }


def _columns() -> str:
    parts = [
        "# Columns\n",
        "In their order; of factors and metrics a run has those of its measures. More: [results](../results.md).\n",
    ]
    for name, rows in columns().items():
        head = ("column", "in runs of", "holds") if name == "trials.csv" else ("column", "holds")
        parts += [f"## {name}\n", table(head, rows)]
    return "\n".join(parts)


def _stored() -> list[str]:
    """Return the metrics that have a column: those that are not made of others."""
    return [name for name, metric in METRICS.items() if metric.derive is None]


def _measures_with(name: str) -> str:
    factor = FACTORS.get(name)
    if name in NODE_METRICS or name == "mtu" or (factor and factor.scope in (Scope.NODE, Scope.LABEL)):
        return "all"
    return ", ".join(measure.name for measure in MEASURES.values() if name in (*measure.factors, *measure.metrics))


# --- exit codes -------------------------------------------------------------------------------------------------------


def exit_codes() -> Mapping[int, str]:
    """Return what each exit code stands for, by the errors that have it."""
    found = {0: "Done."}
    for error in HarnessError.__subclasses__():
        found[error.exit_code] = _first_paragraph(error)
    found[INTERNAL] = "A mistake in the program itself; `harness --debug` adds the traceback."
    found[INTERRUPTED] = "Interrupted: what was measured is kept, and what was set up is gone."
    return dict(sorted(found.items()))


def _first_paragraph(of: type) -> str:
    return " ".join((of.__doc__ or "").split("\n\n")[0].split())


def _exit_codes() -> str:
    rows = [(str(code), _text(meaning)) for code, meaning in exit_codes().items()]
    return f"# Exit codes\n\n{table(('code', 'means'), rows)}\nAn error is one or two sentences on standard error.\n"


# --- registries -------------------------------------------------------------------------------------------------------


def _measures() -> str:
    """Return the page of measures, factors and metrics."""
    measures = [
        (
            f"`{one.name}`" + (" (by default)" if one.name in DEFAULT else ""),
            ", ".join(f"{program.name} ({program.package})" for program in one.programs),
            _code(("mtu", *one.factors)),
            _code(one.rows),
        )
        for one in MEASURES.values()
    ]
    factors = [
        (
            f"`{name}`",
            "no option" if one.scope is Scope.LABEL else f"`--{name.replace('_', '-')}`",
            one.scope.value,
            one.unit,
            _levels(one.default),
            _text(one.help),
        )
        for name, one in FACTORS.items()
    ]
    return "\n".join(
        [
            "# Measures, factors, metrics\n",
            "What each measures, step by step: [how it measures](../measuring.md#the-measures).\n",
            "## Measures\n",
            table(("measure", "programs (Debian package)", "varies", "reports"), measures),
            "## Factors\n",
            table(("factor", "option", "scope", "unit", "by default", "takes"), factors),
            "## Metrics\n",
            table(("metric", "title", "unit", "better", "held against a ceiling"), map(_metric, METRICS.values())),
        ]
    )


def _levels(levels: Sequence[Value]) -> str:
    return ", ".join(str(level) for level in levels)


def _metric(metric: Metric) -> tuple[str, ...]:
    title = f"{metric.title}, {metric.part}" if metric.part else metric.title
    way = metric.better.value if metric.better else "not compared"
    return (f"`{metric.name}`", _text(title), metric.unit, way, "yes" if metric.ceiling else "")


# --- profiles ---------------------------------------------------------------------------------------------------------


def shipped_profiles() -> list[Profile]:
    """Return the profiles that come with the program, the bare network first, then by header bytes and name."""
    found = [load_file(path) for path in known_profiles().values()]
    return sorted(found, key=lambda one: (list(Kind).index(one.kind), overhead(one.headers), one.name))


def figures(profile: Profile) -> tuple[int, int, float]:
    """Return header bytes, the largest inner packet, and TCP's ceiling with it, of a NIC with an MTU of 1500."""
    mtu = profile.path_mtu(NIC_MTU)
    fits = mtu <= largest(NIC_MTU, profile.headers)
    state = WHOLE if fits else PathState(Fate.OUTER_FRAGMENTED)
    ours = efficiency("tcp", mtu, profile.headers, NIC_MTU, state, profile.tunnel_mtu)
    bare = efficiency("tcp", NIC_MTU, (), NIC_MTU)
    if not ours or not bare:
        raise ValueError(f"{profile.name}: no full-size packet arrives")
    return overhead(profile.headers), mtu, ours / bare


def _profiles() -> str:
    rows = []
    for one in shipped_profiles():
        header_bytes, mtu, most = figures(one)
        named = (f"`{one.name}`", one.kind.value, _text(one.summary), _code(one.headers))
        rows.append((*named, str(header_bytes), str(mtu), f"{most:.4g}"))
    head = ("profile", "kind", "what it is", "headers", "bytes", "largest packet", "TCP ceiling there")
    return (
        f"# Profiles\n\nOn a NIC with an MTU of {NIC_MTU}. How to write one: [profiles](../profiles.md).\n\n"
        + table(head, rows)
    )
