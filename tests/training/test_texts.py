"""Texts as a recogniser writes them: what is dropped, what is misheard, and how often."""

import difflib

import numpy as np
import pytest

from dashfusion_models.errors import ConfigError
from dashfusion_training.texts import misheard, without_punctuation

TEXT = "I really loved the whole movie, although the ending was a little bit weak."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It's GREAT!!! (Really.)", "it's great really"),
        ("don\u2019t \u201cgo\u201d \u2014 ever", "don't go ever"),
        ("A well-made film; 3.5 stars, 1,000 seats.", "a well made film 3.5 stars 1,000 seats"),
        ("the actors' 'best' work", "the actors best work"),
        ("Caf\u00e9 No. 5 & more", "caf\u00e9 no 5 more"),
        ("...", ""),
        ("", ""),
    ],
)
def test_without_punctuation(text: str, said: str) -> None:
    assert without_punctuation(text) == said
    assert without_punctuation(said) == said


def test_nothing_is_misheard_at_a_share_of_zero() -> None:
    text = "  As it  stands, with two spaces. "
    assert misheard(text, np.random.default_rng(0), 0.0) == text
    assert misheard("", np.random.default_rng(0), 1.0) == ""


def test_the_share_of_words_is_that_which_was_asked_for() -> None:
    """Words that are like no other: dropped, repeated, joined or split, each at most once."""
    words = ["abcdefghij", "klmnopqrst", "uvwxyzabcd", "efghijklmn", "opqrstuvwx"]
    text = " ".join(words)
    changed = 0.0
    for seed in range(2000):
        heard = misheard(text, np.random.default_rng(seed), 0.1).split()
        if heard == words:
            continue
        changed += 1
        kept = [word for word in words if word in heard]
        assert len(kept) >= 3  # one error touches two words at most
    assert changed / 2000 == pytest.approx(0.5, abs=0.04)  # 0.1 of five words


def test_every_error_happens_and_is_what_it_is_called() -> None:
    seen = set()
    for seed in range(400):
        heard = misheard("there bumblebee", np.random.default_rng(seed), 0.5, ("three", "zebra"))
        if heard in ("there", "bumblebee"):
            seen.add("drop")
        elif heard in ("there there bumblebee", "there bumblebee bumblebee"):
            seen.add("repeat")
        elif heard == "three bumblebee":
            seen.add("swap")
        elif heard == "therebumblebee":
            seen.add("join")
        else:
            assert heard.replace(" ", "") == "therebumblebee", heard
            assert len(heard.split()) == 3
            seen.add("split")
    assert seen == {"drop", "repeat", "swap", "join", "split"}


def test_a_swapped_word_is_written_alike_and_keeps_capitals_and_punctuation() -> None:
    found = {
        misheard(text, np.random.default_rng(seed), 1.0, ("three",))
        for seed in range(60)
        for text in ("THERE!", "(There)", "there")
    }
    assert {"THREE!", "(Three)", "three"} <= found
    assert difflib.SequenceMatcher(None, "there", "three").ratio() >= 0.6


def test_it_depends_on_the_draw_alone_and_never_leaves_nothing() -> None:
    for seed in range(200):
        once = misheard(TEXT, np.random.default_rng(seed), 0.5)
        assert once == misheard(TEXT, np.random.default_rng(seed), 0.5)
        assert misheard("Great!", np.random.default_rng(seed), 1.0)
    assert len({misheard(TEXT, np.random.default_rng(seed), 0.5) for seed in range(50)}) > 40


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="share"):
        misheard(TEXT, np.random.default_rng(0), share)
