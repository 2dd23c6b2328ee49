"""Writers are told what log.jsonl is told, once, and cannot stop a training."""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dashfusion_cli.app import run as run_command
from dashfusion_models.errors import ConfigError
from dashfusion_models.privacy import SWITCHES
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.processes import Team
from dashfusion_training.run import Run
from dashfusion_training.train import train, train_seeds
from dashfusion_training.writers import LogTo, entries_until, scalars, writers_of
from tests.training.logged import Stopped, StopsAt, log_of, training_of


class Recorder:
    """Opens as a writer does and keeps what it was told, by folder."""

    def __init__(self) -> None:
        self.told: dict[Path, list[dict[str, Any]]] = {}
        self.closed: list[Path] = []

    def __call__(self, folder: Path) -> "Recording":
        return Recording(self, folder)


class Recording:
    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self._recorder, self._folder = recorder, folder
        self._told = recorder.told[folder] = []

    def write(self, entry: Mapping[str, Any]) -> None:
        self._told.append(dict(entry))

    def close(self) -> None:
        self._recorder.closed.append(self._folder)


def without_time(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in e.items() if k != "time"} for e in entries if e["kind"] != "start"]


@pytest.mark.usefixtures("every_step")
def test_a_writer_is_told_what_the_log_is_told_and_no_point_twice(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """The state is saved at the end of epochs only, so three steps are done again."""
    recorder = Recorder()
    config = dataclasses.replace(tiny_config, epochs=2)
    whole = training_of(small_store, config, tmp_path / "whole", recorder)
    train(whole)
    kinds = ["start", *(["step"] * 4 + ["epoch"]) * 2]
    assert [entry["kind"] for entry in recorder.told[whole.output]] == kinds
    assert recorder.told[whole.output] == log_of(whole.output)
    assert recorder.closed == [whole.output]

    parts = dataclasses.replace(whole, output=tmp_path / "parts")
    with pytest.raises(Stopped):
        train(dataclasses.replace(parts, watch=StopsAt(7)))
    assert recorder.closed[-1] == parts.output
    train(dataclasses.replace(parts, resume=True))
    shown = without_time(recorder.told[parts.output])
    assert shown == without_time(recorder.told[whole.output])
    assert len(without_time(log_of(parts.output))) == len(shown) + 3
    # Whoever comes to a finished training sees all of it.
    late = Recorder()
    train(dataclasses.replace(parts, resume=True, log_to=(late,)))
    assert without_time(late.told[parts.output]) == shown


def test_each_seed_has_its_own(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    recorder = Recorder()
    config = dataclasses.replace(tiny_config, epochs=1)
    train_seeds(training_of(small_store, config, tmp_path, recorder), 2)
    assert recorder.closed == [tmp_path / "seed-1111", tmp_path / "seed-1112"]
    for folder, told in recorder.told.items():
        assert told == log_of(folder)


def test_only_the_leading_process_writes(tiny_config: TrainConfig, tmp_path: Path) -> None:
    recorder = Recorder()
    team = Team(rank=1, world=1)  # rank 1 without another to wait for
    run = Run(tmp_path, tiny_config, resume=False, team=team, log_to=[recorder])
    run.resume()
    run.log(kind="step", epoch=1, step=50, loss=1.0)
    run.close()
    assert (recorder.told, recorder.closed) == ({}, [])


def test_a_writer_that_fails_is_left_out_with_one_warning(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks(Recording):
        def write(self, entry: Mapping[str, Any]) -> None:
            super().write(entry)
            if entry["kind"] == "epoch":
                raise OSError(28, "No space left on device")

    def never_opens(folder: Path) -> Recording:
        raise RuntimeError("no such service\nand more")

    broken, good = Recorder(), Recorder()
    config = dataclasses.replace(tiny_config, epochs=2)
    to = (never_opens, lambda folder: Breaks(broken, folder), good)
    best = train(training_of(small_store, config, tmp_path, *to))
    assert best.is_file()
    assert good.told[tmp_path] == log_of(tmp_path)
    assert [entry["kind"] for entry in broken.told[tmp_path]] == ["start", "epoch"]
    assert broken.closed == [tmp_path]
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("never_opens: stopped (no such service); the training goes on")
    assert second.startswith("Breaks: stopped (No space left on device); the training goes on")


def test_what_of_a_log_counts(tmp_path: Path) -> None:
    """A step done again, an epoch whose line was written before its state, a line cut off."""
    log = tmp_path / "log.jsonl"
    entries = [
        {"kind": "start"},
        {"kind": "step", "epoch": 1, "step": 50, "loss": 1.0},
        {"kind": "step", "epoch": 1, "step": 100, "loss": 9.0},
        {"kind": "start"},
        {"kind": "step", "epoch": 1, "step": 100, "loss": 2.0},
        {"kind": "epoch", "epoch": 1, "step": 100},
        {"kind": "step", "epoch": 2, "step": 150, "loss": 3.0},
        {"kind": "epoch", "epoch": 2, "step": 150},
    ]
    lines = [json.dumps(entry) for entry in entries]
    log.write_text("\n".join([*lines, '{"kind": "st']), "utf-8")
    first, fifty, _, second, hundred, epoch, last, _ = entries
    assert entries_until(log, epoch=2, step=150) == [first, fifty, second, hundred, epoch, last]
    assert entries_until(log, epoch=1, step=100) == [first, fifty, second, hundred]
    assert entries_until(log, epoch=1, step=0) == [first, second]
    assert entries_until(tmp_path / "none", epoch=1, step=0) == []


def test_the_names_of_curves() -> None:
    one = {"mosi": {"mae": 0.5, "corr": None, "n": 3}}
    entry = {"kind": "epoch", "train_loss": float("nan"), "valid_mae": 0.5, "valid": one}
    assert scalars(entry) == {"valid/mae": 0.5, "valid/n": 3.0}
    two = {"mosi": {"mae": 0.5, "corr": 0.8}, "sims": {"mae": 0.7}}
    entry = {"kind": "epoch", "train_loss": 1.5, "valid_mae": 0.6, "valid": two}
    assert scalars(entry) == {
        "valid/mosi/mae": 0.5,
        "valid/mosi/corr": 0.8,
        "valid/sims/mae": 0.7,
        "valid/mae": 0.6,
        "train/epoch_loss": 1.5,
    }
    assert scalars({"kind": "step", "loss": 2.0, "step": 50}) == {"train/loss": 2.0}
    assert scalars({"kind": "start", "processes": 1}) == {}


@pytest.mark.parametrize("name", list(LogTo))
def test_a_missing_package_is_said_in_one_line(
    name: LogTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name.value, None)
    with pytest.raises(
        ConfigError, match=rf"--log-to {name}: .*pip install 'dashfusion\[{name}\]'$"
    ):
        writers_of([name])


def test_a_wrong_name_is_told_the_right_ones(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for switch in SWITCHES:
        monkeypatch.setenv(switch, os.environ.get(switch, "1"))  # put back after the test
    arguments = ["train", "--dataset", "mosi", "--output", str(tmp_path), "--log-to", "paper"]
    assert run_command(arguments) == 2
    said = capfd.readouterr().err
    assert "tensorboard" in said
    assert "wandb" in said
