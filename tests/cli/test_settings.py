from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import FakeRoad, Result

Command = Callable[..., Result]


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    file = tmp_path / "config" / "dashfusion.toml"
    file.parent.mkdir()
    return file


def test_flag_before_environment_before_file_before_built_in(
    command: Command,
    road: FakeRoad,
    clip: Path,
    usual: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert command("analyze", clip).code == 0
    assert road.loaded["asr_model"] == "base"
    usual.write_text('asr-model = "small"\n')
    command("analyze", clip)
    assert road.loaded["asr_model"] == "small"
    monkeypatch.setenv("DASHFUSION_ASR_MODEL", "medium")
    command("analyze", clip)
    assert road.loaded["asr_model"] == "medium"
    command("analyze", clip, "--asr-model", "tiny")
    assert road.loaded["asr_model"] == "tiny"


def test_every_kind_of_value_comes_from_the_file(
    command: Command, road: FakeRoad, clip: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('without = ["text", "audio"]\ntranslate = true\nstart = 1.5\nformat = "csv"\n')
    result = command("analyze", clip, "--config", file)
    assert result.code == 0
    assert road.options["without"] == frozenset({"text", "audio"})
    assert road.options["translate"] is True
    assert road.options["start_s"] == 1.5
    assert result.out.startswith("path,start_s,")


def test_environment_switches_and_lists(
    command: Command, road: FakeRoad, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHFUSION_OFFLINE", "1")
    monkeypatch.setenv("DASHFUSION_WITHOUT", "text vision")
    assert command("analyze", clip).code == 0
    assert road.loaded["offline"] is True
    assert road.options["without"] == frozenset({"text", "vision"})


def test_a_named_file_replaces_the_usual_one(
    command: Command, road: FakeRoad, clip: Path, usual: Path, tmp_path: Path
) -> None:
    usual.write_text('device = "cuda"\nasr-model = "small"\n')
    (tmp_path / "mine.toml").write_text('device = "mps"\n')
    command("analyze", clip, "--config", "mine.toml")
    assert (road.loaded["device"], road.loaded["asr_model"]) == ("mps", "base")


def test_an_unknown_key_lists_the_known(
    command: Command, road: FakeRoad, clip: Path, usual: Path
) -> None:
    usual.write_text('asr-modle = "small"\n')
    result = command("analyze", clip)
    assert result.code == 1
    assert result.err.startswith(f"error: {usual}: no setting asr-modle; did you mean asr-model?")
    assert "known are ablate, asr, asr-model, " in result.err
    assert result.err.count("\n") == 1


def test_a_key_of_another_command_is_passed_over(command: Command, usual: Path) -> None:
    usual.write_text('asr-model = "small"\n')
    assert command("weights", "list").code == 0


@pytest.mark.parametrize("body", ["device = ", "[analyze]\ndevice = 'cpu'\n", "\xff"])
def test_a_file_that_makes_no_sense_is_one_line(
    command: Command, road: FakeRoad, clip: Path, usual: Path, body: str
) -> None:
    usual.write_text(body, encoding="latin-1")
    result = command("analyze", clip)
    assert result.code == 1
    assert result.err.startswith(f"error: {usual}: ")
    assert result.err.count("\n") == 1


def test_a_wrong_value_names_the_file(
    command: Command, road: FakeRoad, clip: Path, usual: Path
) -> None:
    usual.write_text('format = "xml"\n')
    result = command("analyze", clip)
    assert result.code == 2
    assert f"note: {usual} sets format" in result.err


def test_a_missing_named_file_is_an_error(command: Command, road: FakeRoad, clip: Path) -> None:
    result = command("analyze", clip, "--config", "gone.toml")
    assert result.code == 1
    assert result.err.startswith("error: gone.toml: cannot be read")
