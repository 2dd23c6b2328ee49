"""Writes dashfusion_cli/README.md, the reference of all commands, from the commands themselves.

python -m tests.tools.command_reference
"""

import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from dashfusion_cli.app import app
from dashfusion_cli.settings import ENVIRONMENT_PREFIX

TARGET = Path(__file__).parents[2] / "dashfusion_cli" / "README.md"
_HEAD = f"""\
# The command line

Every command with its options, as `--help` shows them. This file is made of the commands: after a
change run `python -m tests.tools.command_reference`.

Results go to stdout and nothing else does; progress, warnings and errors go to stderr. Exit codes:
0 done · 1 failed, with one line that says why · 2 wrong usage · 3 a batch ended and some files
failed · 129 hung up · 130 interrupted · 143 terminated.

Every option of a command can also stand in the environment (`{ENVIRONMENT_PREFIX}ASR_MODEL=small`)
and in the settings file `dashfusion.toml` (`asr-model = "small"`), which lies in the user's
configuration folder or is named by `--config`. What is typed counts first, then the environment,
then the file.
"""
_FIRST_GROUP = "Options"


@dataclass(frozen=True)
class Command:
    """One command as the app knows it."""

    name: str  # with what stands before it: "data prepare"
    about: str
    examples: tuple[str, ...]
    callback: Any


def commands(of: typer.Typer = app, before: str = "dashfusion") -> Iterator[Command]:
    """Yield every command that does something, in the order of --help."""
    for one in of.registered_commands:
        assert one.callback is not None
        name = one.name or one.callback.__name__.replace("_", "-")
        about = one.help or inspect.getdoc(one.callback) or ""
        yield Command(f"{before} {name}", about, examples_in(one.epilog or ""), one.callback)
    for group in of.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{before} {group.name}")


def examples_in(epilog: str) -> tuple[str, ...]:
    """Return the command lines at the end of a --help."""
    return tuple(re.findall(r"`(dashfusion[^`]*)`", epilog))


def reference() -> str:
    """Return the whole file."""
    return "\n".join([_HEAD, *(_section(command) for command in commands())])


def _section(command: Command) -> str:
    arguments, groups = [], dict[str, list[str]]()
    for name, kind, info, default in _parameters(command.callback):
        if isinstance(info, ArgumentInfo):
            arguments.append((_metavar(info, kind, name), info.help or ""))
        else:
            group = info.rich_help_panel or _FIRST_GROUP
            groups.setdefault(str(group), []).append(_row(name, kind, info, default))
    usage = " ".join([command.name, *(metavar for metavar, _ in arguments), "[OPTIONS]"])
    parts = [f"## {command.name}\n", f"{command.about}\n", f"```\n{usage}\n```\n"]
    parts += [f"`{metavar}`: {text}\n" for metavar, text in arguments]
    for group in sorted(groups, key=lambda group: group != _FIRST_GROUP):
        parts.append(f"| {group} | | default |\n|---|---|---|\n" + "\n".join(groups[group]) + "\n")
    parts.append("```sh\n" + "\n".join(command.examples) + "\n```\n")
    return "\n".join(parts)


def _parameters(callback: Any) -> Iterator[tuple[str, Any, ArgumentInfo | OptionInfo, Any]]:
    hints = typing.get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        hint = hints[name]
        if typing.get_origin(hint) is Annotated:
            kind, info = typing.get_args(hint)[:2]
            yield name, kind, info, parameter.default


def _row(name: str, kind: Any, info: OptionInfo, default: Any) -> str:
    declared = (info.default, *(info.param_decls or ()))  # Typer puts the first name there
    names = ", ".join(n for n in declared if isinstance(n, str) and n.startswith("-"))
    takes = "" if kind is bool else f" {_metavar(info, kind, name)}"
    if default is inspect.Parameter.empty:
        shown = "required"
    elif default is None or default is False:
        shown = ""
    else:
        shown = f"`{default.value if isinstance(default, Enum) else default}`"
    return f"| `{names}{takes}` | {_cell(info.help or '')} | {shown} |".replace("\n", " ")


def _metavar(info: ArgumentInfo | OptionInfo, kind: Any, name: str) -> str:
    """Return what stands for a value: its choices, else the word for it."""
    inner = _inner(kind)
    if isinstance(inner, type) and issubclass(inner, Enum):
        return "\\|".join(str(member.value) for member in inner)
    return _cell(info.metavar or {int: "N", float: "X"}.get(inner, name.upper()))


def _inner(kind: Any) -> Any:
    """Return X of X, X | None, list[X] and list[X] | None."""
    while typing.get_origin(kind) in (list, typing.Union, UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(reference(), "utf-8", newline="\n")
