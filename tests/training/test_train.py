"""Training learns a planted signal, resumes to the same numbers and refuses what cannot be."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.errors import TrainingError
from dashfusion_models.store import Store
from dashfusion_training import step as step_module
from dashfusion_training.config import TrainConfig
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.run import Position
from dashfusion_training.train import Training, train

CPU = torch.device("cpu")


def training_of(
    store: Store, config: TrainConfig, output: Path, *, resume: bool = False
) -> Training:
    return Training(
        config=config, stores={"planted": store}, output=output, resume=resume, device=CPU
    )


def test_it_learns_what_was_planted(
    planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """All three together reach what the words alone cannot."""
    config = dataclasses.replace(tiny_config, epochs=15, encoder_dropout=0.0, position_dropout=0.0)
    best = train(training_of(planted_store, config, tmp_path / "run"))

    def corr(*modalities: str) -> float:
        (report,) = evaluate_stores(
            best,
            {"planted": planted_store},
            split="test",
            modalities=modalities,  # type: ignore[arg-type]
            classes=None,
            device=CPU,
        )
        value = report.metrics["corr"]
        assert value is not None
        return value

    everything = corr("text", "audio", "vision")
    assert everything > 0.98
    assert everything > corr("text") + 0.01
    assert everything > corr("audio", "vision") + 0.1
    label = np.array([row.label for row in planted_store.rows if row.split == "test"])
    report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert report["data"] == {"planted": {"train": 240, "valid": 60, "test": 80}}
    assert report["best_valid_mae"] < np.abs(label - label.mean()).mean() / 2


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("stop_at", [7, 15, 33])
def test_a_stopped_training_ends_with_the_same_numbers(
    planted_store: Store,
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
) -> None:
    """Stopped within an epoch, at its end and later; every step is saved here."""
    config = dataclasses.replace(tiny_config, modality_dropout=0.5)
    whole = train(training_of(planted_store, config, tmp_path / "whole"))
    monkeypatch.setattr("dashfusion_training.run.SAVE_EVERY_S", 0.0)

    def stop(at: Position, loss: float, batches: int) -> None:
        if at.step == stop_at:
            raise _Stopped

    with pytest.raises(_Stopped):
        train(training_of(planted_store, config, tmp_path / "parts"), report=stop)
    resumed = train(training_of(planted_store, config, tmp_path / "parts", resume=True))
    one, other = load_checkpoint(whole), load_checkpoint(resumed)
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(other.network.state_dict()[name], value, rtol=0, atol=0)
    assert one.training == other.training


def test_another_training_in_the_folder_is_refused(
    planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny_config, epochs=1)
    train(training_of(planted_store, config, tmp_path / "run"))
    with pytest.raises(TrainingError, match="--resume"):
        train(training_of(planted_store, config, tmp_path / "run"))
    other = dataclasses.replace(config, learning_rate=1e-4)
    with pytest.raises(TrainingError, match="other settings"):
        train(training_of(planted_store, other, tmp_path / "run", resume=True))


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(
    planted_store: Store,
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0
    real_loss = step_module.F.mse_loss

    def broken(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return real_loss(predicted, label) * (float("nan") if calls > 20 else 1.0)

    monkeypatch.setattr(step_module.F, "mse_loss", broken)
    with pytest.raises(TrainingError, match=r"step 20.*the loss is nan"):
        train(training_of(planted_store, tiny_config, tmp_path / "run"))
    assert load_checkpoint(tmp_path / "run" / "best.safetensors").name == "dashfusion"
