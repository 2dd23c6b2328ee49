"""The lines that straighten scores, and that none of them saw the video that it straightens."""

import dataclasses

import numpy as np
import pytest

from dashfusion_models.calibration import Line
from dashfusion_training.calibration.held_out import join
from dashfusion_training.calibration.shown import PRIOR, crossfitted, fit_line, fit_lines
from tests.training.calibration.planted_predictions import ALL_THREE, RANGE, by_group, planted


def test_a_line_is_least_squares_mixed_with_the_one_that_changes_nothing() -> None:
    raw = np.linspace(-2, 2, 180)
    found = fit_line(raw, 0.5 * raw + 0.3)
    weight = 180 / (180 + PRIOR)
    assert found.slope == pytest.approx(weight * 0.5 + 1 - weight)
    assert found.offset == pytest.approx(weight * 0.3)
    assert fit_line(raw, -raw).slope == pytest.approx(1 - weight)  # 0, not -1
    assert fit_line(raw[:1], raw[:1]) == Line(n=1)
    assert fit_line(np.ones(9), np.arange(9.0)) == Line(n=9)


def test_a_score_is_straightened_by_lines_that_never_saw_its_video() -> None:
    found = planted(100, 9, by_group, video=("one",) * 100)
    np.testing.assert_allclose(crossfitted(found, RANGE), found.raw)  # no other video, no line
    several = dataclasses.replace(found, video=tuple(f"v{k % 20}" for k in range(100)))
    changed = np.where(np.arange(100) % 20 == 3, -several.label, several.label)
    before = crossfitted(several, RANGE)
    after = crossfitted(dataclasses.replace(several, label=changed), RANGE)
    ours = np.arange(100) % 20 == 3
    np.testing.assert_array_equal(before[ours], after[ours])
    assert (before[~ours] != after[~ours]).any()


def test_lines_are_found_for_what_occurs() -> None:
    found = join([planted(30, 1, by_group), planted(20, 2, by_group, present=("text",) * 20)])
    assert {name: line.n for name, line in fit_lines(found).items()} == {ALL_THREE: 30, "text": 20}
