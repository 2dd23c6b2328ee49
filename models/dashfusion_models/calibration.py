"""How far a score may be trusted, learned from validation data and kept in the checkpoint.

A calibration straightens the network's score, lets voice and face count beside words only where
they say something clearly, gives the interval that holds the label of four in five utterances (or
files), and says from where on a reason to doubt a score is worth naming.

Source: split conformal prediction (Vovk et al. 2005; Lei et al. 2018). The groups are ours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashfusion_models.calibration_groups import (
    ALL,
    COMBINATIONS,
    FILES,
    GROUPS,
    Grouping,
    combination_of,
    count_words,
    file_chain,
    present_in,
    size_class,
)
from dashfusion_models.errors import ConfigError
from dashfusion_models.records import Modality, Streams

__all__ = [
    "ALL",
    "COMBINATIONS",
    "LEVEL",
    "MINIMUM",
    "Calibration",
    "Grouping",
    "Line",
    "Thresholds",
    "Width",
    "clip",
    "combination_of",
    "count_words",
    "file_chain",
    "present_in",
    "shown_score",
    "size_class",
    "straightened",
]

LEVEL = 0.8  # share of the labels that the intervals are to hold
MINIMUM = 40  # a smaller group is not believed: its parent speaks for it
BESIDE_WORDS: tuple[Modality, ...] = ("audio", "vision")  # in the order in which they are heard


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on the reasons to doubt a score hold; the defaults are ours, not learned."""

    low_confidence: float = 0.5  # mean probability of the words, as the speech engine gives it
    short_s: float = 1.0
    # On [-3, 3]: one modality alone is positive, another negative, each by at least this much. The
    # default is where a score is no longer labelled neutral.
    opposed: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what no utterance could be compared with."""
        if not 0 <= self.low_confidence <= 1:
            raise ConfigError(f"low_confidence is {self.low_confidence}; it lies in [0, 1]")
        for name in ("short_s", "opposed"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; it is a number above 0")


@dataclass(frozen=True, kw_only=True)
class Line:
    """slope * score + offset, fitted on `n` utterances; as it stands it changes nothing."""

    slope: float = 1.0
    offset: float = 0.0
    n: int = 0

    def __post_init__(self) -> None:
        """Refuse a line that turns the scale around or leads nowhere."""
        if not (0 <= self.slope < math.inf and math.isfinite(self.offset) and self.n >= 0):
            raise ConfigError(f"{self}: a slope is at least 0, and all are finite numbers")

    def at(self, score: float) -> float:
        """The score that stands for `score`; it may leave the label range."""
        return self.slope * score + self.offset


@dataclass(frozen=True, kw_only=True)
class Width:
    """Half of an interval, on the scale of the labels, and how many residuals it comes from."""

    half: float
    n: int

    def __post_init__(self) -> None:
        """Refuse a width that is none."""
        if not (0 <= self.half < math.inf and self.n > 0):
            raise ConfigError(f"{self}: a width is at least 0 and comes from somewhere")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What validation data taught about the scores of one checkpoint.

    `lines` straighten a raw score, by what is present (a name of COMBINATIONS); a combination
    without one keeps its score. `caution` is, for a voice or a face beside words, how far it must
    move the score before it moves it at all. `widths` are by the
    groups of `grouping`, with ALL among them; a group of fewer than `minimum` is passed over for
    its parent. `overall` are the widths for whole files by FILES, those whose words were scored and
    those whose words were not: by SIZE_CLASSES, and ALL for the rest; none speaks with fewer than
    `minimum` files. It may be empty. `base` is the score of nothing: the mean label of the
    utterances, and 0 where that was not fitted.
    """

    label_range: tuple[float, float]
    grouping: Grouping
    widths: Mapping[str, Width]
    lines: Mapping[str, Line] = field(default_factory=dict)
    overall: Mapping[str, Width] = field(default_factory=dict)
    caution: Mapping[str, float] = field(default_factory=dict)
    thresholds: Thresholds = field(default_factory=Thresholds)
    level: float = LEVEL
    minimum: int = MINIMUM
    base: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be looked up."""
        low, high = self.label_range
        if not -math.inf < low < high < math.inf:
            raise ConfigError(f"label_range is {self.label_range}; give the lower end first")
        if not (0 < self.level < 1 and self.minimum >= 1):
            raise ConfigError(f"level {self.level} or minimum {self.minimum} makes no sense")
        if ALL not in self.widths:
            raise ConfigError(f"widths have no group {ALL!r}, which speaks for all others")
        for kind, names, known in (
            ("lines", self.lines, set(COMBINATIONS)),
            ("widths", self.widths, GROUPS),
            ("overall", self.overall, set(FILES)),
            ("caution", self.caution, set(BESIDE_WORDS)),
        ):
            unknown = sorted(set(names) - known)
            if unknown:
                raise ConfigError(f"{kind} name a group {unknown[0]!r} that nothing belongs to")
        if not math.isfinite(self.base):
            raise ConfigError(f"base is {self.base}; it is a finite number")
        if not all(0 <= least < math.inf for least in self.caution.values()):
            raise ConfigError(f"caution is {dict(self.caution)}; it is numbers of at least 0")

    def calibrated(self, raw: Mapping[str, float], *, present: Streams[bool]) -> float:
        """Straighten the raw score of what is present, with caution, and clip it.

        `raw` has it under its name (`combination_of`); where there are words and a caution, also
        those of the words alone and of the words with the voice. Nothing present is the
        `base`, whatever the network says of nothing: it never learned that.
        """
        if not combination_of(present):
            return clip(self.base, self.label_range)
        return shown_score(raw, combination_of(present), self.lines, self.caution, self.label_range)

    def width_of(
        self, score: float, *, present: Streams[bool], words: int | None
    ) -> tuple[str, Width]:
        """The group that speaks for a calibrated score, and its width."""
        count = words if present.text else None
        for name in self.grouping.chain(score, combination_of(present), count):
            width = self.widths.get(name)
            if width is not None and width.n >= self.minimum:
                return name, width
        return ALL, self.widths[ALL]

    def interval_of(
        self, score: float, *, present: Streams[bool], words: int | None
    ) -> tuple[float, float]:
        """The interval around a calibrated score, inside the label range; it holds the score."""
        _, width = self.width_of(score, present=present, words=words)
        return self._around(score, width)

    def overall_width(self, n_segments: int, *, words: bool = True) -> tuple[str, Width] | None:
        """The class that speaks for a file of so many utterances; None if too little is known.

        `words`: those of its utterances were scored.
        """
        if n_segments < 2:
            return None
        for name in file_chain(n_segments, words=words):
            width = self.overall.get(name)
            if width is not None and width.n >= self.minimum:
                return name, width
        return None

    def overall_interval(
        self, score: float, n_segments: int, *, words: bool = True
    ) -> tuple[float, float] | None:
        """The interval of a file; None for fewer than two utterances or too few known files."""
        found = self.overall_width(n_segments, words=words)
        return self._around(score, found[1]) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        values = dataclasses.asdict(self)
        return {**values, "label_range": list(self.label_range)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Read the JSON form.

        Raises:
            ConfigError: something is missing, unknown or makes no sense.
        """
        try:
            low, high = values["label_range"]
            known = {
                "label_range": (float(low), float(high)),
                "grouping": _read(Grouping, values["grouping"]),
                "widths": {k: _read(Width, v) for k, v in values["widths"].items()},
                "lines": {k: _read(Line, v) for k, v in values["lines"].items()},
                "overall": {k: _read(Width, v) for k, v in values["overall"].items()},
                "caution": {k: float(v) for k, v in values.get("caution", {}).items()},
                "thresholds": _read(Thresholds, _known_thresholds(values["thresholds"])),
                "level": float(values["level"]),
                "minimum": int(values["minimum"]),
                "base": float(values.get("base", 0.0)),
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"calibration: is damaged ({error!r}); calibrate again") from error
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(f"calibration: {unknown[0]!r} is unknown; calibrate again")
        return cls(**known)

    def _around(self, score: float, width: Width) -> tuple[float, float]:
        low, high = (clip(score + side * width.half, self.label_range) for side in (-1, 1))
        return low, high


