"""A checkpoint of a tiny network with random weights, for the samples of `tiny.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dashfusion_models.checkpoint import Checkpoint, save_checkpoint
from dashfusion_models.collate import Collator, Normalisation, load_tokenizer
from dashfusion_models.network.dashfusion import DashFusion
from tests.models.network.tiny import tiny_config
from tests.training.tiny import AUDIO, VISION


def untrained(
    encoder: Path, *, training: Mapping[str, Any] | None = None, context_tokens: int = 0
) -> Checkpoint:
    torch.manual_seed(3)
    config = tiny_config(
        audio_dims=AUDIO.dims, vision_dims=VISION.dims, context_tokens=context_tokens
    )
    network = DashFusion(config)
    return Checkpoint(
        name="untrained",
        network=network.eval(),
        collate=Collator(
            tokenizer=load_tokenizer((encoder / "tokenizer.json").read_text("utf-8")),
            audio=Normalisation.identity(AUDIO.dims),
            vision=Normalisation.identity(VISION.dims),
            context_tokens=context_tokens,
        ),
        audio=AUDIO,
        vision=VISION,
        label_range=(-3.0, 3.0),
        languages=("en",),
        license="none",
        training=training or {},
    )


def write_untrained(
    folder: Path, encoder: Path, *, training: Mapping[str, Any] | None = None
) -> Path:
    path = folder / "untrained.safetensors"
    save_checkpoint(untrained(encoder, training=training), path)
    return path
