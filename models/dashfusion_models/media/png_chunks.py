"""A PNG file without its texts and colour profile.

FFmpeg inflates both while it decodes the picture, without a bound: 1 MB of them may take 4 GB.
Nothing here reads either.
"""

import io
import os
import struct
from bisect import bisect_right
from itertools import accumulate
from typing import BinaryIO

__all__ = ["PngPicture", "without_texts"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEFT_OUT = frozenset({b"iCCP", b"iTXt", b"tEXt", b"zTXt"})
_LAST = b"IEND"
_AROUND = 12  # bytes of a chunk beside its content: length, name, checksum
_LONGEST = 0x7FFFFFFF  # of a chunk, as the format says
_MOST_CHUNKS = 100_000  # of a picture of 800 MB


class PngPicture:
    """Reads pieces of a file as if they stood one behind the other."""

    def __init__(self, file: BinaryIO, pieces: list[tuple[int, int]]) -> None:
        """Begin at the first of the `pieces`, each from its first byte to behind its last."""
        self._file, self._pieces, self._at = file, pieces, 0
        # Where each begins in what is read, and at last where that ends.
        self._begins = [0, *accumulate(stop - first for first, stop in pieces)]

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, fewer at the end of a piece; none at the end of all."""
        number = bisect_right(self._begins, self._at) - 1
        if number >= len(self._pieces):
            return b""
        first, stop = self._pieces[number]
        place = first + self._at - self._begins[number]
        self._file.seek(place)
        content = self._file.read(stop - place if size < 0 else min(size, stop - place))
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; return it."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._begins[-1]}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at


def without_texts(file: BinaryIO) -> BinaryIO | PngPicture:
    """Return a PNG's picture and what belongs to it; any other file, or one without texts, as is.

    What follows the end of the picture, or stands where no chunk can be, is left out too.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        file.seek(0)
        return file
    pieces = _kept(file, size)
    file.seek(0)
    return file if pieces == [(0, size)] else PngPicture(file, pieces)


def _kept(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """Return the pieces of a PNG file of `size` bytes that are no text, as few as possible."""
    pieces = [(0, len(_SIGNATURE))]
    place = len(_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            break
        length, name = struct.unpack(">I4s", head)
        if length > _LONGEST:
            break
        stop = min(size, place + _AROUND + length)
        if name not in _LEFT_OUT:
            first, before = pieces[-1]
            pieces[-1:] = [(first, stop)] if before == place else [(first, before), (place, stop)]
        place = stop
        if name == _LAST:
            break
    return pieces
