"""Normalisation and padding of features; the words and what was said before them."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import RobertaProcessing

from dashfusion_models.collate import Collator, Normalisation, load_tokenizer
from dashfusion_models.network.sequence import Tokens
from dashfusion_models.records import Features, FeatureSequence
from tests.training.tiny import WORDS, write_tiny_encoder


def test_ready_features_stay_as_they_are_but_for_what_is_not_finite() -> None:
    values = np.array([[20.0, np.nan], [-np.inf, 3.0], [7.0, 7.0]], np.float32)
    sequence = FeatureSequence(values=values, real=np.array([True, True, False]))
    found = Normalisation.identity(2)(sequence)
    np.testing.assert_array_equal(found, [[20.0, 0.0], [0.0, 3.0], [0.0, 0.0]])


def test_statistics_are_those_of_the_real_steps() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal([5.0, -2.0, 1.0], [2.0, 0.5, 0.0], (1000, 3)).astype(np.float32)
    real = draw.random(1000) > 0.3
    values[~real] = 99.0
    measured = Normalisation.of([FeatureSequence(values=values, real=real)], 3)
    np.testing.assert_allclose(measured.mean, values[real].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(measured.std[:2], values[real].std(axis=0)[:2], rtol=1e-3)
    assert measured.std[2] == 1.0  # constant: not divided by nothing
    scaled = measured(FeatureSequence(values=values, real=real))
    assert abs(float(scaled[real].mean())) < 1e-3
    assert not scaled[~real].any()


def test_a_broken_value_is_bounded() -> None:
    measured = Normalisation(mean=np.zeros(1, np.float32), std=np.full(1, 0.1, np.float32))
    wild = FeatureSequence(values=np.full((1, 1), 1e9, np.float32), real=np.ones(1, np.bool_))
    assert float(measured(wild)[0, 0]) == 6.0


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    write_tiny_encoder(tmp_path)
    return load_tokenizer((tmp_path / "tokenizer.json").read_text("utf-8"))


def collator(tokenizer: Tokenizer, context_tokens: int) -> Collator:
    plain = Normalisation.identity(2)
    return Collator(tokenizer, plain, plain, context_tokens=context_tokens)


def test_what_was_said_last_is_the_context(tokenizer: Tokenizer) -> None:
    said = [
        Features("the film", None, None, context="bad poor fair good superb"),
        Features("good", None, None, context="the film"),
        Features("bad", None, None),
        Features(None, None, None, context="good"),
    ]
    text = collator(tokenizer, 3)(said).text
    assert isinstance(text, Tokens) and text.before is not None
    names = [
        [WORDS[i] for i in row[real].tolist()]
        for row, real in zip(text.before.ids, text.before.real, strict=True)
    ]
    assert names == [["fair", "good", "superb", "[SEP]"], ["the", "film", "[SEP]"], [], []]
    assert [WORDS[i] for i in text.ids[0].tolist()] == ["[CLS]", "the", "film", "[SEP]"]


def test_the_pair_form_of_the_tokenizer_stands_around_the_context() -> None:
    """As an MPNet reads two texts; the reference is the tokenizer's own encoding of the pair."""
    words = {w: i for i, w in enumerate(("<s>", "<pad>", "</s>", "<unk>", "good", "film"))}
    tokenizer = Tokenizer(WordPiece(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    said = [Features("good film", None, None, context="film good"), Features("good", None, None)]
    tokens = collator(load_tokenizer(tokenizer.to_str()), 8)(said).text
    assert isinstance(tokens, Tokens) and tokens.before is not None
    pieces = tokens.pieces()
    pairs = [tokenizer.encode("good film", "film good").ids, tokenizer.encode("good").ids]
    for row, pair in enumerate(pairs):
        assert pieces.ids[row][pieces.real[row]].tolist() == pair
        assert pieces.positions[row][pieces.real[row]].tolist() == list(range(len(pair)))


def test_a_network_without_context_is_told_none(tokenizer: Tokenizer) -> None:
    text = collator(tokenizer, 0)([Features("good", None, None, context="bad")]).text
    assert isinstance(text, Tokens) and text.before is None


def test_whether_a_text_is_read_to_its_end(tokenizer: Tokenizer) -> None:
    mine = collator(tokenizer, 0)
    room = 128 - 2  # beside [CLS] and [SEP]; each of the words is one piece
    assert mine.reads_all_of(" ".join(["good"] * room))
    assert not mine.reads_all_of(" ".join(["good"] * (room + 1)))
