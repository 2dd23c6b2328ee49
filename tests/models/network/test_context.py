"""What was said before an utterance: BERT reads it as its second text, the stream leaves it out."""

import dataclasses

import pytest
import torch

from dashfusion_models.errors import ConfigError
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch, Tokens
from dashfusion_models.network.text_encoder import TextEncoder
from tests.models.network.tiny import TINY_BERT, random_batch, tiny_config


def ids(lengths: list[int], seed: int) -> Tokens:
    draw = torch.Generator().manual_seed(seed)
    real = torch.arange(max(1, *lengths))[None] < torch.tensor(lengths)[:, None]
    return Tokens(ids=torch.randint(1, 100, real.shape, generator=draw), real=real)


def told(texts: list[int], before: list[int]) -> Tokens:
    return dataclasses.replace(ids(texts, 0), before=ids(before, 1))


@pytest.fixture
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(TINY_BERT, 32).eval()


@pytest.mark.parametrize("before", [[9, 0, 30, 4], [0, 0, 0, 0], [50, 50, 50, 50]])
def test_a_text_is_encoded_as_a_bert_encodes_a_pair(
    encoder: TextEncoder, before: list[int]
) -> None:
    texts = [5, 20, 3, 60]
    tokens = told(texts, before)
    together = encoder(tokens)
    assert torch.equal(together.real, tokens.real)
    assert together.values.shape[1] == 60
    assert tokens.before is not None
    for row, (own, said) in enumerate(zip(texts, before, strict=True)):
        pair = torch.cat([tokens.ids[row, :own], tokens.before.ids[row, :said]])[None]
        kinds = torch.tensor([[0] * own + [1] * said])
        alone = encoder.bert(pair, token_type_ids=kinds).last_hidden_state[0, :own]
        torch.testing.assert_close(
            together.values[row, :own], encoder.project(alone), rtol=1e-4, atol=1e-5
        )


def test_words_that_are_lost_move_no_position(encoder: TextEncoder) -> None:
    """A gap in the text: what is said before keeps the positions that it had."""
    tokens = told([12, 7], [6, 3])
    lost = tokens.real.clone()
    lost[0, 4:9] = False
    gapped = dataclasses.replace(tokens, real=lost)
    pieces = gapped.pieces()
    assert pieces.positions[0, 12:18].tolist() == [12, 13, 14, 15, 16, 17]
    assert pieces.positions[1, 12:15].tolist() == [7, 8, 9]
    assert encoder(gapped).real.sum() == 12 - 5 + 7


def batch_with(before: Tokens | None) -> Batch:
    batch = random_batch(text=[7, 2, 25], audio=[35, 5, 1], vision=[30, 15, 3])
    assert isinstance(batch.text, Tokens)
    return dataclasses.replace(batch, text=dataclasses.replace(batch.text, before=before))


def test_context_counts_and_only_where_there_are_words() -> None:
    torch.manual_seed(0)
    network = DashFusion(tiny_config(context_tokens=10)).eval()

    def words(before: Tokens | None) -> torch.Tensor:
        encoded: torch.Tensor = network.encode(batch_with(before)).text.values
        return encoded

    with torch.inference_mode():
        plain, nothing, some = words(None), words(ids([0, 0, 0], 2)), words(ids([8, 0, 3], 2))
        wordless = [network(batch_with(b).without("text")) for b in (None, ids([8, 0, 3], 2))]
    torch.testing.assert_close(nothing, plain)
    torch.testing.assert_close(some[1], plain[1])
    for row in (0, 2):
        assert float((some[row] - plain[row]).abs().max()) > 1e-3
    torch.testing.assert_close(*wordless)


def test_rows_take_their_own_context() -> None:
    torch.manual_seed(0)
    network = DashFusion(tiny_config(context_tokens=10)).eval()
    batch = batch_with(ids([8, 1, 3], 2))
    with torch.inference_mode():
        together = network(batch)
        one_by_one = [network(batch.rows(torch.tensor([row])))[0] for row in range(3)]
    torch.testing.assert_close(together, torch.stack(one_by_one), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["mpnet", "roberta"])
def test_another_encoder_reads_context_at_once_behind_each_text(kind: str) -> None:
    """Its own reading of the joined word pieces, without any padding, is the reference."""
    torch.manual_seed(0)
    encoder = {**TINY_BERT, "model_type": kind, "pad_token_id": 1, "max_position_embeddings": 180}
    network = DashFusion(tiny_config(text_encoder=encoder, context_tokens=10)).eval()
    batch = batch_with(ids([8, 0, 3], 2))
    text = batch.text
    assert isinstance(text, Tokens) and text.before is not None
    with torch.inference_mode():
        found = network.encode(batch).text.values
        for row in range(3):
            own, said = text.ids[row][text.real[row]], text.before.ids[row][text.before.real[row]]
            read = network.text_encoder.bert(input_ids=torch.cat([own, said])[None])
            wanted = network.text_encoder.project(read.last_hidden_state[0, : len(own)])
            torch.testing.assert_close(found[row, : len(own)], wanted, rtol=1e-4, atol=1e-5)


def test_context_needs_room() -> None:
    for encoder, tokens, fact in (
        ({**TINY_BERT, "type_vocab_size": 1}, 8, "no second text"),
        ({**TINY_BERT, "max_position_embeddings": 136}, 8, "has room for 7"),
    ):
        with pytest.raises(ConfigError, match=fact):
            DashFusion(tiny_config(text_encoder=encoder, context_tokens=tokens))
    DashFusion(tiny_config(text_encoder={**TINY_BERT, "max_position_embeddings": 137},
                           context_tokens=8))  # fmt: skip
    with pytest.raises(ConfigError, match="context_tokens"):
        tiny_config(context_tokens=-1)


def test_an_mpnet_counts_positions_from_two_and_ends_a_text_twice() -> None:
    """128 word pieces, </s> twice, and two positions that nothing has: 132 before any context."""
    mpnet = {**TINY_BERT, "model_type": "mpnet", "pad_token_id": 1}
    with pytest.raises(ConfigError, match="has room for 7"):
        DashFusion(tiny_config(text_encoder={**mpnet, "max_position_embeddings": 139},
                               context_tokens=8))  # fmt: skip
    network = DashFusion(tiny_config(text_encoder={**mpnet, "max_position_embeddings": 140},
                                     context_tokens=8)).eval()  # fmt: skip
    assert network.text_encoder(told([128], [10])).values.isfinite().all()
