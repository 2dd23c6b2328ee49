"""The bytes of a pickle, read in bounded pieces; long runs of bytes stay where they are."""

from __future__ import annotations

import codecs
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

from dashfusion_training.official.pickled_array import Extent

__all__ = ["PickleFile"]

_LONG_BYTES = 1 << 20  # longer runs of bytes stay in the file
_LONGEST_LINE = 1 << 10
_MOST_HELD = 3 << 29  # 1.5 GiB in memory at once, where a file keeps its arrays as text
_PIECE = 1 << 20


class PickleFile:
    """Reads numbers, names and runs of bytes; what is cut short or absurd is a ValueError."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        """Read from `file`, which is the open `path`."""
        self.path = path
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._held = 0

    def take(self, count: int) -> bytes:
        """Read `count` bytes, which the caller knows to be few."""
        taken = self._file.read(count)
        if len(taken) < count:
            raise ValueError("it is cut short")
        self.count(count)
        return taken

    def number(self, form: str) -> Any:
        """Read one number in the form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """Read a name up to the end of its line."""
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ValueError("a name does not end")
        return line[:-1].decode("utf-8")

    def check_left(self, count: int) -> None:
        """Refuse a file that has fewer than `count` bytes left."""
        if count > self._size - self._file.tell():
            raise ValueError("it is cut short")

    def run(self, length: int) -> bytes | Extent:
        """Read `length` bytes, or remember where they are if they are many."""
        if length <= _LONG_BYTES:
            return self.take(length)
        self.check_left(length)
        extent = Extent(self.path, self._file.tell(), length)
        self._file.seek(length, os.SEEK_CUR)
        return extent

    def latin_bytes(self, text: object) -> bytes:
        """The bytes that protocol 2 writes as the text of their code points."""
        if isinstance(text, str):
            self.count(len(text))
            return text.encode("latin-1")
        if not isinstance(text, Extent):
            raise ValueError("it encodes what is no text")
        self.count(text.length)
        decoder = codecs.getincrementaldecoder("utf-8")()
        found = bytearray()
        place = self._file.tell()
        self._file.seek(text.offset)
        for start in range(0, text.length, _PIECE):
            piece = self._file.read(min(_PIECE, text.length - start))
            found += decoder.decode(piece).encode("latin-1")
        decoder.decode(b"", final=True)
        self._file.seek(place)
        return bytes(found)

    def count(self, count: int) -> None:
        """Count bytes that are about to be held in memory, beside those that are read.

        Raises:
            ValueError: they are too many.
        """
        self._held += count
        if self._held > _MOST_HELD:
            raise ValueError("it keeps too much as text; save it with pickle protocol 4")
