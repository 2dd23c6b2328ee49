"""`results.jsonl`: a line a file, appended and flushed to the disk one by one; it is the truth.

Whatever else stands in the folder can be made from it again. A last line that was torn by a power
cut or a full disk is dropped when the file is opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashfusion_models.bounded_file import parsed_json
from dashfusion_models.closing import Closing
from dashfusion_models.errors import FolderError

__all__ = ["NOTHING", "Line", "Mark", "ResultsFile", "sync_folder", "unwritable"]

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Line:
    """One record and where its line begins; `record` is None where the line is no record."""

    offset: int
    raw: bytes
    record: dict[str, Any] | None


@dataclass(frozen=True)
class Mark:
    """How far somebody has read: bytes, and the SHA-256 of the line that ends there."""

    size: int
    tail: str


NOTHING = Mark(0, hashlib.sha256(b"").hexdigest())


class ResultsFile(Closing):
    """The records of a folder of results; one writer at a time (see `lock`)."""

    def __init__(self, path: Path) -> None:
        """Open or create the file and drop a torn last line.

        Raises:
            FolderError: it cannot be read or written.
        """
        self.path = path
        try:
            is_new = not path.exists()
            self._file = _opened(path)
            self.size = self._mend()
            if is_new:
                sync_folder(path.parent)
        except OSError as error:
            raise unwritable(path, error) from error

    def append(self, line: bytes) -> int:
        """Write one line and see it on the disk; return where it begins.

        Raises:
            FolderError: the disk is full or fails; what stood there before stands there still.
        """
        begins = self.size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):  # else it is dropped at the next start
                self._file.truncate(begins)
            raise unwritable(self.path, error) from error
        self.size += len(line)
        self._tail = hashlib.sha256(line).hexdigest()
        return begins

    def lines(self, start: int = 0) -> Iterator[Line]:
        """Yield the lines from a place on, in the order of the file."""
        with self.path.open("rb") as file:
            file.seek(start)
            offset = start
            for raw in file:
                yield Line(offset, raw, _record(raw))
                offset += len(raw)

    def at(self, offset: int) -> dict[str, Any]:
        """Return the record whose line begins at `offset`.

        Raises:
            FolderError: there is none, since somebody else changed the file.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            record = _record(file.readline())
        if record is None:
            raise FolderError(f"{self.path}: was changed by someone else; run again")
        return record

    def mark(self) -> Mark:
        """Tell how far the file goes."""
        return Mark(self.size, self._tail)

    def continues(self, mark: Mark) -> bool:
        """Whether the file is that of the mark, perhaps with more lines at its end."""
        if mark.size > self.size:
            return False
        return self._tail_at(mark.size) == mark.tail

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Leave out every line that is not wanted, or no record: written beside, then renamed.

        Raises:
            FolderError: the disk is full or fails; the file is as it was.
        """
        beside = self.path.with_name(f".{self.path.name}.part")
        try:
            with beside.open("wb") as file:
                for line in self.lines():
                    if line.record is not None and wanted(line.record):
                        file.write(line.raw)
                file.flush()
                os.fsync(file.fileno())
            self._file.close()
            beside.replace(self.path)
            sync_folder(self.path.parent)
            self._file = _opened(self.path)
            self.size = self._mend()
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _mend(self) -> int:
        """Cut off last lines that are torn or no records; return the size that is left."""
        size = self._file.seek(0, os.SEEK_END)
        whole = size
        while whole:
            begins = self._begin_of_line(whole)
            if _record(self._between(begins, whole)) is not None:
                break
            whole = begins
        if whole < size:
            self._file.truncate(whole)
            os.fsync(self._file.fileno())
        self._tail = self._tail_at(whole)
        return whole

    def _begin_of_line(self, end: int) -> int:
        """Where the line begins whose last byte stands before `end`."""
        stop = end - 1  # its own line end does not count
        while stop > 0:
            start = max(0, stop - _BLOCK)
            found = self._between(start, stop).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            stop = start
        return 0

    def _tail_at(self, end: int) -> str:
        """The SHA-256 of the line that ends at `end`."""
        begins = self._begin_of_line(end) if end else 0
        return hashlib.sha256(self._between(begins, end)).hexdigest()

    def _between(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        pieces = bytearray()
        while len(pieces) < end - start and (piece := self._file.read(end - start - len(pieces))):
            pieces += piece
        return bytes(pieces)


def _opened(path: Path) -> io.FileIO:
    """Open for appending and reading, without a buffer that would outlive a failed write."""
    return io.FileIO(path, "a+")


def unwritable(path: Path, error: OSError) -> FolderError:
    """The error of a folder of results that cannot be written just now."""
    return FolderError(
        f"{path}: cannot be written ({error.strerror or error}); make room or choose another "
        "place, and run again: it goes on where it stopped"
    )


def sync_folder(folder: Path) -> None:
    """See the names of a folder on the disk (where the system knows such a thing)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError:  # not every file system does it
        pass
    finally:
        os.close(handle)


def _record(raw: bytes) -> dict[str, Any] | None:
    """Read one line; None where it is torn or says nothing of a file."""
    if not raw.endswith(b"\n"):
        return None
    try:
        record = parsed_json(raw)
        return record if isinstance(record["media"]["path"], str) else None
    except (ValueError, KeyError, TypeError):
        return None
