"""From raw scores to those that are shown: lines and cautions, fitted on held-out scores.

Source: ours; soft thresholding is Donoho & Johnstone's (1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float

from dashfusion_models.calibration import MINIMUM, Line, cautious, straightened
from dashfusion_training.held_out import Predictions

__all__ = ["crossfitted", "fit_caution", "fit_line", "fit_lines", "shown_scores"]

PRIOR = 20  # a line weighs as many utterances that need no straightening
FOLDS = 5
CAUTIONS = tuple(k / 20 for k in range(121))  # up to the whole of [-3, 3]

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
    """How far voice and face must move the score of the words before they count (`cautious`).

    The least at which the squared error is not above that of the words alone: what is heard and
    seen must at least do no harm. Combinations with fewer than `minimum` samples have none, nor do
    those that need none.
    """
    present, known = np.array(found.present, np.str_), np.isfinite(found.alone)
    on_six = (label_range[1] - label_range[0]) / 6.0
    fitted = {}
    for name in sorted(set(found.present) - {"text"}):
        some = found.rows((present == name) & known)
        if len(some) < minimum:
            continue
        shown, words = _straight(some, lines, label_range)

        def error(
            least: float, some: Predictions = some, x: Numbers = shown, y: Numbers = words
        ) -> float:
            kept = [cautious(one, alone, least) for one, alone in zip(x, y, strict=True)]
            return float(((np.array(kept) - some.label) ** 2).mean())

        of_words = float(((words - some.label) ** 2).mean())
        least = next(k * on_six for k in CAUTIONS if error(k * on_six) <= of_words + 1e-12)
        if least:
            fitted[name] = least
    return fitted


def shown_scores(
    found: Predictions,
    lines: Mapping[str, Line],
    caution: Mapping[str, float],
    label_range: tuple[float, float],
) -> Numbers:
    """The scores that a user would be shown for these raw ones."""
    shown, words = _straight(found, lines, label_range)
    least = [caution.get(name, 0.0) for name in found.present]
    return np.array(
        [
            cautious(float(x), float(y), t) if t else float(x)
            for x, y, t in zip(shown, words, least, strict=True)
        ]
    )


def _straight(
    found: Predictions, lines: Mapping[str, Line], label_range: tuple[float, float]
) -> tuple[Numbers, Numbers]:
    """The straightened scores, and those of the same samples' words alone (NaN: not known)."""
    pairs = zip(found.raw, found.present, found.alone, strict=True)
    both = [
        (
            straightened(float(raw), name, lines, label_range),
            straightened(float(alone), "text", lines, label_range),
        )
        for raw, name, alone in pairs
    ]
    return np.array([x for x, _ in both]), np.array([y for _, y in both])


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
