"""Rows of numbers that grow with a file's length, kept on disk instead of in memory.

Hours of sound and all that is measured on it go to temporary files without a name, which are gone
with the process. They are written piece by piece and read by slices, as an array is; mapping them
into memory would not do, as mapped pages count as the process's own.
"""

import contextlib
import os
import tempfile
import threading
import weakref
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

from dashfusion_models.errors import DiskError
from dashfusion_models.records import Samples

__all__ = ["Recording", "Spool"]

MEMORY_BYTES = 4 << 20  # less than this needs no file: a minute of sound
_LASTING = "/var/tmp"  # /tmp often lies in memory itself


class Spool:
    """Rows of one type; threads may read and write at the same time."""

    def __init__(self, row: DTypeLike) -> None:
        """Begin without rows; `row` is the type of one, such as `(np.float32, 36)`."""
        self._row = np.dtype(row)
        self._rows = 0
        self._folder = _folder()
        self._lock = threading.Lock()
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed when it is forgotten
            max_size=MEMORY_BYTES, dir=self._folder
        )
        weakref.finalize(self, _close, self._file)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def append(self, rows: np.ndarray) -> None:
        """Put rows behind the last one.

        Raises:
            DiskError: there is no room.
        """
        self.write(self._rows, rows)

    def write(self, first: int, rows: np.ndarray) -> None:
        """Put rows where row `first` is or will be; what is skipped on the way there is zeros.

        Raises:
            DiskError: there is no room.
        """
        if not len(rows):
            return
        content = np.ascontiguousarray(rows, dtype=self._row.base)
        start = first * self._row.itemsize
        try:
            with self._lock:
                if start > MEMORY_BYTES:
                    self._file.rollover()  # before a gap is filled in memory
                self._file.seek(start)
                self._file.write(content.data)
                self._file.flush()  # or a full disk would show later, in another's call
                self._rows = max(self._rows, first + len(rows))
        except OSError as error:
            where = self._folder or os.environ.get("TMPDIR") or "the folder of temporary files"
            fact = f"cannot be written ({error.strerror or type(error).__name__})"
            raise DiskError(f"{where}: {fact}; free some space or set TMPDIR") from error

    def __getitem__(self, piece: slice) -> Any:
        """Return the rows of a slice without a step, as an array of their own.

        Raises:
            DiskError: they cannot be read.
        """
        first, last, step = piece.indices(self._rows)
        if step != 1:
            raise ValueError("a spool is read in its own order")
        content = bytearray(max(0, last - first) * self._row.itemsize)
        try:
            with self._lock:
                self._file.seek(first * self._row.itemsize)
                read = self._file.readinto(content)
        except OSError as error:
            fact = f"cannot be read ({error.strerror or type(error).__name__})"
            raise DiskError(f"temporary files: {fact}; check the disk") from error
        if read != len(content):
            raise DiskError("temporary files: cut off; check the disk")
        return np.frombuffer(content, dtype=self._row)


Recording = Samples | Spool  # mono, 16 kHz, in [-1, 1]: in memory, or on disk


def _close(file: IO[bytes]) -> None:
    """Give the room back; what a full disk did not take is lost anyway."""
    with contextlib.suppress(OSError):
        file.close()


def _folder() -> str | None:
    """Where temporary files go: as the user says, else where large ones belong, else anywhere."""
    named = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return _LASTING if not named and os.access(_LASTING, os.W_OK | os.X_OK) else None
