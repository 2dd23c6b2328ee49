"""Given transcripts: every phrase with its time, whatever the file's encoding and line ends."""

import time
from pathlib import Path

import pytest

from dashfusion_models.errors import DataError
from dashfusion_models.records import Phrase, Span, Transcript
from dashfusion_models.speech.transcript_file import (
    read_transcript,
    seconds_without_words,
    spread,
)

SRT = """1
00:00:01,500 --> 00:00:03,000
<i>I really</i>
liked it.

2
00:01:02,250 --> 01:00:00,000
{\\an8}Caf\u00e9 &amp; cake?
"""
VTT = """WEBVTT

NOTE a comment

intro
00:01.500 --> 00:03.000 align:start
<v Ann>I really
liked it.

00:01:02.250 --> 01:00:00.000
Caf\u00e9 &amp; cake?
"""
EXPECTED = [(1.5, 3.0, "I really liked it."), (62.25, 3600.0, "Caf\u00e9 & cake?")]


def _phrases(transcript: Transcript) -> list[tuple[float, float, str]]:
    return [(phrase.start_s, phrase.end_s, phrase.text) for phrase in transcript.phrases]


@pytest.mark.parametrize(("suffix", "text"), [(".srt", SRT), (".vtt", VTT), (".SRT", SRT)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_subtitles_are_read(
    tmp_path: Path, suffix: str, text: str, encoding: str, newline: str
) -> None:
    path = tmp_path / f"words{suffix}"
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    transcript = read_transcript(path)
    assert _phrases(transcript) == EXPECTED
    assert transcript.language is None and transcript.engine is None and transcript.model is None
    assert not transcript.times_estimated
    assert all(phrase.confidence == 1.0 and not phrase.words for phrase in transcript.phrases)


def test_cues_come_in_order_of_time_and_empty_ones_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "words.srt"
    path.write_text(
        "1\n00:00:05,000 --> 00:00:06,000\nlater\n\n2\n00:00:01,000 --> 00:00:02,000\nfirst\n\n"
        "3\n00:00:03,000 --> 00:00:04,000\n<b></b>\n",
        encoding="utf-8",
    )
    assert [phrase.text for phrase in read_transcript(path).phrases] == ["first", "later"]


def test_plain_text_has_a_phrase_a_line_and_no_times(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbfI  liked it.\r\n\r\n  Did you?\r\n")
    transcript = read_transcript(path)
    assert _phrases(transcript) == [(0.0, 0.0, "I liked it."), (0.0, 0.0, "Did you?")]
    assert transcript.times_estimated


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("words.srt", b""),
        ("words.txt", b" \n\t\n"),
        ("words.vtt", b"not a subtitle file\n"),
        ("words.vtt", b"WEBVTT\n\n"),
        ("words.txt", b"\x00\x01\x02\x00"),
        ("words.docx", b"hello"),
    ],
)
def test_a_file_without_words_is_refused_in_one_line(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_transcript(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "; " in message and "\n" not in message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_transcript(tmp_path / "absent.srt")


@pytest.mark.parametrize(
    ("name", "line"),
    [("a.txt", "A line.\n"), ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nA cue.\n\n")],
)
def test_a_file_of_more_than_a_day_of_speech_is_refused_at_once(
    tmp_path: Path, name: str, line: str
) -> None:
    path = tmp_path / name
    path.write_text(100_000 * line)
    started = time.monotonic()
    with pytest.raises(DataError, match=r"has 100000 (lines|cues), more than .*; cut it into"):
        read_transcript(path)
    assert time.monotonic() - started < 2.0


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing
    with pytest.raises(DataError, match="cannot be read"):
        read_transcript(path)


def _plain(*lines: str) -> Transcript:
    phrases = tuple(Phrase(0.0, 0.0, line, (), 1.0) for line in lines)
    return Transcript(phrases, None, None, None, times_estimated=True)


def test_lines_are_spread_by_their_length_over_speech_only() -> None:
    # 8 s of speech in two spans; 4 + 4 + 8 characters are 2 s, 2 s, 4 s of it.
    speech = [Span(1.0, 5.0), Span(10.0, 14.0)]
    spread_out = spread(_plain("aaaa", "bbbb", "cccccccc"), speech, 20.0)
    assert _phrases(spread_out) == [
        (1.0, 3.0, "aaaa"),
        (3.0, 5.0, "bbbb"),
        (10.0, 14.0, "cccccccc"),
    ]
    assert spread_out.times_estimated


def test_a_line_may_reach_over_a_pause() -> None:
    spread_out = spread(_plain("aaaaaa", "bb"), [Span(0.0, 4.0), Span(6.0, 10.0)], 10.0)
    assert _phrases(spread_out) == [(0.0, 8.0, "aaaaaa"), (8.0, 10.0, "bb")]


def test_without_speech_the_whole_duration_is_taken() -> None:
    assert _phrases(spread(_plain("aa", "bb"), [], 6.0)) == [(0.0, 3.0, "aa"), (3.0, 6.0, "bb")]


def test_speech_outside_all_phrases_is_counted_once() -> None:
    speech = [Span(1.0, 5.0), Span(10.0, 14.0)]  # without words: 1 to 2, 4 to 5 and 12 to 14
    phrases = tuple(Phrase(a, b, "x", (), 1.0) for a, b in ((2.0, 4.0), (2.5, 3.0), (8.0, 12.0)))
    assert seconds_without_words(Transcript(phrases, None, None, None), speech) == 4.0
    assert seconds_without_words(Transcript((), None, None, None), speech) == 8.0
    assert seconds_without_words(Transcript(phrases, None, None, None), []) == 0.0
