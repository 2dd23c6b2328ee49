"""The variables of a CTranslate2 model, read from its file one by one when they are asked for.

Whisper base is 145 MB of them, and who wants to hear how a voice sounds needs a tenth.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from dashfusion_models.errors import WeightsError

__all__ = ["Variables", "read_ctranslate2"]

_BINARY_VERSIONS = range(5, 7)  # the layout below, with names for aliases
# CTranslate2's DataType enum; bfloat16 has no NumPy type and is read as its bits.
_DTYPES = ("<f4", "<i1", "<i2", "<i4", "<f2", "<u2")
_BFLOAT16 = 5
_UNREADABLE = (OSError, struct.error, UnicodeDecodeError, ValueError, IndexError)


def read_ctranslate2(folder: Path) -> "Variables":
    """Return the variables of a Whisper model by CTranslate2's own names, aliases included.

    Raises:
        WeightsError: there is no readable Whisper model in the folder.
    """
    path = folder / "model.bin"
    try:
        with path.open("rb") as file:
            return Variables(path, _places(_Reader(file, path.stat().st_size)))
    except _UNREADABLE as error:
        raise _refused(path, error) from error


@dataclass(frozen=True)
class _Place:
    """Where a variable lies in the file, and what it is."""

    shape: tuple[int, ...]
    kind: int
    start: int


class Variables(Mapping[str, Tensor]):
    """Names and tensors; a tensor is read anew each time that it is asked for."""

    def __init__(self, path: Path, places: Mapping[str, _Place]) -> None:
        """Remember where everything lies; `read_ctranslate2` finds it out."""
        self._path = path
        self._places = places

    def __getitem__(self, name: str) -> Tensor:
        """Read one variable.

        Raises:
            KeyError: there is none of that name.
            WeightsError: the file cannot be read any more.
        """
        place = self._places[name]
        try:
            values = np.fromfile(
                self._path, _DTYPES[place.kind], math.prod(place.shape), offset=place.start
            ).reshape(place.shape)
        except _UNREADABLE as error:
            raise _refused(self._path, error) from error
        tensor = torch.from_numpy(values)
        return tensor.view(torch.bfloat16) if place.kind == _BFLOAT16 else tensor

    def __contains__(self, name: object) -> bool:
        """Whether there is one of that name; a Mapping's own way would read it."""
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a variable without reading it.

        Raises:
            KeyError: there is none of that name.
        """
        return self._places[name].shape

    def dtype(self, name: str) -> torch.dtype:
        """Return the type of a variable's numbers without reading them.

        Raises:
            KeyError: there is none of that name.
        """
        kind = self._places[name].kind
        if kind == _BFLOAT16:
            return torch.bfloat16
        empty: np.ndarray[Any, Any] = np.empty(0, _DTYPES[kind])
        return torch.from_numpy(empty).dtype


def _refused(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: not a CTranslate2 model that can be read ({error}); fetch the folder again"
    )


@dataclass(frozen=True)
class _Reader:
    """Reads CTranslate2's little-endian fields one after the other."""

    file: BinaryIO
    size: int

    def number(self, form: str) -> int:
        (value,) = struct.unpack(f"<{form}", self._raw(struct.calcsize(f"<{form}")))
        return int(value)

    def string(self) -> str:
        return self._raw(self.number("H")).rstrip(b"\0").decode("utf-8")

    def place(self) -> _Place:
        """Where the variable lies that comes now; it is passed over."""
        shape = tuple(self.number("I") for _ in range(self.number("B")))
        kind, size = self.number("B"), self.number("I")
        if size != math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize:
            raise ValueError(f"{size} bytes for the shape {shape}")
        place = _Place(shape, kind, self.file.tell())
        if self.file.seek(size, 1) > self.size:
            raise ValueError("the file ends too early")
        return place

    def _raw(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError("the file ends too early")
        return data


def _places(reader: _Reader) -> dict[str, _Place]:
    version = reader.number("I")
    if version not in _BINARY_VERSIONS:
        raise ValueError(f"binary version {version}")
    if (kind := reader.string()) != "WhisperSpec":
        raise ValueError(f"{kind[:40]!r} instead of WhisperSpec")
    reader.number("I")  # the revision of the spec: all have the names read here
    places = {}
    for _ in range(reader.number("I")):
        name = reader.string()
        places[name] = reader.place()
    for _ in range(reader.number("I")):
        alias = reader.string()
        places[alias] = places[reader.string()]
    return places
