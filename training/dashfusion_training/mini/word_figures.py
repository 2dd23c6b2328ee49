"""The figures of a checkpoint's words on test splits, part by part into one JSON.

    python -m dashfusion_training.mini.word_figures --checkpoint FILE --stores FOLDER --data DATA
        --output FILE.json [--only mosi mosei goemotions] [--force]

Words are read with what was said before them; the scores are those of the network, and `shown` is
what the calibration makes of one. A part is written as soon as it is measured, and one that the
file has of the same checkpoint is not measured again: the command goes on where it was stopped.

* `mosi`, `mosei`: the metrics of the official test splits, as written and in lower case without
  punctuation; how far scores go where labels are at one of the ends.
* `goemotions`: comments of one clear sign by their area under the curve, neutral ones by the mean
  size of their score; which these are is read from DATA.

Intervals are 95 % bootstrap intervals over videos, or over comments.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.calibration import straightened
from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import DataError
from dashfusion_training.commands import exit_code
from dashfusion_training.files import first_line, write_whole
from dashfusion_training.metrics import area_under_curve
from dashfusion_training.mini.bench import Bench, Measured, open_bench
from dashfusion_training.mini.figures import written_and_bare
from dashfusion_training.mini.recipe import GOEMOTIONS_SCORES, goemotions
from dashfusion_training.mini.tables import measured_table
from dashfusion_training.samples import Sample

__all__ = ["PARTS", "comments", "main", "measure", "reviews"]

SCHEMA = "dashfusion/word-figures/1"
PARTS = {"mosi": "mosi_text", "mosei": "mosei_text", "goemotions": "goemotions"}  # their stores
END = 2.5  # labels at least this far from 0 are at an end of [-3, 3]
CLEAR = 0.5  # an emotion whose score is at least this far from 0 has a sign

Scores = Float[np.ndarray, " n"]


def reviews(bench: Bench, source: str) -> Iterator[Measured]:
    """Yield what a benchmark's test texts show, and how far their scores go at both ends."""
    samples = bench.samples(source)
    plain = bench.scores(samples, ("text",))
    yield from written_and_bare(bench, samples, plain)
    label = np.array([sample.label for sample in samples])
    for side, what in ((1, f"labels from {END:g} up"), (-1, f"labels from {-END:g} down")):
        there = np.flatnonzero(side * label >= END)
        if len(there):
            yield _reached(what, side, [samples[i] for i in there], plain[there], bench.checkpoint)


def comments(bench: Bench, data: Path) -> Iterator[Measured]:
    """Yield how well comments of one clear sign are told apart, and the size of neutral scores.

    Raises:
        DataError: the data set cannot be read, or is not the one that the store was made of.
    """
    samples = bench.samples("goemotions")
    emotions = _emotions(data)
    unknown = [sample.row.id for sample in samples if sample.row.id not in emotions]
    if unknown:
        raise DataError(f"{data}: has no comment {unknown[0]}; give the data of the store")
    predicted = bench.scores(samples, ("text",))
    signs = np.array([_sign_of(emotions[sample.row.id]) for sample in samples])
    neutral = np.array([emotions[sample.row.id] == ("neutral",) for sample in samples])
    for what, kept, metrics in (
        ("comments of one clear sign", np.flatnonzero(signs), {"auc": _auc, "mean_size": _size}),
        ("neutral comments", np.flatnonzero(neutral), {"mean_size": _size}),
    ):
        chosen = [replace(samples[i], label=float(signs[i])) for i in kept]
        if chosen:
            yield Measured.of(what, chosen, predicted[kept], metrics)


def measure(bench: Bench, part: str, data: Path | None) -> list[Measured]:
    """Measure one of PARTS.

    Raises:
        CheckpointError: it was made for other features, or gives no numbers.
        DataError: its store or its data are not there.
    """
    if not bench.has(PARTS[part]):
        raise DataError(f"{PARTS[part]}: no such store with a test split; give --only the others")
    if part != "goemotions":
        return list(reviews(bench, PARTS[part]))
    if data is None:
        raise DataError("goemotions: which comments are neutral is not known; give --data")
    return list(comments(bench, data))


def _reached(
    what: str, side: int, samples: Sequence[Sample], scores: Scores, checkpoint: Checkpoint
) -> Measured:
    """Mean label, mean score as it is and as it is shown, and the score that goes farthest."""
    found = Measured.of(
        what,
        samples,
        scores,
        {
            "label": lambda label, score: float(label.mean()),
            "score": lambda label, score: float(score.mean()),
            "farthest": lambda label, score: side * float((side * score).max()),
        },
    )
    lines = checkpoint.calibration.lines if checkpoint.calibration else {}
    shown = [straightened(float(s), "text", lines, checkpoint.label_range) for s in scores]
    return replace(found, values={**found.values, "shown": float(np.mean(shown))})


def _emotions(data: Path) -> dict[str, tuple[str, ...]]:
    """The emotions of each test comment by its id."""
    try:
        return {name: emotions for name, _, emotions in goemotions(data, "test")}
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"{data}: holds no GoEmotions that can be read ({first_line(error)}); give the folder "
            "that has `goemotions`"
        ) from error


def _sign_of(emotions: Sequence[str]) -> int:
    """1 or -1 where every emotion of a comment has that sign, else 0."""
    signs = {
        int(np.sign(score)) if abs(score := GOEMOTIONS_SCORES[emotion]) >= CLEAR else 0
        for emotion in emotions
    }
    return signs.pop() if len(signs) == 1 else 0


def _auc(label: Scores, score: Scores) -> float | None:
    return area_under_curve(label > 0, score)


def _size(label: Scores, score: Scores) -> float:
    return float(np.abs(score).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is not measured yet, write and print it; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--stores", type=Path, required=True, help="a folder of stores")
    parser.add_argument("--data", type=Path, help="the folder that has `goemotions`")
    parser.add_argument("--output", type=Path, required=True, help="the JSON")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--force", action="store_true", help="measure again what is there")
    asked = parser.parse_args(arguments)
    return exit_code(lambda: _run(asked))


def _run(asked: argparse.Namespace) -> None:
    bench = open_bench(asked.checkpoint, asked.stores, torch.device("cpu"))
    about = {"schema": SCHEMA, "checkpoint": bench.checkpoint.name}
    about["sha256"] = bench.checkpoint.sha256
    parts = _measured_before(asked.output, about)
    for part in asked.only:
        if part in parts and not asked.force:
            continue
        rows = measure(bench, part, asked.data)
        parts[part] = [row.to_dict() for row in rows]
        write_whole(asked.output, json.dumps({**about, "parts": parts}, indent=1) + "\n")
        print(f"{part}:\n\n{measured_table(rows)}\n", flush=True)


def _measured_before(output: Path, about: Mapping[str, str]) -> dict[str, Any]:
    """The parts that the file has already.

    Raises:
        DataError: it is none of ours, or of another checkpoint.
    """
    if not output.exists():
        return {}
    try:
        found = json.loads(output.read_text("utf-8"))
        parts = dict(found["parts"])
        same = {key: found[key] for key in ("schema", "sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{output}: is no file of figures; give another name") from error
    if same != {key: about[key] for key in same}:
        raise DataError(f"{output}: has figures of another checkpoint; give another name")
    return parts


if __name__ == "__main__":
    sys.exit(main())
