"""Options from a file in the current folder: harness.toml, or where there is none, [tool.harness] of pyproject.toml.

A table is named after a command, a key in it after one of its options: `[run]`, `profile = ["vxlan"]`. What is typed
goes before it. Such a file says what a command does, as root as well, so it has to be the caller's own, or root's.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.model.errors import InputError

FILE, SHARED_FILE = "harness.toml", "pyproject.toml"
_SHARED_TABLE = ("tool", "harness")
MOST_BYTES = 1_000_000
TYPED_ONLY = ("debug", "version")
"""Options of `harness` itself that are of no use in a file."""
_SCALARS = (str, int, float)


def options_from_file(app: click.Group, words: Sequence[str]) -> dict[str, Any]:
    """Return what click takes defaults from (its `default_map`) for this command line; nothing where there is no file.

    Only what is of use to its command is looked at, and the names of all others.

    Raises:
        InputError: a file that is somebody else's, cannot be read, or says what no command has.
    """
    name = next((word for word in words if not word.startswith("-")), None)
    path, tables = _found(Path()) if name in app.commands else (None, {})
    if path is None:
        return {}
    own = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    commands = {key: value for key, value in tables.items() if isinstance(value, dict)}
    _refuse_unknown(path, "", commands, app.list_commands(click.Context(app)), "command")
    chosen = own | {key: table for key, table in commands.items() if key == name}
    return _defaults(path, "", click.Context(app, info_name="harness"), chosen)


def is_typed(context: click.Context, name: str) -> bool:
    """Tell whether a parameter was given on the command line; one that a file gives was not."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def words_from_file(context: click.Context) -> tuple[str, ...]:
    """Return what a command took from the file as words that say the same."""
    given = context.default_map or {}
    return tuple(
        word
        for param in context.command.params
        if param.name and context.get_parameter_source(param.name) is ParameterSource.DEFAULT_MAP
        for word in _as_words(param.opts[-1], given[param.name])
    )


def _as_words(option: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - as `_value` made it
    if isinstance(value, bool):
        yield from [option] if value else []
        return
    for text in value if isinstance(value, list) else [value]:
        yield from (option, text)


def _found(folder: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """Return the file that counts in a folder, with its tables; None where there is none."""
    own, shared = folder / FILE, folder / SHARED_FILE
    if own.is_file():
        return _owned(own), _read(own)
    if not shared.is_file():
        return None, {}
    tables: Any = _read(shared)
    for key in _SHARED_TABLE:
        tables = tables.get(key) if isinstance(tables, dict) else None
    if tables is None:
        return None, {}
    if not isinstance(tables, dict):
        raise InputError(f"{shared}: {'.'.join(_SHARED_TABLE)} is not a table; write [tool.harness.run] and the like.")
    return _owned(shared), tables


def _owned(path: Path) -> Path:
    """Return a file again that nobody but the caller and root can have written; InputError for any other.

    A process that was started in a user namespace sees no owners; the one that started it has looked.
    """
    from harness.labs.kept import STATE_VARIABLE

    found = path.stat()
    sudo = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    trusted = {0, os.geteuid(), int(sudo) if sudo.isdecimal() else 0}
    is_ours = found.st_uid in trusted and not found.st_mode & stat.S_IWOTH
    if not is_ours and STATE_VARIABLE not in os.environ:
        raise InputError(
            f"{path.absolute()} can be written by somebody else, and options are not taken from it; make it yours "
            "(chown, chmod o-w), or work in another folder."
        )
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES / 1e6:g} MB; options take less.")
        return tomllib.loads(content.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8 and not TOML are both ValueErrors
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be read as TOML: {why}.") from error


def _defaults(path: Path, where: str, context: click.Context, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what click takes the defaults of a command, and of those below it, from."""
    command = context.command
    below = command.commands if isinstance(command, click.Group) else {}
    options = {
        param.opts[-1].removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option) and param.name not in TYPED_ONLY
    }
    _refuse_unknown(path, where, table, [*options, *below], "option")
    made: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{path}, {f'[{where}] ' if where else ''}{key}"
        if key in below:
            if not isinstance(value, dict):
                raise InputError(f"{place}: this is a command; write [{_joined(where, key)}], and its options below.")
            own = click.Context(below[key], parent=context, info_name=key)
            made[key] = _defaults(path, _joined(where, key), own, value)
            continue
        param = options[key]
        made[str(param.name)] = _value(place, param, value)
        try:
            param.process_value(context, made[str(param.name)])
        except click.BadParameter as error:
            raise InputError(f"{place}: {error.message}") from error
    return made


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _value(place: str, param: click.Option, value: Any) -> bool | str | list[str]:  # noqa: ANN401 - TOML's
    """Return a value as click would have it from the command line; InputError for one of the wrong kind."""
    if param.is_flag:
        if not isinstance(value, bool):
            raise InputError(f"{place}: {value!r} is neither true nor false.")
        return value
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, _SCALARS) and not isinstance(one, bool) for one in values) or not values:
        raise InputError(f"{place}: give a text, a number, or a list of these.")
    texts = [str(one) for one in values]
    return texts if param.multiple else ",".join(texts)


def _refuse_unknown(path: Path, where: str, table: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raise InputError for a name that is none of those that are known."""
    for key in table:
        if key in known:
            continue
        close = get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"`harness {where.replace('.', ' ')}{' ' * bool(where)}--help`"
        place = f"{path}, [{where}]" if where else f"{path}"
        raise InputError(f"{place}: there is no {what} {key!r}; {hint if close else f'{hint} names them.'}")
