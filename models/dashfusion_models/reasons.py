"""Why a score deserves less trust."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from dashfusion_models.analysis import Reason
from dashfusion_models.calibration import Thresholds
from dashfusion_models.records import Features, Modality, Streams, Utterance

__all__ = ["disagree", "length_warnings", "reasons_of"]

DEFAULT = Thresholds()
LONG_S = 16.0  # utterances cut by sentences are at most about 15 s long


def reasons_of(
    utterance: Utterance,
    features: Features,
    alone: Streams[float | None],
    *,
    spoken: bool = True,
    left_out: Collection[Modality] = (),
    reads_language: bool,
    label_range: tuple[float, float],
    thresholds: Thresholds = DEFAULT,
) -> tuple[Reason, ...]:
    """List the reasons that hold for one utterance, in the order of the contract.

    `alone` are the scores from each modality by itself. What is `left_out` is not missing, and
    words that are left out cannot be wrong. `thresholds` are those of the checkpoint's calibration,
    where it has one.
    """
    sure = utterance.confidence
    unsure = sure is not None and sure < thresholds.low_confidence
    reads = "text" not in left_out
    found: dict[Reason, bool] = {
        "no_face": features.vision is None and "vision" not in left_out,
        "no_speech": not spoken,
        "low_speech_confidence": unsure and reads,
        "short": spoken and utterance.duration_s < thresholds.short_s,
        "unsupported_language": utterance.text is not None and reads and not reads_language,
        "times_estimated": utterance.times_estimated,
        "modalities_disagree": disagree(alone, label_range, thresholds.opposed),
    }
    return tuple(reason for reason, holds in found.items() if holds)


def disagree(
    alone: Streams[float | None],
    label_range: tuple[float, float],
    least: float = DEFAULT.opposed,
) -> bool:
    """Whether one modality alone is positive and another negative, each by `least` on [-3, 3]."""
    low, high = label_range
    known = [6.0 * score / (high - low) for _, score in alone.items() if score is not None]
    return bool(known) and max(known) >= least and min(known) <= -least


def length_warnings(
    spoken: Sequence[tuple[float, str]], reads_all_of: Callable[[str], bool]
) -> tuple[str, ...]:
    """Say which utterances, of so many seconds and with such texts, are too long for a network.

    It learned from utterances of a few seconds and finds one feeling in what it is given, mostly a
    strong one: praise and complaint in a minute that is scored as one are not weighed against each
    other, as they are in the mean of its sentences. `reads_all_of` tells whether the network reads
    a text to its end.
    """
    longest_s = max((seconds for seconds, _ in spoken), default=0.0)
    found = []
    if longest_s > LONG_S:
        found.append(
            f"scored as one utterance of {longest_s:.1f} s, though the model learned from a few "
            "seconds at a time: for a score of the file take the overall of its sentences"
        )
    cut_off = sum(not reads_all_of(text) for _, text in spoken)
    if cut_off:
        found.append(
            "too many words for one utterance: the last of them are not read "
            f"({cut_off} of {len(spoken)} utterances)"
        )
    return tuple(found)
