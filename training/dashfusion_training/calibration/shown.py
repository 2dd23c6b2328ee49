"""From raw scores to those that are shown: lines, fitted on held-out scores.

No caution is fitted (`dashfusion_models.calibration`): a weak voice or face counts for as much as
the network has learned. Checkpoints that were calibrated with one keep it. Source: ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float

from dashfusion_models.calibration import Line, shown_score
from dashfusion_training.calibration.held_out import BELOW, Predictions

__all__ = ["crossfitted", "fit_line", "fit_lines", "shown_scores"]

PRIOR = 20  # a line weighs as many utterances that need no straightening
FOLDS = 5

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


def crossfitted(
    found: Predictions,
    label_range: tuple[float, float],
    teaching: Bool[np.ndarray, " n"] | None = None,
) -> Numbers:
    """Shown scores, each by lines that never saw its video (its sample).

    Residuals of the lines' own data would be too small. They are fitted on the scores that are
    `teaching`, on all if None.
    """
    teaches = np.ones(len(found), np.bool_) if teaching is None else teaching
    who = [video or name for video, name in zip(found.video, found.id, strict=True)]
    fold = np.array([crc32(name.encode()) % FOLDS for name in who], np.int64)
    score = np.zeros(len(found))
    for k in range(FOLDS):
        others = found.rows(teaches & (fold != k))
        score[fold == k] = shown_scores(found.rows(fold == k), fit_lines(others), {}, label_range)
    return score
