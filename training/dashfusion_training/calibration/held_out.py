"""Raw scores of samples that the network did not learn from, and what is known of each.

They come from a checkpoint over samples, or from a CSV that cross-validation wrote. A calibration
is fitted on them, and its coverage is measured on others of the same form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from dashfusion_models.calibration import COMBINATIONS, combination_of, count_words, present_in
from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import DataError
from dashfusion_models.records import MODALITIES, Features, Modality, Progress
from dashfusion_training.datasets import Dataset, Sample, sign_of
from dashfusion_training.files import read_table
from dashfusion_training.missing import subset_cases
from dashfusion_training.predict import predict_each

__all__ = [
    "BELOW",
    "COLUMNS",
    "Predictions",
    "agreeing_scores",
    "join",
    "predictions_of",
    "read_predictions",
]

COLUMNS = (
    "id", "label", "prediction", "modalities", "words", "video_id", "confidence", "duration_s",
)  # fmt: skip
BELOW = ("text", "text+audio")
AGREEING = 400  # composed samples: enough to tell one in ten

Numbers = Float[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """`n` raw scores with labels; a sample has one for each combination it was scored from.

    `present` names the combination (COMBINATIONS). `below` are the raw scores of the sample from
    BELOW. `words` is NaN where there is no text; `below`, `confidence` (mean probability of the
    words) and `duration_s` (seconds) where they are unknown; `video` is empty where it is unknown.
    `recognised`: the text is as a recogniser wrote it.
    """

    id: tuple[str, ...]
    label: Numbers
    raw: Numbers
    below: Float[np.ndarray, "n 2"]
    present: tuple[str, ...]
    words: Numbers
    video: tuple[str, ...]
    confidence: Numbers
    duration_s: Numbers
    recognised: Bool[np.ndarray, " n"]

    def __len__(self) -> int:
        """Number of scores."""
        return len(self.id)

    def rows(self, keep: Bool[np.ndarray, " n"]) -> Predictions:
        """Some of them, in their order."""

        def kept(values: Any) -> Any:
            if isinstance(values, np.ndarray):
                return values[keep]
            return tuple(value for value, here in zip(values, keep, strict=True) if here)

        return Predictions(**{f.name: kept(getattr(self, f.name)) for f in fields(self)})

    def n_words(self) -> list[int | None]:
        """The number of words of each; None where there is no text."""
        return [None if math.isnan(count) else int(count) for count in self.words]

    def fullest(self) -> Bool[np.ndarray, " n"]:
        """True for the one score of each sample that comes from most modalities."""
        best: dict[str, int] = {}
        size = [name.count("+") for name in self.present]
        for row, name in enumerate(self.id):
            if name not in best or size[row] > size[best[name]]:
                best[name] = row
        keep = np.zeros(len(self), np.bool_)
        keep[list(best.values())] = True
        return keep


def join(parts: Sequence[Predictions]) -> Predictions:
    """Several as one, in their order."""

    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if isinstance(values[0], np.ndarray):
            return np.concatenate(values)
        return tuple(value for some in values for value in some)

    return Predictions(**{f.name: joined(f.name) for f in fields(Predictions)})


def predictions_of(
    checkpoint: Checkpoint,
    samples: Dataset,
    *,
    device: torch.device,
    report: Callable[[Progress], None] = lambda event: None,
) -> Predictions:
    """Score every sample from every combination of the modalities that it has.

    A text counts as recognised where the store knows its language: extraction notes that only of
    speech.
    """
    checkpoint.network.to(device)
    here = [frozenset(m for m in checkpoint.modalities if s.has(m)) for s in samples]
    cases = [
        (kept, change)
        for kept, change in subset_cases(checkpoint.modalities)
        if any(set(kept) <= has for has in here)
    ]
    scores = predict_each(
        checkpoint.network,
        checkpoint.collate,
        samples,
        [change for _, change in cases],
        device=device,
        modalities=checkpoint.modalities,
        report=report,
    )
    found = [
        _of_sample(sample, kept, float(raw))
        for (kept, _), row in zip(cases, scores, strict=True)
        for sample, has, raw in zip(samples, here, row, strict=True)
        if set(kept) <= has
    ]
    return _stacked(found)


def agreeing_scores(
    checkpoint: Checkpoint,
    samples: Dataset,
    *,
    device: torch.device,
    report: Callable[[Progress], None] = lambda event: None,
) -> Float[np.ndarray, "k 3"] | None:
    """Raw scores of samples composed to agree, from the text, the voice and the face alone.

    A text gets the voice and the face of two samples whose labels have its sign (as the training
    composes; 0 is a sign too). None where nothing can be composed.
    """
    if checkpoint.modalities != MODALITIES:
        return None
    composed = _composed(samples)
    if not composed:
        return None
    changes = dict(subset_cases(MODALITIES))
    scores = predict_each(
        checkpoint.network.to(device),
        checkpoint.collate,
        composed,
        [changes[(m,)] for m in MODALITIES],
        device=device,
        report=report,
    )
    return scores.T


def read_predictions(path: Path, label_range: tuple[float, float]) -> Predictions:
    """Read raw scores from a CSV with COLUMNS, a line for each sample and combination.

    `modalities` are joined by commas or "+". `words` is needed where text is among them; a text
    counts as recognised where it has a confidence. The last three may be empty.

    Raises:
        DataError: the file cannot be read, a column is missing, or a value makes no sense.
    """
    table = read_table(path)
    if not table:
        raise DataError(f"{path}: has no rows; give the columns {', '.join(COLUMNS)}")
    missing = [name for name in COLUMNS if name not in table[0]]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]!r}; add it")
    return _stacked(
        [
            _of_line(values, path.stem, f"{path}: line {number}", label_range)
            for number, values in enumerate(table, start=2)
        ]
    )


@dataclass(frozen=True, kw_only=True)
class _Composed(Sample):
    """A sample with the voice and the face of two others."""

    voice: Sample
    face: Sample

    def features(self) -> Features:
        voice, face = self.voice.features().audio, self.face.features().vision
        return replace(super().features(), audio=voice, vision=face)


def _composed(samples: Dataset) -> list[Sample]:
    draw = np.random.default_rng(0)
    by_sign: dict[tuple[Modality, int], list[Sample]] = {}
    for sample in samples:
        for modality in MODALITIES:
            if sample.has(modality):
                by_sign.setdefault((modality, sign_of(sample.label)), []).append(sample)
    texts = [s for s in samples if s.has("text")]
    made: list[Sample] = []
    for number in draw.permutation(len(texts))[:AGREEING]:
        text = texts[int(number)]
        voices, faces = (by_sign.get((m, sign_of(text.label)), []) for m in MODALITIES[1:])
        if voices and faces:
            voice, face = (some[int(draw.integers(len(some)))] for some in (voices, faces))
            known = {f.name: getattr(text, f.name) for f in fields(Sample)}
            made.append(_Composed(**known, voice=voice, face=face))
    return made


def _of_sample(sample: Sample, kept: tuple[Modality, ...], raw: float) -> dict[str, Any]:
    row, has_text = sample.row, "text" in kept
    return {
        "id": f"{sample.source}/{row.id}",
        "label": sample.label,
        "raw": raw,
        "present": "+".join(kept),
        "words": float(count_words(row.text or "")) if has_text else math.nan,
        "video": f"{sample.source}/{row.video_id}" if row.video_id else "",
        "confidence": math.nan if row.confidence is None else row.confidence,
        "duration_s": math.nan if row.duration_s is None else row.duration_s,
        "recognised": has_text and bool(row.language),
    }


def _of_line(
    values: Mapping[str, str | None], source: str, where: str, label_range: tuple[float, float]
) -> dict[str, Any]:
    def cell(name: str) -> str:
        return (values.get(name) or "").strip()

    def number(name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        try:
            value = float(cell(name))
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            between = f" in [{low:g}, {high:g}]" if math.isfinite(high) else ""
            raise DataError(f"{where}: {name} is {cell(name)!r}; give a number{between}")
        return value

    def number_or_nan(name: str, *, high: float = math.inf) -> float:
        return number(name, low=0.0, high=high) if cell(name) else math.nan

    names = {name.strip() for name in cell("modalities").replace("+", ",").split(",")}
    present = combination_of(present_in("+".join(names)))
    if present not in COMBINATIONS or names - set(MODALITIES):
        raise DataError(
            f"{where}: modalities are {cell('modalities')!r}; use {', '.join(MODALITIES)}"
        )
    has_text = "text" in names
    confidence = number_or_nan("confidence", high=1.0) if has_text else math.nan
    return {
        "id": f"{source}/{cell('id')}",
        "label": number("label", low=label_range[0], high=label_range[1]),
        "raw": number("prediction"),
        "present": present,
        "words": number("words", low=0.0) if has_text else math.nan,
        "video": f"{source}/{cell('video_id')}" if cell("video_id") else "",
        "confidence": confidence,
        "duration_s": number_or_nan("duration_s"),
        "recognised": not math.isnan(confidence),
    }


def _stacked(scored: Sequence[Mapping[str, Any]]) -> Predictions:
    known = {(row["id"], row["present"]): row["raw"] for row in scored}
    below = [[known.get((row["id"], name), math.nan) for name in BELOW] for row in scored]
    rows = [{**row, "below": some} for row, some in zip(scored, below, strict=True)]
    texts, flags = ("id", "present", "video"), ("recognised",)

    def column(name: str) -> Any:
        values = [row[name] for row in rows]
        if name in texts:
            return tuple(values)
        return np.array(values, np.bool_ if name in flags else np.float64)

    return Predictions(**{f.name: column(f.name) for f in fields(Predictions)})
