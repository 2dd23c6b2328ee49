"""MOSEI at full size: `python -m tests.benchmarks.full_size DIR --steps 50`.

A file of the official form is written (16,326 / 1,871 / 4,659 samples, the real texts and labels,
noise of the official shapes, see `official_shapes.py`), prepared, and trained on for some steps of
the preset `mosei` with all-MiniLM-L6-v2: first the search for neighbours in all training samples,
then steps with companions. Printed are seconds, the store's size and the peak of memory of each
part. DIR needs 8 GB, of which the file of 5 GB is removed at the end; writing it takes 7 GB of
memory.
"""

import argparse
import contextlib
import pickle
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.records import FeatureSequence
from dashfusion_models.store import Store
from dashfusion_models.weights import locate
from dashfusion_training.benchmarks import SPLITS, benchmark
from dashfusion_training.config import changed, read_preset
from dashfusion_training.train import Training, train
from dashfusion_training.watch import Unwatched
from tests.benchmarks.official_shapes import samples
from tests.benchmarks.peak import peak_of

MOSEI = benchmark("mosei")
STATES = 4  # of a parameter, 4 bytes each: its value, its gradient, Adam's two means


def write_file(path: Path) -> None:
    """Write the official file, padded as it is published."""
    data = {}
    for split in SPLITS:
        features, labels = samples("mosei", split)
        data[split] = {
            "raw_text": [sample.text for sample in features],
            "audio": _padded([s.audio for s in features], MOSEI.audio_steps),
            "vision": _padded([s.vision for s in features], MOSEI.vision_steps),
            "audio_lengths": [len(s.audio.real) for s in features if s.audio is not None],
            "vision_lengths": [len(s.vision.real) for s in features if s.vision is not None],
            "id": [f"{split}{k // 7:05d}$_${k % 7}" for k in range(len(labels))],
            "regression_labels": labels,
        }
    with path.open("wb") as file:
        pickle.dump(data, file, protocol=4)


def _padded(sequences: list[FeatureSequence | None], steps: int) -> np.ndarray:
    found = [s.values for s in sequences if s is not None]
    padded = np.zeros((len(found), steps, found[0].shape[1]), np.float32)
    for row, values in zip(padded, found, strict=True):
        row[: len(values)] = values
    return padded


class _Stop(Exception):
    """Enough steps were seen."""


class _Steps(Unwatched):
    """Times the search before the first step and the steps after it."""

    def __init__(self, steps: int) -> None:
        self.steps, self.began = steps, time.perf_counter()
        self.times: list[float] = []

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) > self.steps:
            raise _Stop


def train_some(folder: Path, steps: int) -> None:
    """Train in `folder`/run for some steps; print what they took."""
    config = changed(read_preset("mosei"), {"text_encoder": "minilm"})
    watch = _Steps(steps)
    training = Training(
        config=config,
        stores={"mosei": Store(folder / "store")},
        output=folder / "run",
        resume=False,
        device=torch.device("cpu"),
        offline=True,
        watch=watch,
    )
    with contextlib.suppress(_Stop):
        train(training)
    first, last = watch.times[0], watch.times[-1]
    print(f"until the first step, the search in it: {first - watch.began:.0f} s")
    print(f"a step: {(last - first) / steps:.2f} s, mean of {steps}")


def main() -> None:
    """Write, prepare, train; each part in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--train-only", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train_only:
        train_some(asked.folder, asked.steps)
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    file, store = asked.folder / "unaligned_50.pkl", asked.folder / "store"
    print(f"{platform.platform()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    if not store.exists():
        write_file(file)
        print(f"file: {file.stat().st_size / 1e9:.1f} GB")
        prepare = ("-m", "dashfusion_cli", "data", "prepare", "mosei", str(file))
        seen = peak_of([sys.executable, *prepare, "--output", str(store), "-q"])
        file.unlink()
        size = sum(path.stat().st_size for path in store.iterdir()) / 1e9
        print(
            f"data prepare: {seen.seconds:.0f} s, peak {_mb(seen.peak_bytes)}, store {size:.1f} GB"
        )
    again = ("-m", "tests.benchmarks.full_size", str(asked.folder), "--train-only")
    seen = peak_of([sys.executable, *again, "--steps", str(asked.steps)])
    model = _model_bytes()
    print(seen.out, end="")
    print(f"training: peak {_mb(seen.peak_bytes)}, {_mb(model)} of it weights, gradients and Adam")


def _mb(count: float) -> str:
    return f"{count / 2**20:,.0f} MB"


def _model_bytes() -> int:
    """Of MiniLM's parameters; those of the rest are few."""
    return STATES * (locate("minilm", offline=True) / "model.safetensors").stat().st_size


if __name__ == "__main__":
    main()
