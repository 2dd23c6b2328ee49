"""Subtitles say what was said, when, and how it was meant: read by independent readers."""

from html import unescape
from pathlib import Path

import pysrt
import pytest
import webvtt

from dashfusion_cli.render.subtitles import render_srt, render_vtt
from dashfusion_models.speech.transcript_file import read_transcript

from .conftest import analysis, segment

SAID = (
    "<script>alert('no')</script>",
    'He said "no" --> and left & laughed.',
    "Ich mag das nicht 😀 gar nicht.",
    "שלום, מה שלומך היום?",
    "我不喜欢这部电影，但是演员很好。",  # noqa: RUF001
    "=1+1",
)


def spoken(*texts: str, score: float = 1.2) -> list:
    return [
        segment(start_s=3.0 * k, end_s=3.0 * k + 2.5, text=text, score=score)
        for k, text in enumerate(texts)
    ]


def read_srt(data: bytes) -> pysrt.SubRipFile:
    return pysrt.from_string(data.decode("utf-8"), error_handling=pysrt.SubRipFile.ERROR_RAISE)


def read_vtt(data: bytes, folder: Path) -> webvtt.WebVTT:
    path = folder / "read.vtt"
    path.write_bytes(data)
    return webvtt.read(path)


def test_every_text_comes_through_unharmed(tmp_path: Path) -> None:
    found = analysis("clip.mp4", *spoken(*SAID))
    srt = read_srt(render_srt(found))
    assert [item.text.replace("\n", " ") for item in srt] == list(SAID)
    vtt = read_vtt(render_vtt(found), tmp_path)
    assert [unescape(c.text).replace("\n", " ") for c in vtt.captions] == list(SAID)
    for raw in (c.raw_text for c in vtt.captions):
        inside = raw.partition(">")[2].removesuffix("</c>")
        assert "<" not in inside
        assert "-->" not in inside


def test_times_are_those_of_what_is_said(tmp_path: Path) -> None:
    late = segment(start_s=3599.9996, end_s=3725.25, text="Good night.")
    found = analysis("clip.mp4", segment(start_s=0.0, end_s=1.5, text="Hello."), late)
    srt = read_srt(render_srt(found))
    assert [(str(i.start), str(i.end)) for i in srt] == [
        ("00:00:00,000", "00:00:01,500"),
        ("01:00:00,000", "01:02:05,250"),
    ]
    vtt = read_vtt(render_vtt(found), tmp_path)
    assert [(c.start, c.end) for c in vtt.captions] == [
        ("00:00:00.000", "00:00:01.500"),
        ("01:00:00.000", "01:02:05.250"),
    ]


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("strongly negative", "negative.strongly-negative"),
        ("negative", "negative"),
        ("neutral", "neutral"),
        ("weakly positive", "positive.weakly-positive"),
    ],
)
def test_webvtt_carries_the_sentiment(label: str, classes: str, tmp_path: Path) -> None:
    found = analysis("clip.mp4", segment(text="So it is.", label=label))
    data = render_vtt(found)
    vtt = read_vtt(data, tmp_path)
    assert vtt.captions[0].raw_text == f"<c.{classes}>So it is.</c>"
    (style,) = vtt.styles
    assert f"::cue(.{classes.split('.')[0]})" in style.text


def test_a_score_stands_in_front_where_it_is_asked_for(tmp_path: Path) -> None:
    found = analysis("clip.mp4", *spoken("So it is.", score=-1.24))
    assert read_srt(render_srt(found, scores=True))[0].text == "[-1.2] So it is."
    (caption,) = read_vtt(render_vtt(found, scores=True), tmp_path).captions
    assert caption.text == "[-1.2] So it is."
    assert read_srt(render_srt(found))[0].text == "So it is."


def test_a_face_alone_says_nothing(tmp_path: Path) -> None:
    found = analysis("clip.mp4", segment(text=None))
    assert len(read_srt(render_srt(found))) == 0
    assert read_vtt(render_vtt(found), tmp_path).captions == []


def test_a_speaker_is_a_voice_in_webvtt_and_a_name_in_subrip(tmp_path: Path) -> None:
    named = [
        segment(text="I liked it.", speaker="Anna & Ben", score=1.24),
        segment(text="Who knows?", start_s=4.0, end_s=6.0),
    ]
    found = analysis("clip.mp4", *named)
    assert [i.text for i in read_srt(render_srt(found))] == [
        "Anna & Ben: I liked it.",
        "Who knows?",
    ]
    assert read_srt(render_srt(found, scores=True))[0].text == "[+1.2] Anna & Ben: I liked it."
    first, second = read_vtt(render_vtt(found, scores=True), tmp_path).captions
    assert (first.voice, first.text) == ("Anna &amp; Ben", "[+1.2] I liked it.")
    assert (second.voice, second.text) == (None, "[+1.6] Who knows?")


def test_what_is_written_is_read_again_with_its_speakers(tmp_path: Path) -> None:
    said = [("Anna", "I liked it."), ("Ben", "I <did> not & left."), ("Anna", "So: why?")]
    found = analysis(
        "clip.mp4",
        *(
            segment(text=text, speaker=who, start_s=3.0 * k, end_s=3.0 * k + 2)
            for k, (who, text) in enumerate(said)
        ),
    )
    for name, render in (("a.srt", render_srt), ("a.vtt", render_vtt)):
        (tmp_path / name).write_bytes(render(found))
        read = read_transcript(tmp_path / name)
        expected = [("Ben", "I not & left.") if name == "a.srt" and w == "Ben" else (w, t)
                    for w, t in said]  # fmt: skip
        assert [(p.speaker, p.text) for p in read.phrases] == expected
