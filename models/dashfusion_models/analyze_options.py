"""What a caller may want of a file, refused at once where it makes no sense."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dashfusion_models.errors import ConfigError
from dashfusion_models.records import MODALITIES, Modality

__all__ = ["AnalyzeOptions"]


@dataclass(frozen=True, kw_only=True)
class AnalyzeOptions:
    """What is wanted of a file: the options of `dashfusion analyze` that change its result.

    `language` is the code of what is spoken, such as "en" (ISO 639-1); with None or "auto" it is
    found out. `translate` turns speech that the checkpoint does not read into English.
    `transcript` is an .srt, .vtt or .txt file that takes the place of recognition. `segments` is
    "sentence", "whole" or a length in seconds, as "5". `without` names modalities that are not
    scored; they are still looked for, so that the segments are the same. `start_s` and `end_s`
    bound what is looked at, in seconds from the start of the file; None is its end.

    Raises:
        ConfigError: times or modalities that make no sense. What `segments`, `language` and
            `transcript` say is checked by `Analyzer.analyze`.
    """

    language: str | None = None
    translate: bool = False
    transcript: str | Path | None = None
    segments: str = "sentence"
    without: Collection[Modality] = frozenset()
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no file can give."""
        if not (math.isfinite(self.start_s) and self.start_s >= 0.0):
            raise ConfigError(f"start_s: is {self.start_s}; give seconds, 0 or more")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise ConfigError(f"end_s: {self.end_s} is not after start_s, {self.start_s}")
        unknown = sorted(set(self.without) - set(MODALITIES))
        if unknown:
            known = ", ".join(MODALITIES)
            raise ConfigError(f"without: {', '.join(unknown)} is unknown; name some of {known}")
        if set(self.without) == set(MODALITIES):
            raise ConfigError("without: names all modalities, so nothing is left; take one out")
