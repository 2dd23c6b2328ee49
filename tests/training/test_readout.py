"""Voices reduced to one number: that of ridge regression, and the same again from a checkpoint."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint
from dashfusion_models.collate import Normalisation
from dashfusion_models.errors import ConfigError
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.readout import KEPT, with_readout
from tests.training.tiny import VISION

VOICE = FeatureSpec("planted", 1, (*KEPT["audio"], *(f"state_{k}" for k in range(30))))
CLASSES = {"happy": 2.0, "calm": 0.0, "sad": -1.5}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """The class is in one direction of thirty; a voice has a few steps around its mean."""
    folder = tmp_path_factory.mktemp("voices")
    draw = np.random.default_rng(0)
    direction = draw.normal(size=30)
    with StoreWriter(folder, audio=VOICE, vision=VISION) as writer:
        for k in range(300):
            label = str(draw.choice(list(CLASSES)))
            steps = int(draw.integers(3, 9))
            values = draw.normal(0, 0.3, (steps, VOICE.dims)).astype(np.float32)
            state = draw.normal(size=30) + 0.8 * CLASSES[label] * direction
            values[:, len(KEPT["audio"]) :] = 5.0 + 2.0 * state
            audio = FeatureSequence(values=values, real=np.arange(steps) > 0)
            audio.values[0] = 0.0
            row = Row(id=str(k), label=label, split="train" if k < 200 else "valid", text=None,
                      audio=True, vision=False)  # fmt: skip
            writer.add(row, Features(None, audio, None))
    config = TrainConfig(classes=CLASSES)
    store = {"voices": Store(folder)}
    return [s for split in ("train", "valid") for s in load_dataset(store, split, config)]


def voices(samples: list[Sample]) -> list[FeatureSequence]:
    found = [sample.features().audio for sample in samples]
    return [audio for audio in found if audio is not None]


def test_the_number_is_that_of_ridge_regression(samples: list[Sample]) -> None:
    train, unseen = samples[:200], samples[200:]
    measured = Normalisation.of(voices(train), VOICE.dims)
    reduced = with_readout(measured, VOICE, train, 10.0)
    assert reduced.read == len(KEPT["audio"]) + 2
    means = np.stack([measured(v)[v.real].mean(axis=0) for v in voices(train)])
    label = np.array([s.label for s in train])
    expected = Ridge(alpha=10.0).fit(means, label).coef_
    assert reduced.project is not None
    told = reduced.project[:, -2]
    assert np.corrcoef(told, expected)[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert (means @ told).std() == pytest.approx(1.0, rel=1e-4)
    number = [float(reduced(v)[v.real, -2].mean()) for v in voices(unseen)]
    assert np.corrcoef(number, [s.label for s in unseen])[0, 1] > 0.9
    signed = label != 0
    other = Ridge(alpha=10.0).fit(means[signed], label[signed]).coef_
    assert np.corrcoef(reduced.project[:, -1], other)[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_what_moves_stays_step_by_step(samples: list[Sample]) -> None:
    measured = Normalisation.of(voices(samples), VOICE.dims)
    reduced = with_readout(measured, VOICE, samples, 10.0)
    voice = voices(samples)[0]
    np.testing.assert_allclose(
        reduced(voice)[:, : len(KEPT["audio"])], measured(voice)[:, : len(KEPT["audio"])]
    )
    assert not reduced(voice)[~voice.real].any()


def test_the_numbers_may_stand_beside_all_features(samples: list[Sample]) -> None:
    measured = Normalisation.of(voices(samples), VOICE.dims)
    instead = with_readout(measured, VOICE, samples, 10.0)
    beside = with_readout(measured, VOICE, samples, 10.0, beside=True)
    voice = voices(samples)[0]
    assert beside.read == VOICE.dims + 2
    np.testing.assert_allclose(beside(voice)[:, : VOICE.dims], measured(voice), atol=1e-6)
    np.testing.assert_allclose(beside(voice)[:, -2:], instead(voice)[:, -2:], atol=1e-5)


def test_what_cannot_be_reduced_is_refused(samples: list[Sample]) -> None:
    measured = Normalisation.of(voices(samples), VOICE.dims)
    with pytest.raises(ConfigError, match="no sample names a class"):
        with_readout(measured, VOICE, [], 10.0)
    other = FeatureSpec("ready", 1, tuple(f"f{k}" for k in range(VOICE.dims)))
    with pytest.raises(ConfigError, match="ready has no voicing"):
        with_readout(measured, other, samples, 10.0)


def test_a_checkpoint_keeps_it_and_a_training_that_goes_on_too(
    samples: list[Sample], tiny_encoder: Path, tmp_path: Path
) -> None:
    config = TrainConfig(text_encoder=str(tiny_encoder), classes=CLASSES, voice_readout=10.0)
    made = new_checkpoint(config, tiny_encoder, samples, audio=VOICE, vision=VISION)
    assert made.network.config.audio_dims == len(KEPT["audio"]) + 2
    features = [samples[0].features()]
    path = tmp_path / "reduced.safetensors"
    save_checkpoint(dataclasses.replace(made, training={"config": config.to_dict()}), path)
    loaded = load_checkpoint(path)
    expected = made.network.eval()(made.collate(features))
    np.testing.assert_allclose(
        loaded.network(loaded.collate(features)).detach(), expected.detach(), atol=1e-6
    )
    going_on = changed(config, {"start": str(path), "voice_readout": 0.0})
    again = new_checkpoint(going_on, tiny_encoder, samples[:5], audio=VOICE, vision=VISION)
    np.testing.assert_array_equal(again.collate.audio.project, made.collate.audio.project)
    assert again.network.config.audio_dims == len(KEPT["audio"]) + 2


def test_sources_weigh_the_same_however_large(samples: list[Sample]) -> None:
    """Weighted ridge regression by another library is the reference."""
    few = [
        dataclasses.replace(sample, source="few", label=-sample.label) for sample in samples[:40]
    ]
    many = samples[40:200]
    measured = Normalisation.of(voices(samples), VOICE.dims)
    reduced = with_readout(measured, VOICE, [*few, *many], 10.0)
    both = [*few, *many]
    means = np.stack([measured(v)[v.real].mean(axis=0) for v in voices(both)])
    weight = np.array([100 / 40] * 40 + [100 / 160] * 160)
    expected = Ridge(alpha=10.0).fit(means, [s.label for s in both], sample_weight=weight).coef_
    assert reduced.project is not None
    assert np.corrcoef(reduced.project[:, -2], expected)[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_a_face_is_reduced_as_a_voice_is_and_going_on_may_learn_the_number_anew(
    tmp_path: Path, tiny_encoder: Path
) -> None:
    face = FeatureSpec("planted", 1, ("smile", "brow", "a", "b"))
    draw = np.random.default_rng(0)
    with StoreWriter(tmp_path / "faces", audio=VOICE, vision=face) as writer:
        for k in range(120):
            label = str(draw.choice(list(CLASSES)))
            values = draw.normal(0, 1, (3, face.dims)).astype(np.float32)
            values[:, -1 if k < 60 else -2] += 2 * CLASSES[label]
            row = Row(id=str(k), label=label, split="train", text=None, audio=False, vision=True)
            writer.add(row, Features(None, None, FeatureSequence(values, np.ones(3, np.bool_))))
    config = TrainConfig(text_encoder=str(tiny_encoder), classes=CLASSES, face_readout=1.0)
    found = load_dataset({"faces": Store(tmp_path / "faces")}, "train", config)
    first = new_checkpoint(config, tiny_encoder, found[:60], audio=VOICE, vision=face)
    assert first.network.config.vision_dims == 2
    assert first.collate.vision.project is not None
    assert abs(first.collate.vision.project[-1, -1]) > 4 * abs(first.collate.vision.project[-2, -1])
    path = tmp_path / "first.safetensors"
    save_checkpoint(dataclasses.replace(first, training={"config": config.to_dict()}), path)
    going_on = changed(config, {"start": str(path)})
    second = new_checkpoint(going_on, tiny_encoder, found[60:], audio=VOICE, vision=face)
    np.testing.assert_array_equal(second.collate.vision.mean, first.collate.vision.mean)
    told = second.collate.vision.project
    assert told is not None and abs(told[-2, -1]) > 4 * abs(told[-1, -1])
