"""A benchmark's official feature file becomes a store, whole or not at all.

The file is a pickle `{"train" | "valid" | "test": {...}}` (METHOD.md section 7), read by the
restricted reader of `safe_pickle`; its arrays stay on disk, 64 samples of each are in memory at a
time. `valid` and `test` may be missing and every split may have other sizes than in the paper's
table I (people train on parts): these are warnings. A split that is there and empty is an error,
and so is a missing `train`.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import DataError
from dashfusion_models.records import Features, FeatureSpec, Progress
from dashfusion_models.store import SOURCE_FILE, Row, StoreWriter
from dashfusion_training.benchmarks import SPLITS, Benchmark
from dashfusion_training.official.safe_pickle import read_pickle
from dashfusion_training.official.split import FrameFacts, OfficialSplit, read_split

__all__ = ["SOURCE_FORMAT", "Prepared", "prepare"]

SOURCE_FORMAT = "dashfusion/source/1"
_VERSION = 1  # of the way from the official frames to those of the store


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What an official file held, and what became of it.

    `counts` are the samples of each split and `expected` those of table I; `frames` has the counts
    of audio and vision for each split.
    """

    benchmark: str
    file_name: str
    sha256: str
    sha256_known: bool
    counts: Mapping[str, int]
    expected: Mapping[str, int]
    frames: Mapping[str, Mapping[str, FrameFacts]]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        frames = {
            split: {modality: facts.to_dict() for modality, facts in found.items()}
            for split, found in self.frames.items()
        }
        flat = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **flat,
            "counts": dict(self.counts),
            "expected": dict(self.expected),
            "frames": frames,
            "warnings": list(self.warnings),
        }


def prepare(
    benchmark: Benchmark, file: Path, output: Path, report: Callable[[Progress], None]
) -> Prepared:
    """Make the store `output` of an official file; `source.json` in it says from what.

    Raises:
        DataError: the file cannot be used or `output` cannot be made; then nothing is left of it.
    """
    if output.exists():
        raise DataError(f"{output}: exists already; name another folder, or remove it")
    if not file.is_file():
        raise DataError(f"{file}: no such file; {benchmark.name} is at {benchmark.home}")
    size = file.stat().st_size
    sha256 = _digest(file, lambda done: report(Progress("check", done, size, "B")))
    report(Progress("read", 0, None, "B", note="the whole file at once"))
    splits = _read(file, benchmark)
    report(Progress("read", size, size, "B"))
    beside = output.with_name(f".{output.name}.{uuid.uuid4().hex[:12]}")
    try:
        _write(splits, beside, benchmark, report)
        prepared = _prepared(splits, benchmark, file, sha256)
        _record(prepared, beside)
        beside.replace(output)
    except (OSError, SafetensorError) as error:
        fact = getattr(error, "strerror", None) or error
        raise DataError(f"{output}: cannot be written ({fact}); choose another place") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return prepared


def _digest(file: Path, told: Callable[[int], None]) -> str:
    try:
        return sha256_of(file, told)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check its rights") from error


def _read(file: Path, benchmark: Benchmark) -> dict[str, OfficialSplit]:
    """All splits of the file, checked, in the usual order."""
    data = read_pickle(file)
    if not isinstance(data, dict) or "train" not in data:
        raise DataError(
            f"{file}: has no split 'train'; check that it is {benchmark.name}'s official file"
        )
    splits = {
        name: read_split(data[name], benchmark, f"{file}: {name}")
        for name in SPLITS
        if name in data
    }
    seen: set[str] = set()
    for name, split in splits.items():
        for one in split.ids:
            if one in seen:
                raise DataError(f"{file}: {name}: id {one!a} stands twice; take the official file")
            seen.add(one)
    return splits


def _write(
    splits: Mapping[str, OfficialSplit],
    folder: Path,
    benchmark: Benchmark,
    report: Callable[[Progress], None],
) -> None:
    total, done = sum(map(len, splits.values())), 0
    specs = {
        modality: FeatureSpec(
            extractor=f"{benchmark.name} official {modality}",
            version=_VERSION,
            names=tuple(str(number) for number in range(dims)),
        )
        for modality, dims in (("audio", benchmark.audio_dims), ("vision", benchmark.vision_dims))
    }
    with StoreWriter(folder, **specs) as store:
        for name, split in splits.items():
            columns = (split.ids, split.texts, split.labels, split.audio, split.vision)
            for one, text, label, audio, vision in zip(*columns, strict=True):
                store.add(_row(one, text, label, name), Features(text, audio, vision))
                done += 1
                report(Progress("prepare", done, total, "samples"))


def _row(one: str, text: str, label: float, split: str) -> Row:
    video, _, clip = one.rpartition("$_$")
    return Row(
        id=one,
        label=label,
        split=split,
        text=text,
        audio=True,  # present also where no frame is valid
        vision=True,
        video_id=video or one,
        clip_id=clip if video else "",
    )


def _prepared(
    splits: Mapping[str, OfficialSplit], benchmark: Benchmark, file: Path, sha256: str
) -> Prepared:
    known = sha256 == benchmark.sha256
    return Prepared(
        benchmark=benchmark.name,
        file_name=file.name,
        sha256=sha256,
        sha256_known=known,
        counts={name: len(split) for name, split in splits.items()},
        expected=dict(benchmark.counts),
        frames={
            name: {"audio": split.audio.facts, "vision": split.vision.facts}
            for name, split in splits.items()
        },
        warnings=tuple(_warnings(splits, benchmark, sha256)),
    )


def _warnings(splits: Mapping[str, OfficialSplit], benchmark: Benchmark, sha256: str) -> list[str]:
    found = []
    if sha256 != benchmark.sha256:
        found.append(f"SHA-256 {sha256} is not that of {benchmark.name}'s published file")
    for name, expected in benchmark.counts.items():
        if name not in splits:
            found.append(f"there is no split {name}; table I has {expected} samples in it")
        elif len(splits[name]) != expected:
            found.append(f"{name} has {len(splits[name])} samples, table I has {expected}")
    for name, split in splits.items():
        found += [f"{name}: {warning}" for warning in split.warnings]
        for modality, frames in (("audio", split.audio), ("vision", split.vision)):
            if frames.facts.beyond:
                found.append(
                    f"{name}: {frames.facts.beyond} frames of {modality} lie beyond the stated "
                    "length of their sample; not used"
                )
    return found


def _record(prepared: Prepared, folder: Path) -> None:
    shards = {path.name: sha256_of(path) for path in sorted(folder.glob("shard-*.safetensors"))}
    source = {
        "format": SOURCE_FORMAT,
        **prepared.to_dict(),
        "store_sha256": sha256_of(folder / "store.json"),
        "shards": shards,
    }
    (folder / SOURCE_FILE).write_text(json.dumps(source, indent=1) + "\n", "utf-8")
