"""Names before what is said are names and no words; a colon alone makes none."""

from pathlib import Path

import pytest

from dashfusion_models.records import Transcript
from dashfusion_models.speech.speaker_names import names_in
from dashfusion_models.speech.transcript_file import read_transcript

Said = list[tuple[str | None, str]]


def _plain(folder: Path, *lines: str) -> Said:
    path = folder / "words.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return _said(read_transcript(path))


def _subtitles(folder: Path, *cues: str, suffix: str = ".srt") -> Transcript:
    """A cue of two seconds each, one right after the other."""
    mark = "," if suffix == ".srt" else "."
    blocks = [
        f"{k + 1}\n00:00:{2 * k:02d}{mark}000 --> 00:00:{2 * k + 2:02d}{mark}000\n{cue}\n"
        for k, cue in enumerate(cues)
    ]
    path = folder / f"words{suffix}"
    path.write_text("\n".join(["WEBVTT\n", *blocks] if suffix == ".vtt" else blocks), "utf-8")
    return read_transcript(path)


def _said(transcript: Transcript) -> Said:
    return [(phrase.speaker, phrase.text) for phrase in transcript.phrases]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("INTERVIEWER: What a mess.", "INTERVIEWER"),
        ("- ANNA: What a mess.", "ANNA"),
        ("\u2013 ANNA: What a mess.", "ANNA"),
        (">> ANNA: What a mess.", "ANNA"),
        ("ANNA (laughing): What a mess.", "ANNA"),
        ("ANNA:What a mess.", "ANNA"),
        ("ANNA : What a mess.", "ANNA"),
        ("DR. O'BRIEN: What a mess.", "DR. O'BRIEN"),
        ("MAN #2: What a mess.", "MAN #2"),
        ("Interviewer: What a mess.", "Interviewer"),
        ("Speaker 1: What a mess.", "Speaker 1"),
        ("speaker 2: What a mess.", "speaker 2"),
        ("[SPEAKER_00]: What a mess.", "SPEAKER_00"),
        ("[Speaker A] What a mess.", "Speaker A"),
        ("主持人\uff1aWhat a mess.", "主持人"),
    ],
)
def test_one_line_is_enough_for_a_name_in_capitals_and_for_a_role(
    tmp_path: Path, line: str, name: str
) -> None:
    assert _plain(tmp_path, line, "It was.") == [(name, "What a mess."), (name, "It was.")]
    for suffix in (".srt", ".vtt"):
        transcript = _subtitles(tmp_path, "It was.", line, suffix=suffix)
        assert _said(transcript) == [(None, "It was."), (name, "What a mess.")]


@pytest.mark.parametrize(
    "line",
    [
        "The thing is: I hate it.",
        "Note: it's bad.",
        "NOTE: it's bad.",
        "10:30 we left.",
        "At 10:30 we left.",
        "https://example.org is bad.",
        "HTTP://EXAMPLE.ORG is bad.",
        "THANKS :) it was bad.",
        "I said: no.",
        "Honestly: it was bad.",
        "Luke 5:3 says so.",
        "It was bad. LATER: it was good.",
        "[Applause] It was bad.",
        "(SIGHS) It was bad.",
        "Step 1: it is bad.",
        "问题是\uff1a我讨厌它。",  # "the problem is: I hate it"
        "我说\uff1a不好。",  # "I said: not good"
    ],
)
def test_a_colon_or_a_bracket_alone_makes_no_name(tmp_path: Path, line: str) -> None:
    assert _plain(tmp_path, line, "It was.") == [(None, line), (None, "It was.")]
    assert _said(_subtitles(tmp_path, line, "It was."))[0] == (None, line)


@pytest.mark.parametrize(
    "lines",
    [
        ["The thing is: I hate it.", "The thing is: I do.", "So it goes.", "And so on."],
        ["Note: it was bad.", "Note: it was not.", "Remember: it was.", "Look: it is."],
        ["Step 1: open it.", "Step 2: close it.", "Step 3: open it."],
        ["Honestly: it was bad.", "So it was.", "Honestly: it was.", "I say so honestly."],
        ["[Music] Hello there.", "[Laughter] It is me.", "[Dramatic music] It is not."],
        ["WE LEFT: IT WAS LATE.", "IT WAS GOOD.", "SOME SAY: NO.", "AND WE CAME BACK."],
        ["[Hello] there.", "It was me.", "[Goodbye] then.", "It was.", "And so on."],
        ["Sound: great.", "Picture: poor.", "Price: fair."],
    ],
)
def test_no_names_where_ordinary_lines_come_again(tmp_path: Path, lines: list[str]) -> None:
    assert _plain(tmp_path, *lines) == [(None, line) for line in lines]


def test_a_name_that_comes_again_is_a_name(tmp_path: Path) -> None:
    cues = ["Anna: I liked it.", "So did I.", "It was long.", "Anna: It was not!", "It was."]
    assert _said(_subtitles(tmp_path, *cues)) == [
        ("Anna", "I liked it."),
        (None, "So did I."),
        (None, "It was long."),
        ("Anna", "It was not!"),
        (None, "It was."),
    ]
    assert _said(_subtitles(tmp_path, *cues[:3])) == [(None, cue) for cue in cues[:3]]


