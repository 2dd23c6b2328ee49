"""Utterances: cut where a reader would cut, none too long, none lost."""

import dataclasses
import math
from dataclasses import replace

import pytest

from dashfusion_models.errors import ConfigError
from dashfusion_models.records import Language, Phrase, Span, Transcript, Utterance, Word
from dashfusion_models.segment import SegmentRule, in_sentences, silent_stretches, utterances
from dashfusion_models.segment.clause import place_worth
from dashfusion_models.segment.sentence import joined, sentences

SENTENCE = SegmentRule()
HOUR_S = 3600.0


def _spoken(text: str, *, start_s: float = 0.0, word_s: float = 0.4, gap_s: float = 0.0) -> Phrase:
    """A phrase whose words follow each other; "|1.5" is a pause of 1.5 s."""
    words, now_s = [], start_s
    for token in text.split():
        if token.startswith("|"):
            now_s += float(token[1:])
            continue
        words.append(Word(round(now_s, 3), round(now_s + word_s, 3), token, 0.9))
        now_s += word_s + gap_s
    whole = joined([word.text for word in words])
    return Phrase(words[0].start_s, words[-1].end_s, whole, tuple(words), 0.9)


def _transcript(*phrases: Phrase, estimated: bool = False) -> Transcript:
    return Transcript(phrases, None, "test", "base", times_estimated=estimated)


def _cut(text: str, rule: SegmentRule = SENTENCE, **times: float) -> list[str]:
    found = utterances(_transcript(_spoken(text, **times)), rule=rule, duration_s=HOUR_S)
    return [utterance.text or "" for utterance in found]


@pytest.mark.parametrize(
    "sentences",
    [
        ["I liked it a lot.", "Did you like it too?", "It was great!"],
        ["Mr. Smith and Dr. Jones were there.", "They paid 3.5 dollars for it."],
        ["We met J. R. Ewing, e.g. on Mondays.", "He came from the U.S. Army in May."],
        ["It was No. 5 on the list.", "He said: \u201cI am done.\u201d", "And he left us there."],
        ["I was thinking... maybe we should go.", "So that was that..."],
    ],
)
def test_cuts_lie_at_sentence_ends_and_nowhere_else(sentences: list[str]) -> None:
    # Most of a second a word, so that none is short enough to be joined to its neighbour.
    assert _cut(" ".join(sentences), word_s=0.8) == sentences


def test_chinese_is_cut_at_its_own_stops_and_joined_without_spaces() -> None:
    # The recogniser gives one character at a time, the stop glued to the last.
    given = "\u6211 \u5f88 \u559c \u6b22\u3002 \u4f60 \u5462\uff1f"
    assert _cut(given) == ["\u6211\u5f88\u559c\u6b22\u3002", "\u4f60\u5462\uff1f"]


def test_a_pause_cuts_and_a_breath_does_not() -> None:
    assert _cut("so I went |0.5 and saw |0.9 then we left") == ["so I went and saw", "then we left"]


def test_bounds_are_those_of_the_words() -> None:
    phrase = _spoken("I liked it. |1.0 Truly a lot.", start_s=2.0)
    found = utterances(_transcript(phrase), rule=SENTENCE, duration_s=10.0)
    assert [(u.start_s, u.end_s) for u in found] == [(2.0, 3.2), (4.2, 5.4)]
    assert found[0].words == phrase.words[:3]
    assert found[0].confidence == pytest.approx(0.9)


def test_sentences_run_over_the_phrases_of_the_recogniser() -> None:
    one, two = _spoken("I liked this film"), _spoken("very much. And you?", start_s=1.6)
    found = utterances(_transcript(one, two), rule=SENTENCE, duration_s=10.0)
    assert [u.text for u in found] == ["I liked this film very much.", "And you?"]


def test_short_fragments_join_the_nearer_neighbour() -> None:
    assert _cut("Yes. |0.2 I liked it.") == ["Yes. I liked it."]
    assert _cut("I liked it. |0.1 Yes. |0.6 And you did too.") == [
        "I liked it. Yes.",
        "And you did too.",
    ]
    assert _cut("well |1.0 that was it", word_s=0.7) == ["well that was it"]


def test_a_fragment_far_from_others_stays_alone() -> None:
    assert _cut("Yes. |3.0 I liked it.") == ["Yes.", "I liked it."]


