"""What is left out is said to be left out, and leaves the rows as they are: planted engines."""

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashfusion_models import Analysis, AnalyzeOptions, Analyzer
from dashfusion_models import extract as extract_module
from dashfusion_models import score as score_module
from dashfusion_models.engines import Engines
from dashfusion_models.errors import DashfusionError, NothingToScore, SpeechError, WeightsError
from dashfusion_models.extract import Request, extract
from dashfusion_models.records import (
    MODALITIES,
    Face,
    Features,
    Frame,
    FrameFaces,
    Language,
    Modality,
    Phrase,
    Span,
    Streams,
    Transcript,
    Word,
)
from dashfusion_models.score import Scored
from tests.cli.planted_video import RATE_HZ, plain, write_video
from tests.models.test_checkpoint import planted

SPEECH = (Span(1.0, 2.0), Span(3.0, 5.0))
SECONDS = 10
ROWS = [(1.0, 2.0, "Fine."), (3.0, 5.0, "Fine."), (5.0, 10.0, None)]
SUBSETS: list[tuple[Modality, ...]] = [
    ("text",),
    ("audio",),
    ("vision",),
    ("text", "audio"),
    ("text", "vision"),
    ("audio", "vision"),
]
CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"


class _Faces:
    """Sees a face in every picture."""

    warnings = ("one was hardly seen",)

    def __init__(self) -> None:
        self.seen: list[FrameFaces] = []

    def start(self) -> None: ...

    def submit(self, frame: Frame) -> None:
        blendshapes, pose = np.zeros(52, np.float32), np.zeros(6, np.float32)
        face = Face((0.4, 0.3, 0.2, 0.3), blendshapes, pose)
        self.seen.append(FrameFaces(frame.seconds, (face,)))

    def finish(self) -> Sequence[FrameFaces]:
        return self.seen


class _Recogniser:
    """Hears one word where somebody speaks."""

    device = "cpu"

    def __init__(self, language: str) -> None:
        self._language = Language(language, 0.9)

    def recognise(self, samples: object, speech: Sequence[Span], **_: object) -> Transcript:
        phrases = tuple(
            Phrase(s.start_s, s.end_s, "Fine.", (Word(s.start_s, s.end_s, "Fine.", 0.3),), 0.3)
            for s in speech
        )
        return Transcript(phrases, self._language, "planted", "base")


def _engines(monkeypatch: pytest.MonkeyPatch, *, language: str = "en", speech: Any = SPEECH) -> Any:
    engines = Engines()
    for name, thing in {
        "voice_activity": lambda: lambda samples: speech,
        "voice_states": lambda: lambda samples: np.zeros(512, np.float32),
        "recogniser": lambda: _Recogniser(language),
        "faces": lambda **_: _Faces(),
    }.items():
        monkeypatch.setattr(engines, name, thing)
    return engines


def _score(checkpoint: object, features: Sequence[Features], **_: object) -> list[Scored]:
    """Half a point for each modality that is there; none is asked for nothing."""
    found = []
    for one in features:
        there = [m for m, here in one.present.items() if here]
        assert there
        parts = {m: 0.5 if m in there else None for m in MODALITIES}
        found.append(Scored(0.5 * len(there), Streams[float | None](**parts), (-1.0, 2.0)))
    return found


