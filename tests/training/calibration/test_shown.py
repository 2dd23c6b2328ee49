"""Scores are shown as their lines straighten them; what voice and face say is not held back."""

import math

import numpy as np

from dashfusion_training.calibrate import fit_calibration
from dashfusion_training.calibration.held_out import Predictions
from dashfusion_training.calibration.shown import (
    crossfitted,
    fit_lines,
    shown_scores,
)

RANGE = (-3.0, 3.0)
BOTH = "text+vision"


def seen(n: int, seed: int, *, truth: float, noise: float = 0.5) -> Predictions:
    """Words that err by 0.3, and a face that adds noise and `truth` of what they miss."""
    draw = np.random.default_rng(seed)
    label = draw.uniform(-2, 2, n)
    words = label + draw.normal(0, 0.3, n)
    face = draw.normal(0, noise, n) + truth * (label - words)
    names = tuple(f"{seed}-{k}" for k in range(n))
    unknown = np.full(2 * n, math.nan)
    return Predictions(
        id=names * 2,
        label=np.tile(label, 2),
        raw=np.concatenate([words, words + face]),
        below=np.stack([np.tile(words, 2), np.full(2 * n, math.nan)], axis=1),
        present=("text",) * n + (BOTH,) * n,
        words=np.full(2 * n, 9.0),
        video=tuple(f"v{k % 20}" for k in range(n)) * 2,
        confidence=unknown,
        duration_s=unknown,
        recognised=np.ones(2 * n, np.bool_),
    )


def test_a_weak_face_counts_for_as_much_as_the_network_says() -> None:
    """Nothing is held back: what is shown is the straightened score, whatever moved it."""
    found = seen(400, 1, truth=0.0)
    lines = fit_lines(found)
    shown = crossfitted(found, RANGE)
    straight = shown_scores(found, lines, {}, RANGE)
    np.testing.assert_allclose(shown, straight, atol=0.1)
    both = np.array(found.present) == BOTH
    by_hand = np.clip(lines[BOTH].slope * found.raw[both] + lines[BOTH].offset, *RANGE)
    np.testing.assert_allclose(straight[both], by_hand)


def test_no_caution_is_fitted() -> None:
    assert not fit_calibration(seen(400, 1, truth=0.0), label_range=RANGE).caution


def test_a_caution_of_an_older_calibration_is_still_heeded() -> None:
    found = seen(200, 2, truth=0.0)
    lines, both = fit_lines(found), np.array(found.present) == BOTH
    careful = shown_scores(found, lines, {"vision": 6.0}, RANGE)
    words = shown_scores(found, lines, {}, RANGE)[~both]
    np.testing.assert_allclose(careful[both], words)
