"""Results go to stdout, or whole to a file; nothing else goes there."""

import contextlib
import errno
import os
import shlex
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from dashfusion_cli.leaving import UNFINISHED
from dashfusion_models.errors import ConfigError, DashfusionError

if TYPE_CHECKING:
    from dashfusion_cli.render.plain import Look

__all__ = [
    "Output",
    "OutputError",
    "StdoutClosed",
    "check_place",
    "files_read",
    "stdout_for_results_only",
    "whole_file",
]

_WRITTEN = {"output", "overlay", "predictions"}
_WIDEST = 160  # columns: a longer line of words is hard to read


class OutputError(DashfusionError):
    """A result that cannot be written."""


class StdoutClosed(Exception):
    """Whoever read stdout has gone; there is nobody left to tell."""


class Output:
    """Takes pieces of a result: to stdout at once, or to a file that appears when all is done.

    Use as a context manager; a file is written beside its final name and renamed at the end of a
    block that succeeds, so that nobody ever meets half of it.
    """

    def __init__(
        self,
        file: Path | None,
        *,
        force: bool = False,
        reads: Iterable[Path] = (),
        option: str = "--output",
    ) -> None:
        """Check the place that `option` gives; the result is made from the files that it `reads`.

        Raises:
            As `check_place`.
        """
        self._file = file
        if file is None:
            return
        check_place(file, option, force=force, reads=reads)
        self._beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:12]}")

    def __enter__(self) -> "Output":
        """Open the file beside the final one."""
        if self._file is not None:
            UNFINISHED.add(self._beside)
            try:
                self._stream = self._beside.open("xb")
            except OSError as error:
                raise self._failed(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Rename the finished file, or remove the unfinished one."""
        if self._file is None:
            return
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            if kind is None:
                self._beside.replace(self._file)
        except OSError as error:
            if kind is None:
                raise self._failed(error) from error
        finally:
            self._stream.close()
            self._beside.unlink(missing_ok=True)
            UNFINISHED.discard(self._beside)

    @property
    def encoding(self) -> str:
        """The encoding of what is for people; files are UTF-8."""
        return "utf-8" if self._file is not None else (sys.stdout.encoding or "utf-8")

    @property
    def ending(self) -> str:
        """How the name of the file ends, in small letters; empty for stdout."""
        return self._file.suffix.lower() if self._file is not None else ""

    def look(self) -> "Look":
        """Return how wide and how colourful a table may be where it goes."""
        from rich.console import Console

        from dashfusion_cli.render.plain import Look

        place = Console()
        plain = self._file is not None or place.legacy_windows
        return Look(
            width=min(place.width, _WIDEST),
            colors=None if plain or place.no_color else place.color_system,  # type: ignore[arg-type]
            ascii_only=not self.encoding.lower().replace("-", "").startswith("utf"),
        )

    def write(self, data: bytes) -> None:
        """Write bytes as they are.

        Raises:
            OutputError: the disk is full, or the place cannot be written.
            StdoutClosed: the reader of stdout has gone.
        """
        if self._file is None:
            _write_stdout(data)
            return
        try:
            self._stream.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._file}: cannot be written ({error.strerror}); choose another place"
        )


def check_place(file: Path, option: str, *, force: bool, reads: Iterable[Path] = ()) -> None:
    """Refuse a place for a result that cannot be written, or must not be.

    Raises:
        ConfigError: it is a folder, a link, a device, one of the files that the result is made
            from (`reads`), is in a folder that is missing, or exists already.
        OutputError: the missing folder was to be made, and cannot be.
    """
    if file.is_dir():
        raise ConfigError(f"{file}: is a folder; give {option} a file")
    if file.is_symlink():  # the name would be replaced, and not what it stands for
        raise ConfigError(f"{file}: is a link; give {option} the file itself, or a new name")
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file}: is no ordinary file; give {option} one, or redirect stdout")
    if any(_is_same(file, read) for read in reads):
        raise ConfigError(f"{file}: is read for this result; give {option} another name")
    if file.exists() and not force:
        raise ConfigError(f"{file}: exists already; use --force to replace it")
    if not file.absolute().parent.is_dir():
        _offer_folder(file.parent)


def files_read(asked: Mapping[str, Any]) -> list[Path]:
    """Return the files that a command line names, but for those that it writes."""
    named: list[Path] = []
    for option, value in asked.items():
        if option not in _WRITTEN:
            values = value if isinstance(value, list | tuple) else [value]
            named += [Path(one) for one in values if isinstance(one, Path)]
    checkpoint = asked.get("checkpoint")  # the name of one, or a path
    return [*named, Path(checkpoint)] if checkpoint else named


def _is_same(file: Path, other: Path) -> bool:
    try:
        return file.samefile(other)
    except OSError:  # one of them is not there
        return False


def _offer_folder(folder: Path) -> None:
    """Make a missing folder if somebody at a terminal says so; a mistyped name makes none."""
    fact = f"{folder}: no such folder"
    if not _agreed(f"{fact}; create it? [y/N] "):
        command = "" if os.name == "nt" else f": mkdir -p {shlex.quote(str(folder))}"
        raise ConfigError(f"{fact}; create it first{command}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be created ({error.strerror})"
        raise OutputError(f"{folder}: {reason}; choose another place") from error


def _agreed(question: str) -> bool:
    """Ask somebody at a terminal; where nobody is there to ask, the answer is no."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return False
    sys.stderr.write(question)  # not by Typer, which would write a part of it to stdout
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextlib.contextmanager
def whole_file(file: Path, *, option: str, force: bool) -> Iterator[Path]:
    """Yield a name beside the final one, for a library that opens files itself.

    What was written under it is renamed at the end of a block that succeeds, and removed else.

    Raises:
        ConfigError: the place cannot be written, or must not be.
        OutputError: the finished file cannot be renamed.
    """
    check_place(file, option, force=force)
    beside = file.with_name(f".{file.stem}.{uuid.uuid4().hex[:12]}{file.suffix}")
    UNFINISHED.add(beside)
    try:
        yield beside
        beside.replace(file)
    except OSError as error:
        fact = f"cannot be written ({error.strerror})"
        raise OutputError(f"{file}: {fact}; choose another place") from error
    finally:
        beside.unlink(missing_ok=True)
        UNFINISHED.discard(beside)


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.flush()
        binary = getattr(sys.stdout, "buffer", None)
        if binary is None:  # a stdout that somebody replaced by a text stream
            sys.stdout.write(data.decode("utf-8", "replace"))
        else:
            binary.write(data)
            binary.flush()
    except BrokenPipeError as error:
        raise StdoutClosed from error
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:  # its way to say the same
            raise StdoutClosed from error
        raise OutputError(f"stdout: cannot be written ({error.strerror}); see where it goes") from (
            error
        )


@contextlib.contextmanager
def stdout_for_results_only() -> Iterator[None]:
    """Send what a library prints to stderr, so that stdout stays a clean result."""
    with contextlib.redirect_stdout(cast(TextIO, _StderrOfNow())):
        yield


class _StderrOfNow:
    """Whatever stderr is when it is written to: while bars are drawn, it prints above them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)
