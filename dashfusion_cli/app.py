"""The `dashfusion` command, and the one place where an error becomes a line and an exit code."""

import contextlib
import difflib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from dashfusion_cli import __version__
from dashfusion_cli.commands import (
    analyze,
    batch,
    cache,
    data,
    doctor,
    evaluate,
    extract,
    licenses,
    reproduce,
    schema,
    train,
    weights,
)
from dashfusion_cli.leaving import INTERRUPTED, Signalled
from dashfusion_cli.messages import LogLines, harmless, say_error, say_note, set_loudness
from dashfusion_cli.options import example
from dashfusion_cli.output import StdoutClosed
from dashfusion_cli.session import Session
from dashfusion_models.errors import DashfusionError
from dashfusion_models.near import meant
from dashfusion_models.privacy import asked_offline, silence_telemetry

__all__ = ["app", "run"]

_LIKE = 0.7  # of difflib's ratio: most options begin alike
_NOT_ONE_OF = re.compile(r"'(.*)' is not one of (.*)\.")
_LEAST_COLUMNS = 10  # of a terminal in which a table can be read at all
FAILED, WRONG_USAGE = 1, 2

app = typer.Typer(
    name="dashfusion",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=example("dashfusion analyze clip.mp4", "dashfusion analyze --help", "dashfusion doctor"),
)

# One line a command: a module of `commands` that says `register(app)`. They import typer and rich
# at the top and anything heavier inside their functions.
_COMMANDS = (
    analyze, batch, extract, data, train, evaluate, reproduce, weights, cache, doctor, licenses,
    schema,
)  # fmt: skip
for command in _COMMANDS:
    command.register(app)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dashfusion {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Sentiment of a video from its words, voice and faces."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; whatever goes wrong ends here."""
    with _no_stream_missing():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    _forget_a_width_of_nothing()
    silence_telemetry(offline=_offline(arguments))
    session = Session()
    command: Any = typer.main.get_command(app)
    _hide_types(command)
    try:
        with _logs_to_stderr(session):
            code = command.main(
                list(arguments), prog_name="dashfusion", standalone_mode=False, obj=session
            )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Signalled as signalled:
        return signalled.exit_code
    except (StdoutClosed, BrokenPipeError):
        _discard_stdout()
        return 0
    except DashfusionError as error:
        say_error(str(error), session)
        return FAILED
    except Exception as error:
        return _usage_or_internal(error, session)


def _hide_types(command: Any) -> None:
    """Have --help show no Python types beside flags and named arguments, as Typer does."""
    get_params = command.get_params

    def shown(context: Any) -> list[Any]:
        parameters: list[Any] = get_params(context)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            elif parameter.param_type_name == "argument" and parameter.metavar is not None:
                parameter.display_type_rich = lambda ctx: ""
        return parameters

    command.get_params = shown
    for below in getattr(command, "commands", {}).values():
        _hide_types(below)


def _usage_or_internal(error: Exception, session: Session) -> int:
    """Report a wrong command line (2), or a fault of ours (1)."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # Typer's own, whatever its version
        _mend(error)
        error.show()
        parameter = getattr(error, "param", None)
        defaults = getattr(getattr(error, "ctx", None), "default_map", None) or {}
        if parameter is not None and parameter.name in defaults:
            name = parameter.name.replace("_", "-")
            say_note(f"note: {session.settings_file} sets {name}", session)
        return WRONG_USAGE
    fact = " ".join(str(error).split())
    kind = type(error).__name__
    say_error(f"internal: {kind}{f': {fact}' if fact else ''}; run again with -v", session)
    return FAILED


def _mend(error: Any) -> None:
    """Have a usage error say what may be meant, and nothing that only a programmer reads."""
    typed = getattr(error, "option_name", None)
    if typed is not None and getattr(error, "possibilities", None):
        options = difflib.get_close_matches(typed, error.possibilities, 1, _LIKE)
        hint = f" Did you mean {options[0]}?" if options else ""
        error.message = f"No such option: {typed}.{hint}"
        error.possibilities = None
    message = getattr(error, "message", None)
    if isinstance(message, str):
        message = message.removeprefix("Value error, ").removeprefix("Input ")
        message = message.partition(", unable to parse")[0]
        if found := _NOT_ONE_OF.fullmatch(message):
            near = meant(found[1], re.findall(r"'([^']+)'", found[2]))
            message += f" {near[0].upper()}{near[1:]}" if near else ""
        error.message = harmless(message)


def _forget_a_width_of_nothing() -> None:
    """Leave the width to the terminal where COLUMNS says one that no line fits in."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told) < _LEAST_COLUMNS:
        del os.environ["COLUMNS"]


def _offline(arguments: Sequence[str]) -> bool:
    return "--offline" in arguments or asked_offline()


@contextlib.contextmanager
def _no_stream_missing() -> Iterator[None]:
    """Write to nowhere what goes to a stream that was closed before the start, as by `2>&-`.

    Else Python has None in its place, and the next file that is opened takes its number, where
    libraries print.
    """
    with contextlib.ExitStack() as streams:
        for name, redirected in (
            ("stdout", contextlib.redirect_stdout),
            ("stderr", contextlib.redirect_stderr),
        ):
            if getattr(sys, name) is None:
                nowhere = streams.enter_context(open(os.devnull, "w", encoding="utf-8"))
                streams.enter_context(redirected(nowhere))
        yield


@contextlib.contextmanager
def _logs_to_stderr(session: Session) -> Iterator[None]:
    """Send logs to stderr while a command runs, and leave the process as it was."""
    handler = LogLines()
    root = logging.getLogger()
    was = root.level
    root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            set_loudness(session)
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(was)


def _discard_stdout() -> None:
    """Point stdout at nothing, or the interpreter complains of the closed pipe when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
