"""Training learns a planted signal, resumes to the same numbers and refuses what cannot be."""

import dataclasses
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.errors import ConfigError, DataError, TrainingError, WeightsError
from dashfusion_models.folder import Stop
from dashfusion_models.records import Progress
from dashfusion_models.score import score
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training import calibrate as calibrate_module
from dashfusion_training import loop as loop_module
from dashfusion_training import step as step_module
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig, changed, preset_names, read_preset
from dashfusion_training.datasets import load_dataset
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.interruption import Interrupted
from dashfusion_training.train import Training, train, train_seeds
from tests.training.logged import Stopped, StopsAt, log_of
from tests.training.tiny import AUDIO, VISION, planted_sample

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

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
    assert report["data"]["planted"]["samples"] == {"train": 240, "valid": 60, "test": 80}
    (of_seed,) = report["seeds"]
    assert of_seed["metrics"]["corr"] == pytest.approx(everything)
    assert report["std"]["corr"] is None  # of one seed
    assert of_seed["best_valid_mae"] < np.abs(label - label.mean()).mean() / 2


@pytest.mark.parametrize("stop_at", [3, 8, 11])
def test_a_stopped_training_ends_with_the_same_numbers(
    small_store: Store,
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
) -> None:
    """Within the first epoch, at the second's end, and in the third, with its new neighbours.

    Every step is saved here. With one thread sums have one order anyway.
    """
    torch.set_num_threads(2)
    config = dataclasses.replace(tiny_config, modality_dropout=0.5, contrastive_weight=0.2)
    whole = train(training_of(small_store, config, tmp_path / "whole"))
    monkeypatch.setattr("dashfusion_training.run.SAVE_EVERY_S", 0.0)

    stopped = training_of(small_store, config, tmp_path / "parts")
    with pytest.raises(Stopped):
        train(dataclasses.replace(stopped, watch=StopsAt(stop_at)))
    resumed = train(training_of(small_store, config, tmp_path / "parts", resume=True))
    one, other = load_checkpoint(whole), load_checkpoint(resumed)
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(other.network.state_dict()[name], value, rtol=0, atol=0)
    assert one.training == other.training