def _sizes(words: list[str], **times: float) -> list[int]:
    return [len(text.split()) for text in _cut(" ".join(words), **times)]


def test_speech_without_a_stop_is_cut_at_the_longest_pause_then_at_commas() -> None:
    # 24 words of 0.5 s are 12 s: too long. The pause after the 10th is the longest.
    words = [f"w{i}" for i in range(24)]
    assert _sizes([*words[:10], "|0.7", *words[10:15], "|0.3", *words[15:]], word_s=0.5) == [10, 14]
    words[13] += ","
    assert _sizes(words, word_s=0.5) == [14, 10]
    assert _sizes([*words[:8], "|0.3", *words[8:]], word_s=0.5) == [14, 10]


def test_speech_without_a_stop_has_no_utterance_of_more_than_8_s() -> None:
    words = [f"w{i}" for i in range(100)]
    for language in (None, Language("en", 1.0), Language("fi", 1.0)):
        found = utterances(
            replace(_transcript(_spoken(" ".join(words), word_s=0.37)), language=language),
            rule=SENTENCE,
            duration_s=HOUR_S,
        )
        assert max(u.duration_s for u in found) <= 8.0
        assert min(u.duration_s for u in found) >= 2.0
        assert " ".join(u.text or "" for u in found) == " ".join(words)


@pytest.mark.parametrize(
    "clauses",
    [
        [
            "the pictures in this film were about the best that I saw all year",
            "but the story was so thin that half of us fell asleep",
        ],
        [
            "so we went in and took the places near the window at the back",
            "and then they told us that the kitchen had closed an hour before",
        ],
        [
            "I would never go back there on a Friday with a hungry family",
            "because you wait for an hour and nobody says a word",
        ],
        [
            "we really enjoyed the music and most of the dances in the second part",
            "It was not like the first one that we saw in spring",
        ],
    ],
)
@pytest.mark.parametrize("stop", ["", "."])
def test_long_speech_is_cut_where_a_clause_begins(clauses: list[str], stop: str) -> None:
    # Half a second a word makes 12 s or more; a breath within a phrase is no place to cut.
    first = clauses[0].split()
    said = " ".join([*first[:4], "|0.2", *first[4:], clauses[1] + stop])
    assert _cut(said, word_s=0.5) == [clauses[0], clauses[1] + stop]


def test_words_that_belong_together_stay_together() -> None:
    # The longest pause, to think of a name, comes after "the"; a shorter one ends the phrase.
    said = "we drove for hours up to the |0.6 lake |0.3 nobody had told us how cold it would be"
    assert _cut(said, word_s=0.5) == [
        "we drove for hours up to the lake",
        "nobody had told us how cold it would be",
    ]


@pytest.mark.parametrize(
    ("parting", "staying"),
    [
        (("film", "but", "it"), ("film", "it", "was")),
        (("film", "and", "they"), ("film", "and", "popcorn")),
        (("film", "I", "liked"), ("think", "I", "liked")),
        (("movie", "you", "know"), ("that", "you", "know")),
        (("so,", "we", "left"), ("uh,", "we", "left")),
        (("place", "which", "was"), ("place", "of", "his")),
        (("place", "near", "there"), ("the", "place", "near")),
        (("place", "near", "there"), ("they're", "near", "there")),
    ],
)
def test_some_places_are_better_than_others(
    parting: tuple[str, str, str], staying: tuple[str, str, str]
) -> None:
    better, worse = (place_worth(*at, pause_s=0.2, english=True) for at in (parting, staying))
    assert better > worse


def test_a_long_sentence_stays_whole_where_no_clause_plainly_ends() -> None:
    sentence = (
        "This film annoyed me to such an extreme extent that my neighbours heard me at the end."
    )
    assert _cut(sentence, word_s=0.6) == [sentence]  # 10.2 s


def test_one_stop_at_the_end_does_not_make_a_long_run_a_sentence() -> None:
    words = [*(f"w{i}" for i in range(60)), "end."]
    found = utterances(
        _transcript(_spoken(" ".join(words), word_s=0.5)), rule=SENTENCE, duration_s=HOUR_S
    )
    assert max(u.duration_s for u in found) <= 8.0


