"""MPNet's encoder against that of transformers, which is the reference."""

import subprocess
import sys

import pytest
import torch
from transformers import MPNetConfig, MPNetModel

from dashfusion_models.network.mpnet import MPNet, MPNetShape, relative_buckets
from dashfusion_models.network.sequence import Tokens
from dashfusion_models.network.text_encoder import TextEncoder

SIZES = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 340,
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.3,  # so that attention is far from even
}


def both(**changed: float) -> tuple[MPNet, MPNetModel]:
    """The same weights in either."""
    torch.manual_seed(5)
    config = MPNetConfig(**{**SIZES, **changed})
    theirs = MPNetModel(config, add_pooling_layer=False)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    shape = MPNetShape.of(config.to_dict())
    assert shape is not None
    ours = MPNet(shape)
    ours.load_state_dict(theirs.state_dict())  # strict: each name and shape
    return ours, theirs


def word_pieces(steps: int = 11, rows: int = 4) -> torch.Tensor:
    """None is padding, whose id moves the positions that transformers counts."""
    draw = torch.Generator().manual_seed(6)
    return torch.randint(2, 90, (rows, steps), generator=draw)


@pytest.mark.parametrize("steps", [1, 11, 300])
def test_the_hidden_states_are_those_of_transformers(steps: int) -> None:
    ours, theirs = (model.eval() for model in both())
    ids = word_pieces(steps, rows=2)
    with torch.inference_mode():
        mine, his = ours(ids).last_hidden_state, theirs(ids).last_hidden_state
    torch.testing.assert_close(mine, his, rtol=1e-5, atol=1e-5)


def test_padding_is_not_read() -> None:
    ours, theirs = (model.eval() for model in both())
    real = torch.arange(11)[None] < torch.tensor([11, 7, 3, 1])[:, None]
    ids = torch.where(real, word_pieces(), 1)
    mine = ours(ids, attention_mask=real.long()).last_hidden_state[real]
    his = theirs(ids, attention_mask=real.long()).last_hidden_state[real]
    torch.testing.assert_close(mine, his, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(mine, ours(ids).last_hidden_state[real], atol=1e-3)


def test_a_step_of_training_is_that_of_transformers() -> None:
    gradients = []
    for model in both():
        model.train()
        torch.manual_seed(7)  # of dropout
        model(word_pieces()).last_hidden_state.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, mine in gradients[0].items():
        torch.testing.assert_close(mine, gradients[1][name], rtol=1e-3, atol=1e-3, msg=name)


def test_attention_is_dropped_while_it_learns() -> None:
    torch.manual_seed(8)
    dropping = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.5}
    model, ids = MPNet(MPNetShape(**{**SIZES, **dropping})), word_pieces()
    learning = [model.train()(ids).last_hidden_state for _ in range(2)]
    assert not torch.allclose(*learning, atol=1e-2)
    still = [model.eval()(ids).last_hidden_state for _ in range(2)]
    torch.testing.assert_close(*still)


def test_texts_in_one_row_are_read_as_each_alone() -> None:
    """Packed by `TextEncoder`; the reference is transformers, one text and its context a row."""
    _, theirs = (model.eval() for model in both(hidden_dropout_prob=0.0))
    encoder = TextEncoder(theirs.config.to_dict(), 32).eval()
    encoder.bert.load_state_dict(theirs.state_dict())
    texts, before = [5, 20, 3, 60, 9], [9, 0, 30, 4, 150]
    ids = word_pieces(60, rows=5)
    said = word_pieces(150, rows=5).flip(0)
    tokens = Tokens(
        ids=ids,
        real=torch.arange(60)[None] < torch.tensor(texts)[:, None],
        before=Tokens(ids=said, real=torch.arange(150)[None] < torch.tensor(before)[:, None]),
    )
    with torch.inference_mode():
        found = encoder(tokens)
        assert torch.equal(found.real, tokens.real)
        for row, (own, other) in enumerate(zip(texts, before, strict=True)):
            pair = torch.cat([ids[row, :own], said[row, :other]])[None]
            wanted = encoder.project(theirs(pair).last_hidden_state[0, :own])
            torch.testing.assert_close(found.values[row, :own], wanted, rtol=1e-5, atol=1e-5)


def test_the_buckets_are_those_of_transformers() -> None:
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distance = torch.arange(-600, 601)
    theirs = MPNetEncoder.relative_position_bucket(distance, num_buckets=32)
    assert torch.equal(relative_buckets(distance), theirs)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("model_type", "bert"),
        ("hidden_act", "relu"),
        ("pad_token_id", 0),
        ("relative_attention_num_buckets", 16),
    ],
)
def test_a_relative_is_told_apart(said: str, value: object) -> None:
    assert MPNetShape.of({"model_type": "mpnet", **SIZES}) == MPNetShape(**SIZES)
    assert MPNetShape.of({"model_type": "mpnet", **SIZES, said: value}) is None


@pytest.mark.parametrize(("said", "value"), [("num_attention_heads", 5), ("hidden_size", 0)])
def test_a_shape_that_cannot_be_is_refused(said: str, value: int) -> None:
    with pytest.raises(ValueError, match=said):
        MPNetShape.of({"model_type": "mpnet", **SIZES, said: value})


def test_what_is_drawn_is_as_wide_as_asked_and_padding_is_zero() -> None:
    torch.manual_seed(9)
    model = MPNet(MPNetShape(**SIZES))
    words = model.embeddings.word_embeddings.weight
    assert (words[1] == 0).all()
    assert words.std().item() == pytest.approx(0.3, rel=0.05)
    assert (model.encoder.layer[0].output.dense.bias == 0).all()


def test_it_is_built_and_read_without_transformers() -> None:
    code = (
        "import sys, torch\n"
        "from dashfusion_models.network.sequence import Tokens\n"
        "from dashfusion_models.network.text_encoder import TextEncoder\n"
        f"encoder = TextEncoder({{'model_type': 'mpnet', **{SIZES!r}}}, 32)\n"
        "ids = torch.ones(2, 5, dtype=torch.long)\n"
        "encoder(Tokens(ids=ids, real=ids > 0))\n"
        "print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