def test_another_training_in_the_folder_is_refused(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny_config, epochs=1)
    train(training_of(small_store, config, tmp_path / "run"))
    with pytest.raises(TrainingError, match="--resume"):
        train(training_of(small_store, config, tmp_path / "run"))
    other = dataclasses.replace(config, learning_rate=1e-4)
    with pytest.raises(
        TrainingError, match=r"settings .*learning_rate: 0\.001 in RUN, 0\.0001 given"
    ):
        train(training_of(small_store, other, tmp_path / "run", resume=True))


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(
    small_store: Store,
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0
    real_loss = step_module.F.mse_loss

    def broken(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return real_loss(predicted, label) * (float("nan") if calls > 6 else 1.0)

    monkeypatch.setattr(step_module.F, "mse_loss", broken)
    with pytest.raises(TrainingError, match=r"step 7: the loss is nan"):
        train(training_of(small_store, tiny_config, tmp_path / "run"))
    assert load_checkpoint(tmp_path / "run" / "best.safetensors").name == "run"


def test_scores_that_are_no_numbers_stop_too(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "predict", lambda *a, **k: np.full(20, np.nan))
    with pytest.raises(TrainingError, match="epoch 1: validation scores are nan"):
        train(training_of(small_store, tiny_config, tmp_path / "run"))


def test_seeds_are_summed_up(small_store: Store, tiny_config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config, epochs=1)
    training = training_of(small_store, config, tmp_path / "runs")
    paths = train_seeds(training, 2)
    assert [p.parent.name for p in paths] == ["seed-1111", "seed-1112"]
    assert [load_checkpoint(p).name for p in paths] == ["runs-seed-1111", "runs-seed-1112"]
    report = json.loads((tmp_path / "runs" / "report.json").read_text("utf-8"))
    assert [one["seed"] for one in report["seeds"]] == [1111, 1112]
    found = [one["metrics"]["mae"] for one in report["seeds"]]
    assert found[0] != found[1]
    assert report["mean"]["mae"] == pytest.approx(np.mean(found))
    assert report["std"]["mae"] == pytest.approx(np.std(found, ddof=1))
    alone = json.loads((tmp_path / "runs" / "seed-1112" / "report.json").read_text("utf-8"))
    assert alone["seeds"] == report["seeds"][1:]
    # Once more: nothing is trained again.
    before = paths[0].stat().st_mtime_ns
    train_seeds(dataclasses.replace(training, resume=True), 2)
    assert paths[0].stat().st_mtime_ns == before


def test_other_data_in_the_folder_are_refused(
    small_store: Store, planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny_config, epochs=1)
    train(training_of(small_store, config, tmp_path / "run"))
    counted = r"other data.*planted\.samples\.train: 60 in RUN, 240 given"
    with pytest.raises(TrainingError, match=counted):
        train(training_of(planted_store, config, tmp_path / "run", resume=True))


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_full_disk_leaves_the_last_good_state(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """Writing fails in the middle of a state; what was written before it can be gone on from."""
    import resource

    config = dataclasses.replace(tiny_config, epochs=2)
    run = tmp_path / "run"
    with pytest.raises(Stopped):
        train(dataclasses.replace(training_of(small_store, config, run), watch=StopsAt(5)))
    state = (run / "last" / "state.pt").read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(state) // 2, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"cannot be written .*--resume"):
            train(training_of(small_store, config, run, resume=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (run / "last" / "state.pt").read_bytes() == state
    assert [p.name for p in (run / "last").iterdir()] == ["state.pt"]
    train(training_of(small_store, config, run, resume=True))


@pytest.mark.parametrize("spares", ["norms-and-biases", "bert-norms"])
def test_what_weight_decay_spares(
    small_store: Store, tiny_config: TrainConfig, tiny_encoder: Path, spares: str
) -> None:
    config = dataclasses.replace(tiny_config, decay_spares=spares)
    samples = load_dataset({"small": small_store}, "train", config)
    checkpoint = new_checkpoint(config, tiny_encoder, samples, audio=AUDIO, vision=VISION)
    named = {id(p): name for name, p in checkpoint.network.named_parameters()}
    groups = step_module._groups(checkpoint.network, config)
    spared = {named[id(p)] for g in groups if not g["weight_decay"] for p in g["params"]}
    assert sum(len(g["params"]) for g in groups) == len(named)
    norm = "text_encoder.bert.encoder.layer.0.output.LayerNorm.weight"
    assert norm in spared
    ours = spares == "norms-and-biases"
    assert ("head.0.bias" in spared) == ours
    assert ("audio_encoder.norm.weight" in spared) == ours
    assert "audio_encoder.cls" not in spared
    assert "head.0.weight" not in spared


def test_what_is_refused_does_not_take_the_folder(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """Sequences too long for the positions, and weights that are not there."""
    short = dataclasses.replace(tiny_config, audio_steps=3)
    with pytest.raises(ConfigError, match=r"planted: .* audio_steps is 3; add --set audio_steps="):
        train(training_of(small_store, short, tmp_path / "run"))
    (tmp_path / "encoder").mkdir()
    bare = dataclasses.replace(tiny_config, text_encoder=str(tmp_path / "encoder"))
    with pytest.raises(WeightsError, match="is not a text encoder"):
        train(training_of(small_store, bare, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"no state at all", b""])
def test_a_damaged_state_is_said_to_be_one(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path, content: bytes
) -> None:
    config = dataclasses.replace(tiny_config, epochs=1)
    train(training_of(small_store, config, tmp_path / "run"))
    (tmp_path / "run" / "last" / "state.pt").write_bytes(content)
    with pytest.raises(TrainingError, match=r"state\.pt: is damaged.*delete it"):
        train(training_of(small_store, config, tmp_path / "run", resume=True))


def test_a_checkpoint_of_ones_own_has_its_folders_name_and_no_licence_of_others(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """Also by the preset that own data usually get."""
    config = changed(read_preset("mini"), {"text_encoder": tiny_config.text_encoder, "epochs": 1,
                                           "context_tokens": 0})  # fmt: skip
    kept = load_checkpoint(train(training_of(small_store, config, tmp_path / "mine")))
    assert (kept.name, kept.license) == ("mine", "not stated")
    for name in preset_names():
        assert not read_preset(name).license, name
    stated = dataclasses.replace(tiny_config, epochs=1, name="ours", license="MIT")
    own = load_checkpoint(train(training_of(small_store, stated, tmp_path / "stated")))
    assert (own.name, own.license) == ("ours", "MIT")


@pytest.mark.skipif(sys.platform == "win32", reason="no umask there")
def test_files_have_the_rights_that_the_umask_leaves(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        train(
            training_of(small_store, dataclasses.replace(tiny_config, epochs=1), tmp_path / "run")
        )
        with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
            writer.add(*planted_sample(0, "train"))
    finally:
        os.umask(before)
    made = {p.name: p for f in ("run", "store") for p in (tmp_path / f).rglob("*") if p.is_file()}
    assert {"best.safetensors", "report.json", "state.pt", "shard-00000.safetensors"} <= set(made)
    for name, path in made.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, name
    assert not [name for name in made if name.endswith((".part", ".mode"))]


def test_enough_validation_samples_give_intervals(
    planted_store: Store, small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """60 are enough and 20 are not; the metrics are those of the raw network either way."""
    config = dataclasses.replace(tiny_config, epochs=2)
    with_them = dataclasses.replace(config, intervals=True)
    plain = train(training_of(planted_store, config, tmp_path / "plain"))
    best = train(training_of(planted_store, with_them, tmp_path / "with"))
    kept = load_checkpoint(best)
    assert kept.calibration is not None
    assert kept.calibration.widths["text+audio+vision"].n == 60
    on = {"stores": ["planted"], "predictions": [], "chose_epoch": True}
    assert kept.training["calibrated_on"] == on
    test = [planted_store[i] for i, r in enumerate(planted_store.rows) if r.split == "test"]
    assert all(scored.interval is not None for scored in score(kept, test, device=CPU))
    assert load_checkpoint(plain).calibration is None
    reports = [json.loads((tmp_path / f / "report.json").read_text("utf-8"))["seeds"][0]["test"]
               for f in ("plain", "with")]  # fmt: skip
    assert reports[0] == reports[1]
    few = train(training_of(small_store, with_them, tmp_path / "few"))
    assert load_checkpoint(few).calibration is None
    # Gone on with, it stays as it is.
    written = best.read_bytes()
    train(training_of(planted_store, with_them, tmp_path / "with", resume=True))
    assert best.read_bytes() == written


def test_an_epoch_is_not_lost_to_its_calibration(
    planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """Of 60 validation samples 2 have sound; rows without it are no samples of this training."""
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        heard: dict[str, int] = {}
        for row, features in planted_store:
            heard[row.split] = heard.get(row.split, 0) + 1
            if row.split == "valid" and heard["valid"] > 2:
                row = dataclasses.replace(row, audio=False)
                features = dataclasses.replace(features, audio=None)
            if row.split != "train" or heard["train"] <= 32:
                writer.add(row, features)
    config = dataclasses.replace(tiny_config, epochs=1, intervals=True, modalities=("audio",))
    best = train(training_of(Store(tmp_path / "store"), config, tmp_path / "run"))
    assert load_checkpoint(best).calibration is None
    (report,) = evaluate_stores(
        best, {"planted": Store(tmp_path / "store")}, split="valid", classes=None, device=CPU
    )
    assert report.n == 2


def test_data_that_give_no_intervals_are_noted(
    small_store: Store,
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who asks to stop meanwhile is not kept waiting."""
    stop = Stop()

    def asks(*values: object, report: Callable[[Progress], None], **named: object) -> None:
        stop.ask()
        report(Progress("predict", 1, 2, "samples"))
        raise AssertionError("it went on")

    def fails(*values: object, **named: object) -> None:
        raise DataError("held-out scores are too few")

    monkeypatch.setattr(calibrate_module, "MINIMUM", 20)
    monkeypatch.setattr(calibrate_module, "calibrate", asks)
    config = dataclasses.replace(tiny_config, epochs=1, batch_size=60, intervals=True)
    training = training_of(small_store, config, tmp_path / "run")
    with pytest.raises(Interrupted, match="trained, and not tested yet"):
        train(dataclasses.replace(training, stop=stop))
    monkeypatch.setattr(calibrate_module, "calibrate", fails)
    train(dataclasses.replace(training, resume=True))
    assert (tmp_path / "run" / "report.json").is_file()
    assert log_of(tmp_path / "run")[-1]["message"] == "no intervals: held-out scores are too few"
    assert "too few" in caplog.text
