"""How often the intervals of a calibration hold the label, on data that it was not fitted on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dashfusion_models.calibration import LEVEL, Calibration, Width, present_in
from dashfusion_training.calibration.conformal import whole_files, with_words
from dashfusion_training.calibration.held_out import Predictions
from dashfusion_training.calibration.shown import shown_scores

__all__ = ["Coverage", "calibrated_scores", "coverage", "coverage_of", "overall_coverage_of"]

Numbers = Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Coverage:
    """The share of `n` labels that their intervals hold, and the mean width of these.

    `std_error` is that of the share where the intervals hold exactly `level`. It counts that the
    calibration was drawn too, and takes all utterances for independent.
    """

    n: int
    share: float
    std_error: float
    mean_width: float
    level: float = LEVEL


def coverage(
    label: Numbers, low: Numbers, high: Numbers, *, n_calibration: int | float, level: float = LEVEL
) -> Coverage:
    """Count the labels inside [low, high]; the standard error is sqrt(p(1-p)(1/n_cal + 1/n)).

    A hair is allowed at the ends, for rounding.
    """
    inside = (label >= low - 1e-9) & (label <= high + 1e-9)
    error = math.sqrt(level * (1 - level) * (1 / n_calibration + 1 / len(label)))
    return Coverage(
        n=len(label),
        share=float(inside.mean()),
        std_error=error,
        mean_width=float((high - low).mean()),
        level=level,
    )


def coverage_of(calibration: Calibration, found: Predictions) -> Coverage:
    """The coverage over utterances; give one score a sample (`found.rows(found.fullest())`).

    The calibration's part of the error is that of the groups that spoke, by how often each did.
    """
    score = calibrated_scores(calibration, found)
    known = list(zip(score, found.present, found.n_words(), strict=True))
    spoke = [
        calibration.width_of(float(s), present=present_in(name), words=words)
        for s, name, words in known
    ]
    ends = [
        calibration.interval_of(float(s), present=present_in(name), words=words)
        for s, name, words in known
    ]
    return _counted(found.label, ends, spoke, calibration.level)


def overall_coverage_of(calibration: Calibration, found: Predictions) -> Coverage | None:
    """The coverage over whole files; None without a file of two utterances, or uncalibrated.

    What is scored from words in a file and what is not counts as two files.
    """
    score, worded = calibrated_scores(calibration, found), with_words(found)
    known = []
    for words in (True, False):
        rows = worded == words
        for file in whole_files(found.rows(rows), score[rows]):
            spoke = calibration.overall_width(file.n_segments, words=words)
            ends = calibration.overall_interval(file.score, file.n_segments, words=words)
            if spoke and ends:
                known.append((file.label, ends, spoke))
    if not known:
        return None
    labels, intervals, widths = zip(*known, strict=True)
    return _counted(np.array(labels), intervals, widths, calibration.level)


def calibrated_scores(calibration: Calibration, found: Predictions) -> Numbers:
    """The scores that a user would be shown for these raw ones."""
    return shown_scores(found, calibration.lines, calibration.caution, calibration.label_range)


def _counted(
    label: Numbers,
    ends: Sequence[tuple[float, float]],
    spoke: Sequence[tuple[str, Width]],
    level: float,
) -> Coverage:
    low, high = np.array(ends).T
    n_calibration = _effective([name for name, _ in spoke], {name: w.n for name, w in spoke})
    return coverage(label, low, high, n_calibration=n_calibration, level=level)


def _effective(groups: Sequence[str], sizes: Mapping[str, int]) -> float:
    """The one group that would add as much variance as these do by their shares."""
    shares = {name: count / len(groups) for name, count in Counter(groups).items()}
    return 1 / sum(share**2 / sizes[name] for name, share in shares.items())
