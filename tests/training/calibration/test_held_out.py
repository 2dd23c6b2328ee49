"""Scores of samples that were left out: from a file, from a checkpoint, composed."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.calibration import COMBINATIONS
from dashfusion_models.errors import DataError
from dashfusion_models.store import Store
from dashfusion_training.calibration.held_out import (
    _composed,
    agreeing_scores,
    predictions_of,
    read_predictions,
)
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import load_dataset
from dashfusion_training.missing import subset_cases
from dashfusion_training.predict import predict
from tests.training.calibration.planted_predictions import CPU, RANGE, write_csv
from tests.training.untrained import untrained


def test_predictions_of_a_csv(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "folds.csv",
        ("a", 1.5, 3.25, "vision,text", 4, "v1", 0.75, 2.5),
        ("a", 1.5, 1.0, "audio+vision", "", "v1", 0.75, ""),
        ("b", -3, 0, "text", 2, "", "", ""),
    )
    found = read_predictions(path, RANGE)
    assert found.id == ("folds/a", "folds/a", "folds/b")
    assert found.present == ("text+vision", "audio+vision", "text")
    assert found.video == ("folds/v1", "folds/v1", "")
    assert found.n_words() == [4, None, 2]
    nan = math.nan
    np.testing.assert_array_equal(found.raw, [3.25, 1.0, 0.0])
    np.testing.assert_array_equal(found.label, [1.5, 1.5, -3.0])
    np.testing.assert_array_equal(found.confidence, [0.75, nan, nan])
    np.testing.assert_array_equal(found.duration_s, [2.5, nan, nan])
    np.testing.assert_array_equal(found.recognised, [True, False, False])
    np.testing.assert_array_equal(found.fullest(), [True, False, True])


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        (("a", 4, 0, "text", 2, "", "", ""), "label is '4'; give a number in"),
        (("a", 1, "nan", "text", 2, "", "", ""), "prediction is 'nan'"),
        (("a", 1, 0, "text", "", "", "", ""), "words is ''"),
        (("a", 1, 0, "smell", 2, "", "", ""), "modalities are 'smell'"),
        (("a", 1, 0, "text,smell", 2, "", "", ""), "modalities are"),
        (("a", 1, 0, "", 2, "", "", ""), "modalities are ''"),
        (("a", 1, 0, "text", 2, "", 1.5, ""), "confidence is '1.5'"),
        (("a", 1, 0, "text", 2, "", "", -1), "duration_s is '-1'"),
    ],
)
def test_a_line_without_sense_is_refused(
    tmp_path: Path, line: tuple[object, ...], fact: str
) -> None:
    with pytest.raises(DataError, match=f"line 2: {fact}"):
        read_predictions(write_csv(tmp_path / "x.csv", line), RANGE)


def test_a_csv_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("id,label\na,1\n", "utf-8")
    for name, fact in (("gone.csv", "no such file"), ("short.csv", "no column 'prediction'")):
        with pytest.raises(DataError, match=fact):
            read_predictions(tmp_path / name, RANGE)
    with pytest.raises(DataError, match="has no rows"):
        read_predictions(write_csv(tmp_path / "empty.csv"), RANGE)


def test_a_sample_is_scored_from_every_combination_that_it_has(
    small_store: Store, tiny_encoder: Path
) -> None:
    checkpoint = untrained(tiny_encoder)
    samples = load_dataset({"small": small_store}, "valid", TrainConfig())
    samples[0] = dataclasses.replace(samples[0], modalities=frozenset({"text", "vision"}))
    found = predictions_of(checkpoint, samples, device=CPU)
    assert len(found) == 19 * 7 + 3
    first = [name for name, i in zip(found.present, found.id, strict=True) if i == "small/valid0"]
    assert set(first) == {"text", "vision", "text+vision"}
    for name in COMBINATIONS:
        rows = np.array(found.present) == name
        whole = [s for s in samples if f"small/{s.row.id}" in np.array(found.id)[rows]]
        alone = predict(
            checkpoint.network, checkpoint.collate, whole, device=CPU, modalities=name.split("+")
        )
        np.testing.assert_allclose(found.raw[rows], alone, atol=1e-6)
    assert {c for c in found.words[np.array(["text" in p for p in found.present])]} == {3.0}
    assert not found.recognised.any()


def test_samples_are_composed_to_agree(small_store: Store, tiny_encoder: Path) -> None:
    samples = load_dataset({"small": small_store}, "train", TrainConfig())

    def sign(label: float) -> int:
        return 0 if abs(label) < 0.5 else int(math.copysign(1, label))

    composed = _composed(samples)
    assert len(composed) == len(samples)
    for one in composed:
        assert sign(one.voice.label) == sign(one.face.label) == sign(one.label)
        features = one.features()
        assert features.text == one.row.text
        np.testing.assert_array_equal(features.audio.values, one.voice.features().audio.values)
        np.testing.assert_array_equal(features.vision.values, one.face.features().vision.values)
    checkpoint = untrained(tiny_encoder)
    scores = agreeing_scores(checkpoint, samples, device=CPU)
    assert scores is not None
    left = dict(subset_cases(("text", "audio", "vision")))
    with torch.inference_mode():
        batch = checkpoint.collate([composed[5].features()])
        voice = checkpoint.network(left[("audio",)](batch, ["x"]))
    assert scores.shape == (len(samples), 3)
    assert scores[5, 1] == pytest.approx(float(voice), abs=1e-5)
    of_text = untrained(tiny_encoder, training={"config": {"modalities": ["text"]}})
    assert agreeing_scores(of_text, samples, device=CPU) is None
