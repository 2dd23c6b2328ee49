"""Batches of an epoch: complete, repeatable, composed as configured."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.records import Features
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.config import (
    TrainConfig,
    changed,
    preset_names,
    read_preset,
    with_settings,
)
from dashfusion_training.datasets import count_batches, epoch_batches, load_dataset
from tests.training.tiny import AUDIO, VISION, planted_sample


@pytest.fixture
def texts(tmp_path: Path) -> Store:
    """Forty texts without voice and face, labels from -2 to 2."""
    with StoreWriter(tmp_path / "texts", audio=AUDIO, vision=VISION) as writer:
        for k in range(40):
            text = " ".join(["word"] * (k + 1))
            row = Row(
                id=f"t{k}",
                label=float(k % 5 - 2),
                split="train",
                text=text,
                audio=False,
                vision=False,
            )
            writer.add(row, Features(text=text, audio=None, vision=None))
    return Store(tmp_path / "texts")


def test_every_sample_as_often_as_configured(planted_store: Store, texts: Store) -> None:
    config = TrainConfig(batch_size=16, repeat={"texts": 3})
    samples = load_dataset({"planted": planted_store, "texts": texts}, "train", config)
    batches = list(epoch_batches(samples, config, 1))
    assert len(batches) == count_batches(samples, config)
    seen = Counter(b.features[row].text for b in batches for row in b.anchors)
    assert all(seen[row.text] == 3 for row in texts.rows)
    assert sum(seen.values()) == 240 + 3 * 40


def test_an_epoch_is_the_same_again_and_the_next_one_is_not(planted_store: Store) -> None:
    config = TrainConfig(batch_size=16, modality_dropout=0.7)
    samples = load_dataset({"planted": planted_store}, "train", config)

    def labels(epoch: int) -> list[list[float]]:
        return [lesson.labels.tolist() for lesson in epoch_batches(samples, config, epoch)]

    def present(epoch: int) -> list[object]:
        return [f.present for b in epoch_batches(samples, config, epoch) for f in b.features]

    assert labels(1) == labels(1)
    assert present(1) == present(1)
    assert labels(1) != labels(2)


def test_modality_dropout_takes_some_and_never_all(planted_store: Store) -> None:
    config = TrainConfig(modality_dropout=1.0)
    samples = load_dataset({"planted": planted_store}, "train", config)
    counted = Counter(
        sum(there for _, there in f.present.items())
        for lesson in epoch_batches(samples, config, 1)
        for f in lesson.features
    )
    assert set(counted) == {1, 2, 3}


def test_texts_are_lent_voices_and_faces_of_their_sign(planted_store: Store, texts: Store) -> None:
    config = TrainConfig(compose=1.0, agree=1.0)
    samples = load_dataset({"planted": planted_store, "texts": texts}, "train", config)
    lenders = [planted_sample(k, "train") for k in range(240)]
    sign = {
        f.audio.values.tobytes(): np.sign(row.label) * (abs(row.label) >= 0.5)
        for row, f in lenders
        if f.audio is not None and not isinstance(row.label, str)
    }
    composed = 0
    for lesson in epoch_batches(samples, config, 1):
        for row, label in zip(lesson.anchors, lesson.labels, strict=True):
            f = lesson.features[row]
            if f.text and f.text.startswith("word"):
                composed += 1
                assert f.present.audio
                assert f.present.vision
                assert f.audio is not None
                assert sign[f.audio.values.tobytes()] == np.sign(label)
    assert composed == 40


def test_labels_that_cannot_be_used(planted_store: Store, texts: Store) -> None:
    with pytest.raises(DataError, match="outside"):
        load_dataset({"texts": texts}, "train", TrainConfig(label_range=(-1.0, 1.0)))
    with pytest.raises(DataError, match="no samples in split 'test'"):
        load_dataset({"texts": texts}, "test", TrainConfig())


def test_classes_need_scores(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", audio=AUDIO, vision=VISION) as writer:
        row, features = planted_sample(0, "train")
        writer.add(dataclasses.replace(row, label="glad"), features)
    stores = {"s": Store(tmp_path / "s")}
    with pytest.raises(DataError, match="class 'glad' has no score"):
        load_dataset(stores, "train", TrainConfig(classes={"sad": -1.0}))
    (sample,) = load_dataset(stores, "train", TrainConfig(classes={"glad": 2.0}))
    assert sample.label == 2.0


def test_configurations_refuse_nonsense() -> None:
    assert "mini" in preset_names()
    assert read_preset("mini").classes["angry"] < 0 < read_preset("mini").classes["happy"]
    with pytest.raises(ConfigError, match=r"known presets: .*mini"):
        read_preset("maxi")
    with pytest.raises(ConfigError, match=r"'epoch': is unknown; known keys: .*epochs"):
        with_settings(TrainConfig(), {"epoch": "3"})
    for key, value, said in (
        ("epochs", "soon", "a whole number"),
        ("learning_rate", "nan", "finite"),
        ("text_learning_rate", "-1", "above 0"),
        ("label_range", "[1]", "two numbers"),
        ("languages", "zh", "a list of texts"),
        ("classes", "[1]", "names and numbers"),
        ("seed", "-1", "0 or above"),
        ("fusion", "sum", "hbf"),
        ("normalise", "1", "true or false"),
    ):
        with pytest.raises(ConfigError, match=rf"^{key}: .*{said}"):
            with_settings(TrainConfig(), {key: value})
    with pytest.raises(ConfigError, match="at least 1"):
        changed(TrainConfig(), {"epochs": 0})
    changed_by_text = with_settings(TrainConfig(), {"epochs": "7", "text_encoder": "minilm"})
    assert (changed_by_text.epochs, changed_by_text.text_encoder) == (7, "minilm")
