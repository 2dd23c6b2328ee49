"""Contributions add up and are fair; where one modality carries the sentiment, it is named."""

import dataclasses
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import MODALITIES, Features, FeatureSequence, Modality, Streams
from dashfusion_models.score import score
from dashfusion_models.shapley import shapley_values, subsets_of
from tests.models.network.tiny import tiny_config
from tests.models.test_calibration import calibration
from tests.models.test_checkpoint import planted as planted_checkpoint
from tests.models.test_checkpoint import sample
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
    assert np.mean(named) >= 0.95
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize("carrier", MODALITIES)
def test_what_it_says_alone_is_strongest(trained: Checkpoint, carrier: Modality) -> None:
    unseen = [planted(k) for k in range(SHOWN, SHOWN + 120)]
    signed = [(f, label) for f, label, by in unseen if by == carrier and abs(label) >= 1]
    scored = score(trained, [f for f, _ in signed], device=torch.device("cpu"))
    right = [
        np.sign(one.alone[carrier]) == np.sign(label)  # type: ignore[arg-type]
        for one, (_, label) in zip(scored, signed, strict=True)
    ]
    assert np.mean(right) >= 0.9


def test_the_word_that_says_it_is_named(trained: Checkpoint) -> None:
    unseen = [planted(k) for k in range(SHOWN, SHOWN + 120)]
    signed = [(f, label) for f, label, by in unseen if by == "text" and abs(label) >= 1]
    named, side = [], []
    for one, (features, label) in zip(
        score(trained, [f for f, _ in signed], device=torch.device("cpu")), signed, strict=True
    ):
        assert one.text is not None and features.text is not None
        strongest = max(one.text.pieces, key=lambda piece: abs(piece.contribution))
        word = features.text[strongest.start : strongest.end]
        named.append(word in features.text.split()[1])
        side.append(np.sign(strongest.contribution) == np.sign(label))
    assert np.mean(named) >= 0.9
    assert np.mean(side) >= 0.9


def over_all_orders(scores: dict[str, float], present: Streams[bool]) -> dict[str, float]:
    """Shapley values as they are defined: how far the score moves, in every order of arrival."""
    here = [m for m in MODALITIES if present[m]]
    moved: dict[str, list[float]] = {m: [] for m in here}
    for order in permutations(here):
        for place, modality in enumerate(order):
            before = "+".join(m for m in MODALITIES if m in order[:place])
            after = "+".join(m for m in MODALITIES if m in order[: place + 1])
            moved[modality].append(scores[after] - scores[before])
    return {m: float(np.mean(found)) for m, found in moved.items()}


ALL_SUBSETS = [some for size in range(4) for some in combinations(MODALITIES, size)]


@pytest.mark.parametrize("here", ALL_SUBSETS)
def test_contributions_are_means_over_all_orders(here: tuple[Modality, ...]) -> None:
    draw = np.random.default_rng(len(here))
    present = Streams(**{m: m in here for m in MODALITIES})
    scores = {
        "+".join(m for m in MODALITIES if some[m]): float(draw.normal())
        for some in subsets_of(present)
    }
    found = shapley_values(scores, present)
    wanted = over_all_orders(scores, present)
    assert {m: v for m, v in found.items() if v is not None} == pytest.approx(wanted)
    total = scores[""] + sum(wanted.values())
    assert total == pytest.approx(scores["+".join(here)])


def test_symmetric_modalities_have_equal_shares() -> None:
    """A score that only counts how many there are, and one in which a modality does nothing."""
    everything = Streams(text=True, audio=True, vision=True)
    names = ["+".join(some) for some in ALL_SUBSETS]
    of_count = {name: float(len(name.split("+"))) ** 2 if name else 0.0 for name in names}
    found = shapley_values(of_count, everything)
    assert (found.text, found.audio, found.vision) == pytest.approx((3.0, 3.0, 3.0))
    without_face = {name: float("text" in name) + 2.0 * ("audio" in name) for name in names}
    found = shapley_values(without_face, everything)
    assert (found.text, found.audio, found.vision) == pytest.approx((1.0, 2.0, 0.0))


@pytest.mark.parametrize("here", ALL_SUBSETS[1:])
@pytest.mark.parametrize(
    ("changes", "ends"),
    [(None, 3.0), (None, 0.05), ({"base": 0.7}, 3.0), ({"caution": {"vision": 0.2}}, 0.5)],
)
def test_base_and_contributions_add_up(
    here: tuple[Modality, ...], changes: dict[str, object] | None, ends: float
) -> None:
    """For all that may be present, calibrated or not, and where scores end at the scale's ends."""
    checkpoint = planted_checkpoint()
    if changes is None:
        checkpoint = dataclasses.replace(checkpoint, label_range=(-ends, ends))
    else:
        known = calibration(label_range=(-ends, ends), **changes)
        checkpoint = dataclasses.replace(checkpoint, label_range=(-ends, ends), calibration=known)
    gone = {m: None for m in MODALITIES if m not in here}
    one = dataclasses.replace(sample(), context="it was said before", **gone)
    (scored,) = score(checkpoint, [one], device=torch.device("cpu"))
    parts = {m: v for m, v in scored.contributions.items() if v is not None}
    assert tuple(parts) == here
    assert scored.base + sum(parts.values()) == pytest.approx(scored.score, abs=1e-5)
    assert {m for m, v in scored.alone.items() if v is not None} == set(here)
    if len(here) == 1:
        assert scored.alone[here[0]] == pytest.approx(scored.score, abs=1e-5)
    if scored.text is None:
        assert "text" not in here
    else:
        words = sum(piece.contribution for piece in scored.text.pieces)
        total = words + (scored.text.context or 0.0)
        assert total == pytest.approx(scored.contributions.text, abs=1e-5)