def test_in_a_dialogue_one_line_is_enough(tmp_path: Path) -> None:
    lines = ["Anna: I liked it.", "Will: I will not.", "Jean de Luc: Why?", "Anna: So."]
    expected = [
        ("Anna", "I liked it."),
        ("Will", "I will not."),
        ("Jean de Luc", "Why?"),
        ("Anna", "So."),
    ]
    assert _plain(tmp_path, *lines) == expected
    bracketed = [f"[{name}] {text}" for name, text in expected]
    assert _plain(tmp_path, *bracketed) == expected
    assert _said(_subtitles(tmp_path, *bracketed, suffix=".vtt")) == expected
    assert _plain(tmp_path, "小明\uff1a我不喜欢。", "小红:我喜欢。", "小明\uff1a是。") == [
        ("小明", "我不喜欢。"),
        ("小红", "我喜欢。"),
        ("小明", "是。"),
    ]
    assert _plain(tmp_path, "Q: Was it good?", "A: It was.", "Q: Was a man there?", "A: Yes.") == [
        ("Q", "Was it good?"),
        ("A", "It was."),
        ("Q", "Was a man there?"),
        ("A", "Yes."),
    ]


def test_names_of_a_file_in_capitals_must_come_again(tmp_path: Path) -> None:
    cues = ["ANNA: I LIKED IT.", "SO DID I.", "ANNA: IT WAS GOOD.", "IT WAS."]
    assert [speaker for speaker, _ in _said(_subtitles(tmp_path, *cues))] == [
        "ANNA",
        None,
        "ANNA",
        None,
    ]
    assert _said(_subtitles(tmp_path, *cues[:2])) == [(None, cue) for cue in cues[:2]]


def test_two_people_in_one_cue_share_its_time(tmp_path: Path) -> None:
    transcript = _subtitles(tmp_path, "ANNA: Yes.\nBEN: No it is no.", "- Yes.\n- No, not.")
    assert _said(transcript) == [
        ("ANNA", "Yes."),
        ("BEN", "No it is no."),
        (None, "Yes."),
        (None, "No, not."),
    ]
    assert [p.start_s for p in transcript.phrases] == pytest.approx([0.0, 0.5, 2.0, 8 / 3])
    assert [p.end_s for p in transcript.phrases] == pytest.approx([0.5, 2.0, 8 / 3, 4.0])


def test_two_people_in_one_cue_need_no_stop_between_them(tmp_path: Path) -> None:
    assert _said(_subtitles(tmp_path, "ANNA: Hello there\nBEN: Hi")) == [
        ("ANNA", "Hello there"),
        ("BEN", "Hi"),
    ]


def test_a_name_holds_while_its_sentence_goes_on(tmp_path: Path) -> None:
    cues = ["ANNA: I liked", "this film", "very much.", "so did I.", "BEN:", "Not me."]
    assert _said(_subtitles(tmp_path, *cues)) == [
        ("ANNA", "I liked"),
        ("ANNA", "this film"),
        ("ANNA", "very much."),
        (None, "so did I."),
        ("BEN", "Not me."),
    ]


def test_inside_a_sentence_capitals_with_a_colon_are_words(tmp_path: Path) -> None:
    transcript = _subtitles(tmp_path, "they called us from\nNASA: it was bad.", "I like NASA.")
    assert _said(transcript)[0] == (None, "they called us from NASA: it was bad.")


@pytest.mark.parametrize(
    ("cue", "expected"),
    [
        ("<v Anna>It was good.", [("Anna", "It was good.")]),
        ("<v Anna>It was\ngood.</v>", [("Anna", "It was good.")]),
        ("<v.loud Anna M\u00fcller>It was good.", [("Anna M\u00fcller", "It was good.")]),
        ("<v.first.loud Anna &amp; Ben>It was good.", [("Anna & Ben", "It was good.")]),
        ("<v Anna>It was <i>good</i>.", [("Anna", "It was good.")]),
        ("<v Anna><00:00:00.500>It was good.", [("Anna", "It was good.")]),
        ("<v Anna>Yes.\n<v Ben>No.", [("Anna", "Yes."), ("Ben", "No.")]),
        ("<v Anna>Yes.</v> And no.", [("Anna", "Yes."), (None, "And no.")]),
        ("<v Anna>Note: it was good.", [("Anna", "Note: it was good.")]),
        ("<video>It was good.", [(None, "It was good.")]),
        ("It is <3 & good.", [(None, "It is <3 & good.")]),
    ],
)
def test_voices_of_webvtt(tmp_path: Path, cue: str, expected: Said) -> None:
    assert _said(_subtitles(tmp_path, cue, suffix=".vtt")) == expected


def test_a_name_of_a_play_holds_until_the_next(tmp_path: Path) -> None:
    lines = "They come in.|ANNA:|I liked it|very much. Really.||Did you?|BEN: No."
    assert _plain(tmp_path, *lines.split("|")) == [
        (None, "They come in."),
        ("ANNA", "I liked it very much. Really."),
        ("ANNA", "Did you?"),
        ("BEN", "No."),
    ]


def test_a_long_line_takes_no_time() -> None:
    assert names_in(["a " * 100_000, "A" * 200_000, "(" * 50_000, "A " * 50_000 + ":"]) == set()