def clip(score: float, label_range: tuple[float, float]) -> float:
    """The score, or the end of the range that it lies beyond; NaN stays NaN."""
    low, high = label_range
    return min(max(score, low), high)


def straightened(
    raw: float, combination: str, lines: Mapping[str, Line], label_range: tuple[float, float]
) -> float:
    """Straighten a raw score by the line of its combination, if there is one, and clip it."""
    return clip(lines.get(combination, Line()).at(raw), label_range)


def shown_score(
    raw: Mapping[str, float],
    combination: str,
    lines: Mapping[str, Line],
    caution: Mapping[str, float],
    label_range: tuple[float, float],
) -> float:
    """What is shown for raw scores (`Calibration.calibrated`).

    Words come first, then the voice, then the face; each moves the score by as much as it moves
    the straightened one, less its caution. Without a caution that is the straightened score.

    Source: soft thresholding (Donoho & Johnstone, 1994).
    """
    beside = [m for m in BESIDE_WORDS if m in combination.split("+")]
    if not (combination.startswith("text") and any(caution.get(m) for m in beside)):
        return straightened(raw[combination], combination, lines, label_range)
    name = "text"
    before = shown = straightened(raw[name], name, lines, label_range)
    for modality in beside:
        name += f"+{modality}"
        after = straightened(raw[name], name, lines, label_range)
        heard = max(0.0, abs(after - before) - caution.get(modality, 0.0))
        shown += math.copysign(heard, after - before)
        before = after
    return clip(shown, label_range)


def _known_thresholds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read those of older checkpoints too: their `disagreement` compared other numbers."""
    known = {name: value for name, value in values.items() if name != "disagreement"}
    return {"opposed": Thresholds().opposed, **known} if "disagreement" in values else known


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Build a record of numbers, each in the type that its field says."""
    types = {f.name: int if f.type == "int" else float for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown")
    return kind(**{name: of(values[name]) for name, of in types.items()})
