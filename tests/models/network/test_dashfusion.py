"""Masks, absence, batching and gradients of the whole network."""

import dataclasses
import itertools

import pytest
import torch

from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.fusions import FUSIONS
from dashfusion_models.network.sequence import Batch, Sequence, Tokens
from dashfusion_models.records import MODALITIES
from tests.models.network.tiny import random_batch, tiny_config

CLOSE = {"rtol": 0.0, "atol": 1e-5}


def padded(batch: Batch, extra: int) -> Batch:
    """The same samples, each sequence padded with `extra` more steps of large numbers."""

    def longer(x: Sequence) -> Sequence:
        noise = 100 * torch.ones(x.values.shape[0], extra, x.values.shape[2])
        return Sequence(
            values=torch.cat([x.values, noise], dim=1),
            real=torch.cat([x.real, x.real.new_zeros(len(x.real), extra)], dim=1),
        )

    ids = torch.cat([batch.text.ids, batch.text.ids.new_full((len(batch), extra), 9)], dim=1)
    real = torch.cat([batch.text.real, batch.text.real.new_zeros(len(batch), extra)], dim=1)
    return dataclasses.replace(
        batch,
        text=Tokens(ids=ids, real=real),
        audio=longer(batch.audio),
        vision=longer(batch.vision),
    )


def sample(batch: Batch, index: int) -> Batch:
    row = torch.tensor([index])
    return Batch(
        text=batch.text.rows(row),
        audio=batch.audio.rows(row),
        vision=batch.vision.rows(row),
        present=batch.present.map(lambda here: here[row]),
    )


LENGTHS = {"text": [12, 3, 9, 20], "audio": [30, 11, 1, 17], "vision": [5, 25, 8, 1]}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("norm_order", ["post", "authors"])
def test_padding_never_changes_a_score(fusion: str, norm_order: str) -> None:
    torch.manual_seed(0)
    network = DashFusion(tiny_config(fusion=fusion, norm_order=norm_order)).eval()
    batch = random_batch(**LENGTHS)
    torch.testing.assert_close(network(padded(batch, 5)), network(batch), **CLOSE)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_batch_scores_as_its_members_do(fusion: str) -> None:
    """Also a text shorter than the bottleneck, and samples that lack a modality."""
    torch.manual_seed(0)
    network = DashFusion(tiny_config(fusion=fusion)).eval()
    batch = random_batch(**LENGTHS)
    batch.present.audio[1] = False
    batch.present.text[2] = False
    batch.present.vision[3] = False
    alone = torch.cat([network(sample(batch, i)) for i in range(len(batch))])
    torch.testing.assert_close(network(batch), alone, **CLOSE)


def test_exchanging_two_samples_audio_changes_both_scores(network: DashFusion) -> None:
    batch = random_batch(text=[6, 6], audio=[10, 10], vision=[4, 4])
    swapped = dataclasses.replace(batch, audio=batch.audio.rows(torch.tensor([1, 0])))
    assert ((network(batch) - network(swapped)).abs() > 1e-4).all()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(
    "kept", [c for n in range(4) for c in itertools.combinations(MODALITIES, n)]
)
def test_every_combination_of_modalities_scores_and_ignores_the_rest(
    kept: tuple[str, ...], fusion: str
) -> None:
    torch.manual_seed(0)
    network = DashFusion(tiny_config(fusion=fusion)).eval()
    gone = [m for m in MODALITIES if m not in kept]
    batch = random_batch(**LENGTHS).without(*gone)
    scores = network(batch)
    assert scores.shape == (4,)
    assert scores.isfinite().all()
    other = random_batch(**LENGTHS, seed=5)
    replaced = dataclasses.replace(batch, **{m: getattr(other, m) for m in gone})
    torch.testing.assert_close(network(replaced), scores, **CLOSE)


def test_a_frame_that_was_not_observed_is_not_looked_at(network: DashFusion) -> None:
    batch = random_batch(text=[6], audio=[10], vision=[9])
    batch.vision.real[0, 4] = False
    before = network(batch)
    batch.vision.values[0, 4] = 50.0
    torch.testing.assert_close(network(batch), before, **CLOSE)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_reach_every_parameter(fusion: str) -> None:
    torch.manual_seed(0)
    config = tiny_config(fusion=fusion, position_dropout=0.0, encoder_dropout=0.0)
    network = DashFusion(config).train()
    batch = random_batch(**LENGTHS)
    for row, modality in enumerate(MODALITIES):
        batch.present[modality][row] = False
    network(batch).square().sum().backward()
    without = [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not p.grad.abs().sum() > 0
    ]
    # a key's bias shifts all scores of a query alike, so softmax takes it out: zero by algebra
    assert [n for n in without if not n.endswith(("key.bias", "bert.pooler"))] == []
