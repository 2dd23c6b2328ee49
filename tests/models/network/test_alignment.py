"""Temporal alignment with and without places, against the formula written out."""

import pytest
import torch

from dashfusion_models.network.alignment import TemporalAlignment, falloffs, places
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import Streams
from tests.models.network.tiny import random_batch, tiny_config

FALLS = [0.0, 2.0, 2.0 * 32**0.5, 64.0]  # of four heads


def sequence(length: int, padded: int = 0, *, width: int = 16) -> Sequence:
    """Random steps, then padding that no mask lets through."""
    values = torch.randn(1, length + padded, width)
    return Sequence(values=values, real=torch.arange(length + padded)[None] < length)


def test_places_are_the_middles_of_equal_parts() -> None:
    words = places(sequence(6, 2), last=1)[0]  # [CLS], four words, [SEP] and padding
    torch.testing.assert_close(words[1:5], torch.tensor([0.125, 0.375, 0.625, 0.875]))
    frames = places(sequence(3, 1))[0]  # [CLS], two frames and padding
    torch.testing.assert_close(frames[1:3], torch.tensor([0.25, 0.75]))
    assert words[0].isnan()
    assert frames[0].isnan()


def test_a_gap_keeps_the_places_of_the_others() -> None:
    whole = sequence(6)
    gap = whole.real.clone()
    gap[0, 2] = False
    torch.testing.assert_close(
        places(Sequence(values=whole.values, real=gap), last=1),
        places(whole, last=1),
        equal_nan=True,
    )


def test_a_quarter_of_the_heads_hears_everything_alike() -> None:
    torch.testing.assert_close(falloffs(4), torch.tensor(FALLS))
    assert falloffs(8).tolist() == [0, 0, 2, 4, 8, 16, 32, 64]


def test_the_distance_in_time_is_taken_from_the_products() -> None:
    torch.manual_seed(0)
    module = TemporalAlignment(16, 4, 8, near_in_time=True)
    x = Streams(text=sequence(5), audio=sequence(7), vision=sequence(4))
    total = torch.zeros(1, 5, 32)
    asked = module.attention.query(x.text.values)
    for name in ("audio", "vision"):
        frames = getattr(x, name).values
        keys = module.attention.keys[name](frames)
        values = module.attention.values[name](frames)
        for head in range(4):
            part = slice(8 * head, 8 * head + 8)
            weight = asked[..., part] @ keys[..., part].transpose(1, 2) / 8**0.5
            for q in range(1, 5):  # [CLS] is near to all
                word = min(1.0, (q - 0.5) / 3)
                for k in range(1, frames.shape[1]):
                    frame = (k - 0.5) / (frames.shape[1] - 1)
                    weight[0, q, k] -= FALLS[head] * abs(word - frame)
            total[..., part] += weight.softmax(-1) @ values[..., part]
    expected = x.text.values + module.attention.output(total)
    torch.testing.assert_close(module(x).values, expected, rtol=1e-5, atol=1e-5)


def test_without_places_all_steps_are_heard_alike() -> None:
    torch.manual_seed(0)
    module = TemporalAlignment(16, 4, 8)
    x = Streams(text=sequence(5), audio=sequence(7), vision=sequence(4))
    turned = Sequence(values=x.audio.values.flip(1), real=x.audio.real)
    torch.testing.assert_close(
        module(x).values, module(Streams(x.text, turned, x.vision)).values, rtol=0, atol=1e-5
    )
    module.near_in_time = True
    other = module(Streams(x.text, turned, x.vision)).values
    assert (module(x).values - other).abs().max() > 1e-2


@pytest.mark.parametrize("absent", ["text", "audio", "vision"])
def test_places_do_not_mix_samples_nor_heed_padding(absent: str) -> None:
    torch.manual_seed(0)
    network = DashFusion(tiny_config(near_in_time=True)).eval()
    batch = random_batch(text=[12, 3, 9], audio=[30, 11, 1], vision=[5, 25, 8])
    batch.present[absent][1] = False
    alone = torch.cat([network(batch.rows(torch.tensor([i]))) for i in range(3)])
    torch.testing.assert_close(network(batch), alone, rtol=0.0, atol=1e-5)


def test_the_same_weights_serve_with_and_without_places() -> None:
    told = DashFusion(tiny_config(near_in_time=True))
    assert told.state_dict().keys() == DashFusion(tiny_config()).state_dict().keys()
