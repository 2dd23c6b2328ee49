"""Small files of MOSI's official form, to be changed at will."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashfusion_models.records import Progress
from dashfusion_training.benchmarks import benchmark
from dashfusion_training.official.prepare import Prepared, prepare
from tests.training.official.form import official_split

MOSI = benchmark("mosi")
Data = dict[str, dict[str, Any]]


def quiet(event: Progress) -> None: ...


def make(path: Path, change: Callable[[Data], object] = lambda data: None) -> Path:
    """A small file of MOSI's form, changed."""
    data = {
        split: official_split(MOSI, split, 4, seed=1, kind="sum")
        for split in ("train", "valid", "test")
    }
    change(data)
    path.write_bytes(pickle.dumps(data, 4))
    return path


def prepared(path: Path, change: Callable[[Data], object] = lambda data: None) -> Prepared:
    return prepare(MOSI, make(path / "file.pkl", change), path / "store", quiet)
