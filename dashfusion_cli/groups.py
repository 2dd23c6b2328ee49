"""Which options stand together in --help: an option belongs to the same group in every command."""

__all__ = ["group_of"]

_GROUPS = {
    "Which files": ("recursive", "include", "limit", "retry-failed"),
    "Workers": ("workers", "engine", "ray-address", "jobs"),
    "What is said": ("language", "translate", "transcript", "asr", "asr-model"),
    "What is scored": ("checkpoint", "segments", "without", "start", "end"),
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
    "Training": ("preset", "presets", "set", "seed", "seeds", "precision", "resume", "log-to"),
    "Machine and messages": ("device", "offline", "config", "quiet", "verbose"),
}
_GROUP = {f"--{name}": group for group, names in _GROUPS.items() for name in names}


def group_of(option: str) -> str | None:
    """Return the group of an option, None for those that come first and stand alone."""
    return _GROUP.get(option)
