"""Batches of an epoch: complete, repeatable, composed as configured."""

import dataclasses
from collections import Counter
from pathlib import Path

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
from dashfusion_training.datasets import (
    contexts,
    count_batches,
    epoch_batches,
    load_dataset,
)
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


def test_a_part_of_a_source_is_drawn_anew_each_epoch(planted_store: Store, texts: Store) -> None:
    config = TrainConfig(batch_size=16, repeat={"texts": 1.25, "planted": 0.5})
    samples = load_dataset({"planted": planted_store, "texts": texts}, "train", config)

    def seen(epoch: int) -> Counter[str | None]:
        lessons = list(epoch_batches(samples, config, epoch))
        assert len(lessons) == count_batches(samples, config) == -(-(120 + 50) // 16)
        return Counter(
            samples[0].row.text if f.text is None else f.text
            for lesson in lessons
            for f in (lesson.features[i] for i in lesson.anchors)
        )

    first = seen(1)
    of_texts = {row.text: first[row.text] for row in texts.rows}
    assert sum(of_texts.values()) == 50
    assert set(of_texts.values()) == {1, 2}
    assert first != seen(2)


def said_before(order: list[tuple[str, str, str | None]]) -> list[str | None]:
    rows = [
        Row(id=str(k), label=0.0, split="train", text=text, audio=False, vision=False,
            video_id=video, clip_id=clip)
        for k, (video, clip, text) in enumerate(order)
    ]  # fmt: skip
    return contexts(rows)


def test_context_is_what_was_said_before_in_the_same_video() -> None:
    found = said_before(
        [
            ("a", "10", "ten"),
            ("a", "2", "two"),
            ("b", "1", "other"),
            ("a", "1", "one"),
            ("a", "3", None),  # nothing was said here
            ("", "1", "no video"),
            ("", "2", "no video either"),
        ]
    )
    assert found == ["one two", "one", None, None, None, None, None]


def test_names_of_clips_come_after_numbers_and_in_their_order() -> None:
    assert said_before([("a", "b", "B"), ("a", "a", "A"), ("a", "7", "7")]) == ["7 A", "7", None]


def test_words_reach_the_network_as_configured(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "said", audio=AUDIO, vision=VISION) as writer:
        for k, text in enumerate(("Good, the FILM.", "It's bad!")):
            row = Row(id=str(k), label=0.0, split="train", text=text, audio=False, vision=False,
                      video_id="v", clip_id=str(k))  # fmt: skip
            writer.add(row, Features(text=text, audio=None, vision=None))

    def read(**settings: object) -> list[tuple[str | None, str | None]]:
        config = dataclasses.replace(TrainConfig(batch_size=2), **settings)
        samples = load_dataset({"said": Store(tmp_path / "said")}, "train", config)
        (lesson,) = epoch_batches(samples, config, 1)
        return [(f.text, f.context) for f in lesson.features]

    assert read() == [("Good, the FILM.", None), ("It's bad!", "Good, the FILM.")]
    assert read(context_dropout=1.0)[1] == ("It's bad!", None)
    assert read(bare_text=1.0) == [("good the film", None), ("it's bad", "good the film")]
    disturbed = [read(misheard=1.0, seed=seed)[0][0] for seed in range(6)]
    assert any(text != "Good, the FILM." for text in disturbed)


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


def test_labels_that_cannot_be_used(planted_store: Store, texts: Store) -> None:
    with pytest.raises(DataError, match="outside"):
        load_dataset({"texts": texts}, "train", TrainConfig(label_range=(-1.0, 1.0)))
    with pytest.raises(DataError, match="no samples in split 'test', only in train"):
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
    with pytest.raises(
        ConfigError, match=r"'epoch': is unknown; did you mean epochs\? known keys: "
    ):
        with_settings(TrainConfig(), {"epoch": "3"})
    for key, value, said in (
        ("epochs", "soon", "a whole number"),
        ("learning_rate", "nan", "finite"),
        ("text_learning_rate", "-1", "above 0"),
        ("label_range", "[1]", "two numbers"),
        ("languages", "zh", "a list of texts"),
        ("classes", "[1]", "names and numbers"),
        ("seed", "-1", "0 or above"),
        ("repeat", "{texts = -1}", "-1.0 for texts"),
        ("repeat", "{texts = inf}", "inf for texts"),
        ("repeat", "{texts = nan}", "nan for texts"),
        ("fusion", "sum", "hbf"),
        ("normalise", "1", "true or false"),
    ):
        with pytest.raises(ConfigError, match=rf"^{key}: .*{said}"):
            with_settings(TrainConfig(), {key: value})
    with pytest.raises(ConfigError, match="at least 1"):
        changed(TrainConfig(), {"epochs": 0})
    changed_by_text = with_settings(TrainConfig(), {"epochs": "7", "text_encoder": "minilm"})
    assert (changed_by_text.epochs, changed_by_text.text_encoder) == (7, "minilm")
