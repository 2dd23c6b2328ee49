"""A pretrained text encoder on disk: three files in a folder, or under a name of `weights list`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dashfusion_models.errors import WeightsError

__all__ = ["CONFIG_FILE", "TOKENIZER_FILE", "WEIGHTS_FILE", "encoder_weights"]

CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE = "config.json", "tokenizer.json", "model.safetensors"
PREFIXES = ("bert.", "mpnet.", "model.", "")  # how an encoder's tensors are named, by who saved it


def encoder_weights(folder: Path, wanted: Iterable[str]) -> dict[str, Tensor]:
    """The weights of the encoder in `folder`, by the names that the network gives them.

    Raises:
        WeightsError: the file is missing or damaged, or lacks one of `wanted`.
    """
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such file; text encoders are read from safetensors")
    try:
        found, names = load_file(weights), set(wanted)
    except SafetensorError as error:
        raise WeightsError(f"{weights}: is damaged ({error}); fetch it again") from error
    for prefix in PREFIXES:
        named = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
        if names <= set(named):
            return {name: named[name] for name in names}
    missing = sorted(names - set(found))
    raise WeightsError(f"{weights}: lacks {missing[0]}; name a BERT-like text encoder")