def test_a_capital_opens_a_sentence_but_not_in_a_title() -> None:
    def worth(after: str, following: str) -> float:
        return place_worth("film", after, following, pause_s=0.0, english=True)

    assert worth("The", "first") > worth("the", "first")
    assert worth("The", "Golden") == worth("the", "golden") == 0.0
    assert worth("I", "liked") == worth("i", "liked")  # always capital


def test_small_words_of_english_mean_nothing_in_another_language() -> None:
    # German "also" and "die" ... are no places to cut: the pause is.
    words = "wir sind dann noch weiter but but but |0.5 gegangen und haben alles gesehen was da war"
    found = utterances(
        replace(_transcript(_spoken(words, word_s=0.55)), language=Language("de", 1.0)),
        rule=SENTENCE,
        duration_s=HOUR_S,
    )
    assert [(u.text or "").split()[-1] for u in found] == ["but", "war"]


def test_no_utterance_is_longer_than_15_s_and_no_word_is_lost() -> None:
    text = " ".join(f"w{i}" for i in range(500))
    phrase = _spoken(text, word_s=0.31)
    found = utterances(_transcript(phrase), rule=SENTENCE, duration_s=HOUR_S)
    assert max(u.duration_s for u in found) <= 15.0
    assert " ".join(u.text or "" for u in found) == text
    assert tuple(word for u in found for word in u.words) == phrase.words


def _cue(start_s: float, end_s: float, text: str) -> Phrase:
    return Phrase(start_s, end_s, text, (), 1.0)


def test_a_subtitle_is_an_utterance_of_its_own() -> None:
    cues = _cue(0.0, 0.4, "Yes."), _cue(0.5, 3.0, "I liked it. Much."), _cue(3.0, 5.0, "so")
    found = utterances(_transcript(*cues, estimated=True), rule=SENTENCE, duration_s=10.0)
    assert [(u.start_s, u.end_s, u.text) for u in found] == [
        (0.0, 0.4, "Yes."),
        (0.5, 3.0, "I liked it. Much."),
        (3.0, 5.0, "so"),
    ]
    assert all(u.times_estimated and u.words == () and u.confidence == 1.0 for u in found)


def test_a_long_subtitle_is_split_in_proportion_to_its_characters() -> None:
    found = utterances(
        _transcript(_cue(10.0, 50.0, "aaa bbb ccc ddd eee fff")), rule=SENTENCE, duration_s=60.0
    )
    assert [u.text for u in found] == ["aaa bbb", "ccc ddd", "eee fff"]
    assert [u.start_s for u in found] == pytest.approx([10.0, 10 + 40 / 3, 10 + 80 / 3])
    assert found[-1].end_s == pytest.approx(50.0)


def test_times_beyond_the_file_are_cut_off() -> None:
    cues = _cue(1.0, 4.0, "inside"), _cue(4.0, 9.0, "over the end"), _cue(12.0, 14.0, "behind")
    found = utterances(_transcript(*cues), rule=SENTENCE, duration_s=6.0)
    assert [(u.start_s, u.end_s) for u in found] == [(1.0, 4.0), (4.0, 6.0)]


def test_the_whole_file_is_one_utterance() -> None:
    found = utterances(
        _transcript(_spoken("I liked it. |3.0 And you?")),
        rule=SegmentRule.parse("whole"),
        duration_s=9.0,
    )
    assert [(u.start_s, u.end_s, u.text) for u in found] == [(0.0, 9.0, "I liked it. And you?")]


def test_windows_take_words_by_their_middle_and_empty_ones_are_left_out() -> None:
    # Words at 0-0.8, 0.8-1.6, 1.6-2.4 (middle 2.0), then at 7.0.
    phrase = _spoken("a b c |4.6 d", word_s=0.8)
    found = utterances(_transcript(phrase), rule=SegmentRule.parse("2"), duration_s=7.9)
    assert [(u.start_s, u.end_s, u.text) for u in found] == [
        (0.0, 2.0, "a b"),
        (2.0, 4.0, "c"),
        (6.0, 7.9, "d"),
    ]


def test_windows_share_out_a_subtitle_without_words() -> None:
    found = utterances(
        _transcript(_cue(0.0, 4.0, "aa bb cc dd")), rule=SegmentRule.parse("2"), duration_s=4.0
    )
    assert [u.text for u in found] == ["aa bb", "cc dd"]


