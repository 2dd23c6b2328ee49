"""A checkpoint comes back as it was; what is none, or is for other features, is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from dashfusion_models.checkpoint import (
    Checkpoint,
    load_checkpoint,
    require_features,
    save_checkpoint,
    storage_of,
)
from dashfusion_models.collate import Collator, Normalisation
from dashfusion_models.errors import CheckpointError
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.score import score as scores_of
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
    save_checkpoint(checkpoint, half, storage="fp16")
    tensors = sum(4 * p.numel() for p in checkpoint.network.parameters())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(tensors / 2, rel=0.05)
    assert score(load_checkpoint(half)) == pytest.approx(score(checkpoint), abs=2e-3)


def test_matrices_in_8_bits_are_whole_numbers_with_a_scale_a_row(tmp_path: Path) -> None:
    """Against the rows written out one by one; the rest has 16 bits."""
    checkpoint, path = planted(), tmp_path / "small"
    with torch.no_grad():
        checkpoint.network.text_encoder.bert.embeddings.word_embeddings.weight[7] = 0.0
    save_checkpoint(checkpoint, path, storage="int8")
    assert storage_of(path) == "int8"
    stored, loaded = load_file(path), load_checkpoint(path).network.state_dict()
    matrices = 0
    for name, values in checkpoint.network.state_dict().items():
        kept = stored[f"network.{name}"]
        if values.ndim != 2:
            assert kept.dtype in (torch.float16, torch.int64)
            torch.testing.assert_close(loaded[name], values, atol=1e-3, rtol=1e-3)
            continue
        matrices += 1
        assert kept.dtype == torch.int8
        for row, was in zip(loaded[name].tolist(), values.tolist(), strict=True):
            step = max(map(abs, was)) / 127
            assert max(abs(a - b) for a, b in zip(row, was, strict=True)) <= 0.501 * step
    assert matrices > 20
    assert score(load_checkpoint(path)) == pytest.approx(score(checkpoint), abs=2e-2)


def test_a_file_in_8_bits_that_is_saved_again_is_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    save_checkpoint(planted(), one, storage="int8")
    save_checkpoint(load_checkpoint(one), two, storage="int8")
    first, second = load_file(one), load_file(two)
    assert first.keys() == second.keys()
    assert all(torch.equal(values, second[name]) for name, values in first.items())


@pytest.mark.parametrize("wrong", ["lost", "short"])
def test_a_matrix_without_its_scales_is_refused(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "file.safetensors"
    save_checkpoint(planted(), path, storage="int8")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    name = "network.text_encoder.bert.embeddings.word_embeddings.weight.row_scale"
    scale = tensors.pop(name)
    if wrong == "short":
        tensors[name] = scale[:1].clone()
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match="damaged or of another version"):
        load_checkpoint(path)


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


def changed(path: Path, **about: object) -> None:
    """Write a planted checkpoint that says other things of itself, or has other tensors."""
    save_checkpoint(planted(), path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    known, tensors = json.loads(metadata["dashfusion"]), load_file(path)
    for name, value in about.items():
        match name.split("__"):
            case ["tokenizer"]:
                metadata["tokenizer"] = str(value)
            case ["tensor", which]:
                assert isinstance(value, torch.Tensor)
                tensors[which.replace("_of_", ".")] = value
            case [outer, inner]:
                known[outer][inner] = value
            case _:
                known[name] = value
    metadata["dashfusion"] = json.dumps(known)
    save_file(tensors, path, metadata)


ENCODER = dict(tiny_config().text_encoder)
NO_NUMBER = torch.tensor([0.5, float("nan")] + [0.5] * 3)


@pytest.mark.parametrize(
    ("about", "fact"),
    [
        ({"label_range": [3, -3]}, "label range"),
        ({"label_range": [0, 0]}, "label range"),
        ({"label_range": [-1e308, 1e308]}, "label range"),
        ({"label_range": [-(10**400), 10**400]}, "label range"),
        ({"label_range": [False, True]}, "label range"),
        ({"label_range": ["a", "b"]}, "not supported"),
        ({"name": "\x1b[31mred"}, r"name: '\\x1b\[31mred' is not a line"),
        ({"license": "\u202e"}, "license"),
        ({"languages": [{}]}, "languages"),
        ({"training": None}, "damaged"),
        ({"training": {"config": None}}, "damaged"),
        ({"network__heads": 0}, "heads: is 0"),
        ({"network__heads": 4.0}, "network"),
        ({"network__context_tokens": 1.5}, "network"),
        ({"network__audio_steps": 10**9}, "audio_steps: is above"),
        ({"network__audio_steps": 90_000}, "more weights than it has"),
        ({"network__encoder_layers": 10**6}, "encoder_layers: is above"),
        ({"network__text_encoder": None}, "network"),
        ({"network__text_encoder": {**ENCODER, "vocab_size": 1_900_000}}, "more weights than"),
        ({"network__text_encoder": {**ENCODER, "num_hidden_layers": 10**6}}, "num_hidden_layers"),
        ({"network__text_encoder": {**ENCODER, "pad_token_id": 10**9}}, "pad_token_id"),
        ({"network__text_encoder": {**ENCODER, "layer_norm_eps": "x"}}, "text encoder"),
        ({"network__text_encoder": {"model_type": "gpt2"}}, "model_type is 'gpt2', not one of"),
        ({"tokenizer": "[" * 1000}, "tokenizer"),
        ({"tensor__normalisation_of_audio_of_std": torch.zeros(5)}, "not above 0"),
        ({"tensor__normalisation_of_audio_of_mean": NO_NUMBER}, "not finite"),
        ({"tensor__normalisation_of_audio_of_mean": torch.zeros(6)}, "damaged"),
        ({"tensor__network_of_absent_audio": torch.full((1, 32), float("inf"))}, "not finite"),
        (
            {"tensor__network_of_absent_audio": torch.ones(1, 32, dtype=torch.int64)},
            "numbers of another kind",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_takes_memory(
    tmp_path: Path, about: dict[str, object], fact: str
) -> None:
    path = tmp_path / "file.safetensors"
    changed(path, **about)
    with pytest.raises(CheckpointError, match=rf"file\.safetensors: .*{fact}") as caught:
        load_checkpoint(path)
    assert str(caught.value).isprintable()


def test_deep_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"dashfusion": '{"format":' + "[" * 100_000})
    with pytest.raises(CheckpointError, match="is not a dashfusion checkpoint"):
        load_checkpoint(path)


def test_large_finite_weights_are_no_damage(tmp_path: Path) -> None:
    """Their sum is infinite, they are not."""
    path = tmp_path / "file.safetensors"
    changed(path, tensor__normalisation_of_audio_of_std=torch.full((5,), 3e38))
    assert load_checkpoint(path).collate.audio.std[0] == np.float32(3e38)


def test_weights_that_give_no_number_are_refused_where_they_score(tmp_path: Path) -> None:
    checkpoint = planted()
    with torch.no_grad():
        for parameter in checkpoint.network.head.parameters():
            parameter.fill_(3e38)
    with pytest.raises(CheckpointError, match="gives no number"):
        scores_of(checkpoint, [sample()], device=torch.device("cpu"))


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
