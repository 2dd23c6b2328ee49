"""The folder that faster-whisper reads, checked before it is opened."""

from collections.abc import Callable
from pathlib import Path

from dashfusion_models.errors import WeightsError

__all__ = ["ctranslate2_folder"]


def ctranslate2_folder(model: str, weights: Callable[[str], Path]) -> Path:
    """Return the CTranslate2 folder of a size, or the one that `model` itself names.

    Raises:
        WeightsError: a file is missing that an engine would otherwise want to fetch.
    """
    path = Path(model)
    folder = path if path.is_dir() else weights(f"whisper-{model}")
    for name in ("model.bin", "config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise WeightsError(f"{folder}: no {name} in it; fetch the folder again")
    return folder
