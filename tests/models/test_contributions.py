"""Where one modality alone carries the sentiment, its contribution is the largest."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import MODALITIES, Features, FeatureSequence, Modality
from dashfusion_models.score import score
from tests.models.network.tiny import tiny_config
from tests.training.tiny import AUDIO, SCORE_OF, VISION, write_tiny_encoder
from tests.training.untrained import untrained

Planted = tuple[Features, float, Modality]
SHOWN = 320  # samples of training
STEPS, BATCH = 100, 24


def planted(k: int) -> Planted:
    """Words, voice or face say the label; the other two are neutral words and noise."""
    draw = np.random.default_rng(k)
    carrier = MODALITIES[k % 3]
    word = str(draw.choice(list(SCORE_OF)))
    label = SCORE_OF[word]

    def frames(dims: int, modality: Modality) -> FeatureSequence:
        steps = int(draw.integers(3, 8))
        values = draw.normal(0, 0.3, (steps, dims)).astype(np.float32)
        values[:, 0] += label if carrier == modality else 0.0
        return FeatureSequence(values=values, real=np.ones(steps, np.bool_))

    features = Features(
        text=f"the {word if carrier == 'text' else 'fair'} film",
        audio=frames(AUDIO.dims, "audio"),
        vision=frames(VISION.dims, "vision"),
    )
    return features, label, carrier


def with_some_lost(batch: Batch, draw: torch.Generator) -> Batch:
    """Each sample loses each modality with a chance of 0.3, as in training: but never all."""
    kept = torch.rand(3, len(batch), generator=draw) > 0.3
    kept[:, ~kept.any(dim=0)] = True
    present = {m: kept[number] for number, m in enumerate(MODALITIES)}
    return dataclasses.replace(batch, present=dataclasses.replace(batch.present, **present))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    encoder: Path = write_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    torch.manual_seed(0)
    network = DashFusion(
        tiny_config(
            audio_dims=AUDIO.dims,
            vision_dims=VISION.dims,
            encoder_layers=1,
            fusion_layers=1,
            position_dropout=0.0,
            encoder_dropout=0.0,
        )
    )
    checkpoint = dataclasses.replace(untrained(encoder), network=network)
    samples = [planted(k) for k in range(SHOWN)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=STEPS)
    draw = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(STEPS):
        chosen = [samples[int(i)] for i in torch.randperm(SHOWN, generator=draw)[:BATCH]]
        batch = with_some_lost(checkpoint.collate([f for f, _, _ in chosen]), draw)
        label = torch.tensor([label for _, label, _ in chosen])
        loss = torch.nn.functional.mse_loss(network(batch), label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    return checkpoint


@pytest.mark.parametrize("carrier", MODALITIES)
def test_the_modality_that_says_it_is_named(trained: Checkpoint, carrier: Modality) -> None:
    unseen = [planted(k) for k in range(SHOWN, SHOWN + 120)]
    signed = [(f, label) for f, label, by in unseen if by == carrier and abs(label) >= 1]
    scored = score(trained, [f for f, _ in signed], device=torch.device("cpu"))
    named, right = [], []
    for one, (_, label) in zip(scored, signed, strict=True):
        pulls = {m: pull for m, pull in one.contributions.items() if pull is not None}
        largest = max(pulls, key=lambda m: abs(pulls[m]))
        named.append(largest == carrier)
        right.append(np.sign(pulls[carrier]) == np.sign(label) == np.sign(one.score))
    assert len(signed) > 25
    assert np.mean(named) >= 0.9
    assert np.mean(right) >= 0.9
