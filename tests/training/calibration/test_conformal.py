"""Half-widths, whole files and thresholds against values that were planted or worked by hand."""

import dataclasses
import math

import numpy as np
import pytest

from dashfusion_training.calibration.conformal import (
    CONFIDENCES,
    conformal_half_width,
    disagreement_above,
    rise_below,
    whole_files,
)
from tests.training.calibration.planted_predictions import ALL_THREE, by_group, planted


@pytest.mark.parametrize("n", range(1, 80))
def test_the_conformal_quantile_is_the_exact_one(n: int) -> None:
    residuals = np.random.default_rng(n).normal(size=n)
    rank = next(k for k in range(1, n + 2) if 5 * k >= 4 * (n + 1))  # in whole numbers
    expected = sorted(abs(float(r)) for r in residuals)[rank - 1] if rank <= n else None
    assert conformal_half_width(residuals, 0.8) == expected


def test_whole_files_by_hand() -> None:
    found = planted(6, 0, by_group).rows(np.ones(6, np.bool_))
    found = dataclasses.replace(
        found,
        id=("a", "a", "b", "c", "d", "e"),
        present=("text", ALL_THREE, "vision", "text", "text", "text"),
        label=np.array([9.0, 1.0, 2.0, 1.0, 3.0, 5.0]),
        video=("x", "x", "x", "y", "y", ""),
        duration_s=np.array([1.0, 1.0, 3.0, 2.0, math.nan, 1.0]),
    )
    first, second = whole_files(found, np.array([9.0, 0.0, 1.0, 0.0, 2.0, 5.0]))
    assert (first.score, first.label, first.n_segments) == (0.75, 1.75, 2)  # the fuller "a"
    assert (second.score, second.label, second.n_segments) == (1.0, 2.0, 2)  # a duration is unknown


def test_a_threshold_lies_where_the_error_rises() -> None:
    draw = np.random.default_rng(13)
    values = draw.uniform(0, 1, 600)
    rare = np.where(values < 0.2, 1.5, 1.0)
    assert rise_below(values, rare, CONFIDENCES) == pytest.approx(0.2)
    late = np.where((values > 0.3) & (values < 0.5), 2.0, 1.0)
    assert rise_below(values, late, CONFIDENCES) == pytest.approx(0.5)
    many = draw.uniform(0, 1, 6000)
    noisy = np.where(many < 0.2, 1.5, 1.0) * draw.normal(size=6000)
    assert rise_below(many, noisy, CONFIDENCES) == pytest.approx(0.2, abs=0.051)
    assert rise_below(values, np.ones(600), CONFIDENCES) is None
    assert rise_below(values, 1 + values, CONFIDENCES) is None
    known = np.where(np.arange(600) < 39, values, math.nan)
    assert rise_below(known, rare, CONFIDENCES) is None


def test_chance_rarely_raises_a_threshold() -> None:
    found = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        values, residuals = draw.beta(5, 2, 300), draw.normal(size=300)
        found += rise_below(values, residuals, CONFIDENCES) is not None
    assert found <= 20


def test_agreeing_samples_raise_one_alarm_in_ten_at_most() -> None:
    draw = np.random.default_rng(15)
    pulls = draw.normal(0.5, 0.6, (300, 3))
    threshold = disagreement_above(pulls)
    assert threshold is not None

    def fires(at: float) -> int:
        return int(((pulls.max(axis=1) >= at) & (pulls.min(axis=1) <= -at)).sum())

    assert fires(threshold) <= 30 < fires(threshold - 0.02)
    assert disagreement_above(pulls[:39]) is None
    assert disagreement_above(np.abs(pulls)) == 0.1  # they never do: the least that is named
    same = np.tile([0.29, -0.29, 0.0], (50, 1))
    assert disagreement_above(same) == 0.3
