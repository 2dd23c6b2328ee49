"""The work of `batch`: the analyzer, loaded once in each worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dashfusion_models.folder.jobs import Job, Work

__all__ = ["AnalyzeTask"]


@dataclass(frozen=True, kw_only=True)
class AnalyzeTask:
    """What is called in a worker: `load` goes to `Analyzer.load`, `options` to `AnalyzeOptions`."""

    load: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Work:
        """Load the analyzer.

        Raises:
            DashfusionError: the checkpoint, its weights or the device are not there.
        """
        from dashfusion_models.analyzer import AnalyzeOptions, Analyzer

        analyzer = Analyzer.load(**self.load)
        options = AnalyzeOptions(**self.options)

        def work(job: Job) -> Mapping[str, Any]:
            wanted = replace(options, transcript=job.transcript) if job.transcript else options
            return analyzer.analyze(job.file, wanted).to_dict()

        return work
