"""A step against the same step written plainly, with nothing shared and everything padded."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import MODALITIES, Features, Streams
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Lesson, epoch_batches, load_dataset
from dashfusion_training.neighbours import Neighbours
from dashfusion_training.objective import (
    Companions,
    Compared,
    ContrastiveConfig,
    contrastive_loss,
)
from dashfusion_training.processes import ALONE
from dashfusion_training.retrieval import Retrieval
from dashfusion_training.step import Step
from tests.training.tiny import AUDIO, VISION, planted_sample

CPU = torch.device("cpu")


@pytest.fixture
def config(tiny_config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(
        tiny_config,
        contrastive_weight=0.2,
        modality_dropout=0.3,
        encoder_dropout=0.0,
        position_dropout=0.0,
    )


@pytest.fixture
def checkpoint(config: TrainConfig, small_store: Store, tiny_encoder: Path) -> Checkpoint:
    samples = load_dataset({"small": small_store}, "train", config)
    made = new_checkpoint(config, tiny_encoder, samples, audio=AUDIO, vision=VISION)
    for module in made.network.text_encoder.bert.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in made.network.text_encoder.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    return made


def lesson_of(config: TrainConfig, store: Store, checkpoint: Checkpoint) -> Lesson:
    samples = load_dataset({"small": store}, "train", config)
    retrieval = Retrieval(checkpoint, samples, config, device=CPU, team=ALONE)
    retrieval.refresh(1)
    return next(epoch_batches(samples, config, 1, neighbours=retrieval.neighbours))


def plainly(network: DashFusion, checkpoint: Checkpoint, lesson: Lesson) -> torch.Tensor:
    """Anchors in one batch, their six companions in another, each as often as it was drawn."""
    assert lesson.companions is not None
    b = len(lesson.anchors)
    filler = lesson.features[0]
    ours = checkpoint.collate([lesson.features[i] for i in lesson.anchors])
    six = lesson.companions.ravel()
    theirs = checkpoint.collate([lesson.features[i] if i >= 0 else filler for i in six])
    first = network.align(network.encode(ours), ours.present)
    second = network.align(network.encode(theirs), theirs.present)
    rows = torch.where(torch.from_numpy(six) < 0, -1, b + torch.arange(6 * b)).view(b, 6)
    here = {m: torch.cat([ours.present[m], theirs.present[m]]) for m in MODALITIES}
    compared = Compared.of([first, second], torch.arange(7 * b), Streams(**here))
    places = Companions(torch.arange(b), positives=rows[:, :2], negatives=rows[:, 2:])
    contrastive = contrastive_loss(compared, places, ContrastiveConfig())
    return F.mse_loss(network.fuse(first), torch.from_numpy(lesson.labels)) + 0.2 * contrastive


def test_loss_and_gradients_are_those_of_the_plain_arrangement(
    config: TrainConfig, small_store: Store, checkpoint: Checkpoint
) -> None:
    lesson = lesson_of(config, small_store, checkpoint)
    network = checkpoint.network.train()
    expected = plainly(network, checkpoint, lesson)
    expected.backward()
    gradients = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    step = Step(checkpoint, config, batches=5, device=CPU)
    assert step(lesson) == pytest.approx(float(expected.detach()), abs=1e-6)
    found = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_a_companion_drawn_twice_is_encoded_once(
    config: TrainConfig,
    small_store: Store,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All anchors have the same few companions, and are companions themselves."""
    samples = load_dataset({"small": small_store}, "train", config)
    same = np.tile(np.array([[0, 1, 2]]), (60, 1))
    neighbours = Neighbours(alike=same, hard=same + 3, easy=same + 6)
    lesson = next(epoch_batches(samples, config, 1, neighbours=neighbours))
    assert lesson.companions is not None
    drawn = set(lesson.companions.ravel())
    assert len(lesson.features) == len(drawn | set(lesson.anchors)) <= 16 + 9
    encoded = []
    encode = checkpoint.network.encode

    def counted(batch: Batch) -> object:
        encoded.append(len(batch))
        return encode(batch)

    monkeypatch.setattr(checkpoint.network, "encode", counted)
    Step(checkpoint, config, batches=5, device=CPU)(lesson)
    assert encoded == [len(lesson.features)]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near(
    config: TrainConfig, small_store: Store, checkpoint: Checkpoint, precision: str
) -> None:
    lesson = lesson_of(config, small_store, checkpoint)
    expected = float(plainly(checkpoint.network, checkpoint, lesson).detach())
    half = dataclasses.replace(config, precision=precision)
    assert Step(checkpoint, half, batches=5, device=CPU)(lesson) == pytest.approx(
        expected, rel=0.05
    )


