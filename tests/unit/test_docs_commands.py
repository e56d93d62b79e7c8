"""Every command of README and docs/: run here, or its options taken by the program and a reason why it is not run.

A block of commands is one with `sh` behind its fence. Those that only read kept runs, print or write a file are run, in
a folder that has what they name; NOT_RUN says of each other one why not, and what runs it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from harness.cli import app, main
from harness.measures import registry
from harness.model.programs import PACKAGES
from scripts.docs.pages import REPO, SHELL, Page, commands, pages, read

PAGES = pages()
COMMANDS = [
    pytest.param(command, id=f"{page.path.stem}: {command}"[:100])
    for page in PAGES
    for block in page.blocks
    if block.language == SHELL
    for command in commands(block)
]
LINES = [str(one.values[0]) for one in COMMANDS]
INLINE = re.compile(r"`(?:sudo )?(?:\.venv/bin/)?harness ([a-z][^`]*)`")
HARNESS = re.compile(r"(?:sudo )?(?:\.venv/bin/|)harness |sudo \"\$\(command -v harness\)\" ")
PATH_OF_PROMETHEUS = "/var/lib/node_exporter/textfile"
NOT_RUN: Mapping[str, str] = {
    r".*harness (\w+ )+.*--lab kubernetes": "needs a cluster; tests/lab/test_kubernetes.py, `make test-kubernetes`",
    r".*harness (run|plan|inspect) .*--between": "needs endpoints that are there; tests/lab/test_found.py",
    r".*harness run .*--pairs": "measures four nodes or hosts, as root; tests/lab/test_pairs.py",
    r".*harness run .*--(ask-pass|lab inventory/mine.yml)": "needs two hosts; tests/lab/test_hosts.py",
    r".*harness ecmp .*--lab mine.yml": "needs two hosts; tests/lab/test_ecmp_lab.py runs it in the lab",
    r".*harness (run|lab status) --lab vagrant": "needs two virtual machines; `make test-vagrant`",
    r".*harness run .*--profile swarm": "needs Docker and root; tests/lab/test_swarm_profile.py",
    r".*harness run .*--containers": "needs Docker and root; tests/lab/test_docker.py",
    r".*harness run --resume": "goes on with a run that ended early; tests/lab/test_resume.py",
    r".*harness run .*--setups": "measures, as root; tests/lab/test_setups_lab.py",
    r".*harness run .*--offload": "measures, as root; tests/lab/test_offload_lab.py",
    r".*harness run .*--measure": "measures, as root; tests/lab/test_measures.py",
    r".*(harness|\(command -v harness\)\") run(?! .*--(lab|resume))": "measures, as root; tests/lab/test_run.py",
    r".*harness aa": "measures for an hour, as root; tests/lab/test_repetition.py runs a shorter one",
    r".*harness trace": "makes nodes, as root; tests/lab/test_trace.py",
    r".*harness ecmp --profile": "measures, as root; tests/lab/test_ecmp_lab.py",
    r".*harness lab (up|status|shell|exec|down)$|.*harness lab (shell|exec) ": (
        "makes nodes, as root; tests/lab/test_local_lab.py"
    ),
    r".*harness doctor": "says what this very machine lacks; tests/unit/test_doctor.py",
    r"harness import": "reads files of somebody's; tests/unit/test_import.py",
    r"make ": "a target of the Makefile, which is looked up; they are what CI runs",
    r"(sudo )?\.venv/bin/python -m pytest": "a test, which is looked up",
    r"\.venv/bin/ansible-playbook -i inventory/vagrant.yml": "needs virtual machines; `make test-vagrant`",
    r"\.venv/bin/ansible-playbook -i .*overlay_pairs": "needs hosts; tests/lab/test_pairs.py",
    r"\.venv/bin/ansible-playbook -i": "needs hosts; tests/lab/test_check_mode.py, test_profiles_lab.py",
    r"\.venv/bin/ansible -i": "needs hosts; tests/lab/test_local_lab.py, `make test-vagrant`",
    r"\.venv/bin/ansible-vault|ANSIBLE_VAULT_PASSWORD_FILE=": "asks for a secret; tests/lab/test_hosts.py",
    r"vagrant |ssh -F .vagrant": "needs two virtual machines; `make test-vagrant`",
    r"podman ": "builds an image from elsewhere; `make test-kubernetes` builds one without",
    r"pipx |uv tool ": "the wheel is built and installed by tests/lab/test_install.py",
    r"apt-get install": "changes the machine; what it names is compared with what the program asks for",
    r"D=|mkdir -p": "a shell's own; what is written there is taken by bash in tests/unit/test_commands.py",
}
"""By the beginning of a command: why it is not run here, and what runs it. The first that fits counts."""


def reason(command: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, command)), None)


def words_of(command: str) -> list[str]:
    """Return what stands behind `harness` in a command."""
    return shlex.split(HARNESS.split(command, maxsplit=1)[1].partition(" > ")[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which everything is that commands name: runs, inventories, a profile of one's own."""
    made = tmp_path_factory.mktemp("reader")
    samples = sorted((REPO / "results" / "sample").iterdir())
    shutil.copytree(REPO / "results" / "sample", made / "results" / "sample")
    copies = dict(zip("A B A1 A2 B1 B2".split(), [*samples[1:], *samples[:2], samples[2], samples[1]], strict=True))
    for name, sample in copies.items():
        shutil.copytree(sample, made / name)
        for file in ("run.json", "trials.csv"):
            text = (made / name / file).read_text(encoding="utf-8")
            (made / name / file).write_text(text.replace(sample.name, f"{sample.name}-{name}"), encoding="utf-8")
    shutil.copytree(samples[-1], made / "results" / samples[-1].name)
    (made / "inventory").mkdir()
    for name in ("inventory/mine.yml", "mine.yml", "inventory/example.yml"):
        shutil.copy(REPO / "inventory" / "example.yml", made / name)
    (made / "mine").mkdir()
    own = next(one for one in read(REPO / "docs" / "profiles.md").blocks if one.text.startswith("---\nname: vxlan77"))
    (made / "mine" / "vxlan77.yml").write_text(own.text, encoding="utf-8")
    (made / "profiles").mkdir()
    shutil.copy(made / "mine" / "vxlan77.yml", made / "profiles" / "vxlan77.yml")
    (made / "old").mkdir()
    (made / "old.yml").write_text("path: '{profile}.json'\n", encoding="utf-8")
    return made


