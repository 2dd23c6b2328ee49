"""Adapters change what an encoder maps by a product of low rank, and nothing of the encoder."""

import copy

import pytest
import torch
from torch import nn
from transformers import DistilBertConfig, DistilBertModel

from dashfusion_models.errors import ConfigError
from dashfusion_models.network.adapters import adapt, adapter_state, is_adapted, merged
from dashfusion_models.network.sequence import Tokens
from dashfusion_models.network.text_encoder import TextEncoder
from tests.models.network.tiny import TINY_BERT

MPNET = {**TINY_BERT, "model_type": "mpnet", "max_position_embeddings": 180}


def encoder_of(config: dict[str, object]) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(config, 32)


def learned(encoder: nn.Module) -> None:
    """Factors as a training leaves them: no longer zero."""
    for name, parameter in encoder.named_parameters():
        if name.endswith((".up", ".down")):
            nn.init.normal_(parameter, std=0.1)


def texts() -> Tokens:
    draw = torch.Generator().manual_seed(1)
    real = torch.arange(20)[None] < torch.tensor([20, 7, 3])[:, None]
    return Tokens(ids=torch.randint(2, 90, real.shape, generator=draw), real=real)


@pytest.mark.parametrize("config", [TINY_BERT, MPNET], ids=["bert", "mpnet"])
def test_merged_is_as_good_as_apart(config: dict[str, object]) -> None:
    plain, tokens = encoder_of(config).eval(), texts()
    apart = copy.deepcopy(plain)
    adapt(apart.bert, 4)
    with torch.inference_mode():
        torch.testing.assert_close(apart(tokens).values, plain(tokens).values, rtol=0, atol=0)
        learned(apart.bert)
        found, before = apart(tokens).values, plain(tokens).values
        assert float((found - before).abs().max()) > 0.1
        together = copy.deepcopy(plain)
        weights = merged(plain.bert.state_dict(), adapter_state(apart.bert))
        together.bert.load_state_dict(weights)
        torch.testing.assert_close(together(tokens).values, found, rtol=1e-5, atol=1e-5)


def test_what_is_added_is_the_product_of_the_factors() -> None:
    """Twice `up @ down`, computed here by hand."""
    encoder = nn.Sequential(nn.Linear(3, 2))
    adapt(encoder, 1)
    with torch.no_grad():
        encoder[0].down.copy_(torch.tensor([[1.0, 0.0, -1.0]]))
        encoder[0].up.copy_(torch.tensor([[2.0], [0.5]]))
    values = torch.tensor([[3.0, 5.0, 1.0]])  # down: 2; up: 4 and 1
    base = values @ encoder[0].weight.T + encoder[0].bias
    torch.testing.assert_close(encoder(values), base + torch.tensor([[8.0, 2.0]]))


@pytest.mark.parametrize("config", [TINY_BERT, MPNET], ids=["bert", "mpnet"])
def test_only_the_adapters_learn(config: dict[str, object]) -> None:
    encoder = encoder_of(config)
    before = copy.deepcopy(encoder.bert.state_dict())
    adapt(encoder.bert, 4)
    learning = {name for name, p in encoder.bert.named_parameters() if p.requires_grad}
    assert learning == set(adapter_state(encoder.bert))
    assert len(learning) == 2 * 2 * 6  # factors, layers, linear maps of a layer
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1.0)
    for _ in range(2):  # at first the gradient of `down` is zero, because `up` is
        optimizer.zero_grad()
        encoder(texts()).values.square().sum().backward()
        optimizer.step()
    after = encoder.bert.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    gradients = {name: p.grad for name, p in encoder.bert.named_parameters()}
    assert {name for name, g in gradients.items() if g is not None} == learning
    assert all(float(gradients[name].abs().max()) > 0 for name in learning)


@pytest.mark.parametrize("config", [TINY_BERT, MPNET], ids=["bert", "mpnet"])
def test_below_the_upper_layers_nothing_is_propagated_back(config: dict[str, object]) -> None:
    encoder = encoder_of(config)
    adapt(encoder.bert, 4, upper=1)
    assert {name.split(".layer.")[1][0] for name in adapter_state(encoder.bert)} == {"1"}
    seen = []
    encoder.bert.encoder.layer[0].register_forward_hook(lambda *call: seen.append(call[2]))
    encoder(texts())
    assert not seen[0].requires_grad


def test_a_relative_is_adapted_too() -> None:
    config = DistilBertConfig(vocab_size=90, dim=32, hidden_dim=48, n_layers=3, n_heads=4)
    encoder = DistilBertModel(config)
    adapt(encoder, 2, upper=2)
    assert is_adapted(encoder)
    assert len(adapter_state(encoder)) == 2 * 2 * 6
    assert not any("layer.0." in name for name in adapter_state(encoder))


def test_more_layers_than_there_are_and_none_to_adapt_are_refused() -> None:
    with pytest.raises(ConfigError, match="adapter_layers"):
        adapt(encoder_of(TINY_BERT).bert, 4, upper=3)
    with pytest.raises(ConfigError, match="adapter_rank"):
        adapt(nn.Sequential(nn.Embedding(3, 4)), 4)


@pytest.mark.parametrize("change", ["lost", "wide"])
def test_factors_that_fit_no_weight_are_refused(change: str) -> None:
    encoder = encoder_of(TINY_BERT).bert
    weights = dict(encoder.state_dict())
    adapt(encoder, 4)
    factors = adapter_state(encoder)
    name = next(name for name in factors if name.endswith(".down"))
    if change == "lost":
        del factors[name]
    else:
        factors[name] = torch.zeros(4, 99)
    with pytest.raises((KeyError, ValueError)):
        merged(weights, factors)
