"""One file that lies in pieces, read as if it were whole."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

__all__ = ["JoinedFiles", "joined"]

_BUFFER_BYTES = 1 << 20


@contextlib.contextmanager
def joined(pieces: Sequence[Path], member: str | None) -> Iterator[IO[bytes]]:
    """Open what the pieces make together, or the file of that name in the archive that they make.

    Raises:
        BadZipFile, KeyError, zlib.error: there is no such archive, or no such file in it.
        OSError: a piece cannot be read.
    """
    with io.BufferedReader(JoinedFiles(pieces), _BUFFER_BYTES) as whole:
        if member is None:
            yield whole
            return
        with zipfile.ZipFile(whole) as archive, archive.open(member) as file:
            yield file


class JoinedFiles(io.RawIOBase):
    """The content of several files, one after the other; open one piece at a time."""

    def __init__(self, pieces: Sequence[Path]) -> None:
        """Read `pieces` in this order.

        Raises:
            OSError: one cannot be read.
        """
        super().__init__()
        self._pieces = list(pieces)
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + piece.stat().st_size)
        self._place = 0
        self._open: tuple[int, BinaryIO] | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place among all bytes and return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}
        self._place = max(0, origin[whence] + offset)
        return self._place

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` from one piece; 0 at the end of the last."""
        number = next(
            (k for k in range(len(self._pieces)) if self._place < self._starts[k + 1]), None
        )
        if number is None:
            return 0
        file = self._piece(number)
        file.seek(self._place - self._starts[number])
        wanted = min(len(buffer), self._starts[number + 1] - self._place)
        part = file.read(wanted)
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def close(self) -> None:
        """Close the piece that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None
        super().close()

    def _piece(self, number: int) -> BinaryIO:
        if self._open is None or self._open[0] != number:
            if self._open is not None:
                self._open[1].close()
            self._open = (number, self._pieces[number].open("rb"))
        return self._open[1]
