"""The field's metrics (METHOD.md section 8): pure functions of labels and predictions.

A metric that is not defined, such as the correlation of constant predictions, is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

__all__ = [
    "area_under_curve",
    "balanced_accuracy",
    "bootstrap_interval",
    "bootstrap_intervals",
    "class_metrics",
    "correlation",
    "error_metrics",
    "mosi_metrics",
    "paired_bootstrap",
    "sims_metrics",
    "weighted_f1",
]

Scores = Float[np.ndarray, " n"]
Metrics = Mapping[str, float | None]

# CH-SIMS: classes are open on the left, closed on the right; compared in float32.
SIMS_EDGES_2 = np.array([0.0], np.float32)
SIMS_EDGES_3 = np.array([-0.1, 0.1], np.float32)
SIMS_EDGES_5 = np.array([-0.7, -0.1, 0.1, 0.7], np.float32)

FLOAT32_NOISE = 1e-6  # one score computed in two batches differs by less


def mosi_metrics(label: Scores, predicted: Scores) -> dict[str, float | None]:
    """MAE, correlation, Acc-7, Acc-5, and Acc-2 with F1 in both forms; for MOSI and MOSEI.

    `nn` is negative against non-negative over all samples; `np` negative against positive, where
    samples labelled 0 are left out.
    """
    polar = label != 0
    return {
        "mae": _mean(np.abs(label - predicted)),
        "corr": correlation(label, predicted),
        "acc7": _mean(_rounded(label, 3) == _rounded(predicted, 3)),
        "acc5": _mean(_rounded(label, 2) == _rounded(predicted, 2)),
        "acc2_nn": _mean((label >= 0) == (predicted >= 0)),
        "f1_nn": weighted_f1(label >= 0, predicted >= 0),
        "acc2_np": _mean((label > 0)[polar] == (predicted > 0)[polar]),
        "f1_np": weighted_f1((label > 0)[polar], (predicted > 0)[polar]),
    }


def error_metrics(label: Scores, predicted: Scores) -> dict[str, float | None]:
    """MAE and correlation, which any range of labels defines."""
    return {"mae": _mean(np.abs(label - predicted)), "corr": correlation(label, predicted)}


def sims_metrics(label: Scores, predicted: Scores) -> dict[str, float | None]:
    """Acc-2, its F1, Acc-3, Acc-5, MAE and correlation after clipping to [-1, 1]; for CH-SIMS."""
    truth, guess = (np.clip(x.astype(np.float32), -1.0, 1.0) for x in (label, predicted))
    two, guessed_two = (np.searchsorted(SIMS_EDGES_2, x, side="left") for x in (truth, guess))
    return {
        "acc2": _mean(two == guessed_two),
        "f1": weighted_f1(two, guessed_two),
        "acc3": _agreement(truth, guess, SIMS_EDGES_3),
        "acc5": _agreement(truth, guess, SIMS_EDGES_5),
        "mae": _mean(np.abs(truth - guess)),
        "corr": correlation(truth, guess),
    }


def class_metrics(label: Scores, predicted: Scores) -> dict[str, float | None]:
    """Area under the curve and balanced accuracy of positive (> 0) against negative (< 0)."""
    polar = label != 0
    positive = (label > 0)[polar]
    return {
        "auc": area_under_curve(positive, predicted[polar]),
        "balanced_accuracy": balanced_accuracy(positive, (predicted > 0)[polar]),
    }


def correlation(label: Scores, predicted: Scores) -> float | None:
    """Pearson's r; None for fewer than two samples or where one side is constant."""
    if len(label) < 2 or _constant(label) or _constant(predicted):
        return None
    return float(np.corrcoef(label.astype(np.float64), predicted.astype(np.float64))[0, 1])


def bootstrap_interval(
    metric: Callable[[Scores, Scores], float | None],
    label: Scores,
    predicted: Scores,
    who: Sequence[str],
    *,
    draws: int = 1000,
) -> tuple[float, float] | None:
    """The 95 % interval of a metric when groups (`who` each sample belongs to) are drawn anew.

    None where the metric is not defined in most of the draws. Source: Efron, percentile bootstrap.
    """
    return _drawn_anew(lambda drawn: metric(label[drawn], predicted[drawn]), who, draws)


