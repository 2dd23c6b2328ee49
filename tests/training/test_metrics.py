"""Metrics against scikit-learn and SciPy, and by hand where conventions decide."""

import json
import math

import numpy as np
import pytest
from scipy.stats import binom, pearsonr
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    mean_absolute_error,
    roc_auc_score,
)

from dashfusion_training.metrics import (
    area_under_curve,
    balanced_accuracy,
    bootstrap_interval,
    bootstrap_intervals,
    class_metrics,
    correlation,
    error_metrics,
    mosi_metrics,
    paired_bootstrap,
    sims_metrics,
    weighted_f1,
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


def test_the_intervals_of_all_metrics_are_those_of_each_alone() -> None:
    label, guess = planted(4, 3.0)
    who = [str(i // 4) for i in range(400)]
    found = bootstrap_intervals(mosi_metrics, label, guess, who, draws=200)
    assert list(found) == list(mosi_metrics(label, guess))
    for name, ends in found.items():
        alone = bootstrap_interval(
            lambda truth, score, name=name: mosi_metrics(truth, score)[name],
            label, guess, who, draws=200,
        )  # fmt: skip
        assert ends == alone, name


def test_the_interval_of_a_share_is_that_of_a_binomial() -> None:
    label = np.tile([1.0, -1.0], 200)
    guess = np.where(np.arange(400) % 10 < 8, label, -label)  # right four times of five
    low, high = bootstrap_intervals(mosi_metrics, label, guess, [str(i) for i in range(400)])[
        "acc2_np"
    ]
    exact = binom(400, 0.8).ppf([0.025, 0.975]) / 400
    assert (low, high) == pytest.approx(exact, abs=0.01)


def test_a_metric_that_is_not_defined_has_no_interval() -> None:
    label, constant = np.array([-1.0, 1.0, 2.0, 0.5]), np.ones(4)
    found = bootstrap_intervals(mosi_metrics, label, constant, list("abcd"))
    assert set(found) == set(mosi_metrics(label, constant)) - {"corr"}


def test_paired_bootstrap_knows_that_both_saw_the_same_samples() -> None:
    draw = np.random.default_rng(4)
    label = draw.normal(size=300)
    noise = draw.normal(size=300)
    better, worse = label + 0.9 * noise, label + noise
    who = [str(i // 3) for i in range(300)]
    gain = paired_bootstrap(correlation, label, better, worse, who)
    both = [bootstrap_interval(correlation, label, guess, who) for guess in (better, worse)]
    assert gain is not None and both[0] is not None and both[1] is not None
    true = correlation(label, better) - correlation(label, worse)  # type: ignore[operator]
    assert 0 < gain[0] < true < gain[1]
    assert both[0][0] < both[1][1]  # alone, the two intervals overlap
    turned = paired_bootstrap(correlation, label, worse, better, who)
    assert turned == pytest.approx((-gain[1], -gain[0]))


def test_paired_bootstrap_by_hand() -> None:
    """Two groups, whose errors are 1 and 3 less with `a`: the mean gain is 1, 2 or 3."""
    label, b = np.zeros(2), np.array([4.0, 4.0])
    a = np.array([3.0, 1.0])

    def error(truth: np.ndarray, guess: np.ndarray) -> float:
        return float(np.abs(truth - guess).mean())

    assert paired_bootstrap(error, label, a, b, ["x", "y"]) == (-3.0, -1.0)
    assert paired_bootstrap(error, label, b, b, ["x", "y"]) == (0.0, 0.0)
    assert paired_bootstrap(lambda truth, guess: None, label, a, b, ["x", "y"]) is None


EDGE = {edge: float(np.float32(edge)) for edge in (-0.7, -0.1, 0.1, 0.7)}
SMALLEST = float(np.finfo(np.float32).eps)


@pytest.mark.parametrize("edge", EDGE)
def test_sims_edges_are_those_of_float32(edge: float) -> None:
    """float32(0.1) > 0.1, yet as a label or as a score it stands on the edge, not above it."""
    on = np.array([edge, EDGE[edge], np.float32(edge)])
    below, above = np.full(3, edge - 0.01), np.full(3, edge + 0.01)
    for name in ("acc3", "acc5") if abs(edge) == 0.1 else ("acc5",):
        assert sims_metrics(on, below)[name] == 1.0
        assert sims_metrics(below, on)[name] == 1.0
        assert sims_metrics(on, above)[name] == 0.0
        next_up = np.full(3, np.nextafter(np.float32(edge), np.float32(2)), np.float64)
        assert sims_metrics(next_up, above)[name] == 1.0


def test_sims_classes_counted_by_hand() -> None:
    label = np.array([-1.0, -0.7, -0.6, -0.1, 0.0, 0.1, 0.2, 0.7, 0.8, 1.0])
    guess = np.array([-3.0, -0.8, -0.7, 0.0, 0.1, 0.2, 0.7, 0.8, 0.7, 2.0])
    found = sims_metrics(label, guess)
    # pairs (of 10) in one class of five: -1/-3, -.7/-.8, 0/.1, .2/.7, 1/2
    assert found["acc5"] == pytest.approx(5 / 10)
    # of three, edges -0.1 and 0.1: all but -.1/0 and .1/.2
    assert found["acc3"] == pytest.approx(8 / 10)
    # of two, edge 0: all but 0/.1
    assert found["acc2"] == pytest.approx(9 / 10)
    # clipped first: 3 and 2 count as 1
    assert found["mae"] == pytest.approx((0 + 0.1 * 6 + 0.5 + 0.1 + 0) / 10, abs=1e-6)


def test_a_negative_zero_is_zero() -> None:
    zeros, negative = np.zeros(3), np.full(3, -0.0)
    assert mosi_metrics(zeros, negative) == mosi_metrics(zeros, zeros)
    assert mosi_metrics(negative, zeros) == mosi_metrics(zeros, zeros)
    assert mosi_metrics(negative, zeros)["acc2_nn"] == 1.0
    assert sims_metrics(negative, zeros)["acc2"] == 1.0
    # -0.4 rounds to -0.0
    assert mosi_metrics(np.array([0.4]), np.array([-0.4]))["acc7"] == 1.0


def test_scores_just_off_zero_fall_on_their_side() -> None:
    label = np.array([0.0, 0.0, 1.0, -1.0])
    guess = np.array([-SMALLEST, 0.0, SMALLEST, 0.0])
    found = mosi_metrics(label, guess)
    assert found["acc2_nn"] == pytest.approx(2 / 4)  # a score of 0 is non-negative
    assert found["acc2_np"] == pytest.approx(2 / 2)  # and is not positive


@pytest.mark.parametrize(
    ("half", "rounded"),
    [(-3.5, -3), (-2.5, -2), (-1.5, -2), (-0.5, 0), (0.5, 0), (1.5, 2), (2.5, 2), (3.5, 3)],
)
def test_every_half_rounds_to_even_and_is_clipped(half: float, rounded: int) -> None:
    five = int(np.clip(rounded, -2, 2))
    assert mosi_metrics(np.array([half]), np.array([float(rounded)]))["acc7"] == 1.0
    assert mosi_metrics(np.array([float(rounded)]), np.array([half]))["acc7"] == 1.0
    assert mosi_metrics(np.array([half]), np.array([float(five)]))["acc5"] == 1.0


def test_one_class_only_is_defined_where_it_can_be() -> None:
    label, guess = np.array([1.0, 2.0, 0.4]), np.array([0.5, -0.5, 0.1])
    found = mosi_metrics(label, guess)
    assert found["acc2_np"] == pytest.approx(2 / 3)
    # one class in the truth, of weight 1: F1 = 2 * 2 / (3 + 2)
    assert found["f1_np"] == pytest.approx(4 / 5)
    assert found["f1_np"] == pytest.approx(
        f1_score(label > 0, guess > 0, average="weighted", zero_division=0.0)
    )
    assert class_metrics(label, guess) == {"auc": None, "balanced_accuracy": None}
    assert balanced_accuracy(np.array([False]), np.array([True])) is None


@pytest.mark.parametrize("seed", range(5))
def test_f1_when_scores_hold_a_class_that_the_labels_lack(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth, guess = draw.integers(0, 2, 50), draw.integers(0, 4, 50)
    for a, b in ((truth, guess), (guess, truth), (truth * 0, guess)):
        expected = f1_score(a, b, average="weighted", zero_division=0.0)
        assert weighted_f1(a, b) == pytest.approx(expected)


def test_scores_that_differ_by_rounding_alone_are_constant() -> None:
    """A network that sees nothing says one thing, in the last bit not always the same."""
    label = np.linspace(-1, 1, 50)
    noise = np.random.default_rng(0).integers(-2, 3, 50) * SMALLEST
    assert correlation(label, 0.3 + noise) is None
    assert correlation(0.3 + noise, label) is None
    assert correlation(label, 0.3 + 1e-4 * label) == pytest.approx(1.0)


@pytest.mark.parametrize("metrics", [mosi_metrics, sims_metrics, class_metrics])
@pytest.mark.parametrize(
    ("label", "guess"),
    [
        (np.array([1.0, -1.0]), np.zeros(2)),
        (np.zeros(2), np.array([0.1, -0.1])),
        (np.zeros(1), np.zeros(1)),
        (np.ones(3), np.ones(3)),
    ],
)
def test_json_has_null_and_never_nan(metrics: object, label: np.ndarray, guess: np.ndarray) -> None:
    found = metrics(label, guess)  # type: ignore[operator]
    text = json.dumps(found, allow_nan=False)
    assert all(v is None or math.isfinite(v) for v in json.loads(text).values())
    if "corr" in found:
        assert found["corr"] is None
        assert '"corr": null' in text


def test_other_ranges_get_what_needs_no_classes() -> None:
    label, guess = planted(2, 5.0)
    assert error_metrics(label, guess) == pytest.approx(
        {"mae": mean_absolute_error(label, guess), "corr": pearsonr(label, guess).statistic}
    )