@pytest.mark.parametrize("rule", [SENTENCE, SegmentRule.parse("whole"), SegmentRule.parse("3")])
def test_no_words_no_utterances(rule: SegmentRule) -> None:
    assert utterances(_transcript(), rule=rule, duration_s=10.0) == ()


def test_rules_are_read() -> None:
    assert SegmentRule.parse("sentence") == SegmentRule()
    assert SegmentRule.parse("7.5") == SegmentRule("seconds", 7.5)


@pytest.mark.parametrize("text", ["", "sentences", "0", "-3", "nan", "inf", "0.1"])
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="segments"):
        SegmentRule.parse(text)


def _named(phrase: Phrase, speaker: str | None) -> Phrase:
    return dataclasses.replace(phrase, speaker=speaker)


def _who(rule: str, *phrases: Phrase) -> list[tuple[float, float, str | None, str | None]]:
    found = utterances(_transcript(*phrases), rule=SegmentRule.parse(rule), duration_s=8.0)
    return [(u.start_s, u.end_s, u.speaker, u.text) for u in found]


def test_no_utterance_has_two_speakers() -> None:
    # Neither sentences nor pauses cut here, and "so" is short enough to be joined.
    anna, ben = _spoken("so I went", word_s=0.5), _spoken("so", start_s=1.5, word_s=0.5)
    more = _spoken("and then left", start_s=2.0, word_s=0.5)
    said = [_named(anna, "Anna"), _named(ben, "Ben"), _named(more, None)]
    expected = [(0.0, 1.5, "Anna"), (1.5, 2.0, "Ben"), (2.0, 3.5, None)]
    assert [u[:3] for u in _who("sentence", *said)] == expected
    assert [u[:3] for u in _who("sentence", anna, ben, more)] == [(0.0, 3.5, None)]
    cues = [_named(_cue(0.0, 3.0, "aa bb cc"), "Anna"), _named(_cue(3.0, 6.0, "dd ee ff"), "Ben")]
    assert _who("sentence", *cues) == [
        (0.0, 3.0, "Anna", "aa bb cc"),
        (3.0, 6.0, "Ben", "dd ee ff"),
    ]
    assert _who("4", *cues) == [
        (0.0, 3.0, "Anna", "aa bb cc"),
        (3.0, 4.0, "Ben", "dd"),
        (4.0, 8.0, "Ben", "ee ff"),
    ]


def test_a_turn_that_is_interrupted_goes_on_to_its_own_end() -> None:
    anna, ben = _named(_cue(0.0, 6.0, "aa"), "Anna"), _named(_cue(2.0, 3.0, "bb"), "Ben")
    found = utterances(
        _transcript(anna, ben), rule=SegmentRule.parse("5"), duration_s=8.0, start_s=2.5
    )
    assert [(u.start_s, u.end_s, u.speaker) for u in found] == [
        (2.5, 6.0, "Anna"),
        (2.5, 7.5, "Ben"),
    ]


def test_a_file_that_is_not_cut_names_its_speaker_where_there_is_one() -> None:
    anna, ben = _named(_cue(0.0, 3.0, "aa"), "Anna"), _named(_cue(3.0, 6.0, "bb"), "Ben")
    assert _who("whole", anna, ben) == [(0.0, 8.0, None, "aa bb")]
    assert _who("whole", anna) == [(0.0, 8.0, "Anna", "aa")]


