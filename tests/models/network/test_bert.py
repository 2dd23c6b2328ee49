"""BERT's encoder against that of transformers, which is the reference."""

import subprocess
import sys

import pytest
import torch
from transformers import BertConfig, BertModel

from dashfusion_models.network.bert import Bert, BertShape
from dashfusion_models.network.text_encoder import TextEncoder

SIZES = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.3,  # so that attention is far from even
}


def both() -> tuple[Bert, BertModel]:
    """The same weights in either."""
    torch.manual_seed(5)
    config = BertConfig(**SIZES)
    theirs = BertModel(config, add_pooling_layer=False)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    shape = BertShape.of(config.to_dict())
    assert shape is not None
    ours = Bert(shape)
    ours.load_state_dict(theirs.state_dict())  # strict: each name and shape
    return ours, theirs


def inputs() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(6)
    ids = torch.randint(1, 90, (4, 11), generator=draw)
    together = torch.rand(4, 11, 11, generator=draw) < 0.5
    return {
        "input_ids": ids,
        "token_type_ids": torch.randint(0, 2, (4, 11), generator=draw),
        "position_ids": torch.randint(0, 40, (4, 11), generator=draw),
        "attention_mask": (together | torch.eye(11, dtype=torch.bool))[:, None],
    }


@pytest.mark.parametrize("leave_out", [(), ("attention_mask",), ("token_type_ids", "position_ids")])
def test_the_hidden_states_are_those_of_transformers(leave_out: tuple[str, ...]) -> None:
    ours, theirs = (model.eval() for model in both())
    given = {name: value for name, value in inputs().items() if name not in leave_out}
    torch.testing.assert_close(
        ours(**given).last_hidden_state,
        theirs(**given).last_hidden_state,
        rtol=1e-5,
        atol=1e-5,
    )


def test_padding_is_not_read() -> None:
    ours, theirs = (model.eval() for model in both())
    ids = inputs()["input_ids"]
    real = torch.arange(11)[None] < torch.tensor([11, 7, 3, 1])[:, None]
    mine = ours(ids, attention_mask=real.long()).last_hidden_state[real]
    his = theirs(ids, attention_mask=real.long()).last_hidden_state[real]
    torch.testing.assert_close(mine, his, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(mine, ours(ids).last_hidden_state[real], atol=1e-3)


def test_a_step_of_training_is_that_of_transformers() -> None:
    gradients = []
    for model in both():
        model.train()
        torch.manual_seed(7)  # of dropout
        model(**inputs()).last_hidden_state.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, mine in gradients[0].items():
        torch.testing.assert_close(mine, gradients[1][name], rtol=1e-3, atol=1e-3, msg=name)


def test_attention_is_dropped_while_it_learns() -> None:
    torch.manual_seed(8)
    shape = BertShape(**{**SIZES, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.5})
    model, ids = Bert(shape), inputs()["input_ids"]
    learning = [model.train()(ids).last_hidden_state for _ in range(2)]
    assert not torch.allclose(*learning, atol=1e-2)
    still = [model.eval()(ids).last_hidden_state for _ in range(2)]
    torch.testing.assert_close(*still)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("model_type", "roberta"),
        ("hidden_act", "relu"),
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
    ],
)
def test_a_relative_is_told_apart(said: str, value: object) -> None:
    assert BertShape.of({"model_type": "bert", **SIZES}) == BertShape(**SIZES)
    assert BertShape.of({"model_type": "bert", **SIZES, said: value}) is None


@pytest.mark.parametrize(("said", "value"), [("num_attention_heads", 5), ("hidden_size", 0)])
def test_a_shape_that_cannot_be_is_refused(said: str, value: int) -> None:
    with pytest.raises(ValueError, match=said):
        BertShape.of({"model_type": "bert", **SIZES, said: value})


def test_what_is_drawn_is_as_wide_as_asked_and_padding_is_zero() -> None:
    torch.manual_seed(9)
    model = Bert(BertShape(**{**SIZES, "pad_token_id": 3}))
    words = model.embeddings.word_embeddings.weight
    assert (words[3] == 0).all()
    assert words.std().item() == pytest.approx(0.3, rel=0.05)
    assert (model.encoder.layer[0].output.dense.bias == 0).all()


def test_the_default_model_is_loaded_without_transformers() -> None:
    code = (
        "import sys\n"
        "from dashfusion_models.checkpoint import load_checkpoint\n"
        "from dashfusion_models.weights import DEFAULT_CHECKPOINT, locate_checkpoint\n"
        "load_checkpoint(locate_checkpoint(DEFAULT_CHECKPOINT))\n"
        "print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_relative_is_told_nothing_but_its_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys by which transformers fetches code, or takes another's, do not reach it."""
    from transformers import AutoConfig

    told: dict[str, object] = {}
    real = AutoConfig.for_model

    def for_model(kind: str, **config: object) -> object:
        told.update(config)
        return real(kind, **config)

    monkeypatch.setattr(AutoConfig, "for_model", for_model)
    wanted = {"model_type": "roberta", **SIZES}
    code = {
        "attn_implementation": "kernels-community/flash-attn",
        "_attn_implementation": "kernels-community/flash-attn",
        "experts_implementation": "some/repository",
        "auto_map": {"AutoModel": "some/repository--m.C"},
        "trust_remote_code": True,
        "use_kernels": True,
        "quantization_config": {"quant_method": "gptq", "bits": 4},
        "torch_dtype": "os.system",
        "dtype": "none",
    }
    encoder = TextEncoder({**wanted, **code}, 32)
    assert type(encoder.bert).__name__ == "RobertaModel"
    assert set(told) == set(SIZES)
