"""What an analysis says of a file, and the JSON form of it (schema dashfusion/analysis/1).

The field names are those of the JSON. Scores and times are rounded to 4 decimals here and nowhere
else, so that every form of the output shows the same numbers.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dashfusion_models.records import UNTOLD, FaceChoice, MediaInfo, Modality, Streams

__all__ = [
    "SCHEMA",
    "Analysis",
    "Asr",
    "DetectedLanguage",
    "Devices",
    "ModelInfo",
    "Overall",
    "Reason",
    "Run",
    "ScoredWord",
    "Segment",
    "label_bounds",
    "label_of",
]

SCHEMA = "dashfusion/analysis/1"

Reason = Literal[
    "no_face",
    "no_speech",
    "low_speech_confidence",
    "short",
    "unsupported_language",
    "times_estimated",
    "modalities_disagree",
]

SEVEN_LABELS = (  # MOSI's own words, for the rounded score from -3 to 3
    "strongly negative",
    "negative",
    "weakly negative",
    "neutral",
    "weakly positive",
    "positive",
    "strongly positive",
)
FIVE_LABELS = ("negative", "weakly negative", "neutral", "weakly positive", "positive")
FIVE_EDGES = (-0.7, -0.1, 0.1, 0.7)  # CH-SIMS; a class is open on the left, closed on the right


def label_bounds(label_range: tuple[float, float]) -> list[tuple[str, float, float]]:
    """Return the labels of a scale with the scores from and up to which they hold, lowest first."""
    low, high = label_range
    if (low, high) == (-1.0, 1.0):
        names: tuple[str, ...] = FIVE_LABELS
        edges = [low, *FIVE_EDGES, high]
    else:
        middles = [(k + 0.5) / 6 for k in range(6)]  # between the seven rounded scores
        names = SEVEN_LABELS
        edges = [low, *(low + (high - low) * m for m in middles), high]
    return list(zip(names, edges[:-1], edges[1:], strict=True))


def label_of(score: float, label_range: tuple[float, float]) -> str:
    """Name a score in the words of its scale.

    Seven words for the rounded score on [-3, 3]; CH-SIMS's five classes on [-1, 1]. Any other
    range is first stretched to [-3, 3].
    """
    low, high = label_range
    if (low, high) == (-1.0, 1.0):
        return FIVE_LABELS[sum(score > edge for edge in FIVE_EDGES)]
    on_seven = -3.0 + 6.0 * (score - low) / (high - low)
    return SEVEN_LABELS[round(min(3.0, max(-3.0, on_seven))) + 3]


@dataclass(frozen=True)
class ModelInfo:
    """Which checkpoint scored.

    `name`, `license` as it states them itself; `sha256` of its file, in hex digits. Scores lie in
    `label_range`, (-3, 3) for the scale of CMU-MOSI.
    """

    name: str
    sha256: str
    label_range: tuple[float, float]
    license: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was wanted of the file, and the transcript that was used.

    `segments`: "sentence", "whole" or a length in seconds. `without`: the modalities that were left
    out, on demand or because the checkpoint reads none; of these an analysis does not say that they
    are absent. `language`: a code, or "auto". `translate`: speech that the checkpoint does not read
    was to be translated. `start_s`, `end_s`: what was looked at, in seconds from the start of the
    file; None is its end. `transcript` is the file that took the place of
    recognition, as it was given, and `transcript_sha256` that of its content in hex digits; both
    are None where there was none.
    """

    segments: str = "sentence"
    without: tuple[Modality, ...] = ()
    language: str = "auto"
    translate: bool = False
    start_s: float = 0.0
    end_s: float | None = None
    transcript: Path | None = None
    transcript_sha256: str | None = None


@dataclass(frozen=True)
class Devices:
    """What ran where, as torch writes devices ("cpu", "cuda:0").

    `score` is the network, `transcribe` the speech engine, `vision` the face engine. None where a
    stage did not run or what it found was not scored.
    """

    score: str
    transcribe: str | None
    vision: str | None


@dataclass(frozen=True)
class Asr:
    """Which speech `engine` ("faster-whisper") and `model` ("base") recognised the words."""

    engine: str
    model: str


@dataclass(frozen=True)
class DetectedLanguage:
    """ISO 639-1 `code`; the `probability`, in [0, 1], is None where a user named the language."""

    code: str
    probability: float | None


_NOTHING = Streams[float | None](text=None, audio=None, vision=None)


