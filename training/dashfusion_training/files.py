"""The files of a training: written whole or not at all, and said in one line where they are not."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dashfusion_models.bounded_file import read_bytes
from dashfusion_models.errors import DataError, TrainingError
from dashfusion_models.near import meant_file

__all__ = ["first_line", "read_table", "write_table", "write_whole", "writing"]


_MOST_BYTES = 256 << 20  # of a table


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV in UTF-8, with or without a byte order mark, by its header.

    Raises:
        DataError: it cannot be read.
    """
    try:
        text = read_bytes(path, most=_MOST_BYTES).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, FileNotFoundError):
            way_out = meant_file(path) or "check the name"
            raise DataError(f"{path}: no such file; {way_out}") from error
        fact = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({fact}); give a UTF-8 CSV") from error


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a CSV, whole or not at all; cells of other columns are left out."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    write_whole(path, text.getvalue())


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path, beside):
        if isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            beside.write_text(content, "utf-8")
        beside.replace(path)


@contextlib.contextmanager
def writing(path: Path, beside: Path | None = None) -> Iterator[None]:
    """Say in one line that a file could not be written, and leave no part of it behind."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        number = getattr(error, "errno", None)
        quota = getattr(errno, "EDQUOT", errno.ENOSPC)  # unknown on Windows
        full = number in (None, errno.ENOSPC, errno.EFBIG, quota)
        way_out = "make room, then go on (--resume)" if full else "check the folder and its rights"
        raise TrainingError(
            f"{path}: cannot be written ({first_line(error)}); {way_out}"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    lines = (getattr(error, "strerror", None) or str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
