"""Cross-validation: nobody is scored by a network that met them, everybody is scored once."""

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.checkpoint import save_checkpoint
from dashfusion_models.errors import DataError, TrainingError
from dashfusion_models.records import Features
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.build import new_checkpoint
from dashfusion_training.calibration.held_out import read_predictions
from dashfusion_training.config import TrainConfig, changed, from_dict
from dashfusion_training.metrics import correlation
from dashfusion_training.mini import fold_training
from dashfusion_training.mini.crossval import WAYS, cross_validate
from dashfusion_training.mini.folds import LEFT_OUT, deal, folds_of
from dashfusion_training.mini.recognised import with_heard_words
from dashfusion_training.mini.summary import LeftOut, read_left_out, summary_table
from tests.training.mini.people import CLASSES, write_stores
from tests.training.tiny import AUDIO, VISION

pytestmark = pytest.mark.usefixtures("unchecked_shapes")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    return write_stores(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def heard(stores: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Of every clip but one some words are recognised."""
    folder = tmp_path_factory.mktemp("heard")
    with StoreWriter(folder / "words", audio=AUDIO, vision=VISION) as writer:
        for row in stores["mosi_clips"].rows[1:]:
            told = dataclasses.replace(row, text="the good film", audio=False, vision=False,
                                       language="en", confidence=0.5)  # fmt: skip
            writer.add(told, Features("the good film", None, None))
    return with_heard_words(stores["mosi_clips"], Store(folder / "words"), folder / "joined")


def test_groups_are_dealt_evenly_and_whole() -> None:
    groups = ["a"] * 30 + ["b"] * 20 + ["c"] * 12 + ["d"] * 9 + ["e"] * 9
    dealt = deal(groups, 3)
    assert dealt == {"a": 0, "b": 1, "c": 2, "d": 2, "e": 1}
    assert deal(groups, 3) == dealt


def test_no_fold_meets_whom_it_is_tested_on(stores: dict[str, Store]) -> None:
    folds = folds_of(stores, TrainConfig(classes=CLASSES), folds=3)
    tested: Counter[str] = Counter()
    for fold in folds:
        for source in LEFT_OUT:
            met = {s.row.person for s in fold.splits.train if s.source == source}
            strangers = {s.row.person for s in fold.left_out[source]}
            assert met and strangers and not met & strangers
            tested.update(s.row.id for s in fold.left_out[source])
        others = [s for s in fold.splits.train if s.source not in LEFT_OUT]
        assert others and all(s.row.split == "train" for s in others)
        assert set(fold.splits.valid) == {"ravdess", "faces"}
    assert tested == Counter(row.id for source in LEFT_OUT for row in stores[source].rows)


def test_recognised_words_take_the_place_of_the_official_ones(
    stores: dict[str, Store], heard: Store
) -> None:
    assert len(heard) == len(stores["mosi_clips"])
    silent, spoken = heard[0], heard[1]
    assert silent.text is None and heard.rows[0].text is None
    assert spoken.text == heard.rows[1].text == "the good film"
    assert heard.rows[1].confidence == 0.5
    theirs = stores["mosi_clips"][1]
    assert spoken.audio is not None and theirs.audio is not None
    np.testing.assert_array_equal(spoken.audio.values, theirs.audio.values)


@pytest.fixture(scope="module")
def validated(
    stores: dict[str, Store], heard: Store, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from tests.training.tiny import write_tiny_encoder

    folder = tmp_path_factory.mktemp("crossval")
    encoder = write_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    config = TrainConfig(
        epochs=1, batch_size=32, learning_rate=1e-3, warmup_epochs=0.1, contrastive_weight=0.0,
        text_encoder=str(encoder), classes=CLASSES, compose=0.5, modality_dropout=0.3,
        context_tokens=6,
    )  # fmt: skip
    words = changed(config, {"modalities": ["text"]})
    start = new_checkpoint(words, encoder, [], audio=AUDIO, vision=VISION)
    start = dataclasses.replace(start, training={"config": words.to_dict()})
    save_checkpoint(start, folder / "start.safetensors")
    going_on = {"start": str(folder / "start.safetensors"), "train_text": False}
    for seed in (1, 2):
        config = changed(config, {**going_on, "seed": seed})
        cross_validate(stores, heard, config, folder, folds=2)
    return folder


def test_everybody_is_scored_once_in_every_way(validated: Path, stores: dict[str, Store]) -> None:
    clips = {row.id for row in stores["mosi_clips"].rows}
    for way in WAYS:
        found = read_left_out(validated, way)
        everything = found["text+audio+vision"]
        assert everything.scores.shape == (2, len(everything.id))
        silent = {stores["mosi_clips"].rows[0].id} if way.startswith("recognised") else set()
        assert set(everything.id) == clips - silent
        assert set(found["audio"].id) == clips
    acted = read_left_out(validated, "javanese")
    assert set(acted) == {"audio", "vision", "audio+vision"}
    assert set(acted["audio"].id) == {row.id for row in stores["javanese"].rows}


def test_context_and_recognised_words_reach_the_network(validated: Path) -> None:
    scores = {way: read_left_out(validated, way)["text"].scores for way in WAYS}
    assert not np.allclose(scores["official"], scores["official-alone"])
    assert not np.allclose(scores["official"][:, 1:], scores["recognised"])
    (path, *_) = sorted(validated.glob("seed-1/fold-1/recognised.csv"))
    assert read_predictions(path, (-3.0, 3.0)).recognised.any()


def test_a_fold_that_is_there_is_not_trained_again(
    validated: Path, stores: dict[str, Store], heard: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(fold_training, "fit", refuse)
    settings = json.loads((validated / "seed-1" / "settings.json").read_text("utf-8"))
    config = from_dict(settings["config"])
    cross_validate(stores, heard, config, validated, folds=2)
    with pytest.raises(TrainingError, match="other settings"):
        cross_validate(stores, heard, config, validated, folds=3)
    with pytest.raises(TrainingError, match="other settings"):
        cross_validate(stores, heard, changed(config, {"epochs": 2}), validated, folds=2)


def test_a_fold_that_is_missing_is_told(
    validated: Path, stores: dict[str, Store], tmp_path: Path
) -> None:
    copy = tmp_path / "crossval"
    shutil.copytree(validated, copy)
    shutil.rmtree(copy / "seed-2" / "fold-1")
    with pytest.raises(DataError, match="lacks a fold"):
        summary_table(copy, stores["mosi_clips"], stores["javanese"])
    shutil.rmtree(copy / "seed-1" / "fold-1")
    with pytest.raises(DataError, match=r"lacks .* clips"):
        summary_table(copy, stores["mosi_clips"], stores["javanese"])
    with pytest.raises(DataError, match="holds no"):
        read_left_out(tmp_path / "empty", "official")


def test_tables_name_every_combination(validated: Path, stores: dict[str, Store]) -> None:
    table = summary_table(validated, stores["mosi_clips"], stores["javanese"])
    for name in ("recognised-alone", "audio+vision", "context, official words alone"):
        assert f"| {name} |" in table


def test_a_metric_is_averaged_over_seeds_and_drawn_over_videos() -> None:
    draw = np.random.default_rng(0)
    label = draw.normal(size=60)
    scores = np.stack([label, label + draw.normal(size=60)])
    names = tuple(str(k) for k in range(60))
    who = {name: str(int(name) // 10) for name in names}
    some = LeftOut(names, label, scores)
    value, (low, high) = some.mean(correlation, who)
    expected = [np.corrcoef(label, row)[0, 1] for row in scores]
    assert value == pytest.approx(np.mean(expected))
    assert low < value < high
    # the same samples in another order, half as good
    order = draw.permutation(60)
    other = LeftOut(tuple(names[i] for i in order), label[order], scores[1:][:, order])
    gain, (low, high) = some.gain(other, correlation, who)
    assert gain == pytest.approx(np.mean(expected) - expected[1])
    assert 0 < low < gain < high
