"""From raw scores to those that are shown: lines and cautions, fitted on held-out scores.

Source: ours; soft thresholding is Donoho & Johnstone's (1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float

from dashfusion_models.calibration import MINIMUM, Line, shown_score
from dashfusion_training.calibration.held_out import BELOW, Predictions

__all__ = ["HARM", "crossfitted", "fit_caution", "fit_line", "fit_lines", "shown_scores"]

PRIOR = 20  # a line weighs as many utterances that need no straightening
FOLDS = 5
CAUTIONS = tuple(k / 20 for k in range(121))  # up to the whole of [-3, 3]
HARM = 1.005
JUDGED = {"audio": ["text+audio"], "vision": ["text+vision", "text+audio+vision"]}

Numbers = Float[np.ndarray, " n"]


def fit_line(raw: Numbers, label: Numbers) -> Line:
    """Least squares of the label on the score, mixed with the line that changes nothing.

    The fitted line weighs n / (n + PRIOR). A slope below 0 is 0, around the mean label: such a
    score says nothing, and turning it around would say that it does.
    """
    n = len(raw)
    if n < 2 or np.ptp(raw) == 0:
        return Line(n=n)
    spread = raw - raw.mean()
    slope = max(0.0, float((spread * label).sum() / (spread**2).sum()))
    offset = float(label.mean() - slope * raw.mean())
    weight = n / (n + PRIOR)
    return Line(slope=weight * slope + 1 - weight, offset=weight * offset, n=n)


def fit_lines(found: Predictions) -> dict[str, Line]:
    """A line for each combination that occurs."""
    present = np.array(found.present, np.str_)
    return {
        name: fit_line(found.raw[present == name], found.label[present == name])
        for name in sorted(set(found.present))
    }


def fit_caution(
    found: Predictions,
    lines: Mapping[str, Line],
    label_range: tuple[float, float],
    minimum: int = MINIMUM,
) -> dict[str, float]:
    """How far a voice or a face must move the score of the words before it does (`shown_score`).

    The least at which the squared error is at most HARM times that without it: what is heard and
    seen must at least do no harm, and half a percent is none on a few hundred utterances. The voice
    is judged beside words, the face beside words with and without it. One that has fewer than
    `minimum` samples, or does no harm, gets none.
    """
    present = np.array(found.present, np.str_)
    on_six = (label_range[1] - label_range[0]) / 6.0
    fitted: dict[str, float] = {}
    for modality, judged in JUDGED.items():
        some = found.rows(np.isin(present, judged) & np.isfinite(found.below[:, 0]))
        if len(some) < minimum:
            continue
        bare = _without(some, modality)
        harmless = _squared_error(shown_scores(bare, lines, fitted, label_range), some.label)
        for k in CAUTIONS:
            tried = {**fitted, modality: k * on_six}
            error = _squared_error(shown_scores(some, lines, tried, label_range), some.label)
            if error <= HARM * harmless + 1e-12:
                break
        if k:
            fitted = tried
    return fitted


def shown_scores(
    found: Predictions,
    lines: Mapping[str, Line],
    caution: Mapping[str, float],
    label_range: tuple[float, float],
) -> Numbers:
    """The scores that a user would be shown for these raw ones."""
    return np.array(
        [
            shown_score(
                dict(zip((*BELOW, name), (*map(float, below), float(raw)), strict=True)),
                name, lines, caution, label_range,
            )
            for raw, name, below in zip(found.raw, found.present, found.below, strict=True)
        ]
    )  # fmt: skip


def _without(found: Predictions, modality: str) -> Predictions:
    """The same samples, scored without one modality: all of it is in `below`."""
    names = tuple("+".join(m for m in name.split("+") if m != modality) for name in found.present)
    raw = [below[BELOW.index(name)] for name, below in zip(names, found.below, strict=True)]
    return replace(found, present=names, raw=np.array(raw))


def _squared_error(score: Numbers, label: Numbers) -> float:
    return float(((score - label) ** 2).mean())


def crossfitted(
    found: Predictions,
    label_range: tuple[float, float],
    teaching: Bool[np.ndarray, " n"] | None = None,
    minimum: int = MINIMUM,
) -> Numbers:
    """Shown scores, each by lines and cautions that never saw its video (its sample).

    Residuals of the lines' own data would be too small. They are fitted on the scores that are
    `teaching`, on all if None.
    """
    teaches = np.ones(len(found), np.bool_) if teaching is None else teaching
    who = [video or name for video, name in zip(found.video, found.id, strict=True)]
    fold = np.array([crc32(name.encode()) % FOLDS for name in who], np.int64)
    score = np.zeros(len(found))
    for k in range(FOLDS):
        others = found.rows(teaches & (fold != k))
        lines = fit_lines(others)
        caution = fit_caution(others, lines, label_range, minimum)
        score[fold == k] = shown_scores(found.rows(fold == k), lines, caution, label_range)
    return score
