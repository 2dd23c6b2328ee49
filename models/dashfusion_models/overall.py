"""The score of a whole file, out of those of its segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashfusion_models.analysis import Overall, Segment, label_of
from dashfusion_models.records import MODALITIES, Streams

if TYPE_CHECKING:
    from dashfusion_models.calibration import Calibration
    from dashfusion_models.checkpoint import Checkpoint

__all__ = ["overall_of"]

Interval = tuple[float, float]


def overall_of(segments: Sequence[Segment], checkpoint: Checkpoint) -> Overall:
    """Return the mean of the segments weighted by duration; those without a score do not count.

    A modality contributes nothing to a segment without it, so that the contributions of the file
    and its base add up to its score; `alone` is the mean where the modality is.

    A file with one scored segment has the interval of that segment. The errors of several segments
    make up for each other in part; by how much is known of files like those that the calibration
    saw, which for dashfusion-mini are files whose words were scored. So the segments with words
    have the calibrated interval of whole files, and so have those without, if the calibration saw
    such files. What it did not see has the mean of the segments' own intervals, as if all erred the
    same way: wider than it need be unless they do. A file of both kinds has the mean of both
    intervals.
    """
    scored = [s for s in segments if s.score is not None]
    known = {m: any(s.contributions[m] is not None for s in scored) for m in MODALITIES}
    value = _mean(scored, [s.score for s in scored]) or 0.0
    return Overall(
        score=value,
        label=label_of(value, checkpoint.label_range),
        interval=_interval(scored, checkpoint.calibration) if checkpoint.calibration else None,
        base=_mean(scored, [s.base for s in scored]),
        contributions=Streams(
            **{
                m: _mean(scored, [s.contributions[m] or 0.0 for s in scored]) if known[m] else None
                for m in MODALITIES
            }
        ),
        alone=Streams(**{m: _mean(scored, [s.alone[m] for s in scored]) for m in MODALITIES}),
    )


def _mean(segments: Sequence[Segment], values: Sequence[float | None]) -> float | None:
    """The mean of the values that are known, weighted by duration; None without one."""
    known = [(v, _weight(s)) for s, v in zip(segments, values, strict=True) if v is not None]
    return sum(v * w for v, w in known) / sum(w for _, w in known) if known else None


def _weight(segment: Segment) -> float:
    """Seconds; an image's one segment has none."""
    return max(segment.end_s - segment.start_s, 1e-6)


def _interval(segments: Sequence[Segment], calibration: Calibration) -> Interval | None:
    """The intervals of the segments with words and of those without, weighted by duration."""
    kinds: dict[bool, list[Segment]] = {}
    for segment in segments:
        kinds.setdefault(segment.contributions.text is not None, []).append(segment)
    found = [
        (_interval_of_kind(some, calibration, words=words), sum(map(_weight, some)))
        for words, some in kinds.items()
    ]
    known = [(interval, weight) for interval, weight in found if interval is not None]
    if not known or len(known) < len(found):
        return None
    total = sum(weight for _, weight in known)
    low, high = (sum(ends[side] * w for ends, w in known) / total for side in (0, 1))
    return low, high


def _interval_of_kind(
    segments: Sequence[Segment], calibration: Calibration, *, words: bool
) -> Interval | None:
    """That of whole files, where the calibration knows it; else the mean of the segments' own."""
    score = _mean(segments, [s.score for s in segments]) or 0.0
    whole = calibration.overall_interval(score, len(segments), words=words)
    own = [s.interval for s in segments]
    if whole is not None or None in own:
        return whole
    low, high = (_mean(segments, [ends[side] for ends in own if ends]) for side in (0, 1))
    return None if low is None or high is None else (low, high)
