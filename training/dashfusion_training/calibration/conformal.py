"""The parts of a calibration, fitted on held-out scores: pure functions of arrays.

Source: split conformal prediction (Vovk et al. 2005; Lei et al. 2018). Groups and the rules for the
thresholds are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dashfusion_models.calibration import (
    LEVEL,
    MINIMUM,
    Grouping,
    Width,
    file_chain,
    present_in,
)
from dashfusion_training.calibration.held_out import Predictions

__all__ = [
    "WholeFile",
    "conformal_half_width",
    "disagreement_above",
    "fit_grouping",
    "fit_overall",
    "fit_widths",
    "like_in_use",
    "rise_below",
    "whole_files",
    "with_words",
]

RISE = 1.15  # times the error above a threshold is a noticeable error below it
NOISE = 2.0
EACH_SIDE = 20  # utterances, at least, of a threshold
CONFIDENCES = tuple(k / 20 for k in range(1, 20))
SECONDS = tuple(k / 4 for k in range(1, 21))
FALSE_ALARMS = 0.1
LEAST_DISAGREEMENT = 0.1  # on [-3, 3]: scores below it are too small to speak of

Numbers = Float[np.ndarray, " n"]


def conformal_half_width(residuals: Numbers, level: float = LEVEL) -> float | None:
    """The ceil((n + 1) * level)-th smallest absolute residual; None where n is too small for it.

    An interval of that half-width holds the next label with at least the chance `level`, whatever
    the distribution, where it is exchangeable with these.
    """
    n = len(residuals)
    rank = math.ceil((n + 1) * level - 1e-9)  # 35 * 0.8 is 28.000000000000004
    return float(np.sort(np.abs(residuals))[rank - 1]) if 1 <= rank <= n else None


def like_in_use(found: Predictions, minimum: int = MINIMUM) -> Bool[np.ndarray, " n"]:
    """True for the scores that are like those of a user's files.

    Of a combination that has at least `minimum` recognised texts, given texts are left out: a
    recogniser errs, and a network that reads its errors does worse.
    """
    present = np.array(found.present, np.str_)
    keep = np.ones(len(found), np.bool_)
    for name in set(found.present):
        of_it = present == name
        if int(found.recognised[of_it].sum()) >= minimum:
            keep &= ~of_it | found.recognised
    return keep


def fit_grouping(found: Predictions, score: Numbers, label_range: tuple[float, float]) -> Grouping:
    """Borders that halve what is there: the median number of words, the median strength."""
    middle = sum(label_range) / 2
    known = found.words[np.isfinite(found.words)]
    return Grouping(
        short_words=int(np.median(known)) if len(known) else 0,
        weak=float(np.median(np.abs(score - middle))),
        middle=middle,
    )


def fit_widths(
    found: Predictions, score: Numbers, grouping: Grouping, level: float = LEVEL
) -> dict[str, Width]:
    """The half-width of every group that is large enough for the level (four, for 80 %)."""
    members: dict[str, list[int]] = {}
    for row, (words, name) in enumerate(zip(found.n_words(), found.present, strict=True)):
        for group in grouping.chain(float(score[row]), name, words):
            members.setdefault(group, []).append(row)
    residuals = found.label - score
    return _widths({name: residuals[rows] for name, rows in members.items()}, level)


@dataclass(frozen=True)
class WholeFile:
    """The means over a video's utterances, weighted by duration, and how many there are."""

    score: float
    label: float
    n_segments: int


def whole_files(found: Predictions, score: Numbers) -> list[WholeFile]:
    """The videos of two or more utterances; each utterance counts once, from all that it has.

    The weights are equal in a video where a duration is unknown or 0.
    """
    videos: dict[str, list[int]] = {}
    for row in np.flatnonzero(found.fullest()):
        if found.video[row]:
            videos.setdefault(found.video[row], []).append(int(row))
    files = []
    for rows in videos.values():
        weights = found.duration_s[rows]
        if not (weights > 0).all():
            weights = np.ones(len(rows))
        if len(rows) > 1:
            of_score, of_label = (
                np.average(x[rows], weights=weights) for x in (score, found.label)
            )
            files.append(WholeFile(float(of_score), float(of_label), len(rows)))
    return files


def with_words(found: Predictions) -> Bool[np.ndarray, " n"]:
    """True for the scores that words are part of."""
    return np.array([present_in(name).text for name in found.present], np.bool_)


def fit_overall(
    files: Sequence[WholeFile], level: float = LEVEL, *, words: bool = True
) -> dict[str, Width]:
    """The half-widths for whole files, by how many utterances they have, and for all of them.

    `words`: they were scored with their words.
    """
    members: dict[str, list[float]] = {}
    for file in files:
        for name in file_chain(file.n_segments, words=words):
            members.setdefault(name, []).append(file.label - file.score)
    return _widths({name: np.array(some) for name, some in members.items()}, level)


def rise_below(
    values: Numbers, residuals: Numbers, candidates: Sequence[float], minimum: int = MINIMUM
) -> float | None:
    """The threshold where the mean |residual| rises most clearly, by most of its standard errors.

    Below it, the mean is RISE times that above, or more. The difference is more than NOISE of its
    standard errors, and at least EACH_SIDE values lie on either side: else chance alone would raise
    one in three. None where there is no such threshold, or fewer than `minimum` values are known
    (not NaN).
    """
    known = np.isfinite(values)
    if known.sum() < minimum:
        return None
    error, values = np.abs(residuals[known]), values[known]
    best, clearest = None, NOISE
    for threshold in candidates:
        below = values < threshold
        if min(below.sum(), (~below).sum()) < EACH_SIDE:
            continue
        bad, good = error[below], error[~below]
        noise = math.sqrt(bad.var(ddof=1) / len(bad) + good.var(ddof=1) / len(good))
        rise = float(bad.mean() - good.mean())
        clear = rise / noise if noise else math.copysign(math.inf, rise)
        if rise > 0 and rise >= (RISE - 1) * good.mean() and clear > clearest:
            best, clearest = threshold, clear
    return best


def disagreement_above(
    alone: Float[np.ndarray, "k modalities"], minimum: int = MINIMUM
) -> float | None:
    """The smallest threshold, in hundredths, that at most FALSE_ALARMS of agreeing samples reach.

    `alone` are the scores on [-3, 3] from each modality by itself. A sample reaches what its most
    positive and its most negative both reach. None where there are fewer than `minimum` samples.
    """
    n = len(alone)
    if n < minimum:
        return None
    reached = np.sort(np.minimum(alone.max(axis=1), -alone.min(axis=1)))[::-1]
    first_spared = float(reached[math.floor(FALSE_ALARMS * n)])
    return max(LEAST_DISAGREEMENT, (math.floor(first_spared * 100 + 1e-9) + 1) / 100)


def _widths(residuals: Mapping[str, Numbers], level: float) -> dict[str, Width]:
    halves = {name: conformal_half_width(some, level) for name, some in residuals.items()}
    return {
        name: Width(half=half, n=len(residuals[name]))
        for name, half in sorted(halves.items())
        if half is not None
    }