def parsed(words: list[str]) -> None:
    """Have click take a command line without running it; raises what it says against it."""
    context = app.make_context("harness", list(words), obj=tuple(words))
    command: click.Command | None = app
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, list(rest), parent=context)
        rest = [*context._protected_args, *context.args] if isinstance(command, click.Group) else []


@pytest.mark.parametrize("command", [one for one in COMMANDS if "harness" in str(one.values[0])])
def test_program_takes_the_command(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not HARNESS.search(command):
        return
    monkeypatch.chdir(folder)
    parsed(words_of(command))


@pytest.mark.parametrize("command", [one for one in COMMANDS if not reason(str(one.values[0]))])
def test_command_runs(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    if not HARNESS.match(command):
        subprocess.run(shlex.split(command), check=True)
        return
    words = [word.replace(PATH_OF_PROMETHEUS, str(folder)) for word in words_of(command)]
    monkeypatch.setattr(sys, "argv", ["harness", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capfd.readouterr().err


def test_each_reason_is_of_a_command_and_names_tests_that_there_are() -> None:
    used = {reason(line) for line in LINES}
    assert [pattern for pattern, why in NOT_RUN.items() if why not in used] == []
    named = {name for why in NOT_RUN.values() for name in re.findall(r"tests/\w+/test_\w+\.py", why)}
    assert {name for name in named if not (REPO / name).is_file()} == set()
    targets = {name for why in NOT_RUN.values() for name in re.findall(r"`make ([\w-]+)`", why)}
    assert targets <= makefile_targets()


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_targets_tests_and_playbooks_are_there() -> None:
    assert {line.split()[1] for line in LINES if line.startswith("make ")} <= makefile_targets()
    for line in LINES:
        words = shlex.split(line)
        for name in (word for word in words if re.fullmatch(r"(tests|playbooks)/[\w/.]+", word)):
            assert (REPO / name).is_file(), line
        if "-k" in words:
            test = next(word for word in words if word.startswith("tests/"))
            assert words[words.index("-k") + 1] in (REPO / test).read_text(encoding="utf-8"), line


def test_packages_of_install_are_those_that_the_program_asks_for() -> None:
    line = next(line for line in LINES if line.startswith("apt-get install "))
    wanted = set(PACKAGES.values()) | {program.package for program in registry.programs(registry.DEFAULT).values()}
    assert set(line.split()[2:]) == wanted


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_no_command_hides_in_another_block(page: Page) -> None:
    shown = re.compile(r"^(?:\$ )?(?:sudo )?(?:\.venv/bin/harness|harness|make|vagrant|pipx) [a-z-]", re.MULTILINE)
    others = [block for block in page.blocks if block.language in ("", "text", "console")]
    assert [block.line for block in others if shown.search(block.text)] == []


def options_of(words: list[str]) -> set[str] | None:
    """Return the options that a command beginning with these words may have; None where it is none."""
    command: click.Command = app
    known = {name for param in app.params for name in param.opts} | {"--help"}
    for word in words:
        if not isinstance(command, click.Group):
            break
        if word not in command.commands:
            return None if command is app else known
        command = command.commands[word]
        known |= {name for param in command.params for name in param.opts}
    return known


def unknown_options(command: str) -> set[str]:
    """Return what a command within a sentence has of options that there are none of; it may be cut short by `…`."""
    words = command.split()
    known = options_of(words)
    given = {word.partition("=")[0] for word in words[: words.index("--") if "--" in words else None]}
    return {word for word in given if word.startswith("-")} - known if known is not None else set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_commands_within_sentences_have_options_that_there_are(page: Page) -> None:
    for line, text in page.words:
        for command in INLINE.findall(text):
            assert unknown_options(command) == set(), f"{page.path.name}:{line}: {command}"


def test_what_is_wrong_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for words in ("run --no-such-option", "compare results/nowhere --metric x --nope", "nothing"):
        with pytest.raises(click.UsageError):
            parsed(shlex.split(words))
    assert reason("harness compare A B") is None
    assert unknown_options("run --profile vxlan --no-such …") == {"--no-such"}
    assert unknown_options("lab up --link 2") == {"--link"}
    assert reason("rm -rf /") is None
