"""Windows around speech, and the gate against invented text."""

import itertools

import numpy as np
import pytest

from dashfusion_models.records import SAMPLE_RATE_HZ, Samples, Span, Word
from dashfusion_models.speech.windows import Heard, Window, cut_windows, kept_phrases


def _noise(seconds: float) -> Samples:
    count = int(seconds * SAMPLE_RATE_HZ)
    return (0.1 * np.random.default_rng(0).standard_normal(count)).astype(np.float32)


def test_windows_are_cut_in_the_longest_silence() -> None:
    speech = [
        Span(*t) for t in ((0.0, 10.0), (11.0, 18.0), (20.0, 26.0), (26.5, 35.0), (36.0, 40.0))
    ]
    windows = cut_windows(np.zeros(41 * SAMPLE_RATE_HZ, np.float32), speech)
    assert [(w.start_s, w.end_s) for w in windows] == [(0, 18), (20, 40)]
    assert windows[0].speech == (Span(0.0, 10.0), Span(11.0, 18.0))


def test_a_long_silence_always_ends_a_window() -> None:
    windows = cut_windows(
        np.zeros(20 * SAMPLE_RATE_HZ, np.float32), [Span(1.0, 3.0), Span(15.0, 18.0)]
    )
    assert [(w.start_s, w.end_s) for w in windows] == [(1, 3), (15, 18)]


def test_a_long_span_is_cut_where_it_is_quietest() -> None:
    samples = _noise(50.0)
    samples[int(24.0 * SAMPLE_RATE_HZ) : int(24.5 * SAMPLE_RATE_HZ)] *= 0.01
    first, second = cut_windows(samples, [Span(0.0, 50.0)])
    assert 24.0 <= first.end_s <= 24.5
    assert second.start_s == first.end_s and second.end_s == 50.0


def test_hours_of_speech_give_windows_of_at_most_30_s_without_loss() -> None:
    rng = np.random.default_rng(1)
    speech, now_s = [], 0.0
    for _ in range(300):
        length_s = float(rng.uniform(0.3, 70.0))
        speech.append(Span(now_s, now_s + length_s))
        now_s += length_s + float(rng.uniform(0.0, 8.0))
    windows = cut_windows(_noise(1.0), speech)
    assert max(w.duration_s for w in windows) <= 30.0
    assert sum(w.speech_s for w in windows) == pytest.approx(sum(s.duration_s for s in speech))
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(windows))


def _heard(
    *words: tuple[float, float, str],
    log_probability: float = -0.3,
    no_speech: float = 0.1,
    compression: float = 1.2,
) -> Heard:
    made = tuple(Word(start_s, end_s, text, 0.8) for start_s, end_s, text in words)
    return Heard(0.0, 30.0, made, log_probability, no_speech, compression)


WINDOW = Window(100.0, 110.0, (Span(100.0, 104.0), Span(106.0, 110.0)))
HELLO = ((0.5, 1.0, " Hello"), (1.0, 1.5, " there."))


def test_words_come_out_in_file_time_without_spaces() -> None:
    (phrase,) = kept_phrases([_heard(*HELLO)], WINDOW, join_words=True)
    assert (phrase.start_s, phrase.end_s, phrase.text) == (100.5, 101.5, "Hello there.")
    assert [word.text for word in phrase.words] == ["Hello", "there."]
    assert phrase.confidence == pytest.approx(0.8)


def test_pieces_of_one_word_are_joined_where_writing_has_spaces() -> None:
    heard = _heard((0.5, 1.0, " long"), (1.0, 1.5, "-term"), (1.5, 2.0, " plan"))
    (phrase,) = kept_phrases([heard], WINDOW, join_words=True)
    assert phrase.text == "long-term plan" and len(phrase.words) == 2
    chinese = _heard((0.5, 1.0, "\u6211"), (1.0, 1.5, "\u6765"))
    (phrase,) = kept_phrases([chinese], WINDOW, join_words=False)
    assert phrase.text == "\u6211\u6765" and len(phrase.words) == 2


@pytest.mark.parametrize(
    "doubts",
    [
        {"no_speech": 0.9, "log_probability": -1.2},
        {"compression": 3.0},
        {"log_probability": -1.7},
    ],
)
def test_what_the_engine_doubts_is_not_kept(doubts: dict[str, float]) -> None:
    assert kept_phrases([_heard(*HELLO, **doubts)], WINDOW, join_words=True) == ()


def test_words_where_no_voice_is_are_not_kept() -> None:
    silence = ((4.2, 5.0, " Thank"), (5.0, 5.8, " you."))
    assert kept_phrases([_heard(*silence)], WINDOW, join_words=True) == ()


def test_words_are_trimmed_to_the_voice_and_never_run_backwards() -> None:
    heard = _heard((3.0, 4.5, " one"), (3.2, 3.4, " two"), (5.8, 6.5, " three"), (9.0, 10.5, " x"))
    (phrase,) = kept_phrases([heard], WINDOW, join_words=True)
    times = [(word.start_s, word.end_s) for word in phrase.words]
    assert times == [(103.0, 104.0), (104.0, 104.0), (106.0, 106.5), (109.0, 110.0)]