def bootstrap_intervals(
    metrics: Callable[[Scores, Scores], Metrics],
    label: Scores,
    predicted: Scores,
    who: Sequence[str],
    *,
    draws: int = 1000,
) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each of several metrics, all over the same drawn groups.

    Without those that are not defined in most of the draws. See `bootstrap_interval`.
    """
    values: dict[str, list[float]] = {}
    for drawn in _draws(who, draws):
        for name, value in metrics(label[drawn], predicted[drawn]).items():
            values.setdefault(name, []).extend([] if value is None else [value])
    found = {name: _middle(of_metric, draws) for name, of_metric in values.items()}
    return {name: ends for name, ends in found.items() if ends is not None}


def paired_bootstrap(
    metric: Callable[[Scores, Scores], float | None],
    label: Scores,
    a: Scores,
    b: Scores,
    who: Sequence[str],
    *,
    draws: int = 1000,
) -> tuple[float, float] | None:
    """The 95 % interval of the metric of `a` less that of `b`, both over the same drawn groups.

    What makes a group hard or easy for both leaves the difference. None where it is not defined in
    most of the draws. Source: Efron, percentile bootstrap of a difference of pairs.
    """

    def gain(drawn: Int[np.ndarray, " n"]) -> float | None:
        of_a, of_b = metric(label[drawn], a[drawn]), metric(label[drawn], b[drawn])
        return None if of_a is None or of_b is None else of_a - of_b

    return _drawn_anew(gain, who, draws)


def _drawn_anew(
    value_of: Callable[[Int[np.ndarray, " n"]], float | None], who: Sequence[str], draws: int
) -> tuple[float, float] | None:
    """The 2.5th and 97.5th percentile of a value of samples, whose groups are drawn anew."""
    values = [value for drawn in _draws(who, draws) if (value := value_of(drawn)) is not None]
    return _middle(values, draws)


def _draws(who: Sequence[str], draws: int) -> Iterator[Int[np.ndarray, " n"]]:
    """Yield which samples each draw holds; the same ones in every call."""
    names, group = np.unique(np.asarray(who), return_inverse=True)
    by_group, sizes = np.argsort(group, kind="stable"), np.bincount(group)
    begins = np.cumsum(sizes) - sizes
    generator = np.random.default_rng(0)
    for _ in range(draws):
        chosen = generator.integers(0, len(names), len(names))
        taken = sizes[chosen]
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        yield by_group[np.repeat(begins[chosen], taken) + within]


def _middle(values: Sequence[float], draws: int) -> tuple[float, float] | None:
    """The middle 95 % of the values of so many draws; None if most of them had none."""
    if len(values) < draws / 2:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def weighted_f1(
    truth: Bool[np.ndarray, " n"] | Int[np.ndarray, " n"],
    guess: Bool[np.ndarray, " n"] | Int[np.ndarray, " n"],
) -> float | None:
    """F1 of each class that occurs in `truth`, weighted by how often; None without samples."""
    if not len(truth):
        return None
    total = 0.0
    for value in np.unique(truth):
        hits = np.sum((truth == value) & (guess == value))
        total += (
            np.sum(truth == value) * 2 * hits / (np.sum(truth == value) + np.sum(guess == value))
        )
    return float(total / len(truth))


def area_under_curve(positive: Bool[np.ndarray, " n"], score: Scores) -> float | None:
    """Chance that a positive sample scores above a negative one, ties counting half."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def balanced_accuracy(truth: Bool[np.ndarray, " n"], guess: Bool[np.ndarray, " n"]) -> float | None:
    """Mean of the two classes' recalls; None where a class is missing."""
    if not truth.any() or truth.all():
        return None
    return float((guess[truth].mean() + (~guess[~truth]).mean()) / 2)


def _constant(scores: Scores) -> bool:
    """Whether they differ by no more than the rounding of a network that always says the same."""
    return bool(np.ptp(scores) <= FLOAT32_NOISE * max(1.0, float(np.abs(scores).max())))


def _rounded(scores: Scores, limit: int) -> Scores:
    """Round half to even, then clip to [-limit, limit]."""
    return np.clip(np.round(scores), -limit, limit)


def _agreement(
    truth: Float[np.ndarray, " n"], guess: Float[np.ndarray, " n"], edges: Float[np.ndarray, " e"]
) -> float | None:
    classes = (np.searchsorted(edges, x, side="left") for x in (truth, guess))
    return _mean(np.equal(*classes))


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values, dtype=np.float64)) if len(values) else None
