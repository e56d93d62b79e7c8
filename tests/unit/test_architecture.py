"""Dependencies point one way, as docs/design.md draws them; a new wing has to be given its place here."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest

from harness.cli import app

HARNESS = Path(__file__).parents[2] / "harness"
WINGS = [
    "model".split(),
    "truth".split(),
    "nodes measures".split(),
    "results labs".split(),
    "fabric".split(),
    "run".split(),
    "inspect report".split(),
    "cli".split(),
]
"""From the ground up: a wing imports from those below it, and from itself."""
RANK = {"__init__": 0} | {name: number for number, names in enumerate(WINGS) for name in names}
PURE = ("model", "truth", "measures", "results")
"""They know no command line: what is said of an option is said where options are."""
WITHOUT_NODES = ("model", "truth", "measures")
MOST_MODULE_LINES = 300
MOST_FUNCTION_LINES = 50
ONLY_IN = {
    "paramiko": "harness.nodes.channel harness.nodes.connection harness.nodes.ssh",
    "ansible_runner": "harness.fabric.playbook",
    "pandas": "harness.report.reading",
    "scipy": "harness.truth.power",
    "MLRsearch": "harness.measures.mlrsearch",
    "scapy": "harness.inspect.decode",
    "click": "harness.cli",
    "prometheus_client": "harness.report.openmetrics",
    "pyarrow": "harness.report.parquet",
    "jinja2": "harness.report.html.render",
    "markupsafe": "harness.report.html.render",
    "resvg_py": "harness.report.plots.png",
}
FOREIGN = {"harness.measures.sockperf": {"--tcp"}}
"""Options of other programs that some command of ours happens to have as well."""
NOT_PURE = {"subprocess", "socket", "asyncio", "paramiko", "ansible_runner"}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(HARNESS.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {dotted(path): path.read_text(encoding="utf-8") for path in sorted(HARNESS.rglob("*.py"))}
TREES = {module: ast.parse(text) for module, text in FILES.items()}


def options_of(command: click.Command) -> set[str]:
    """Return every option of a command and of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {word for param in command.params for word in param.opts} | {
        word for one in below for word in options_of(one)
    }


OPTIONS = {word for word in options_of(app) if word.startswith("--")} - {"--version"}
"""But for what programs of others are asked, too."""


def imports(tree: ast.AST) -> set[str]:
    """Return the modules that a tree imports, by their dotted names."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            joined = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (joined & set(TREES)) or {str(node.module)}
    return names


def place(module: str) -> str:
    """Return a module's top-level name within the package."""
    return (*module.split("."), "__init__")[1]


def belongs(module: str, homes: str) -> bool:
    """Tell whether a module is one of these, or in one of them."""
    return any(f"{module}.".startswith(f"{home}.") for home in homes.split())


@pytest.mark.parametrize("module", TREES)
def test_imports_nothing_from_above(module: str) -> None:
    ours = imports(TREES[module]) & set(TREES)
    assert [name for name in ours if RANK[place(name)] > RANK[place(module)]] == []


def test_has_no_cycle() -> None:
    order = list(TopologicalSorter({name: imports(tree) & set(TREES) for name, tree in TREES.items()}).static_order())
    assert order.index("harness.model.trial") < order.index("harness.run.experiment") < order.index("harness.cli.run")


@pytest.mark.parametrize("module", TREES)
def test_each_library_has_its_place(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(TREES[module])}
    assert [name for name in libraries & set(ONLY_IN) if not belongs(module, ONLY_IN[name])] == []
    if place(module) in WITHOUT_NODES:
        assert libraries & NOT_PURE == set()


def test_command_line_starts_without_what_takes_long_to_load() -> None:
    """`harness --help` of each command waits for none of them: they are loaded where they are used."""
    code = (
        "import sys, harness.cli; commands = [*harness.cli.app.commands.values()]; "
        "print(len(commands), *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pandas", "scipy", "ansible_runner", "prometheus_client", "pyarrow"} & set(done.stdout.split()) == set()
    assert {str(len(app.commands)), "click", "rich"} <= set(done.stdout.split())


def test_reports_load_scipy_only_to_compute() -> None:
    code = "import sys, harness.report.comparison, harness.report.formats; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("module", TREES)
def test_is_short_enough_to_be_read(module: str) -> None:
    functions = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: count for name, count in lines.items() if count > MOST_FUNCTION_LINES} == {}
    assert FILES[module].count("\n") <= MOST_MODULE_LINES


@pytest.mark.parametrize("module", [module for module in TREES if place(module) in PURE])
def test_pure_layer_names_no_option_of_the_command_line(module: str) -> None:
    """Words such as `--blocks`; those in the argv of other programs are not ours, unless we have the same."""
    words = {
        word
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", node.value)
    }
    assert (words - FOREIGN.get(module, set())) & OPTIONS == set()


def test_options_are_those_of_every_command() -> None:
    assert {"--profile", "--lab", "--blocks", "--measure", "--plan", "--json"} <= OPTIONS
