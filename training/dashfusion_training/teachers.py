"""Labels that larger networks soften: what they predicted of samples that they had not learned.

A rating is one draw from what people would have said. A prediction by a network that did not learn
from it says more of what it should have been (Hinton et al., 2015; for one number: a mean of both).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dashfusion_models.errors import DataError
from dashfusion_training.files import read_table
from dashfusion_training.samples import Sample

__all__ = ["softened"]

SAME = 1e-3  # labels that differ by more are of two samples


def softened(
    samples: Sequence[Sample],
    teachers: Sequence[Path],
    share: float,
    shares: Mapping[str, float] | None = None,
) -> list[Sample]:
    """Move each label towards the mean prediction of `teachers`, by `share` of the way.

    `shares` has the sources that move by another share, such as 1 where labels are only a rough
    guess. Each teacher is a CSV with the columns id, label and prediction (`eval --predictions`).
    Samples that no teacher knows keep their label.

    Raises:
        DataError: a file cannot be read, has other columns, or gives a sample another label.
    """
    said: dict[str, list[tuple[float, float]]] = {}
    for path in teachers:
        for name, facts in _read(path).items():
            said.setdefault(name, []).append(facts)
    taught = []
    for sample in samples:
        known = said.get(sample.row.id, [])
        for label, _ in known:
            if abs(label - sample.label) > SAME:
                raise DataError(
                    f"teachers: {sample.row.id} has the label {label:g} there and "
                    f"{sample.label:g} in {sample.source}; give predictions of the same data"
                )
        label = sample.label
        if known:
            way = (shares or {}).get(sample.source, share)
            label += way * (float(np.mean([score for _, score in known])) - label)
        taught.append(replace(sample, label=label))
    return taught


def _read(path: Path) -> dict[str, tuple[float, float]]:
    """Label and prediction of each sample."""
    try:
        return {
            row["id"]: (float(row["label"]), float(row["prediction"])) for row in read_table(path)
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: has no numbers in the columns id, label, prediction ({error}); give what "
            "`eval --predictions` writes"
        ) from error
