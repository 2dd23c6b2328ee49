"""Arrays of a pickle that stay in its file until a part of them is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashfusion_models.errors import DataError

__all__ = ["Extent", "FileArray", "plain_dtype"]

_SIZES = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,), "O": (4, 8)}
_LONGEST_STRING = 1 << 20  # characters of one element
_MOST_AXES = 8
_MOST_ALONG_AN_AXIS = 1 << 31
_MOST_ELEMENTS = 1 << 40
_LAST_CHARACTER = 0x10FFFF
_PLAIN = (str, bytes, int, float, type(None), np.generic)


@dataclass(frozen=True)
class Extent:
    """Bytes of a file that have not been read."""

    path: Path
    offset: int
    length: int

    def __len__(self) -> int:
        """Number of bytes."""
        return self.length


def plain_dtype(name: object, order: object) -> np.dtype[Any]:
    """Return the type that a pickle spells as `f4` and `<`.

    Raises:
        ValueError: it is no type of plain numbers, strings or Python objects.
    """
    if not isinstance(name, str) or not isinstance(order, str) or order not in "<>|=":
        raise ValueError("a type is not spelled as NumPy does")
    kind, size = name[:1], name[1:]
    if not (size.isascii() and size.isdigit() and len(size) <= 8):
        raise ValueError("a type is not spelled as NumPy does")
    if kind in "US" and kind:
        known = int(size) <= _LONGEST_STRING
    else:
        known = int(size) in _SIZES.get(kind, ())
    if not known:
        raise ValueError(f"no array of type {name!a} belongs in a data file")
    return np.dtype("O") if kind == "O" else np.dtype(order + name)


class FileArray:
    """An array of a pickle: its shape and type are known, its numbers are read in parts.

    What is short stands in memory; what is long is read from the file with `read`.
    """

    def __init__(self, path: Path) -> None:
        """An empty array, until `fill` says what it holds."""
        self._path = path
        self._data: bytes | Extent | list[Any] = b""
        self._fortran = False
        self.shape: tuple[int, ...] = (0,)
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)

    def fill(self, shape: object, dtype: np.dtype[Any], fortran: object, data: object) -> None:
        """Say what the array holds; its bytes must fit its shape exactly.

        Raises:
            ValueError: they do not.
        """
        if not isinstance(shape, tuple) or len(shape) > _MOST_AXES:
            raise ValueError("the shape of an array is not plain")
        if not all(type(n) is int and 0 <= n <= _MOST_ALONG_AN_AXIS for n in shape):
            raise ValueError("the shape of an array is absurd")
        if math.prod(n or 1 for n in shape) > _MOST_ELEMENTS:  # also where one axis is empty
            raise ValueError("the shape of an array is absurd")
        if dtype.kind == "O":
            if not isinstance(data, list) or not all(isinstance(one, _PLAIN) for one in data):
                raise ValueError("an array of objects holds more than strings and numbers")
            fits = len(data) == math.prod(shape)
        else:
            if not isinstance(data, bytes | Extent):
                raise ValueError("an array has no bytes")
            fits = len(data) == math.prod(shape) * dtype.itemsize
            fits = fits and (dtype.itemsize > 0 or math.prod(shape) == 0)
        if not fits:
            raise ValueError(f"an array of shape {shape} does not fit its data")
        self.shape, self.dtype = shape, dtype
        self._data, self._fortran = data, bool(fortran)

    def __len__(self) -> int:
        """Length of the first axis; a number alone has none and counts as 0."""
        return self.shape[0] if self.shape else 0

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read the rows from `start` up to `stop`, or all; the result is the caller's own.

        Raises:
            DataError: the file has been cut short or changed since, or a string is no text.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        rows = self._rows(min(start, stop), stop)
        if rows.dtype.kind == "U" and rows.size:
            codes = np.ascontiguousarray(rows).reshape(-1).view(np.uint32)
            codes = codes if rows.dtype.isnative else codes.byteswap()
            if int(codes.max()) > _LAST_CHARACTER:
                raise DataError(f"{self._path}: a string is no text; download it again")
        return rows

    def _rows(self, start: int, stop: int) -> np.ndarray:
        data, order = self._data, "F" if self._fortran else "C"
        if isinstance(data, list):
            whole = np.empty(len(data), object)
            whole[:] = data
        elif isinstance(data, Extent) and not self._fortran:
            return self._piece(data, start, stop)
        elif isinstance(data, Extent):
            try:
                whole = np.memmap(
                    data.path, self.dtype, "r", data.offset, (data.length // self.dtype.itemsize,)
                )
            except (OSError, ValueError) as error:
                raise self._changed() from error
        else:
            whole = np.frombuffer(data, self.dtype) if data else np.zeros(0, self.dtype)
        shaped = whole.reshape(self.shape, order=order)  # type: ignore[call-overload]
        return np.array(shaped[start:stop] if self.shape else shaped, order="C")

    def _piece(self, data: Extent, start: int, stop: int) -> np.ndarray:
        each = math.prod(self.shape[1:])
        count = (stop - start) * each if self.shape else 1
        offset = data.offset + start * each * self.dtype.itemsize
        try:
            found = np.fromfile(data.path, self.dtype, count, offset=offset)
        except OSError as error:
            raise self._changed() from error
        if len(found) != count:
            raise self._changed()
        return found.reshape((stop - start, *self.shape[1:]) if self.shape else ())

    def _changed(self) -> DataError:
        return DataError(f"{self._path}: has changed while it was read; start again")
