"""Dependencies point one way, as docs/design.md draws them; a new wing has to be given its place here."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

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
PURE = ("model", "truth", "measures")
ONLY_IN = {
    "paramiko": "harness.nodes.remote",
    "ansible_runner": "harness.fabric.playbook",
    "pandas": "harness.report harness.cli",
    "click": "harness.cli",
}
NOT_PURE = {"subprocess", "socket", "asyncio", "paramiko", "ansible_runner"}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(HARNESS.parent).with_suffix("").parts).removesuffix(".__init__")


TREES = {dotted(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(HARNESS.rglob("*.py"))}


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
    assert order.index("harness.model.trial") < order.index("harness.run.experiment") < order.index("harness.cli")


@pytest.mark.parametrize("module", TREES)
def test_each_library_has_its_place(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(TREES[module])}
    assert [name for name in libraries & set(ONLY_IN) if not belongs(module, ONLY_IN[name])] == []
    if place(module) in PURE:
        assert libraries & NOT_PURE == set()


def test_command_line_starts_without_pandas() -> None:
    holders = [node for node in ast.walk(TREES["harness.cli.results"]) if "pandas" in imports(node)]
    assert [ast.unparse(node.test) for node in holders if isinstance(node, ast.If)] == ["TYPE_CHECKING"]
    assert {type(node) for node in holders} == {ast.Module, ast.If, ast.ImportFrom}
