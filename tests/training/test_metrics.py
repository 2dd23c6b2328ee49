"""Metrics against scikit-learn and SciPy, and by hand where conventions decide."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    mean_absolute_error,
    roc_auc_score,
)

from dashfusion_training.metrics import (
    area_under_curve,
    bootstrap_interval,
    class_metrics,
    correlation,
    mosi_metrics,
    sims_metrics,
)


def planted(seed: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    label = np.round(draw.uniform(-scale, scale, 400), 1)
    return label, label + draw.normal(0, scale / 3, 400)


def test_mosi_metrics_against_references() -> None:
    label, guess = planted(0, 3.0)
    found = mosi_metrics(label, guess)
    polar = label != 0
    seven = [np.clip(np.round(x), -3, 3).astype(int) for x in (label, guess)]
    five = [np.clip(np.round(x), -2, 2).astype(int) for x in (label, guess)]
    expected = {
        "mae": mean_absolute_error(label, guess),
        "corr": pearsonr(label, guess).statistic,
        "acc7": accuracy_score(*seven),
        "acc5": accuracy_score(*five),
        "acc2_nn": accuracy_score(label >= 0, guess >= 0),
        "f1_nn": f1_score(label >= 0, guess >= 0, average="weighted"),
        "acc2_np": accuracy_score(label[polar] > 0, guess[polar] > 0),
        "f1_np": f1_score(label[polar] > 0, guess[polar] > 0, average="weighted"),
    }
    assert found == pytest.approx(expected)


def test_sims_metrics_against_references() -> None:
    label, guess = planted(1, 1.2)
    found = sims_metrics(label, guess)
    truth, score = (np.clip(x.astype(np.float32), -1, 1) for x in (label, guess))

    def classes(x: np.ndarray, edges: list[float]) -> np.ndarray:
        return np.array([sum(v > np.float32(e) for e in edges) for v in x])

    two = [classes(x, [0.0]) for x in (truth, score)]
    expected = {
        "acc2": accuracy_score(*two),
        "f1": f1_score(*two, average="weighted"),
        "acc3": accuracy_score(*(classes(x, [-0.1, 0.1]) for x in (truth, score))),
        "acc5": accuracy_score(*(classes(x, [-0.7, -0.1, 0.1, 0.7]) for x in (truth, score))),
        "mae": mean_absolute_error(truth, score),
        "corr": pearsonr(truth, score).statistic,
    }
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("edge", [-0.7, -0.1, 0.1, 0.7])
def test_a_sims_value_on_an_edge_belongs_to_the_lower_class(edge: float) -> None:
    on_the_edge = np.array([edge])
    assert sims_metrics(on_the_edge, np.array([edge - 0.01]))["acc5"] == 1.0
    assert sims_metrics(on_the_edge, np.array([edge + 0.01]))["acc5"] == 0.0


def test_a_sims_value_of_zero_is_not_positive() -> None:
    assert sims_metrics(np.array([0.0]), np.array([-0.3]))["acc2"] == 1.0
    assert sims_metrics(np.array([0.0]), np.array([0.3]))["acc2"] == 0.0


def test_half_values_round_to_even() -> None:
    label = np.array([0.5, 1.5, -0.5, -1.5, 2.5])
    assert mosi_metrics(label, np.array([0.0, 2.0, 0.0, -2.0, 2.0]))["acc7"] == 1.0


def test_a_label_of_zero_is_non_negative_and_left_out_of_negative_positive() -> None:
    found = mosi_metrics(np.array([0.0, 1.0, -1.0]), np.array([-0.2, 0.5, -0.5]))
    assert found["acc2_nn"] == pytest.approx(2 / 3)
    assert found["acc2_np"] == 1.0


def test_what_is_not_defined_is_none() -> None:
    label = np.array([1.0, -1.0, 2.0])
    assert mosi_metrics(label, np.zeros(3))["corr"] is None
    assert correlation(np.array([1.0]), np.array([2.0])) is None
    assert class_metrics(np.array([1.0, 2.0]), np.array([0.1, 0.2]))["auc"] is None
    only_zero = mosi_metrics(np.zeros(2), np.array([0.1, 0.2]))
    assert only_zero["acc2_np"] is None
    assert only_zero["f1_np"] is None


def test_class_metrics_against_references() -> None:
    draw = np.random.default_rng(2)
    label = draw.choice([-2.0, 0.0, 2.0], 300)
    guess = np.round(label / 3 + draw.normal(0, 1, 300), 1)  # rounded: ties
    polar = label != 0
    found = class_metrics(label, guess)
    assert found["auc"] == pytest.approx(roc_auc_score(label[polar] > 0, guess[polar]))
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(label[polar] > 0, guess[polar] > 0)
    )
    assert area_under_curve(np.array([True, False]), np.array([0.0, 0.0])) == 0.5


def test_bootstrap_interval_covers_and_widens_with_fewer_groups() -> None:
    draw = np.random.default_rng(3)
    label = draw.normal(size=400)
    guess = label + draw.normal(size=400)
    alone = bootstrap_interval(correlation, label, guess, [str(i) for i in range(400)])
    assert alone is not None
    assert alone[0] < correlation(label, guess) < alone[1]
    # the same 40 samples ten times over are worth 40, not 400
    again = bootstrap_interval(
        correlation,
        np.tile(label[:40], 10),
        np.tile(guess[:40], 10),
        [str(i % 40) for i in range(400)],
    )
    assert again is not None
    assert again[1] - again[0] > 2 * (alone[1] - alone[0])
