"""Our attention against torch's own, and the layers against torch's own layers."""

import torch
from torch import nn

from dashfusion_models.network.attention import (
    MultiHeadAttention,
    SharedQueryAttention,
    TransformerLayer,
)
from dashfusion_models.network.sequence import Sequence


def random_sequence(b: int, t: int, d: int) -> Sequence:
    real = torch.rand(b, t) > 0.3
    real[:, 0] = True
    return Sequence(values=torch.randn(b, t, d), real=real)


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)


def test_multi_head_attention_equals_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(32, 4), nn.MultiheadAttention(32, 4, batch_first=True)
    copy_attention(ours, theirs)
    query, source = torch.randn(3, 5, 32), random_sequence(3, 9, 32)
    expected, _ = theirs(query, source.values, source.values, key_padding_mask=~source.real)
    torch.testing.assert_close(ours(query, source), expected, rtol=1e-5, atol=1e-6)


def test_transformer_layer_equals_torch() -> None:
    torch.manual_seed(1)
    ours = TransformerLayer(32, 4).eval()
    theirs = nn.TransformerEncoderLayer(
        32, 4, dim_feedforward=64, activation="gelu", batch_first=True, norm_first=False
    )
    copy_attention(ours.attention, theirs.self_attn)
    with torch.no_grad():
        theirs.linear1.load_state_dict(ours.feed_forward[0].state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward[3].state_dict())
    x = random_sequence(2, 7, 32)
    expected = theirs.eval()(x.values, src_key_padding_mask=~x.real)
    torch.testing.assert_close(ours(x).values[x.real], expected[x.real], rtol=1e-5, atol=1e-5)


def test_shared_query_attention_is_the_sum_of_its_sources_before_the_projection() -> None:
    """Each source alone, by the textbook formula with explicit softmax."""
    torch.manual_seed(2)
    module = SharedQueryAttention(16, 2, 8, ("audio", "vision"))
    query = torch.randn(1, 3, 16)
    sources = {"audio": random_sequence(1, 6, 16), "vision": random_sequence(1, 4, 16)}
    total = torch.zeros(1, 3, 16)
    for name, source in sources.items():
        keys, values = module.keys[name](source.values), module.values[name](source.values)
        asked = module.query(query)
        for head in range(2):
            part = slice(8 * head, 8 * head + 8)
            weight = asked[..., part] @ keys[..., part].transpose(1, 2) / 8**0.5
            weight = weight.masked_fill(~source.real[:, None], -torch.inf).softmax(-1)
            total[..., part] += weight @ values[..., part]
    expected = total @ module.output.weight.T + module.output.bias
    torch.testing.assert_close(module(query, sources), expected, rtol=1e-5, atol=1e-6)
