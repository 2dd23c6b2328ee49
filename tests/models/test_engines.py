"""Which speech weights are taken, and what offline means."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from dashfusion_models import engines as module
from dashfusion_models.engines import Engines
from dashfusion_models.errors import WeightsError
from dashfusion_models.privacy import asked_offline
from dashfusion_models.records import Progress
from dashfusion_models.weights import Report, named


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
    def locate(name: str, *, offline: bool = False, report: object = None) -> Path:
        if name in here:
            return Path(name)
        if offline:
            raise WeightsError(f"{name}: not found; pull it")
        return Path("download")

    for place in (module, named):
        monkeypatch.setattr(place, "locate", locate)
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


def test_no_engine_waits_for_another_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(self: object, weights: object) -> None:
        begun.set()
        assert go.wait(10)

    monkeypatch.setattr("dashfusion_models.speech.voice_states.VoiceStates.__init__", slow)
    engines = Engines()
    loading = threading.Thread(target=engines.voice_states)
    loading.start()
    assert begun.wait(10)
    words = SimpleNamespace(engine="planted", model="base", device="cpu", recognise=print)
    monkeypatch.setattr(module, "load_recogniser", lambda *_, **__: words)
    assert engines.recogniser() is words  # type: ignore[comparison-overlap]
    go.set()
    loading.join()


def test_the_voice_is_made_ready_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    go, warmed = threading.Event(), []

    def slow() -> None:
        assert go.wait(10)
        warmed.append(threading.current_thread())

    engines = Engines()
    monkeypatch.setattr(engines.audio, "warm_up", slow)
    assert not engines.begin_voice().done()
    go.set()
    assert engines.voice() is engines.audio and engines.voice() is engines.audio
    assert len(warmed) == 1 and warmed[0] is not threading.current_thread()


def test_a_voice_that_cannot_be_made_ready_fails_where_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = Engines()
    monkeypatch.setattr(engines.audio, "warm_up", lambda: 1 / 0)
    assert engines.voice() is engines.audio


def test_downloads_are_told_to_whoever_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def locate(name: str, *, offline: bool, report: Report) -> Path:
        report(Progress(f"download {name}", 1.0, 2.0, "B"))
        return Path(name)

    monkeypatch.setattr(module, "locate", locate)
    heard: list[Progress] = []
    engines = Engines()
    engines._speech_weights("whisper-base")  # nobody listens
    engines.tell(heard.append)
    engines._speech_weights("whisper-tiny")
    assert [event.stage for event in heard] == ["download whisper-tiny"]
