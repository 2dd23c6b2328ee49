"""Weights by the names that users give: a checkpoint, a size of the speech model."""

import importlib.util
from pathlib import Path

from dashfusion_models.errors import WeightsError
from dashfusion_models.weights.fetch import Report, say_nothing
from dashfusion_models.weights.lookup import locate

__all__ = ["DEFAULT_CHECKPOINT", "fetch_speech_weights", "is_here", "locate_checkpoint"]

DEFAULT_CHECKPOINT = "dashfusion-mini"


def locate_checkpoint(checkpoint: str | Path, *, offline: bool = False) -> Path:
    """Return the file of a checkpoint that is named, or given as a path.

    Raises:
        WeightsError: no such name, or it is missing.
    """
    if isinstance(checkpoint, Path) or "/" in checkpoint or checkpoint.endswith(".safetensors"):
        return Path(checkpoint)
    return Path(checkpoint) if Path(checkpoint).exists() else locate(checkpoint, offline=offline)


def is_here(name: str) -> bool:
    """Whether named weights are on this machine."""
    try:
        locate(name, offline=True)
    except WeightsError:
        return False
    return True


def fetch_speech_weights(engine: str, model: str, report: Report = say_nothing) -> None:
    """Download what `analyze` would download, so that several processes do not do it at once.

    A model that is a path needs nothing; neither does one that is here in either form, since one is
    converted into the other.

    Raises:
        WeightsError: no such model, or the download failed.
    """
    if engine == "auto":
        has_faster = importlib.util.find_spec("faster_whisper") is not None
        engine = "faster-whisper" if has_faster else "openai-whisper"
    for size in {model, "base"}:  # voices are described by base, whatever recognises the words
        if "/" in size or Path(size).exists() or size.endswith(".pt"):
            continue
        if not is_here(f"whisper-{size}") and not is_here(f"openai-whisper-{size}"):
            name = f"whisper-{size}" if engine == "faster-whisper" else f"openai-whisper-{size}"
            locate(name, report=report)
