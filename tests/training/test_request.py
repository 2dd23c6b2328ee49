"""What a training was started with is kept so that it goes on from anywhere, and nothing else."""

import dataclasses
import json
from pathlib import Path

import pytest
import tomli_w

from dashfusion_cli.commands import train as command_module
from dashfusion_models.errors import ConfigError, TrainingError
from dashfusion_training.config import TrainConfig, changed, with_settings
from dashfusion_training.request import (
    TrainingRequest,
    from_anywhere,
    read_request,
    request_of,
    require_same,
    require_settings,
    started_settings,
    write_request,
)

START = {"name": "mine", "license": "none", "sha256": "ab"}
DATA = {"data": {"films": {"digest": "12"}}, "text_encoder": {"name": "e", "sha256": "cd"}}


def started(folder: Path, config: TrainConfig, data: dict[str, object]) -> Path:
    folder.mkdir(parents=True)
    known = {k: v for k, v in config.to_dict().items() if v is not None}
    (folder / "config.toml").write_text(tomli_w.dumps(known), "utf-8")
    (folder / "data.json").write_text(json.dumps(data), "utf-8")
    return folder


def asked(**changes: object) -> TrainingRequest:
    made = request_of([Path("films.csv")], data_root=Path("data"), media_root=None, device="cpu",
                      preset="mini", seeds=5, log_to=())  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_an_unknown_preset_is_kept_unknown(tmp_path: Path) -> None:
    write_request(tmp_path, asked(preset=None))
    former = read_request(tmp_path)
    assert former == asked(preset=None)
    former.require_alike(preset="mini", seed=None, seeds=None)


def test_several_seeds_never_become_fewer() -> None:
    for seeds in (5, 6, None):
        asked().require_alike(preset=None, seed=None, seeds=seeds)
    with pytest.raises(TrainingError, match="seeds: 5 seeds in RUN, 2 given"):
        asked().require_alike(preset=None, seed=None, seeds=2)


def test_paths_that_are_there_are_whole_and_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("encoder", "minilm"):
        (tmp_path / name).mkdir()
    for name in ("start.safetensors", "teacher.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(
        start="start.safetensors", text_encoder="encoder", teachers=("teacher.csv", "gone.csv")
    )
    found = from_anywhere(config)
    assert found.start == str(tmp_path / "start.safetensors")
    assert found.text_encoder == str(tmp_path / "encoder")
    assert found.teachers == (str(tmp_path / "teacher.csv"), "gone.csv")
    named = changed(config, {"start": "dashfusion-mini", "text_encoder": "minilm"})
    assert (from_anywhere(named).start, from_anywhere(named).text_encoder) == (
        "dashfusion-mini",
        "minilm",
    )


def test_a_start_is_told_by_its_content(tmp_path: Path) -> None:
    config = TrainConfig(start="a.safetensors")
    moved = changed(config, {"start": "elsewhere/b.safetensors"})
    run = started(tmp_path / "run", config, {**DATA, "start": START})
    require_same(run, moved, {**DATA, "start": START})
    require_settings(run, moved, START)
    other = {**START, "sha256": "ef"}
    with pytest.raises(TrainingError, match=r"text encoder or start .*start: other content"):
        require_settings(run, moved, other)
    with pytest.raises(TrainingError, match="epochs"):
        require_settings(run, changed(config, {"epochs": 7}), START)
    require_settings(tmp_path / "new", config, START)
    # Older folders say less of a start; the first of several seeds stands for all.
    old = started(tmp_path / "old" / "seed-1111", config, {**DATA, "start": {"sha256": "ab"}})
    require_same(old, config, {**DATA, "start": START})
    require_settings(old.parent, config, START)
    bare = started(tmp_path / "bare", config, DATA)
    require_same(bare, config, {**DATA, "start": START})
    with pytest.raises(TrainingError, match=r"start: a.safetensors in RUN, none given"):
        require_same(bare, changed(config, {"start": ""}), DATA)


def test_what_an_older_version_started_goes_on(tmp_path: Path) -> None:
    """It wrote `half_weights`, which is `storage` now."""
    for half, storage in ((True, "fp16"), (False, "fp32")):
        config = TrainConfig(storage=storage)
        run = started(tmp_path / storage, config, DATA)
        text = (run / "config.toml").read_text("utf-8")
        former = text.replace(f'storage = "{storage}"', f"half_weights = {str(half).lower()}")
        assert former != text
        (run / "config.toml").write_text(former, "utf-8")
        assert started_settings(run) == config
        require_same(run, config, DATA)
        with pytest.raises(TrainingError, match=f"storage: {storage} in RUN, int8 given"):
            require_same(run, changed(config, {"storage": "int8"}), DATA)
    assert with_settings(TrainConfig(storage="int8"), {"half_weights": "true"}).storage == "fp16"
    with pytest.raises(ConfigError, match="half_weights: is 3; give true or false"):
        with_settings(TrainConfig(), {"half_weights": "3"})
    with pytest.raises(ConfigError, match="storage: 'int4' is unknown; use fp32 or fp16 or int8"):
        TrainConfig(storage="int4")


def test_other_features_are_said_to_need_the_same(tmp_path: Path) -> None:
    run = started(tmp_path / "run", TrainConfig(), DATA)
    anew = {**DATA, "data": {"films": {"digest": "34"}}}
    with pytest.raises(
        TrainingError, match=r"films: other content.*with the features as they were"
    ):
        require_same(run, TrainConfig(), anew)


@pytest.mark.parametrize(
    ("platform", "said"), [("win32", '"my runs"'), ("linux", "'my runs'"), ("darwin", "'my runs'")]
)
def test_the_way_to_go_on_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, platform: str, said: str
) -> None:
    monkeypatch.setattr(command_module.sys, "platform", platform)
    assert command_module._quoted("my runs") == said
