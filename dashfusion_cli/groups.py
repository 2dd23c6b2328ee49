"""Which options stand together in --help: an option belongs to the same group in every command."""

__all__ = ["group_of"]

_GROUPS = {
    "Files": ("recursive", "include", "limit", "retry-failed"),
    "Workers": ("workers", "engine", "ray-address", "jobs"),
    "Speech": ("language", "translate", "transcript", "transcripts", "asr", "asr-model"),
    "Scoring": ("checkpoint", "segments", "without", "start", "end"),
    "Data": (
        "dataset",
        "data-root",
        "media-root",
        "split",
        "classes",
        "label-range",
        "text-only",
        "cache-limit",
    ),
    "Network": ("text-encoder", "modalities", "ablate", "fusion", "bottleneck"),
    "Training": (
        "finetune",
        "preset",
        "presets",
        "set",
        "seed",
        "seeds",
        "precision",
        "resume",
        "log-to",
    ),
    "General": ("device", "offline", "config", "quiet", "verbose"),
}
_GROUP = {f"--{name}": group for group, names in _GROUPS.items() for name in names}


def group_of(option: str) -> str | None:
    """Return the group of an option, None for those that come first and stand alone."""
    return _GROUP.get(option)
