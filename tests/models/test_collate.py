"""Normalisation and padding of features."""

import numpy as np

from dashfusion_models.collate import Normalisation
from dashfusion_models.records import FeatureSequence


def test_ready_features_stay_as_they_are_but_for_what_is_not_finite() -> None:
    values = np.array([[20.0, np.nan], [-np.inf, 3.0], [7.0, 7.0]], np.float32)
    sequence = FeatureSequence(values=values, real=np.array([True, True, False]))
    found = Normalisation.identity(2)(sequence)
    np.testing.assert_array_equal(found, [[20.0, 0.0], [0.0, 3.0], [0.0, 0.0]])


def test_statistics_are_those_of_the_real_steps() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal([5.0, -2.0, 1.0], [2.0, 0.5, 0.0], (1000, 3)).astype(np.float32)
    real = draw.random(1000) > 0.3
    values[~real] = 99.0
    measured = Normalisation.of([FeatureSequence(values=values, real=real)], 3)
    np.testing.assert_allclose(measured.mean, values[real].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(measured.std[:2], values[real].std(axis=0)[:2], rtol=1e-3)
    assert measured.std[2] == 1.0  # constant: not divided by nothing
    scaled = measured(FeatureSequence(values=values, real=real))
    assert abs(float(scaled[real].mean())) < 1e-3
    assert not scaled[~real].any()


def test_a_broken_value_is_bounded() -> None:
    measured = Normalisation(mean=np.zeros(1, np.float32), std=np.full(1, 0.1, np.float32))
    wild = FeatureSequence(values=np.full((1, 1), 1e9, np.float32), real=np.ones(1, np.bool_))
    assert float(measured(wild)[0, 0]) == 6.0
