"""Reads pickles of plain data: NumPy arrays, strings, numbers, containers, and nothing else.

A pickle is a program: it names functions of any module and calls them. This machine knows only the
instructions that plain data needs, and for the dozen names that pickled arrays mention it has
stand-ins of its own (`pickle_names`); no module is looked into. Whatever else a file asks for is
refused by name before anything happens.

Everything is bounded: the number of instructions, of bytes in memory, of digits. Runs of bytes of
more than 1 MiB are not read but remembered by their place, so a file of many gigabytes costs little
memory; arrays come back as `FileArray`, which reads its parts later.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashfusion_models.errors import DataError
from dashfusion_training.official.pickle_file import PickleFile
from dashfusion_training.official.pickle_names import (
    EMPTY_SET_BYTES,
    Refused,
    StandIn,
    TypeName,
    dtype_of,
    find,
    key,
    shown,
)
from dashfusion_training.official.pickled_array import Extent, FileArray

__all__ = ["read_pickle"]

_MOST_INSTRUCTIONS = 5_000_000  # the largest official file needs about 1.5 million
_LONGEST_NUMBER = 64  # bytes of one whole number


def read_pickle(path: Path) -> object:
    """Read a pickle of plain data, of protocol 2 to 5; every array becomes a `FileArray`.

    Raises:
        DataError: the file cannot be read, is damaged, is absurdly large inside, or asks for
            anything else, which the message names; nothing of it has run.
    """
    try:
        with path.open("rb") as file:
            return _Machine(PickleFile(file, path)).run()
    except Refused as error:
        raise DataError(
            f"{path}: asks for {error}, which is no data; nothing of it was run, "
            "take the file from its official place"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its name") from error
    except (
        ArithmeticError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        fact = shown(str(error)) if type(error) is ValueError else "it is damaged or no pickle"
        raise DataError(f"{path}: cannot be understood ({fact}); download it again") from error


class _Machine:
    """Runs the instructions of one file on a stack, as pickle's own machine does."""

    def __init__(self, file: PickleFile) -> None:
        self.file = file
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> object:
        for _ in range(_MOST_INSTRUCTIONS):
            code = self.file.take(1)
            if code == pickle.STOP:
                return self.stack.pop()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                self.refuse(code)
            else:
                instruction(self)
        raise ValueError("it holds far too many things")

    def protocol(self) -> None:
        if self.file.take(1)[0] > pickle.HIGHEST_PROTOCOL:
            raise ValueError("its protocol is unknown")

    def frame(self) -> None:
        # A frame may hold gigabytes: it is not read, only what stands in it is, bit by bit.
        self.file.check_left(self.file.number("<Q"))

    def long(self, form: str) -> None:
        length = self.file.number(form)
        if not 0 <= length <= _LONGEST_NUMBER:
            raise ValueError("a number is absurdly long")
        self.stack.append(int.from_bytes(self.file.take(length), "little", signed=True))

    def run_of_bytes(self, form: str) -> None:
        self.stack.append(self.file.run(self.file.number(form)))

    def byte_array(self) -> None:
        found = self.file.run(self.file.number("<Q"))
        self.stack.append(found if isinstance(found, Extent) else bytearray(found))

    def text(self, form: str) -> None:
        found = self.file.run(self.file.number(form))
        # What is that long is no text but the bytes of an array, as protocol 2 writes them.
        self.stack.append(found if isinstance(found, Extent) else found.decode("utf-8"))

    def from_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def short_tuple(self, length: int) -> None:
        if length > len(self.stack):
            raise ValueError("its stack is empty")
        items = tuple(self.stack[-length:])
        del self.stack[-length:]
        self.stack.append(items)

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("it appends to what is no list")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError("it fills what is no dictionary")
        for name, value in zip(items[::2], items[1::2], strict=True):
            target[key(name)] = value

    def empty_set(self) -> None:
        self.file.count(EMPTY_SET_BYTES)
        self.stack.append(set())

    def add_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError("it adds to what is no set")
        target.update(map(key, items))

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def find_on_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(find(module, name))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, StandIn):
            raise Refused(f"a call of a {type(function).__name__}")
        if type(arguments) is not tuple:
            raise ValueError("a call has no arguments")
        self.stack.append(function.call(self.file, *arguments))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(state, tuple) or not isinstance(target, FileArray | TypeName):
            raise Refused(f"setting the state of a {type(target).__name__}")
        if isinstance(target, TypeName):
            target.build(state)
        else:
            _, shape, form, fortran, data = state
            if isinstance(data, list):  # each of which is looked at
                self.file.count(len(data))
            target.fill(shape, dtype_of(form), fortran, data)

    def refuse(self, code: bytes) -> None:
        names = {one.code: one.name for one in pickletools.opcodes}
        if code.decode("latin-1") not in names:
            raise ValueError("it is no pickle")
        if code == pickle.INST:
            raise Refused(f"{shown(self.file.line())}.{shown(self.file.line())}")
        raise Refused(f"the pickle instruction {names[code.decode('latin-1')]}")


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], object]] = {
    pickle.PROTO: _Machine.protocol,
    pickle.FRAME: _Machine.frame,
    pickle.MARK: lambda m: m.marks.append(len(m.stack)),
    pickle.POP: lambda m: m.stack.pop(),
    pickle.POP_MARK: _Machine.from_mark,
    pickle.DUP: lambda m: m.stack.append(m.stack[-1]),
    pickle.NONE: lambda m: m.stack.append(None),
    pickle.NEWTRUE: lambda m: m.stack.append(True),
    pickle.NEWFALSE: lambda m: m.stack.append(False),
    pickle.BININT: lambda m: m.stack.append(m.file.number("<i")),
    pickle.BININT1: lambda m: m.stack.append(m.file.number("<B")),
    pickle.BININT2: lambda m: m.stack.append(m.file.number("<H")),
    pickle.BINFLOAT: lambda m: m.stack.append(m.file.number(">d")),
    pickle.LONG1: lambda m: m.long("<B"),
    pickle.LONG4: lambda m: m.long("<i"),
    pickle.SHORT_BINUNICODE: lambda m: m.text("<B"),
    pickle.BINUNICODE: lambda m: m.text("<I"),
    pickle.BINUNICODE8: lambda m: m.text("<Q"),
    pickle.SHORT_BINBYTES: lambda m: m.run_of_bytes("<B"),
    pickle.BINBYTES: lambda m: m.run_of_bytes("<I"),
    pickle.BINBYTES8: lambda m: m.run_of_bytes("<Q"),
    pickle.BYTEARRAY8: _Machine.byte_array,
    pickle.EMPTY_LIST: lambda m: m.stack.append([]),
    pickle.EMPTY_DICT: lambda m: m.stack.append({}),
    pickle.EMPTY_SET: _Machine.empty_set,
    pickle.EMPTY_TUPLE: lambda m: m.stack.append(()),
    pickle.TUPLE: lambda m: m.stack.append(tuple(m.from_mark())),
    pickle.TUPLE1: lambda m: m.short_tuple(1),
    pickle.TUPLE2: lambda m: m.short_tuple(2),
    pickle.TUPLE3: lambda m: m.short_tuple(3),
    pickle.FROZENSET: lambda m: m.stack.append(frozenset(map(key, m.from_mark()))),
    pickle.APPEND: lambda m: m.extend([m.stack.pop()]),
    pickle.APPENDS: lambda m: m.extend(m.from_mark()),
    pickle.SETITEM: lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    pickle.SETITEMS: lambda m: m.set_items(m.from_mark()),
    pickle.ADDITEMS: lambda m: m.add_items(m.from_mark()),
    pickle.BINPUT: lambda m: m.remember(m.file.number("<B")),
    pickle.LONG_BINPUT: lambda m: m.remember(m.file.number("<I")),
    pickle.MEMOIZE: lambda m: m.remember(len(m.memo)),
    pickle.BINGET: lambda m: m.recall(m.file.number("<B")),
    pickle.LONG_BINGET: lambda m: m.recall(m.file.number("<I")),
    pickle.GLOBAL: lambda m: m.stack.append(find(m.file.line(), m.file.line())),
    pickle.STACK_GLOBAL: _Machine.find_on_stack,
    pickle.REDUCE: _Machine.call,
    pickle.BUILD: _Machine.build,
}
