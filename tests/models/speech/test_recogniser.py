"""What is the same around either engine: language, progress, and refusals that name the way out."""

import importlib.util
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.errors import ConfigError, SpeechError, WeightsError
from dashfusion_models.records import SAMPLE_RATE_HZ, Language, Progress, Samples, Span, Word
from dashfusion_models.speech.recogniser import WhisperRecogniser
from dashfusion_models.speech.transcribe import load_recogniser
from dashfusion_models.speech.windows import Heard


def _ignore(progress: Progress) -> None:
    pass


def _installed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def _forbidden(*_: object, **__: object) -> None:
    raise AssertionError("the network or another program was used")


@dataclass
class _Planted:
    """A decoder that hears what it is told."""

    probabilities: list[dict[str, float]] = field(default_factory=list)
    device: str = "cpu"
    languages: frozenset[str] = frozenset({"en", "de", "da", "jw", "zh"})
    multilingual: bool = True
    asked: list[tuple[int, str, bool]] = field(default_factory=list)

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        return self.probabilities.pop(0)

    def decode(self, samples: Samples, *, language: str, translate: bool) -> list[Heard]:
        self.asked.append((len(samples), language, translate))
        return [Heard(0.0, 1.0, (Word(0.0, 1.0, " hello", 0.8),), -0.3, 0.1, 1.2)]


def _recogniser(decoder: _Planted) -> WhisperRecogniser:
    return WhisperRecogniser("planted", "base", "cpu", decoder)


FAR_APART = [Span(i * 20.0, i * 20.0 + 2.0) for i in range(3)]


def test_without_speech_the_engine_is_not_asked() -> None:
    decoder = _Planted()
    found = _recogniser(decoder).recognise(
        np.zeros(100, np.float32), [], language=None, translate=False, report=_ignore
    )
    assert found.phrases == () and found.language is None and decoder.asked == []
    assert (found.engine, found.model) == ("planted", "base")


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([{"en": 0.9, "de": 0.1}, {"en": 0.0, "de": 1.0}, {"en": 0.3, "de": 0.7}], ("de", 0.6)),
        ([{"jw": 0.8, "en": 0.2}] * 3, ("jv", 0.8)),
        ([{"da": 0.3, "en": 0.2, "de": 0.1}] * 3, ("en", 0.2)),  # unsure, English near
        ([{"da": 0.3, "en": 0.01}] * 3, ("da", 0.3)),
    ],
)
def test_the_language_is_that_of_the_sum(
    heard: list[dict[str, float]], expected: tuple[str, float]
) -> None:
    samples = np.zeros(60 * SAMPLE_RATE_HZ, np.float32)
    found = _recogniser(_Planted(list(heard))).recognise(
        samples, FAR_APART, language=None, translate=False, report=_ignore
    )
    assert found.language is not None
    assert (found.language.code, found.language.probability) == (
        expected[0],
        pytest.approx(expected[1]),
    )


@pytest.mark.parametrize(
    ("named", "code", "asked"), [("en-US", "en", "en"), ("JV", "jv", "jw"), ("zh_CN", "zh", "zh")]
)
def test_a_language_may_be_named(named: str, code: str, asked: str) -> None:
    decoder = _Planted()
    found = _recogniser(decoder).recognise(
        np.zeros(60 * SAMPLE_RATE_HZ, np.float32),
        FAR_APART,
        language=named,
        translate=False,
        report=_ignore,
    )
    assert found.language == Language(code, None)
    assert [language for _, language, _ in decoder.asked] == [asked] * 3


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigError, match="language xx"):
        _recogniser(_Planted()).recognise(
            np.zeros(60 * SAMPLE_RATE_HZ, np.float32),
            FAR_APART,
            language="xx",
            translate=False,
            report=_ignore,
        )


@pytest.mark.parametrize(("language", "translated"), [("de", True), ("en", False)])
def test_only_another_language_is_translated(language: str, translated: bool) -> None:
    decoder = _Planted()
    found = _recogniser(decoder).recognise(
        np.zeros(60 * SAMPLE_RATE_HZ, np.float32),
        FAR_APART,
        language=language,
        translate=True,
        report=_ignore,
    )
    assert found.translated is translated
    assert {translate for _, _, translate in decoder.asked} == {translated}


def test_progress_rises_to_the_whole_duration() -> None:
    seen: list[Progress] = []
    _recogniser(_Planted()).recognise(
        np.zeros(60 * SAMPLE_RATE_HZ, np.float32),
        FAR_APART,
        language="en",
        translate=False,
        report=seen.append,
    )
    assert [p.done for p in seen] == [0.0, 20.0, 40.0, 60.0]
    assert {(p.stage, p.total) for p in seen} == {("transcribe", 60.0)}


def _no_weights(name: str) -> Path:
    raise WeightsError(f"{name}: not here; pull it")


@pytest.mark.parametrize(
    ("engine", "module", "way_out"),
    [
        ("faster-whisper", "faster_whisper", "dashfusion[offline]"),
        ("openai-whisper", "whisper", "pip install openai-whisper"),
    ],
)
def test_a_missing_engine_names_the_way_out(
    engine: str, module: str, way_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SpeechError, match=re.escape(way_out)):
        load_recogniser(engine, str(tmp_path), device="cpu", weights=_no_weights)  # type: ignore[arg-type]


def test_missing_weights_are_said_and_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed("faster_whisper")
    monkeypatch.setattr(socket.socket, "connect", _forbidden)
    with pytest.raises(WeightsError, match="whisper-base"):
        load_recogniser("faster-whisper", "base", device="cpu", weights=_no_weights)
    (tmp_path / "model.bin").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        load_recogniser("auto", str(tmp_path), device="cpu", weights=_no_weights)


def test_a_pt_file_is_not_for_faster_whisper(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="openai-whisper"):
        load_recogniser(
            "faster-whisper", str(tmp_path / "base.pt"), device="cpu", weights=_no_weights
        )
