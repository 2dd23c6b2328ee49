"""The frozen records that flow between the stages, from a media file to an analysis.

Times are seconds (float) from the start of the file. Boxes are shares of the frame. A record of a
later stage holds what a reader needs of the earlier ones, so that no stage looks back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8

__all__ = [
    "MODALITIES",
    "SAMPLE_RATE_HZ",
    "UNTOLD",
    "Face",
    "FaceChoice",
    "FacePath",
    "FeatureSequence",
    "FeatureSpec",
    "Features",
    "Frame",
    "FrameFaces",
    "Language",
    "MediaInfo",
    "Modality",
    "Phrase",
    "Progress",
    "Samples",
    "Span",
    "Streams",
    "Transcript",
    "Utterance",
    "Word",
]

SAMPLE_RATE_HZ = 16_000
UNTOLD = {"json": False}  # marks a field that the JSON form of an analysis is without

Modality = Literal["text", "audio", "vision"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "vision")

Samples = Float32[np.ndarray, " samples"]  # mono, 16 kHz, in [-1, 1]
FacePath = Float32[np.ndarray, "pictures 5"]  # seconds, x, y, width, height

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Streams(Generic[T]):
    """One thing for each modality."""

    text: T
    audio: T
    vision: T

    def map(self, f: Callable[[T], U]) -> "Streams[U]":
        """Apply `f` to each of the three."""
        return Streams(text=f(self.text), audio=f(self.audio), vision=f(self.vision))

    def items(self) -> Iterator[tuple[Modality, T]]:
        """Yield (name, thing) in the order text, audio, vision."""
        yield "text", self.text
        yield "audio", self.audio
        yield "vision", self.vision

    def __getitem__(self, modality: Modality) -> T:
        """Return the thing of one modality by its name."""
        thing: T = getattr(self, modality)
        return thing


@dataclass(frozen=True)
class Span:
    """A stretch of time, `start_s` inside and `end_s` outside."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    def overlap_s(self, other: "Span") -> float:
        """Seconds that both cover."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))


@dataclass(frozen=True)
class MediaInfo:
    """What a file says of itself, measured where it says nothing.

    `path` is as it was given, `sha256` that of its content in hex digits, `duration_s` in seconds.
    `has_audio` and `has_video` tell which streams there are. `width`, `height` are those that a
    player shows, in pixels (rotation applied), `fps` pictures a second; all three are None without
    pictures. An image has `is_image` and a duration of 0.
    """

    path: Path
    sha256: str
    duration_s: float
    has_audio: bool
    has_video: bool
    is_image: bool
    width: int | None
    height: int | None
    fps: float | None


@dataclass(frozen=True)
class Frame:
    """One picture of a video: upright RGB, longer side at most 480 px, with its own time.

    `full()` gives the same picture at its full size (upright too); it is for a second look at a
    wide shot and must be called before the next frame is taken from the iterator.
    """

    seconds: float
    pixels: UInt8[np.ndarray, "height width 3"]
    full: Callable[[], UInt8[np.ndarray, "full_height full_width 3"]]


@dataclass(frozen=True)
class Word(Span):
    """A recognised word; `text` without spaces around it, `probability` in [0, 1]."""

    text: str
    probability: float


@dataclass(frozen=True)
class Phrase(Span):
    """What the recogniser returned in one piece; words may be empty for a given transcript.

    `speaker` is the name of the one person who says it, None where nobody is named.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    speaker: str | None = None


@dataclass(frozen=True)
class Language:
    """ISO 639-1 code and how sure the recogniser is; None where a user named it."""

    code: str
    probability: float | None


@dataclass(frozen=True)
class Transcript:
    """All phrases of a file in order of time.

    `engine` and `model` are None for a transcript that was given, and `sha256` is that of its file
    in hex digits; `times_estimated` is True where it had no times of its own and was spread over
    the speech. `translated` is True where the phrases are an English translation of what was said.
    """

    phrases: tuple[Phrase, ...]
    language: Language | None
    engine: str | None
    model: str | None
    times_estimated: bool = False
    translated: bool = False
    sha256: str | None = None


@dataclass(frozen=True)
class Utterance(Span):
    """A stretch that gets one score; `text` is None where nobody speaks.

    `speaker` is the name of whoever speaks, None where it is not known or several do.
    """

    text: str | None
    words: tuple[Word, ...]
    confidence: float | None
    times_estimated: bool = False
    speaker: str | None = None


@dataclass(frozen=True)
class Face:
    """One face in one picture.

    `box` is x, y, width, height as shares of the frame; `blendshapes` are MediaPipe's 52 scores in
    its own order; `pose` is pitch, yaw, roll in radians and x, y, z in centimetres.
    """

    box: tuple[float, float, float, float]
    blendshapes: Float32[np.ndarray, " 52"]
    pose: Float32[np.ndarray, " 6"]


@dataclass(frozen=True)
class FrameFaces:
    """All faces of one picture, largest first; empty where none was seen."""

    seconds: float
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class FaceChoice:
    """The face that stands for an utterance, and why it was taken.

    `track` numbers the faces that were followed through the file, from 0. `chosen_by` is "lips"
    where its mouth moved with the sound, "size" where it is the largest and longest seen. `box` is
    its median box: x, y, width, height as shares of the frame; `path` says when it was where:
    seconds and the same four. JSON is without the path.
    """

    track: int
    chosen_by: Literal["lips", "size"]
    box: tuple[float, float, float, float]
    path: FacePath = field(
        default_factory=lambda: np.zeros((0, 5), np.float32),
        compare=False,
        repr=False,
        metadata=UNTOLD,
    )


@dataclass(frozen=True)
class FeatureSpec:
    """Names what an extractor makes, so that a checkpoint can refuse another's features.

    `names` has one entry per feature. `version` rises whenever the same media would give other
    numbers.
    """

    extractor: str
    version: int
    names: tuple[str, ...] = field(default=())

    @property
    def dims(self) -> int:
        """Number of features a step."""
        return len(self.names)


@dataclass(frozen=True)
class FeatureSequence:
    """The features of one utterance over time; `real` is True where something was observed."""

    values: Float32[np.ndarray, "steps dims"]
    real: Bool[np.ndarray, " steps"]

    @property
    def share(self) -> float:
        """Share of the steps that were observed; 0 for an empty sequence."""
        return float(self.real.mean()) if self.real.size else 0.0


@dataclass(frozen=True)
class Features:
    """What the network reads of one utterance; a modality that is absent is None.

    `context` is what was said before it in the same video; a network that reads no context, or
    an utterance without words of its own, leaves it aside.
    """

    text: str | None
    audio: FeatureSequence | None
    vision: FeatureSequence | None
    context: str | None = None

    @property
    def present(self) -> Streams[bool]:
        """Which modalities are there."""
        return Streams(
            text=self.text is not None,
            audio=self.audio is not None,
            vision=self.vision is not None,
        )


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` in `unit`; `total` is None while it is unknown."""

    stage: str
    done: int | float
    total: int | float | None
    unit: str = "s"
    note: str = ""  # what else is worth seeing, such as a loss