@dataclass(frozen=True)
class ScoredWord:
    """A word of a segment's `text`, and its part in what the words contributed.

    `start_s`, `end_s` (seconds from the start of the file) and `confidence`, in [0, 1], are None
    where no recogniser gave them. `contribution` is None where the words were not scored.
    """

    text: str
    start_s: float | None
    end_s: float | None
    confidence: float | None
    contribution: float | None = None


@dataclass(frozen=True)
class Overall:
    """The whole file: means of its segments' `score`, `base` and so on, weighted by duration.

    `label` is the score in words (`label_of`). `interval` is (low, high), see `overall_of`; None
    while the checkpoint is not calibrated. `contributions` of a modality count as 0 where it is
    absent, so `base` and they add up to the score; `alone` is the mean where the modality is.
    """

    score: float
    label: str
    interval: tuple[float, float] | None
    contributions: Streams[float | None]
    base: float | None = None
    alone: Streams[float | None] = _NOTHING


@dataclass(frozen=True)
class Segment:
    """One scored utterance, or one stretch scored from the face alone.

    `start_s`, `end_s`: seconds from the start of the file, the same whatever is left out. `text`:
    what was said, scored or not; None where nobody speaks, or no words were looked for. `speaker`:
    who, None where no transcript names one. `score`: on the checkpoint's scale, and `label` the
    same in words (`label_of`); both None where the segment has nothing but what is left out, or
    words that the checkpoint does not read. `interval`: (low, high) that hold the true score in
    80 % of cases on validation data, None while uncalibrated. `base`: the score of nothing,
    None without a score. `contributions` of a modality: how far it moved the score, as the mean
    over all orders in which words, voice and face could arrive (Shapley value); `base` and they add
    up to the score. `alone` of a modality: the score from it by itself. Both are None where it is
    absent or left out. `present`: the share of the segment, in [0, 1], covered by words, by voiced
    sound, by a seen face, 0 where left out. `speech_confidence`: the recogniser's, in [0, 1], None
    without words. `face`: the one that was looked at, None without. `reasons`: why the score
    deserves less trust. `words` are those of `text`, each with its contribution; these and
    `context_contribution`, that of what was said before the segment (None where nothing was read),
    add up to the contribution of the text.
    """

    start_s: float
    end_s: float
    text: str | None
    speaker: str | None
    score: float | None
    label: str | None
    interval: tuple[float, float] | None
    contributions: Streams[float | None]
    present: Streams[float]
    speech_confidence: float | None
    face: FaceChoice | None
    reasons: tuple[Reason, ...]
    base: float | None = None
    alone: Streams[float | None] = _NOTHING
    words: tuple[ScoredWord, ...] = ()
    context_contribution: float | None = None


@dataclass(frozen=True)
class Analysis:
    """Everything that `analyze` found in one file; what is absent is None.

    `tool_version` is that of dashfusion, `media` the file itself, `model` the checkpoint, `run`
    what was wanted, `device` and `asr` what ran where; `asr` is None where no words were
    recognised. `language` is what was spoken, None where nobody spoke or where a transcript does
    not tell. `overall` is the whole file, `segments` its utterances in order of time, at least one
    with a score. `warnings` are sentences for a person to read. `timing_s` has the seconds of each
    stage and their `total`, which is less than their sum: stages run side by side. `waiting_s` is
    how much of that each stage waited for another; JSON is without it.
    """

    tool_version: str
    media: MediaInfo
    model: ModelInfo
    run: Run
    device: Devices
    asr: Asr | None
    language: DetectedLanguage | None
    overall: Overall
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...]
    timing_s: Mapping[str, float]
    waiting_s: Mapping[str, float] = field(default_factory=dict, metadata=UNTOLD)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: plain dicts, lists, strings, finite numbers and None.

        Scores and times are rounded to 4 decimals. `dashfusion schema analysis` describes it.
        """
        body: dict[str, Any] = _plain(self)
        body["media"].pop("is_image")
        version = body.pop("tool_version")
        return {"schema": SCHEMA, "tool": {"version": version}, **body}


def _plain(value: Any) -> Any:
    """Turn records into JSON's types, rounding numbers to 4 decimals."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = (f.name for f in dataclasses.fields(value) if f.metadata != UNTOLD)
        return {name: _plain(getattr(value, name)) for name in told}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return round(value, 4) + 0.0 if math.isfinite(value) else None
    return value
