"""Trainings with adapters: the text encoder stays, and only what learns is kept."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dashfusion_models.errors import CheckpointError, ConfigError
from dashfusion_models.network.adapters import adapter_state
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig, changed, read_preset
from dashfusion_training.fine_tuning import fine_tuning
from dashfusion_training.step import Step
from dashfusion_training.train import train
from tests.training.logged import Stopped, StopsAt
from tests.training.test_fine_tuning import CPU, built, lessons_of
from tests.training.test_train import training_of
from tests.training.tiny import write_tiny_encoder


@pytest.fixture
def config(
    tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> TrainConfig:
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    return changed(tiny_config, {"adapter_rank": 4, "average": 0.9, "context_tokens": 4})


@pytest.fixture
def make(tiny_encoder: Path, small_store: Store) -> Callable[[TrainConfig], Checkpoint]:
    return partial(built, store=small_store, encoder=tiny_encoder)


def base_of(encoder: Path) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("bert."): weight
        for name, weight in load_file(encoder / "model.safetensors").items()
    }


def test_steps_change_the_adapters_and_nothing_below_them(
    config: TrainConfig,
    make: Callable[[TrainConfig], Checkpoint],
    small_store: Store,
    tiny_encoder: Path,
) -> None:
    checkpoint = make(config)
    encoder = checkpoint.network.text_encoder.bert
    before = {name: factor.clone() for name, factor in adapter_state(encoder).items()}
    step = Step(checkpoint, config, batches=5, device=CPU)
    for lesson in lessons_of(config, small_store):
        step(lesson)
    base = base_of(tiny_encoder)
    state = encoder.state_dict()
    assert all(torch.equal(state[name], base[name]) for name in state.keys() - before.keys())
    assert not any(torch.equal(state[name], factor) for name, factor in before.items())
    learning = {id(p) for group in step._optimizer.param_groups for p in group["params"]}
    still = [p for name, p in encoder.named_parameters() if name not in before]
    assert not learning & {id(p) for p in still}
    assert all(p.grad is None for p in still)


def test_the_mean_shares_the_encoder_and_the_state_leaves_it_out(
    config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    checkpoint = make(config)
    step = Step(checkpoint, config, batches=5, device=CPU)
    step(lessons_of(config, small_store)[0])
    name = "text_encoder.bert.embeddings.word_embeddings.weight"
    kept, network = step.learned, checkpoint.network
    assert kept.get_parameter(name) is network.get_parameter(name)
    assert kept.get_parameter("head.0.weight") is not network.get_parameter("head.0.weight")
    state = step.state()
    for part in (state["network"], state["average"]["network"]):
        inside = {n for n in part if n.startswith("text_encoder.bert.")}
        assert inside == {
            f"text_encoder.bert.{n}" for n in adapter_state(network.text_encoder.bert)
        }
    del state["network"]["head.0.weight"]
    with pytest.raises(KeyError, match=r"head\.0\.weight"):
        step.restore(state)


@pytest.mark.parametrize("stop_at", [3, 8])
def test_a_stopped_training_ends_with_the_same_numbers(
    config: TrainConfig,
    small_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
) -> None:
    whole = train(training_of(small_store, config, tmp_path / "whole"))
    monkeypatch.setattr("dashfusion_training.run.SAVE_EVERY_S", 0.0)
    stopped = training_of(small_store, config, tmp_path / "parts")
    with pytest.raises(Stopped):
        train(dataclasses.replace(stopped, watch=StopsAt(stop_at)))
    resumed = train(training_of(small_store, config, tmp_path / "parts", resume=True))
    one, other = load_file(whole), load_file(resumed)
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert any(name.startswith("adapters.") for name in one)


def test_what_was_learned_is_what_is_loaded(
    config: TrainConfig, small_store: Store, tmp_path: Path, tiny_encoder: Path
) -> None:
    best = train(training_of(small_store, config, tmp_path / "run"))
    loaded = load_checkpoint(best)
    assert loaded.adapters is not None
    assert loaded.adapters.text_encoder == str(tiny_encoder)
    merged, base = loaded.network.text_encoder.bert.state_dict(), base_of(tiny_encoder)
    adapted = {name.rsplit(".", 1)[0] for name in loaded.adapters.factors}
    for name in merged:
        changed_here = name.removesuffix(".weight") in adapted
        assert torch.equal(merged[name], base[name]) != changed_here, name


def test_a_second_part_goes_on_with_the_same_adapters(
    config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store,
    tmp_path: Path,
) -> None:  # fmt: skip
    words = train(training_of(small_store, config, tmp_path / "words"))
    second = changed(config, {"start": str(words), "train_text": False, "epochs": 1})
    best = train(training_of(small_store, second, tmp_path / "second"))
    one, other = load_file(words), load_file(best)
    factors = {name for name in one if name.startswith("adapters.")}
    assert factors == {name for name in other if name.startswith("adapters.")}
    assert all(torch.equal(one[name], other[name]) for name in factors)
    assert not torch.equal(one["network.head.0.weight"], other["network.head.0.weight"])


def test_fine_tuning_goes_on_with_the_adapters_or_makes_the_encoder_whole(
    config: TrainConfig, small_store: Store, tmp_path: Path
) -> None:
    words = train(training_of(small_store, changed(config, {"epochs": 1}), tmp_path / "words"))
    tuned = fine_tuning(changed(config, {"epochs": 1, "adapter_rank": 0}), str(words))
    assert (tuned.text_encoder, tuned.adapter_rank) == ("", 4)
    one, other = (
        load_checkpoint(train(training_of(small_store, asked, tmp_path / name)))
        for name, asked in (("tuned", tuned), ("whole", changed(tuned, {"adapter_rank": 0})))
    )
    was = load_checkpoint(words).adapters
    assert was is not None and one.adapters is not None and other.adapters is None
    assert (one.adapters.text_encoder, one.adapters.sha256) == (was.text_encoder, was.sha256)
    assert one.adapters.factors.keys() == was.factors.keys()


def test_a_start_that_does_not_fit_is_refused(
    config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store,
    tmp_path: Path,
) -> None:  # fmt: skip
    whole, adapted = tmp_path / "whole.safetensors", tmp_path / "adapted.safetensors"
    save_checkpoint(make(changed(config, {"adapter_rank": 0})), whole)
    save_checkpoint(make(config), adapted)
    with pytest.raises(CheckpointError, match="holds a whole text encoder"):
        make(changed(config, {"start": str(whole)}))
    with pytest.raises(CheckpointError, match="set adapter_rank as it was then"):
        make(changed(config, {"start": str(adapted), "adapter_rank": 0}))
    with pytest.raises(ConfigError, match="another shape"):
        make(changed(config, {"start": str(adapted), "adapter_rank": 2}))
    (tmp_path / "other").mkdir()
    other = write_tiny_encoder(tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file({name: weight * 1.01 for name, weight in weights.items()},
              other / "model.safetensors")  # fmt: skip
    with pytest.raises(CheckpointError, match="belong to another text encoder"):
        built(changed(config, {"start": str(adapted), "text_encoder": str(other)}),
              small_store, other)  # fmt: skip


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="adapter_rank: is -1"):
        changed(TrainConfig(), {"adapter_rank": -1})
    with pytest.raises(ConfigError, match="set adapter_rank too"):
        changed(TrainConfig(), {"adapter_layers": 2})
    preset = read_preset("base-text")
    assert (preset.text_encoder, preset.adapter_rank, preset.storage) == ("mpnet", 16, "fp16")
