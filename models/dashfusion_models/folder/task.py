"""The work of `batch`: the analyzer, loaded once in each worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dashfusion_models.folder.jobs import Job, Tell, Work
from dashfusion_models.records import Progress

__all__ = ["AnalyzeTask"]

_PICTURES_PER_SECOND = 10.0  # that are looked at


@dataclass(frozen=True, kw_only=True)
class AnalyzeTask:
    """What is called in a worker: `load` goes to `Analyzer.load`, `options` to `AnalyzeOptions`."""

    load: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Work:
        """Load the analyzer; as `telling`."""
        return self.telling(lambda decoded_s: None)

    def telling(self, tell: Tell) -> Work:
        """Load the analyzer; the work tells how much it has decoded.

        Raises:
            DashfusionError: the checkpoint, its weights or the device are not there.
        """
        from dashfusion_models.analyzer import AnalyzeOptions, Analyzer

        analyzer = Analyzer.load(**self.load)
        options = AnalyzeOptions(**self.options)

        def work(job: Job) -> Mapping[str, Any]:
            wanted = replace(options, transcript=job.transcript) if job.transcript else options
            return analyzer.analyze(job.file, wanted, report=_Decoded(tell)).to_dict()

        return work


class _Decoded:
    """Hears how far the stages are, and tells how many seconds of media were decoded.

    Times in a file are not believed: pictures are counted, each of them a tenth of a second.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._pictures, self._sound_s = 0, 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.stage == "vision":
            self._pictures += 1
        elif progress.stage == "decode":
            self._sound_s = progress.done
        self._tell(max(self._pictures / _PICTURES_PER_SECOND, self._sound_s))
