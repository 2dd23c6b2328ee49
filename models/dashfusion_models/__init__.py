"""From a media file to a sentiment score per utterance.

`Analyzer.load().analyze(path, AnalyzeOptions(...))` returns an `Analysis`. Everything that a caller
can mend is raised as a `dashfusion_models.errors.DashfusionError`. Many files at once, in processes
that may die: `dashfusion_models.folder`. Worked examples: models/EXAMPLES.md.

Everything heavy is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashfusion_models.analysis import Analysis
    from dashfusion_models.analyzer import AnalyzeOptions, Analyzer

__all__ = ["Analysis", "AnalyzeOptions", "Analyzer"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the package itself is light."""
    if name == "Analysis":
        from dashfusion_models.analysis import Analysis

        return Analysis
    if name in __all__:
        from dashfusion_models import analyzer

        return getattr(analyzer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is public too before it was first used."""
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any"})
