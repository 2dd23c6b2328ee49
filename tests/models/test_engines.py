"""Which speech weights are taken, and what offline means."""

from pathlib import Path

import pytest

from dashfusion_models import engines as module
from dashfusion_models.engines import Engines
from dashfusion_models.errors import WeightsError
from dashfusion_models.privacy import asked_offline


@pytest.mark.parametrize(
    ("here", "taken"),
    [
        ({"whisper-base"}, "convert"),
        ({"whisper-base", "openai-whisper-base"}, "openai-whisper-base"),
        (set(), "download"),
    ],
)
def test_what_is_installed_comes_before_a_download(
    monkeypatch: pytest.MonkeyPatch, here: set[str], taken: str
) -> None:
    def locate(name: str, *, offline: bool = False) -> Path:
        if name in here:
            return Path(name)
        if offline:
            raise WeightsError(f"{name}: not found; pull it")
        return Path("download")

    monkeypatch.setattr(module, "locate", locate)
    engines = Engines(asr="openai-whisper")
    if taken == "convert":
        with pytest.raises(WeightsError, match="can be converted"):
            engines._speech_weights("openai-whisper-base")
    else:
        assert engines._speech_weights("openai-whisper-base") == Path(taken)


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("true", True), ("0", False), ("false", False), ("No", False), ("", False)],
)
def test_offline_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, offline: bool
) -> None:
    monkeypatch.setenv("DASHFUSION_OFFLINE", value)
    assert asked_offline() is offline
