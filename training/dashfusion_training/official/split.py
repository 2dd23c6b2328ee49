"""One split of a benchmark's official file: checked as a whole, its frames read bit by bit.

True lengths (METHOD.md section 1): a frame is valid if it lies inside the stated length and is not
all zero; without lengths, up to the last frame that is not zero. NaN and infinities become 0 first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from dashfusion_models.errors import DataError
from dashfusion_models.records import FeatureSequence
from dashfusion_training.benchmarks import Benchmark
from dashfusion_training.official.pickled_array import FileArray

__all__ = ["FrameFacts", "Frames", "OfficialSplit", "read_split"]

_NEEDED = ("raw_text", "audio", "vision", "id", "regression_labels")
_AT_ONCE = 64  # samples whose frames are in memory together


@dataclass(kw_only=True)
class FrameFacts:
    """What was found in the frames of one modality, counted while they are read.

    `nan` and `infinite` are numbers that became 0. Of the frames inside the true lengths `kept` are
    valid and `dropped` are all zero; `beyond` frames hold something past the stated length and are
    not used. `silent` samples have no valid frame. Steps are counted up to the last valid frame.
    """

    nan: int = 0
    infinite: int = 0
    kept: int = 0
    dropped: int = 0
    beyond: int = 0
    silent: int = 0
    samples: int = 0
    steps: int = 0
    max_steps: int = 0

    @property
    def mean_steps(self) -> float:
        """Steps of a sample on average."""
        return self.steps / max(self.samples, 1)

    def to_dict(self) -> dict[str, int | float]:
        """The counts under their names, with the mean."""
        return {**vars(self), "mean_steps": round(self.mean_steps, 2)}


@dataclass
class Frames:
    """The padded frames of one modality; `lengths` is None where the file states none."""

    array: FileArray
    lengths: Int64[np.ndarray, " samples"] | None
    facts: FrameFacts = field(default_factory=FrameFacts)

    def __iter__(self) -> Iterator[FeatureSequence]:
        """Yield the sequence of every sample, and count what is met."""
        for start in range(0, len(self.array), _AT_ONCE):
            values = self._cleaned(self.array.read(start, start + _AT_ONCE))
            inside, real = self._valid(values, start)
            for k in range(len(values)):
                steps = int(np.flatnonzero(real[k])[-1]) + 1 if real[k].any() else 0
                self._count(real[k], steps, int(inside[k].sum()) if self.lengths is not None else 0)
                yield FeatureSequence(values=values[k, :steps].copy(), real=real[k, :steps].copy())

    def _cleaned(self, read: np.ndarray) -> Float32[np.ndarray, "b t d"]:
        with np.errstate(over="ignore"):
            values = read.astype(np.float32)
        self.facts.nan += int(np.isnan(values).sum())
        self.facts.infinite += int(np.isinf(values).sum())
        return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    def _valid(
        self, values: Float32[np.ndarray, "b t d"], start: int
    ) -> tuple[Bool[np.ndarray, "b t"], Bool[np.ndarray, "b t"]]:
        """Which frames lie inside the stated lengths, and which of them are valid."""
        observed = (values != 0).any(axis=2)
        inside = np.ones_like(observed)
        if self.lengths is not None:
            stated = self.lengths[start : start + len(values)]
            inside = np.arange(values.shape[1]) < stated[:, None]
        self.facts.beyond += int((observed & ~inside).sum())
        return inside, observed & inside

    def _count(self, real: Bool[np.ndarray, " t"], steps: int, stated: int) -> None:
        kept = int(real.sum())
        self.facts.kept += kept
        self.facts.dropped += (stated if self.lengths is not None else steps) - kept
        self.facts.silent += not kept
        self.facts.samples += 1
        self.facts.steps += steps
        self.facts.max_steps = max(self.facts.max_steps, steps)


@dataclass(frozen=True, kw_only=True)
class OfficialSplit:
    """One split: what stands beside the frames is in memory, the frames are in the file."""

    ids: list[str]
    texts: list[str]
    labels: list[float]
    audio: Frames
    vision: Frames
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.ids)


def read_split(data: object, benchmark: Benchmark, where: str) -> OfficialSplit:
    """Check one split of an official file; `where` names the file and the split.

    Raises:
        DataError: a key is missing, sizes do not agree, a text is no text, or a label is none.
    """
    if not isinstance(data, dict):
        raise DataError(f"{where} is no dictionary; {_check(benchmark)}")
    missing = [key for key in _NEEDED if key not in data]
    if missing:
        raise DataError(f"{where} has no key {', '.join(missing)}; {_check(benchmark)}")
    for key in _NEEDED:
        if not isinstance(data[key], FileArray | list | tuple):
            raise DataError(f"{where}: {key} is no array or list; {_check(benchmark)}")
    sizes = {key: len(data[key]) for key in _NEEDED}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise DataError(f"{where} has unequal numbers of samples ({listed}); {_check(benchmark)}")
    if not sizes["id"]:
        raise DataError(f"{where} is empty; {_check(benchmark)}")
    ids = _texts(data["id"], f"{where}: id")
    warnings: list[str] = []
    frames = {
        modality: _frames(data, modality, benchmark, where, ids, warnings)
        for modality in ("audio", "vision")
    }
    return OfficialSplit(
        ids=ids,
        texts=_texts(data["raw_text"], f"{where}: raw_text"),
        labels=_labels(data["regression_labels"], benchmark, where, ids),
        warnings=tuple(warnings),
        **frames,
    )


def _check(benchmark: Benchmark) -> str:
    return f"check that it is {benchmark.name}'s official file"


def _texts(column: Any, where: str) -> list[str]:
    texts = column.read().tolist() if isinstance(column, FileArray) else list(column)
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not _is_unicode(text):
            raise DataError(f"{where} of sample {number} is no text; take the official file")
    return texts


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _labels(column: Any, benchmark: Benchmark, where: str, ids: list[str]) -> list[float]:
    low, high = benchmark.label_range
    labels = []
    for name, value in zip(ids, _numbers(column, f"{where}: regression_labels"), strict=True):
        if not low <= value <= high:  # also where it is NaN
            raise DataError(
                f"{where}: {name}: label {value:g} is outside {benchmark.name}'s range "
                f"[{low:g}, {high:g}]; {_check(benchmark)}"
            )
        labels.append(_shortest(value))
    return labels


def _shortest(value: float) -> float:
    """The shortest decimal of a single-precision number: 0.4 for 0.4000000059604645."""
    single = np.float32(value)
    return (float(str(single)) if float(single) == value else value) + 0.0  # no minus zero


def _numbers(column: Any, where: str) -> list[float]:
    values = column.read().reshape(-1).tolist() if isinstance(column, FileArray) else list(column)
    if len(values) != len(column):
        raise DataError(f"{where} has {len(values)} numbers for {len(column)} samples; check it")
    for number, value in enumerate(values):
        plain = isinstance(value, int | float | np.integer | np.floating)
        if not plain or (isinstance(value, int) and value.bit_length() > 63):
            raise DataError(f"{where} of sample {number} is no number; take the official file")
    return [float(value) for value in values]


def _frames(
    data: dict[Any, Any],
    modality: str,
    benchmark: Benchmark,
    where: str,
    ids: list[str],
    warnings: list[str],
) -> Frames:
    array = data[modality]
    dims = getattr(benchmark, f"{modality}_dims")
    most = getattr(benchmark, f"{modality}_steps")
    if not isinstance(array, FileArray) or array.dtype.kind not in "fiu":
        raise DataError(f"{where}: {modality} is no array of numbers; {_check(benchmark)}")
    if len(array.shape) != 3 or array.shape[2] != dims:
        raise DataError(
            f"{where}: {modality} has shape {array.shape}, not (samples, steps, {dims}); "
            f"{_check(benchmark)}"
        )
    if array.shape[1] > most:
        raise DataError(
            f"{where}: {modality} has {array.shape[1]} steps, {benchmark.name} has at most {most}; "
            f"{_check(benchmark)}"
        )
    stated = data.get(f"{modality}_lengths")
    if stated is None:
        return Frames(array, None)
    return Frames(array, _lengths(stated, array, f"{where}: {modality}_lengths", ids, warnings))


def _lengths(
    column: Any, array: FileArray, where: str, ids: list[str], warnings: list[str]
) -> Int64[np.ndarray, " samples"]:
    if not isinstance(column, FileArray | list | tuple) or len(column) != len(array):
        raise DataError(f"{where} does not have a number for each sample; take the official file")
    lengths = _numbers(column, where)
    for name, length in zip(ids, lengths, strict=True):
        if not (math.isfinite(length) and length >= 0 and length == int(length)):
            raise DataError(f"{where}: {name}: {length:g} is no length; take the official file")
    steps = array.shape[1]
    over = sum(length > steps for length in lengths)
    if over:
        key = where.rpartition(": ")[2]
        warnings.append(f"{over} of {key} exceed the {steps} steps that there are; cut to them")
    return np.array([min(length, steps) for length in lengths], np.int64)
