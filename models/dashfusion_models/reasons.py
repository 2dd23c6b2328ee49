"""Why a score deserves less trust."""

from __future__ import annotations

from dashfusion_models.analysis import Reason
from dashfusion_models.records import Features, Streams, Utterance

__all__ = ["disagree", "reasons_of"]

LOW_CONFIDENCE = 0.5  # mean probability of the words, as the speech engine gives it
SHORT_S = 1.0
DISAGREEMENT = 0.5  # on [-3, 3]: two modalities pull apart by at least this much each


def reasons_of(
    utterance: Utterance,
    features: Features,
    contributions: Streams[float | None],
    *,
    reads_language: bool,
    label_range: tuple[float, float],
) -> tuple[Reason, ...]:
    """List the reasons that hold for one utterance, in the order of the contract."""
    silent = utterance.text is None and features.audio is None
    unsure = utterance.confidence is not None and utterance.confidence < LOW_CONFIDENCE
    found: dict[Reason, bool] = {
        "no_face": features.vision is None,
        "no_speech": silent,
        "low_speech_confidence": unsure,
        "short": not silent and utterance.duration_s < SHORT_S,
        "unsupported_language": utterance.text is not None and not reads_language,
        "times_estimated": utterance.times_estimated,
        "modalities_disagree": disagree(contributions, label_range),
    }
    return tuple(reason for reason, holds in found.items() if holds)


def disagree(contributions: Streams[float | None], label_range: tuple[float, float]) -> bool:
    """Whether one modality pulls the score up and another down, each by much."""
    pulls = [pull for _, pull in contributions.items() if pull is not None]
    much = DISAGREEMENT * (label_range[1] - label_range[0]) / 6.0
    return bool(pulls) and max(pulls) >= much and min(pulls) <= -much
