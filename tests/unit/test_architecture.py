"""Dependencies point one way, as DESIGN.md draws them; a new module has to be given its place here."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"
LAYERS = [
    "__init__ model errors".split(),
    (
        "profiles containers inventory pairs plan wire stats proof readings environment topology support tools report"
    ).split(),
    "target remote ansible_environment playbook store labs interrupt doctor".split(),
    "trial scene experiment campaign options progress".split(),
    ["cli"],
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
ONLY_IN = {"paramiko": {"remote"}, "ansible_runner": {"playbook"}, "pandas": {"report", "cli"}, "click": {"cli"}}
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


@pytest.mark.parametrize("module", TREES)
def test_imports_nothing_from_above(module: str) -> None:
    ours = imports(TREES[module]) & set(TREES)
    assert [name for name in ours if LAYER[place(name)] > LAYER[place(module)]] == []


def test_has_no_cycle() -> None:
    order = list(TopologicalSorter({name: imports(tree) & set(TREES) for name, tree in TREES.items()}).static_order())
    assert order.index("harness.model") < order.index("harness.experiment") < order.index("harness.cli")


@pytest.mark.parametrize("module", TREES)
def test_each_library_has_its_place(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(TREES[module])}
    assert [name for name in libraries & set(ONLY_IN) if place(module) not in ONLY_IN[name]] == []
    if LAYER[place(module)] <= LAYER["wire"]:
        assert libraries & NOT_PURE == set()


def test_command_line_starts_without_pandas() -> None:
    holders = [node for node in ast.walk(TREES["harness.cli"]) if "pandas" in imports(node)]
    assert [ast.unparse(node.test) for node in holders if isinstance(node, ast.If)] == ["TYPE_CHECKING"]
    assert {type(node) for node in holders} == {ast.Module, ast.If, ast.ImportFrom}
