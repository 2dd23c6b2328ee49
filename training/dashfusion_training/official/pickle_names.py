"""Stand-ins for the names that pickles of plain data mention; there are no others.

Each takes the file being read and what the pickle passes, checks it, and builds the thing itself:
no function of NumPy or of any other module ever sees what a file says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashfusion_training.official.pickle_file import PickleFile
from dashfusion_training.official.pickled_array import FileArray, plain_dtype

__all__ = ["EMPTY_SET_BYTES", "Refused", "StandIn", "TypeName", "dtype_of", "find", "key", "shown"]

EMPTY_SET_BYTES = 216
MEMBER_BYTES = 64  # of a set, with the room that it keeps free
_KEYS = (str, bytes, int, float, bool, type(None))  # hashing nested tuples can take for ever


class Refused(Exception):
    """The file asks for something that is no data; the message says for what."""


@dataclass(frozen=True)
class StandIn:
    """Stands in for a function or a class of another module."""

    name: str
    call: Callable[..., object]


@dataclass
class TypeName:
    """Stands in for a numpy.dtype: its name, such as f4, and its order of bytes."""

    name: object
    order: object = "="

    def build(self, state: tuple[Any, ...]) -> None:
        """Take the order of bytes from the state that NumPy wrote."""
        if state[2] is not None or state[4] is not None:
            raise ValueError("an array has a type of several parts")
        self.order = state[1]


def find(module: object, name: object) -> StandIn:
    """Return the stand-in for a name.

    Raises:
        Refused: plain data has no need of that name.
    """
    if isinstance(module, str) and isinstance(name, str) and (module, name) in _KNOWN:
        return _KNOWN[module, name]
    raise Refused(f"{shown(module)}.{shown(name)}")


def key(thing: Any) -> Any:
    """Return what may be a key of a dictionary or a member of a set."""
    if type(thing) not in _KEYS:
        raise ValueError(f"a key is a {type(thing).__name__}")
    return thing


def shown(name: object) -> str:
    """A name out of a file that may be hostile, safe to print."""
    text = name if isinstance(name, str) else f"<{type(name).__name__}>"
    return text[:80].encode("unicode_escape").decode("ascii")


def _reconstruct(file: PickleFile, kind: object, *_: object) -> FileArray:
    """An array that is filled later."""
    if kind is not _NDARRAY:
        raise ValueError("an array is of no plain kind")
    return FileArray(file.path)


def _from_buffer(
    file: PickleFile, data: object, form: object, shape: object, order: object
) -> FileArray:
    """A whole array, as protocol 5 writes it."""
    array = FileArray(file.path)
    held = data
    if isinstance(data, bytearray):
        file.count(len(data))
        held = bytes(data)
    array.fill(shape, dtype_of(form), order == "F", held)
    return array


def _scalar(_: PickleFile, form: object, data: object = b"") -> object:
    """One number of NumPy's."""
    dtype = dtype_of(form)
    if dtype.kind not in "fiub" or not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise ValueError("a number is not plain")
    return np.frombuffer(data, dtype)[0]


def dtype_of(form: object) -> np.dtype[Any]:
    """Return the type that a stand-in names."""
    if not isinstance(form, TypeName):
        raise ValueError("an array has no type")
    return plain_dtype(form.name, form.order)


def _encode(file: PickleFile, text: object, encoding: object) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode to {shown(encoding)}")
    return file.latin_bytes(text)


def _bytes(_: PickleFile) -> bytes:
    """Only empty bytes are written so."""
    return b""


def _bytearray(file: PickleFile, data: object = b"", encoding: object = "latin-1") -> bytearray:
    held = data if isinstance(data, bytes) else _encode(file, data, encoding)
    file.count(len(held))
    return bytearray(held)


def _members(file: PickleFile, items: object) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise ValueError("a set is made of no list")
    file.count(EMPTY_SET_BYTES + MEMBER_BYTES * len(items))
    return [key(one) for one in items]


def _never(*_: object) -> object:
    raise ValueError("it makes an array in an odd way")


_NDARRAY = StandIn("ndarray", _never)  # a name that the making of an array mentions
_KNOWN: dict[tuple[str, str], StandIn] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): StandIn("dtype", lambda _, name, *flags: TypeName(name)),
    ("_codecs", "encode"): StandIn("encode", _encode),
    ("collections", "OrderedDict"): StandIn("OrderedDict", lambda _: OrderedDict()),
}
for _core in ("numpy.core", "numpy._core"):  # before NumPy 2, and since
    _KNOWN |= {
        (f"{_core}.multiarray", "_reconstruct"): StandIn("_reconstruct", _reconstruct),
        (f"{_core}.multiarray", "scalar"): StandIn("scalar", _scalar),
        (f"{_core}.numeric", "_frombuffer"): StandIn("_frombuffer", _from_buffer),
    }
for _builtins in ("builtins", "__builtin__"):  # protocol 2 has the old name
    _KNOWN |= {
        (_builtins, "bytes"): StandIn("bytes", _bytes),
        (_builtins, "bytearray"): StandIn("bytearray", _bytearray),
        (_builtins, "set"): StandIn("set", lambda f, items=(): set(_members(f, items))),
        (_builtins, "frozenset"): StandIn("frozenset", lambda f, i=(): frozenset(_members(f, i))),
    }
