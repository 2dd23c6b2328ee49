"""The one contract of the audio and the vision extractor: a spec, and sequences that keep it.

A sequence holds one row a step, at most MAX_STEPS of them, in the order of time. Its numbers are
finite, and a step where nothing was observed is all zeros with `real` False. Both extractors make
their steps with `averaged`, so that a long utterance is coarser and never cut short.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from dashfusion_models.errors import DataError
from dashfusion_models.records import FeatureSequence, FeatureSpec

__all__ = ["MAX_STEPS", "Extractor", "averaged", "checked", "empty"]

MAX_STEPS = 500  # of an utterance, as in the paper's own features of MOSI and MOSEI


@runtime_checkable
class Extractor(Protocol):
    """Whatever makes features names them, so that a checkpoint can refuse another's."""

    @property
    def spec(self) -> FeatureSpec:
        """Which features come out, and in which version."""
        ...


def empty(spec: FeatureSpec) -> FeatureSequence:
    """Return the sequence of no steps."""
    return FeatureSequence(
        values=np.zeros((0, spec.dims), dtype=np.float32), real=np.zeros(0, dtype=np.bool_)
    )


def averaged(
    values: Float32[np.ndarray, "frames dims"],
    weight: Bool[np.ndarray, "frames dims"],
    *,
    factor: int,
) -> Float32[np.ndarray, "steps dims"]:
    """Average each `factor` rows to one; each column over the rows where `weight` is True.

    The last step may stand for fewer rows. A column without any such row is 0.
    """
    starts = np.arange(0, len(values), factor)
    if not starts.size:
        return np.zeros((0, values.shape[1]), dtype=np.float32)
    total = np.add.reduceat(np.where(weight, values, 0.0).astype(np.float64), starts, axis=0)
    count = np.add.reduceat(weight.astype(np.int64), starts, axis=0)
    return (total / np.maximum(count, 1)).astype(np.float32)


def checked(sequence: FeatureSequence, spec: FeatureSpec) -> FeatureSequence:
    """Return `sequence` as it is if it keeps the contract.

    Raises:
        DataError: it has other features, too many steps, or numbers that are not finite.
    """
    steps, dims = sequence.values.shape
    if dims != spec.dims:
        fact = f"{dims} features a step instead of {spec.dims}"
    elif steps > MAX_STEPS:
        fact = f"{steps} steps, more than {MAX_STEPS}"
    elif not np.isfinite(sequence.values).all():
        fact = "numbers that are not finite"
    elif sequence.values[~sequence.real].any():
        fact = "values where nothing was observed"
    else:
        return sequence
    raise DataError(f"{spec.extractor} features: {fact}; extract them again")
