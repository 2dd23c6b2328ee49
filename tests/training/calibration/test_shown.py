"""Voice and face count beside words no more than held-out utterances say they should."""

import math

import numpy as np
import pytest

from dashfusion_training.calibration.held_out import Predictions
from dashfusion_training.calibration.shown import (
    HARM,
    crossfitted,
    fit_caution,
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


def squared_error(score: np.ndarray, found: Predictions, name: str) -> float:
    rows = np.array(found.present) == name
    return float(((score - found.label)[rows] ** 2).mean())


def test_a_face_that_only_disturbs_is_kept_from_doing_harm() -> None:
    found = seen(400, 1, truth=0.0)
    lines = fit_lines(found)
    caution = fit_caution(found, lines, RANGE)
    assert caution["vision"] >= 0.5  # the noise has this deviation
    bare = shown_scores(found, lines, {}, RANGE)
    careful = shown_scores(found, lines, caution, RANGE)
    assert squared_error(bare, found, BOTH) > 1.2 * squared_error(bare, found, "text")
    harmless = HARM * squared_error(bare, found, "text")
    assert squared_error(careful, found, BOTH) <= harmless + 1e-9
    # The least that does it: a twentieth less does harm.
    less = shown_scores(found, lines, {"vision": caution["vision"] - 0.05}, RANGE)
    assert squared_error(less, found, BOTH) > harmless


def test_a_face_that_tells_what_the_words_miss_is_believed() -> None:
    found = seen(400, 2, truth=1.0, noise=0.1)
    assert fit_caution(found, fit_lines(found), RANGE) == {}


def test_too_few_samples_teach_no_caution() -> None:
    found = seen(39, 3, truth=0.0)
    assert fit_caution(found, fit_lines(found), RANGE) == {}
    assert "vision" in fit_caution(found, fit_lines(found), RANGE, minimum=39)


def test_caution_is_learned_from_other_videos() -> None:
    found = seen(400, 4, truth=0.0)
    words = np.array(found.present) == "text"
    careful = crossfitted(found, RANGE)
    plain = shown_scores(found, fit_lines(found), {}, RANGE)
    assert squared_error(careful, found, BOTH) < 0.85 * squared_error(plain, found, BOTH)
    assert careful[words] == pytest.approx(plain[words], abs=0.05)
