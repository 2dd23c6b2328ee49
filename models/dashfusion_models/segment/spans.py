"""Arithmetic of stretches of time."""

import math
from collections.abc import Sequence

from dashfusion_models.records import Span

__all__ = ["clipped", "covered_s", "equal", "gaps", "merged"]


def merged(spans: Sequence[Span], gap_s: float) -> list[Span]:
    """Return the spans in order, those at most `gap_s` apart made one."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start_s):
        if joined and span.start_s - joined[-1].end_s <= gap_s:
            joined[-1] = Span(joined[-1].start_s, max(joined[-1].end_s, span.end_s))
        else:
            joined.append(Span(span.start_s, span.end_s))
    return joined


def gaps(spans: Sequence[Span], duration_s: float, start_s: float = 0.0) -> list[Span]:
    """Return what the spans leave of a file from `start_s` on, in order."""
    left, now_s = [], start_s
    for span in [*merged(spans, 0.0), Span(duration_s, duration_s)]:
        end_s = min(span.start_s, duration_s)
        if end_s > now_s:
            left.append(Span(now_s, end_s))
        now_s = max(now_s, span.end_s)
    return left


def clipped(spans: Sequence[Span], bounds: Span) -> list[Span]:
    """Return the parts of the spans that lie inside the bounds."""
    return [
        Span(max(span.start_s, bounds.start_s), min(span.end_s, bounds.end_s))
        for span in spans
        if span.overlap_s(bounds) > 0.0
    ]


def covered_s(spans: Sequence[Span], bounds: Span) -> float:
    """Return how many seconds of the bounds the spans cover, counting overlaps once."""
    return sum(span.duration_s for span in merged(clipped(spans, bounds), 0.0))


def equal(span: Span, longest_s: float) -> list[Span]:
    """Cut a span into as few windows of the same length as stay below the longest."""
    count = max(1, math.ceil(span.duration_s / longest_s - 1e-6))
    edges = [span.start_s + i * span.duration_s / count for i in range(count)] + [span.end_s]
    return [Span(edges[i], edges[i + 1]) for i in range(count)]
