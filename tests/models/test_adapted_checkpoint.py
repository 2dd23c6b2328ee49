"""A checkpoint with adapters: small, belongs to one text encoder, scores as it did in training."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dashfusion_models.checkpoint import (
    Adapters,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from dashfusion_models.checkpoint_about import checkpoint_facts
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import CheckpointError, WeightsError
from dashfusion_models.network.adapters import adapt, is_adapted
from dashfusion_models.opened import Opened
from tests.models.test_checkpoint import planted, score


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A network on the text encoder in the folder `encoder`, with factors that are not zero."""
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "encoder"
    folder.mkdir()
    checkpoint = planted()
    bert = checkpoint.network.text_encoder.bert
    save_file(dict(bert.state_dict()), folder / "model.safetensors")
    adapt(bert, 4)
    for name, parameter in bert.named_parameters():
        if name.endswith((".up", ".down")):
            torch.nn.init.normal_(parameter, std=0.2)
    sha256 = sha256_of(folder / "model.safetensors")
    belongs = Adapters(text_encoder=str(folder), sha256=sha256)
    return dataclasses.replace(checkpoint, adapters=belongs)


def test_it_scores_as_it_did_before_it_was_merged(trained: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "adapted.safetensors"
    save_checkpoint(trained, path)
    loaded = load_checkpoint(path)
    assert not is_adapted(loaded.network)
    assert score(loaded) == pytest.approx(score(trained), abs=1e-5)
    without = copy.deepcopy(trained)
    for name, parameter in without.network.text_encoder.bert.named_parameters():
        if name.endswith(".up"):
            torch.nn.init.zeros_(parameter)
    assert abs(score(without) - score(trained)) > 1e-3


def test_the_file_leaves_the_encoder_out(trained: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "adapted.safetensors"
    save_checkpoint(trained, path, storage="fp16")
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        kinds = {file.get_slice(n).get_dtype() for n in names if n.startswith("adapters.")}
        about = json.loads(file.metadata()["dashfusion"])
    assert not any(name.startswith("network.text_encoder.bert") for name in names)
    assert sum(name.startswith("adapters.") for name in names) == 2 * 2 * 6
    assert "network.text_encoder.project.0.weight" in names
    assert kinds == {"F16"}
    assert about["adapters"] == {
        "text_encoder": str(tmp_path / "encoder"),
        "sha256": sha256_of(tmp_path / "encoder" / "model.safetensors"),
    }


def test_of_mpnets_size_it_takes_less_than_15_mb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network of dashfusion-base without its data: adapters in all layers, 592 features."""
    from dashfusion_models.network.dashfusion import DashFusion
    from tests.models.network.tiny import tiny_config

    shape = {"model_type": "mpnet", "vocab_size": 40, "max_position_embeddings": 514}
    config = tiny_config(text_encoder=shape, width=128, heads=8, alignment_head_width=32,
                         audio_dims=300, vision_dims=300, audio_steps=500,
                         vision_steps=500)  # fmt: skip
    network = DashFusion(config)
    adapt(network.text_encoder.bert, 16)
    made = dataclasses.replace(
        planted(), network=network, adapters=Adapters(text_encoder="mpnet", sha256="0" * 64)
    )
    save_checkpoint(made, tmp_path / "base.safetensors", storage="fp16")
    tokenizer = 0.5e6  # of 30,527 word pieces
    assert (tmp_path / "base.safetensors").stat().st_size + tokenizer < 15e6


def test_saved_again_it_is_the_same(trained: Checkpoint, tmp_path: Path) -> None:
    """As a calibration does: what was loaded is merged, what is written is not."""
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_checkpoint(trained, one)
    save_checkpoint(load_checkpoint(one), two)
    first, second = load_file(one), load_file(two)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_encoder_in_its_place_is_refused(trained: Checkpoint, tmp_path: Path) -> None:
    path, weights = tmp_path / "adapted.safetensors", tmp_path / "encoder" / "model.safetensors"
    save_checkpoint(trained, path)
    load_checkpoint(path)
    save_file({name: values * 1.01 for name, values in load_file(weights).items()}, weights)
    with pytest.raises(CheckpointError, match=r"belongs to the text encoder .*encoder with SHA-25"):
        load_checkpoint(path)


def test_a_missing_encoder_is_named(trained: Checkpoint, tmp_path: Path) -> None:
    path, weights = tmp_path / "adapted.safetensors", tmp_path / "encoder" / "model.safetensors"
    belongs = Adapters(text_encoder="mpnet", sha256="0" * 64)
    save_checkpoint(dataclasses.replace(trained, adapters=belongs), path)
    with pytest.raises(WeightsError, match="mpnet: not found; run `dashfusion weights pull mpnet`"):
        load_checkpoint(path, offline=True)
    save_checkpoint(trained, path)
    weights.unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be read"):
        load_checkpoint(path)


@pytest.mark.parametrize("wrong", ["lost", "wide"])
def test_damaged_adapters_are_refused(trained: Checkpoint, tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "adapted.safetensors"
    save_checkpoint(trained, path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith(".up"))
    tensors[name] = torch.zeros(7, 4)
    if wrong == "lost":
        del tensors[name]
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match="damaged or of another version"):
        load_checkpoint(path)


def test_a_missing_encoder_is_refused_before_anything_is_loaded(
    trained: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "adapted.safetensors"
    save_checkpoint(trained, path)
    assert checkpoint_facts(path).text_encoder == str(tmp_path / "encoder")
    assert score(Opened.of(path, "cpu", offline=True).wait()[0]) == pytest.approx(score(trained))
    belongs = Adapters(text_encoder="mpnet", sha256="0" * 64)
    save_checkpoint(dataclasses.replace(trained, adapters=belongs), path)
    with pytest.raises(WeightsError, match="mpnet: not found"):
        Opened.of(path, "cpu", offline=True)