@pytest.mark.parametrize(
    "expected",
    [
        [],
        ["no stop at its end"],
        ["I liked it.", "Did you?", "Yes!", "and so"],
        ["Mr. Smith paid 3.5 dollars, e.g. for No. 5.", "He said: \u201cI am done.\u201d", "So."],
        ["I was thinking... maybe.", "Really?!", "(Or not.)", "Wait..."],
    ],
)
def test_a_text_is_taken_apart_after_its_sentences(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected
    assert sentences("\n ".join(expected)) == expected


def test_a_chinese_text_is_taken_apart_without_spaces() -> None:
    expected = ["我喜欢。", "你呢\uff1f\uff01", "他说\uff1a「好。」", "我"]
    assert sentences("".join(expected)) == expected


def test_a_transcript_in_sentences_keeps_its_speakers() -> None:
    given = _transcript(_named(_cue(0.0, 0.0, "I did. You did!"), "Anna"), _cue(0.0, 0.0, "so"))
    found = in_sentences(dataclasses.replace(given, times_estimated=True))
    assert [(p.speaker, p.text) for p in found.phrases] == [
        ("Anna", "I did."),
        ("Anna", "You did!"),
        (None, "so"),
    ]
    assert found.times_estimated


def _speech(*times: tuple[float, float]) -> list[Utterance]:
    return [Utterance(start_s, end_s, "words", (), 0.9) for start_s, end_s in times]


def _silent(
    speech: list[Utterance], seen: list[Span], duration_s: float
) -> list[tuple[float, float]]:
    found = silent_stretches(speech, seen, duration_s=duration_s)
    assert all(u.text is None and u.confidence is None and u.words == () for u in found)
    return [(round(u.start_s, 3), round(u.end_s, 3)) for u in found]


def test_silence_with_a_face_is_scored_and_short_silence_is_not() -> None:
    speech = _speech((3.0, 6.0), (7.5, 10.0))
    assert _silent(speech, [Span(0.0, 14.0)], 14.0) == [(0.0, 3.0), (10.0, 14.0)]


def test_silence_without_a_face_is_not_scored() -> None:
    assert _silent(_speech((0.0, 2.0)), [Span(0.0, 2.0)], 60.0) == []
    assert _silent(_speech((0.0, 2.0)), [Span(5.0, 5.3)], 60.0) == []


def test_long_silence_is_cut_into_windows_of_at_most_15_s() -> None:
    assert _silent([], [Span(0.0, 40.0)], 40.0) == [
        (0.0, 13.333),
        (13.333, 26.667),
        (26.667, 40.0),
    ]


def test_windows_lie_where_the_face_is() -> None:
    seen = [Span(10.0, 12.0), Span(13.0, 14.0), Span(40.0, 41.0)]
    assert _silent(_speech((0.0, 5.0)), seen, 60.0) == [(10.0, 14.0), (40.0, 41.0)]


def test_a_window_needs_a_face_in_half_of_its_time() -> None:
    # Seen for 0.6 of 3 s: glimpses.
    seen = [Span(10.0, 10.2), Span(11.4, 11.6), Span(12.8, 13.0)]
    assert _silent(_speech((0.0, 5.0)), seen, 60.0) == []


def test_a_short_file_without_a_word_counts_whole() -> None:
    assert _silent([], [Span(0.0, 1.5)], 1.5) == [(0.0, 1.5)]


def test_nothing_is_scored_twice() -> None:
    speech = _speech((1.0, 4.0), (3.0, 5.0), (20.0, 30.0))
    found = silent_stretches(speech, [Span(0.0, 100.0)], duration_s=100.0)
    for silent in found:
        assert all(math.isclose(silent.overlap_s(u), 0.0, abs_tol=1e-9) for u in speech)
    assert sum(u.duration_s for u in found) == pytest.approx(100.0 - 4.0 - 10.0 - 1.0)


def test_a_window_of_a_file_is_cut_from_its_start() -> None:
    words = tuple(Word(t, t + 0.4, f"w{t:g}", 0.9) for t in (2.0, 11.0, 12.0, 19.5))
    transcript = Transcript((Phrase(2.0, 19.9, "w", words, 0.9),), None, "planted", "planted")
    windows = utterances(transcript, rule=SegmentRule.parse("4"), start_s=10.0, duration_s=20.0)
    assert [(u.start_s, u.end_s, u.text) for u in windows] == [
        (10.0, 14.0, "w11 w12"),
        (18.0, 20.0, "w19.5"),
    ]
    (whole,) = utterances(
        transcript, rule=SegmentRule.parse("whole"), start_s=10.0, duration_s=20.0
    )
    assert (whole.start_s, whole.end_s) == (10.0, 20.0)
    spoken = (Utterance(11.0, 12.0, "word", (), 0.9),)
    seen = [Span(0.0, 20.0)]
    silent = silent_stretches(spoken, seen, start_s=10.0, duration_s=20.0)
    assert [(u.start_s, u.end_s) for u in silent] == [(12.0, 20.0)]
