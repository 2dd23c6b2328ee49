"""The score of a whole file, out of those of its segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashfusion_models.analysis import Overall, Segment, label_of
from dashfusion_models.records import MODALITIES, Streams

if TYPE_CHECKING:
    from dashfusion_models.checkpoint import Checkpoint

__all__ = ["overall_of"]


def overall_of(segments: Sequence[Segment], checkpoint: Checkpoint) -> Overall:
    """Return the mean of the segments weighted by duration; an image's one segment has none.

    Its interval is that of whole files in the checkpoint's calibration.
    """
    weights = [max(s.end_s - s.start_s, 1e-6) for s in segments]

    def mean(values: Sequence[float | None]) -> float | None:
        known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
        return sum(v * w for v, w in known) / sum(w for _, w in known) if known else None

    value = mean([s.score for s in segments]) or 0.0
    calibration = checkpoint.calibration
    return Overall(
        score=value,
        label=label_of(value, checkpoint.label_range),
        interval=calibration.overall_interval(value, len(segments)) if calibration else None,
        contributions=Streams(
            **{m: mean([s.contributions[m] for s in segments]) for m in MODALITIES}
        ),
    )