@pytest.fixture
def analyze(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(score_module, "score", _score)

    def run(path: Path, *without: Modality, **planted_sound: Any) -> Analysis:
        with Analyzer(planted(), _engines(monkeypatch, **planted_sound)) as analyzer:
            return analyzer.analyze(path, AnalyzeOptions(without=without))

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of a picture and of a hum that changes its pitch."""
    seconds = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 0.5 * seconds)) / RATE_HZ
    sound = sum(np.sin(k * phase) / k for k in range(1, 8)) / 6
    shots = [(k / 10, plain((90, 90, 90), 64, 48)) for k in range(10 * SECONDS)]
    return write_video(
        tmp_path_factory.mktemp("left_out") / "clip.mp4",
        shots,
        tick=Fraction(1, 10),
        rate=Fraction(10),
        sound=sound.astype(np.float32)[None],
        layout="mono",
    )


def _rows(found: Analysis) -> list[tuple[float, float, str | None]]:
    return [(round(s.start_s, 1), round(s.end_s, 1), s.text) for s in found.segments]


@pytest.mark.parametrize("without", SUBSETS)
def test_the_rows_are_those_with_all_modalities(
    analyze: Any, clip: Path, without: tuple[Modality, ...]
) -> None:
    whole, found = analyze(clip), analyze(clip, *without)
    assert _rows(whole) == ROWS
    assert [s.score for s in whole.segments] == [1.5, 1.5, 0.5]
    exact = [(s.start_s, s.end_s, s.text, s.words) for s in whole.segments]
    assert [(s.start_s, s.end_s, s.text, s.words) for s in found.segments] == exact
    left = 0.5 * (3 - len(without))
    shut = "vision" in without
    assert [s.score for s in found.segments] == [left, left, None if shut else 0.5]
    seconds = [s.end_s - s.start_s for s in found.segments]
    mean = np.average([left, left] if shut else [left, left, 0.5],
                      weights=seconds[:2] if shut else seconds)  # fmt: skip
    assert found.overall.score == pytest.approx(mean)


@pytest.mark.parametrize("without", SUBSETS)
def test_what_is_left_out_is_not_said_to_be_absent(
    analyze: Any, clip: Path, without: tuple[Modality, ...]
) -> None:
    found = analyze(clip, *without)
    assert found.run.without == without
    assert found.asr is not None
    assert found.language is not None
    assert found.warnings == (() if "vision" in without else _Faces.warnings)
    unsure = () if "text" in without else ("low_speech_confidence",)
    assert [s.reasons for s in found.segments] == [unsure, unsure, ("no_speech",)]
    for segment in found.segments:
        for modality in without:
            assert segment.present[modality] == 0.0
            assert segment.contributions[modality] is None
        assert segment.face is None or "vision" not in without


def test_a_row_without_a_score_has_nothing_of_one(analyze: Any, clip: Path) -> None:
    silent = analyze(clip, "vision").segments[-1]
    assert (silent.score, silent.label, silent.interval, silent.face) == (None, None, None, None)


def test_nothing_left_is_an_error_that_says_so(analyze: Any, clip: Path) -> None:
    with pytest.raises(NothingToScore, match=r"but what is left out \(vision\); leave less out"):
        analyze(clip, "vision", speech=())
    assert len(analyze(clip, "text", speech=()).segments) == 1


def test_words_that_are_left_out_are_in_no_unread_language(analyze: Any, clip: Path) -> None:
    heard = analyze(clip, language="pt")
    assert any("does not read" in warning for warning in heard.warnings)
    left = analyze(clip, "text", language="pt")
    assert left.warnings == _Faces.warnings
    assert not any("unsupported_language" in s.reasons for s in left.segments)
    assert [s.score for s in left.segments] == [s.score for s in heard.segments]
    with pytest.raises(NothingToScore, match="left out"):
        analyze(clip, "audio", "vision", language="pt")


def test_words_that_are_not_read_keep_their_rows(analyze: Any, clip: Path) -> None:
    found = analyze(clip, "audio", language="pt")
    assert _rows(found) == ROWS
    assert [s.score for s in found.segments] == [0.5, 0.5, 0.5]


def test_labelled_clips_are_not_recognised_without_words(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = _engines(monkeypatch)
    for name in ("recogniser", "faces"):
        monkeypatch.setattr(engines, name, lambda **_: pytest.fail("is not wanted"))
    request = Request(whole=True, modalities=frozenset({"audio"}))
    (found,) = extract(clip, request, engines, lambda progress: None).extracted
    assert found.features.text is None
    assert found.features.audio is not None


def test_a_model_without_words_cuts_where_nobody_speaks(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = _engines(monkeypatch)
    monkeypatch.setattr(engines, "recogniser", lambda: pytest.fail("is not wanted"))
    senses: frozenset[Modality] = frozenset({"audio", "vision"})
    request = Request(modalities=senses, cut_by=senses)
    spoken = [e.spoken for e in extract(clip, request, engines, lambda progress: None).extracted]
    assert spoken == [True, True, False]
    mute = Request(modalities=frozenset({"vision"}), cut_by=senses)
    found = [e for e in extract(clip, mute, engines, lambda progress: None).extracted]
    assert [e.spoken for e in found] == spoken
    assert all(e.features.audio is None for e in found)


def test_the_face_is_chosen_by_the_same_sound(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    def choose(tracks: Any, span: Span, *, sound_energy: Any) -> Any:
        heard.append(sound_energy)
        return real(tracks, span, sound_energy=sound_energy)

    real = extract_module.choose
    monkeypatch.setattr(extract_module, "choose", choose)
    every = frozenset(MODALITIES)
    for modalities in (every, every - {"audio"}):
        request = Request(modalities=modalities, cut_by=every)
        list(extract(clip, request, _engines(monkeypatch), lambda progress: None).extracted)
    whole, left = heard[: len(ROWS)], heard[len(ROWS) :]
    for (seconds, energy), (seconds_left, energy_left) in zip(whole, left, strict=True):
        assert energy.std() > 0.0
        np.testing.assert_array_equal(seconds_left, seconds)
        np.testing.assert_array_equal(energy_left, energy)


@pytest.mark.parametrize("missing", [SpeechError("none is installed"), WeightsError("no base")])
def test_words_that_are_left_out_need_no_speech_engine(
    clip: Path, monkeypatch: pytest.MonkeyPatch, missing: DashfusionError
) -> None:
    def fail() -> None:
        raise missing

    engines = _engines(monkeypatch)
    monkeypatch.setattr(engines, "recogniser", fail)
    every = frozenset(MODALITIES)
    left = extract(
        clip, Request(modalities=every - {"text"}, cut_by=every), engines, lambda progress: None
    )
    (warning,) = (w for w in left.warnings if w not in _Faces.warnings)
    assert warning == f"words were not looked for: utterances are cut by pauses ({missing})"
    found = list(left.extracted)
    assert [(e.utterance.start_s, e.utterance.end_s, e.spoken) for e in found] == [
        (1.0, 2.0, True),
        (3.0, 5.0, True),
        (5.0, 10.0, False),
    ]
    assert [e.features.audio is not None for e in found] == [True, True, False]
    with pytest.raises(type(missing)):
        extract(clip, Request(cut_by=every), engines, lambda progress: None)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the shared clips are not there")
@pytest.mark.skipif(
    importlib.util.find_spec("faster_whisper") is None, reason="needs the extra `offline`"
)
def test_a_real_clip_has_the_same_rows() -> None:
    """Two sentences and a face."""
    path = CLIPS / "retalking_1.mp4"
    with Analyzer.load(device="cpu", offline=True) as analyzer:
        spans = [
            [
                (s.start_s, s.end_s, s.text)
                for s in analyzer.analyze(path, AnalyzeOptions(without=without)).segments
            ]
            for without in ((), ("text",), ("audio",), ("vision",))
        ]
    assert spans[0]
    assert spans.count(spans[0]) == 4
