"""A checkpoint comes back as it was; what is none, or is for other features, is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from dashfusion_models.checkpoint import (
    Checkpoint,
    load_checkpoint,
    require_features,
    save_checkpoint,
)
from dashfusion_models.collate import Collator, Normalisation
from dashfusion_models.errors import CheckpointError
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from tests.models.network.tiny import tiny_config

AUDIO = FeatureSpec(extractor="planted", version=1, names=tuple("abcde"))
VISION = FeatureSpec(extractor="planted", version=1, names=tuple("abcdefg"))


def planted() -> Checkpoint:
    torch.manual_seed(0)
    draw = np.random.default_rng(0)

    def statistics(dims: int) -> Normalisation:
        mean, std = draw.normal(size=(2, dims)).astype(np.float32)
        return Normalisation(mean=mean, std=np.abs(std) + 0.5)

    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "fine": 1}, unk_token="[UNK]"))
    return Checkpoint(
        name="planted",
        network=DashFusion(tiny_config()).eval(),
        collate=Collator(tokenizer=tokenizer, audio=statistics(5), vision=statistics(7)),
        audio=AUDIO,
        vision=VISION,
        label_range=(-3.0, 3.0),
        languages=("en",),
        license="test",
        training={"epoch": 3},
    )


def sample() -> Features:
    draw = np.random.default_rng(1)
    return Features(
        text="fine",
        audio=FeatureSequence(draw.normal(size=(6, 5)).astype(np.float32), np.ones(6, np.bool_)),
        vision=FeatureSequence(draw.normal(size=(4, 7)).astype(np.float32), np.ones(4, np.bool_)),
    )


def score(checkpoint: Checkpoint) -> float:
    with torch.no_grad():
        return float(checkpoint.network(checkpoint.collate([sample()])))


def test_round_trip(tmp_path: Path) -> None:
    before, path = planted(), tmp_path / "planted.safetensors"
    save_checkpoint(before, path)
    after = load_checkpoint(path)
    assert score(after) == pytest.approx(score(before), abs=1e-6)
    for name in ("name", "audio", "vision", "label_range", "languages", "license", "training"):
        assert getattr(after, name) == getattr(before, name)
    assert len(after.sha256) == 64
    assert not after.network.training
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_half_precision_halves_the_file_and_hardly_changes_the_score(tmp_path: Path) -> None:
    checkpoint, whole, half = planted(), tmp_path / "whole", tmp_path / "half"
    save_checkpoint(checkpoint, whole)
    save_checkpoint(checkpoint, half, half=True)
    tensors = sum(4 * p.numel() for p in checkpoint.network.parameters())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(tensors / 2, rel=0.05)
    assert score(load_checkpoint(half)) == pytest.approx(score(checkpoint), abs=2e-3)


def test_other_features_are_refused_naming_both() -> None:
    newer = dataclasses.replace(AUDIO, version=2)
    with pytest.raises(CheckpointError, match=r"planted version 1.*planted version 2"):
        require_features(planted(), "x.safetensors", audio=newer, vision=VISION)
    require_features(planted(), "x.safetensors", audio=AUDIO, vision=VISION)


@pytest.mark.parametrize("what", ["missing", "text", "foreign", "cut", "folder"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "file.safetensors"
    match what:
        case "text":
            path.write_text("not weights", "utf-8")
        case "foreign":
            save_file({"weight": torch.zeros(3)}, path)
        case "cut":
            save_checkpoint(planted(), path)
            path.write_bytes(path.read_bytes()[:-1000])
        case "folder":
            path.mkdir()
    with pytest.raises(CheckpointError, match=r"file\.safetensors"):
        load_checkpoint(path)


def test_missing_tensors_are_refused(tmp_path: Path) -> None:
    checkpoint, path = planted(), tmp_path / "file.safetensors"
    del checkpoint.network.head
    save_checkpoint(checkpoint, path)
    with pytest.raises(CheckpointError, match="damaged or of another version"):
        load_checkpoint(path)


def test_loading_draws_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, saved = tmp_path / "one.safetensors", planted().network
    save_checkpoint(planted(), path)

    def draws(*arguments: object, **named: object) -> None:
        raise AssertionError("a random weight was drawn")

    for name in ("normal_", "uniform_"):
        monkeypatch.setattr(torch.Tensor, name, draws)
    loaded = load_checkpoint(path).network
    for kind in ("state_dict", "named_buffers", "named_parameters"):
        expected, found = dict(getattr(saved, kind)()), dict(getattr(loaded, kind)())
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert all(parameter.requires_grad for parameter in loaded.parameters())
