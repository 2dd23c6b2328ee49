"""A checkpoint is refused at once where its head tells enough, and worked with while it loads."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dashfusion_models import opened
from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint
from dashfusion_models.checkpoint_about import checkpoint_facts
from dashfusion_models.errors import CheckpointError, DeviceError
from dashfusion_models.opened import Opened
from tests.models.test_checkpoint import planted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    saved = tmp_path / "planted.safetensors"
    save_checkpoint(planted(), saved)
    return saved


def _damaged(path: Path) -> Path:
    """A checkpoint whose head is whole and whose network lacks a tensor."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    del tensors["network.absent_audio"]
    save_file(tensors, path, metadata)
    return path


def test_the_facts_are_those_of_the_whole_checkpoint(path: Path) -> None:
    facts, whole = checkpoint_facts(path), load_checkpoint(path)
    for name in ("audio", "vision", "languages", "modalities"):
        assert getattr(facts, name) == getattr(whole, name)


def test_what_is_waited_for_is_what_loading_gives(path: Path) -> None:
    checkpoint, device = Opened.of(path, "cpu").wait()
    assert device == torch.device("cpu") and not checkpoint.network.training
    expected = load_checkpoint(path)
    assert checkpoint.sha256 == expected.sha256
    state = expected.network.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in checkpoint.network.state_dict().items())


def test_a_file_that_is_none_is_refused_before_anything_is_loaded(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "_load", lambda *_: pytest.fail("loading began"))
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Opened.of(tmp_path / "none.safetensors", "cpu")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        Opened.of(path, "cpu")
    save_file({"a": torch.zeros(1)}, path, {"dashfusion": json.dumps({"format": "other/1"})})
    with pytest.raises(CheckpointError, match="has format 'other/1'"):
        Opened.of(path, "cpu")


def test_damage_inside_is_told_while_files_are_worked_on(path: Path) -> None:
    loading = Opened.of(_damaged(path), "cpu")
    with pytest.raises(CheckpointError, match="is damaged"):
        loading.wait()
    with pytest.raises(CheckpointError, match="is damaged"):
        loading.check()


def test_a_device_that_is_named_must_be_there(path: Path) -> None:
    with pytest.raises(DeviceError):
        Opened.of(path, "cuda:99")


def test_speech_on_the_cpu_waits_for_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "may_have_gpu", lambda: False)
    loading = Opened.of(path, "auto")
    monkeypatch.setattr(loading, "wait", lambda: pytest.fail("waited"))
    assert loading.speech_device() == "cpu"
