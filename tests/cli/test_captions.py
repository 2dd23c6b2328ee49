"""Captions: where lines break, and when each is shown."""

from itertools import pairwise

import pytest

from dashfusion_cli.render.captions import LINE_COLUMNS, Caption, broken, captions_of
from dashfusion_models.analysis import ScoredWord
from dashfusion_models.records import Span, Word

from .conftest import segment

LONG = (
    "He was not an ill-disposed young man, unless to be rather cold hearted and rather selfish is "
    "to be ill-disposed: but he was, in general, well respected, for he conducted himself with "
    "propriety in the discharge of his ordinary duties."
)


def spoken(text: str, *, word_s: float = 0.5, pauses: dict[int, float] | None = None) -> list[Word]:
    """A word each half second, with pauses before some of them."""
    words, now_s = [], 10.0
    for i, one in enumerate(text.split()):
        now_s += (pauses or {}).get(i, 0.0)
        words.append(Word(now_s, now_s + word_s, one, 0.9))
        now_s += word_s
    return words


def said(captions: tuple[Caption, ...]) -> str:
    return " ".join(line for caption in captions for line in caption.lines)


def test_a_short_sentence_is_one_line_over_the_whole_span() -> None:
    (only,) = broken("I really liked it.", Span(1.0, 3.2))
    assert (only.lines, only.start_s, only.end_s) == (("I really liked it.",), 1.0, 3.2)


def test_two_lines_are_of_like_length_and_end_with_a_clause_where_one_is_near() -> None:
    (even,) = broken("one two three four five six seven eight nine ten eleven", Span(0.0, 5.0))
    assert even.lines == ("one two three four five six", "seven eight nine ten eleven")
    (clause,) = broken("What I liked about it, if anything, was its ending.", Span(0.0, 5.0))
    assert clause.lines == ("What I liked about it,", "if anything, was its ending.")
    assert clause.text == "What I liked about it,\nif anything, was its ending."


def test_no_word_is_lost_and_no_line_is_too_long() -> None:
    captions = broken(LONG, Span(0.0, 15.0))
    assert said(captions) == LONG
    assert all(len(c.lines) <= 2 for c in captions)
    assert all(len(line) <= LINE_COLUMNS for c in captions for line in c.lines)
    assert 3 <= len(captions) <= 4  # 236 characters
    assert min(len(" ".join(c.lines)) for c in captions) >= 30  # no crumb is left over


def test_a_caption_begins_with_its_first_word_and_stays_until_the_next_one() -> None:
    words = spoken(LONG)
    span = Span(words[0].start_s, words[-1].end_s)
    captions = broken(LONG, span, words)
    seen = 0
    for caption in captions:
        assert caption.start_s == words[seen].start_s
        seen += len(" ".join(caption.lines).split())
        assert caption.end_s == words[seen - 1].end_s
    assert seen == len(words)


def test_a_caption_goes_in_a_long_pause_and_stays_over_a_short_one() -> None:
    text = "This is the first half of what is said here, and after it the second half comes along."
    first_of_second = text.split().index("and")
    for pause_s, expected_s in ((0.8, 15.8), (3.0, 15.0)):
        words = spoken(text, pauses={first_of_second: pause_s})
        one, two = broken(text, Span(10.0, words[-1].end_s), words)
        assert one.text.replace("\n", " ").endswith("said here,")
        assert (one.end_s, two.start_s) == (expected_s, 15.0 + pause_s)


def test_without_word_times_letters_share_the_time() -> None:
    captions = broken(LONG, Span(100.0, 120.0))
    total = sum(len("".join(c.lines).replace(" ", "")) for c in captions)
    for caption in captions:
        share = len("".join(caption.lines).replace(" ", "")) / total
        assert caption.duration_s == pytest.approx(20.0 * share)
    assert [c.start_s for c in captions[1:]] == [c.end_s for c in captions[:-1]]
    assert (captions[0].start_s, captions[-1].end_s) == (100.0, 120.0)


@pytest.mark.parametrize("kind", ["others", "frozen"])
def test_times_that_cannot_be_those_of_the_text_are_not_used(kind: str) -> None:
    words = spoken("something else altogether" if kind == "others" else LONG)
    if kind == "frozen":  # an engine that gave every word the same time
        words = [Word(10.0, 10.0, w.text, 0.5) for w in words]
    assert broken(LONG, Span(10.0, 25.0), words) == broken(LONG, Span(10.0, 25.0))


def test_chinese_counts_double_and_no_line_begins_with_a_stop() -> None:
    text = (
        "这部电影真的非常好看\uff0c我和我的朋友们都很喜欢它的故事和演员\uff0c下一次我们还会再来看一遍。"
        * 3
    )
    captions = broken(text, Span(0.0, 30.0))
    assert "".join(line for c in captions for line in c.lines) == text
    for line in (line for c in captions for line in c.lines):
        assert len(line) <= LINE_COLUMNS // 2
        assert line[0] not in "\uff0c。"


def test_right_to_left_text_keeps_its_order_and_its_marks() -> None:
    text = "أعجبني هذا الفيلم كثيرًا وأعتقد أنّ الجميع سيحبّونه أيضًا، لأنّ قصّته جميلة جدًّا ومؤثّرة"
    captions = broken(text, Span(0.0, 8.0))
    assert said(captions) == text


def test_what_no_line_holds_is_cut_but_no_letter_loses_its_accent() -> None:
    text = "see " + "e\u0301" * 60
    captions = broken(text, Span(0.0, 4.0))
    lines = [line for caption in captions for line in caption.lines]
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(not line.startswith("\u0301") for line in lines)


def test_captions_of_a_segment_follow_each_other() -> None:
    words = spoken(LONG)
    scored = tuple(ScoredWord(w.text, w.start_s, w.end_s, w.probability) for w in words)
    one = segment(LONG, start_s=10.0, end_s=words[-1].end_s, words=scored)
    captions = captions_of(one)
    assert captions == broken(LONG, Span(10.0, words[-1].end_s), words)
    assert all(a.end_s <= b.start_s for a, b in pairwise(captions))
    assert captions_of(segment(None)) == ()
    assert captions_of(segment("  ")) == ()
