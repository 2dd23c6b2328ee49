"""A tiny configuration and batches with known content."""

import dataclasses

import torch

from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.sequence import Batch, Sequence, Tokens
from dashfusion_models.records import Streams

TINY_BERT = {
    "model_type": "bert",
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
}


def tiny_config(**changes: object) -> NetworkConfig:
    config = NetworkConfig(
        text_encoder=TINY_BERT,
        audio_dims=5,
        vision_dims=7,
        audio_steps=40,
        vision_steps=30,
        width=32,
        heads=4,
        alignment_head_width=8,
    )
    return dataclasses.replace(config, **changes)


def random_batch(*, text: list[int], audio: list[int], vision: list[int], seed: int = 0) -> Batch:
    """Samples of the given lengths, padded with noise that no mask lets through."""
    draw = torch.Generator().manual_seed(seed)

    def mask(lengths: list[int]) -> torch.Tensor:
        return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]

    def frames(lengths: list[int], dims: int) -> Sequence:
        values = torch.randn(len(lengths), max(lengths), dims, generator=draw)
        return Sequence(values=values, real=mask(lengths))

    ids = torch.randint(1, 100, (len(text), max(text)), generator=draw)
    return Batch(
        text=Tokens(ids=ids, real=mask(text)),
        audio=frames(audio, 5),
        vision=frames(vision, 7),
        present=Streams(*(torch.ones(len(text), dtype=torch.bool) for _ in range(3))),
    )
