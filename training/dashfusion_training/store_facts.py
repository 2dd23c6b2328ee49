"""What a store holds, and whether it or an official file still is what it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dashfusion_models.bounded_file import read_json
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import DataError
from dashfusion_models.records import Modality, Progress
from dashfusion_models.store import SOURCE_FILE, Row, Store
from dashfusion_training.benchmarks import BENCHMARKS, SPLITS
from dashfusion_training.official.prepare import SOURCE_FORMAT

__all__ = [
    "StoreFacts",
    "Verified",
    "describe",
    "is_of_benchmark",
    "verify",
    "verify_file",
    "verify_store",
]

Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """What a store holds. `source` is None where it was not made of a benchmark's file."""

    path: str
    samples: int
    digest: str
    splits: Mapping[str, Mapping[str, Any]]
    features: Mapping[str, Mapping[str, Any]]
    source: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Something that is what it should be; what is not is an error instead."""

    path: str
    kind: Literal["store", "file"]
    benchmark: str
    sha256: str
    shards: int | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return dict(vars(self))


def describe(folder: Path) -> StoreFacts:
    """Say what the store in `folder` holds.

    Raises:
        DataError: it is no store, or its `source.json` cannot be read.
    """
    store = Store(folder)
    source = _source(folder) if (folder / SOURCE_FILE).is_file() else None
    names = sorted({row.split for row in store.rows}, key=_usual_order)
    return StoreFacts(
        path=str(folder),
        samples=len(store),
        digest=store.digest(),
        splits={name: _split([row for row in store.rows if row.split == name]) for name in names},
        features={"audio": _features(store, "audio"), "vision": _features(store, "vision")},
        source=source,
    )


def is_of_benchmark(folder: Path) -> bool:
    """Whether `folder` is a store that was made of a benchmark's own feature file."""
    return (folder / SOURCE_FILE).is_file()


def verify(path: Path, report: Report) -> Verified:
    """Verify a store or a benchmark's file, whichever `path` is.

    Raises:
        DataError: it is not what it should be; the message says what differs.
    """
    return verify_store(path, report) if path.is_dir() else verify_file(path, report)


def verify_file(file: Path, report: Report) -> Verified:
    """Say whose published file this is, by its SHA-256.

    Raises:
        DataError: it cannot be read, or is no published file.
    """
    try:
        size = file.stat().st_size
        sha256 = sha256_of(file, lambda done: report(Progress("verify", done, size, "B")))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check its name") from error
    for row in BENCHMARKS.values():
        if row.sha256 == sha256:
            return Verified(
                path=str(file), kind="file", benchmark=row.name, sha256=sha256, shards=None
            )
    raise DataError(
        f"{file}: SHA-256 {sha256} is unknown, none of the published files of "
        f"{', '.join(BENCHMARKS)}; take it from its official place again"
    )


def verify_store(folder: Path, report: Report) -> Verified:
    """Compare every file of a prepared store with what was recorded when it was made.

    Raises:
        DataError: nothing was recorded, or a file is missing, additional or different.
    """
    if not (folder / SOURCE_FILE).is_file():
        raise DataError(
            f"{folder}: has no {SOURCE_FILE} to compare with; `data prepare` makes stores with one"
        )
    source = _source(folder)
    recorded = {"store.json": source["store_sha256"], **source["shards"]}
    there = {path.name for path in folder.glob("shard-*.safetensors")}
    for name in sorted(there - recorded.keys()):
        raise DataError(f"{folder / name}: was not there when the store was made; remove it")
    for number, (name, sha256) in enumerate(recorded.items(), start=1):
        _compare(folder / name, sha256)
        report(Progress("verify", number, len(recorded), "files"))
    return Verified(
        path=str(folder),
        kind="store",
        benchmark=source["benchmark"],
        sha256=Store(folder).digest(),
        shards=len(source["shards"]),
    )


def _compare(path: Path, recorded: str) -> None:
    try:
        found = sha256_of(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; prepare the store again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    if found != recorded:
        raise DataError(
            f"{path}: differs from what was written (SHA-256 {found}, recorded {recorded}); "
            "prepare the store again"
        )


def _source(folder: Path) -> dict[str, Any]:
    path = folder / SOURCE_FILE
    try:
        source = read_json(path)
        sound = (
            source["format"] == SOURCE_FORMAT
            and isinstance(source["benchmark"], str)
            and isinstance(source["store_sha256"], str)
            and all(Path(name).name == name for name in source["shards"])
            and all(isinstance(sha256, str) for sha256 in source["shards"].values())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read; prepare the store again") from error
    if not sound:
        raise DataError(f"{path}: has another form; prepare the store again")
    return dict(source)


def _usual_order(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)


def _split(rows: list[Row]) -> dict[str, Any]:
    numbers = [row.label for row in rows if isinstance(row.label, float | int)]
    classes = Counter(row.label for row in rows if isinstance(row.label, str))
    found: dict[str, Any] = {
        "samples": len(rows),
        "text": sum(row.text is not None for row in rows),
        "audio": sum(row.audio for row in rows),
        "vision": sum(row.vision for row in rows),
        "labels": None,
        "classes": dict(sorted(classes.items())),
    }
    if numbers:
        mean = round(float(np.mean(numbers)), 4)
        found["labels"] = {"min": min(numbers), "max": max(numbers), "mean": mean}
    return found


def _features(store: Store, modality: Modality) -> dict[str, Any]:
    spec = store.audio if modality == "audio" else store.vision
    here = np.array([getattr(row, modality) for row in store.rows], np.bool_)
    steps = store.steps(modality)[here]
    return {
        "extractor": spec.extractor,
        "version": spec.version,
        "dims": spec.dims,
        "mean_steps": round(float(steps.mean()), 2) if len(steps) else 0.0,
        "max_steps": int(steps.max()) if len(steps) else 0,
    }