def test_resuming_restores_the_neighbours(
    config: TrainConfig, small_store: Store, checkpoint: Checkpoint
) -> None:
    samples = load_dataset({"small": small_store}, "train", config)
    one = Retrieval(checkpoint, samples, config, device=CPU, team=ALONE)
    one.refresh(1)
    other = Retrieval(checkpoint, samples, config, device=CPU, team=ALONE)
    other.restore(one.state())
    assert one.neighbours is not None and other.neighbours is not None
    assert np.array_equal(one.neighbours.alike, other.neighbours.alike)
    assert np.array_equal(one.neighbours.easy, other.neighbours.easy)
    before = other.neighbours
    other.refresh(2)  # they are looked for before epochs 1, 3, 5
    assert other.neighbours is before


def test_retrieval_compares_what_a_sample_has(
    config: TrainConfig, small_store: Store, checkpoint: Checkpoint
) -> None:
    """The three means side by side, and zeros where a modality is not used."""
    from dashfusion_training.retrieval import embed

    less = dataclasses.replace(config, modalities=("text", "vision"))
    samples = load_dataset({"small": small_store}, "train", less)
    vectors = embed(checkpoint, samples, device=CPU)
    d = checkpoint.network.config.width
    assert vectors.shape == (60, 3 * d)
    assert not vectors[:, d : 2 * d].any()
    batch = checkpoint.collate([samples[7].features()])
    network = checkpoint.network.eval()
    with torch.inference_mode():
        means = network.align(network.encode(batch), batch.present).means
    np.testing.assert_allclose(vectors[7, :d], means.text[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(vectors[7, 2 * d :], means.vision[0].numpy(), atol=1e-5)


def test_companions_have_the_same_modalities_and_texts_alone_have_none(
    config: TrainConfig, small_store: Store, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """Of one store samples with all three, of another voices alone and texts alone."""
    with StoreWriter(tmp_path / "parts", audio=AUDIO, vision=VISION) as writer:
        for k in range(30):
            row, features = planted_sample(k, "train")
            text = k % 2 == 0
            less = Features(
                text=features.text if text else None,
                audio=None if text else features.audio,
                vision=None,
            )
            writer.add(dataclasses.replace(row, text=less.text, audio=not text, vision=False), less)
    stores = {"small": small_store, "parts": Store(tmp_path / "parts")}
    some = dataclasses.replace(config, companions_of="heard-or-seen")
    samples = load_dataset(stores, "train", some)
    retrieval = Retrieval(checkpoint, samples, some, device=CPU, team=ALONE)
    retrieval.refresh(1)
    neighbours = retrieval.neighbours
    assert neighbours is not None
    for i, sample in enumerate(samples):
        found = np.concatenate([neighbours.alike[i], neighbours.hard[i], neighbours.easy[i]])
        has = [sample.has(m) for m in MODALITIES]
        if not (has[1] or has[2]):
            assert (found == -1).all()
            continue
        others = found[found >= 0]
        assert len(others)
        assert all([samples[j].has(m) for m in MODALITIES] == has for j in others)
    lesson = next(epoch_batches(samples, some, 1, neighbours=neighbours))
    step = Step(checkpoint, some, batches=5, device=CPU)
    assert np.isfinite(step(lesson))


def test_texts_alone_are_trained_without_a_search(
    config: TrainConfig, small_store: Store, checkpoint: Checkpoint
) -> None:
    words = dataclasses.replace(config, companions_of="heard-or-seen", modalities=("text",))
    samples = load_dataset({"small": small_store}, "train", words)
    retrieval = Retrieval(checkpoint, samples, words, device=CPU, team=ALONE)
    retrieval.refresh(1)
    assert retrieval.neighbours is None
    lesson = next(epoch_batches(samples, words, 1, neighbours=None))
    assert lesson.companions is None
