"""The three benchmarks as data: shapes, sizes and fingerprints of their official feature files.

Shapes, label ranges and the counts of table I: METHOD.md section 6; fingerprints: section 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dashfusion_models.errors import DataError

__all__ = ["BENCHMARKS", "SPLITS", "Benchmark", "benchmark"]

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What the official feature file of one benchmark holds, and how to know it.

    `title` is what papers call it, `name` what files and options call it.
    `counts` are the samples of each split in the paper's table I; `sha256` is that of the
    published file, called `file_name` where it is published; `home` says where that is.
    """

    name: str
    title: str
    label_range: tuple[float, float]
    audio_dims: int
    audio_steps: int
    vision_dims: int
    vision_steps: int
    counts: Mapping[str, int]
    sha256: str
    file_name: str
    home: str


def _home(folder: str, file_name: str) -> str:
    return (
        f"{folder}/Processed/{file_name} in the shared folder of data sets that the README of "
        "the MMSA project (thuiar/MMSA on GitHub) links to"
    )


def _counts(train: int, valid: int, test: int) -> Mapping[str, int]:
    return MappingProxyType({"train": train, "valid": valid, "test": test})


_ROWS = (
    Benchmark(
        name="mosi",
        title="MOSI",
        label_range=(-3.0, 3.0),
        audio_dims=5,
        audio_steps=375,
        vision_dims=20,
        vision_steps=500,
        counts=_counts(1284, 229, 686),
        sha256="78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524",
        file_name="unaligned_50.pkl",
        home=_home("MOSI", "unaligned_50.pkl"),
    ),
    Benchmark(
        name="mosei",
        title="MOSEI",
        label_range=(-3.0, 3.0),
        audio_dims=74,
        audio_steps=500,
        vision_dims=35,
        vision_steps=500,
        counts=_counts(16326, 1871, 4659),
        sha256="ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f",
        file_name="unaligned_50.pkl",
        home=_home("MOSEI", "unaligned_50.pkl"),
    ),
    Benchmark(
        name="sims",
        title="CH-SIMS",
        label_range=(-1.0, 1.0),
        audio_dims=33,
        audio_steps=400,
        vision_dims=709,
        vision_steps=55,
        counts=_counts(1368, 456, 457),
        sha256="c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f",
        file_name="unaligned_39.pkl",
        home=_home("SIMS", "unaligned_39.pkl"),
    ),
)
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({row.name: row for row in _ROWS})


def benchmark(name: str) -> Benchmark:
    """Return the benchmark called `name`.

    Raises:
        DataError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise DataError(f"{name}: is no benchmark; known are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
