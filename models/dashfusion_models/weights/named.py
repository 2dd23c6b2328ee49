"""Weights by the names that users give: a checkpoint, a size of the speech model."""

import importlib.util
from collections.abc import Collection
from pathlib import Path

from dashfusion_models.errors import WeightsError
from dashfusion_models.weights.fetch import Report, say_nothing
from dashfusion_models.weights.known import WEIGHTS
from dashfusion_models.weights.lookup import locate

__all__ = [
    "DEFAULT_CHECKPOINT",
    "fetch_speech_weights",
    "is_folder",
    "is_here",
    "locate_checkpoint",
    "locate_folder",
    "names_of",
]

DEFAULT_CHECKPOINT = "dashfusion-mini"


def locate_checkpoint(checkpoint: str | Path, *, offline: bool = False) -> Path:
    """Return the file of a checkpoint that is named, or given as a path.

    A name of `weights list` means those weights, whatever lies beside: `./NAME` is a path.

    Raises:
        WeightsError: no such name, or it is missing.
    """
    if isinstance(checkpoint, Path) or "/" in checkpoint or checkpoint.endswith(".safetensors"):
        return Path(checkpoint)
    if checkpoint not in WEIGHTS and Path(checkpoint).exists():
        return Path(checkpoint)
    return locate(checkpoint, offline=offline)


def is_folder(named: str) -> bool:
    """Whether a folder is meant, one that is there; a name of `weights list` never means one."""
    return bool(named) and named not in WEIGHTS and Path(named).is_dir()


def locate_folder(named: str, *, offline: bool = False) -> Path:
    """Return the folder of weights that are named, or given as a path.

    Raises:
        WeightsError: no such name, or it is missing.
    """
    return Path(named) if is_folder(named) else locate(named, offline=offline)


def names_of(files: Collection[str]) -> list[str]:
    """Return the names of the known weights that have all of these files."""
    return [name for name, known in WEIGHTS.items() if set(files) <= {f.name for f in known.files}]


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
