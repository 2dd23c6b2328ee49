"""Packed and grouped sequences: each once, hardly any padding, the same numbers."""

import numpy as np
import pytest
import torch

from dashfusion_models.network import encoder as encoder_module
from dashfusion_models.network.encoder import FrameEncoder
from dashfusion_models.network.lengths import length_groups, pack
from dashfusion_models.network.sequence import Tokens
from dashfusion_models.network.text_encoder import TextEncoder
from tests.models.network.tiny import TINY_BERT, random_batch


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_sample_once_and_little_padding(seed: int) -> None:
    draw = np.random.default_rng(seed)
    lengths = np.clip(draw.lognormal(2.5, 0.6, 112), 3, 128).astype(np.int64)  # as MOSI's texts
    groups = length_groups(lengths, fewest=96)
    assert sorted(np.concatenate(groups)) == list(range(112))
    computed = sum(len(group) * lengths[group].max() for group in groups)
    assert computed < 1.12 * lengths.sum()
    assert len(groups) < 20


def test_few_or_equal_samples_are_one_group() -> None:
    assert len(length_groups(np.array([9]), fewest=96)) == 1
    assert len(length_groups(np.full(50, 20), fewest=96)) == 1
    assert len(length_groups(np.zeros(5, np.int64), fewest=96)) == 1


def tokens(lengths: list[int]) -> Tokens:
    draw = torch.Generator().manual_seed(0)
    real = torch.arange(max(1, *lengths))[None] < torch.tensor(lengths)[:, None]
    return Tokens(ids=torch.randint(1, 100, real.shape, generator=draw), real=real)


@pytest.mark.parametrize("even_width", [None, 4608])
@pytest.mark.parametrize("lengths", [[3, 128, 40, 88, 90, 5], [7], [4, 4, 4], [0, 128, 9], [0, 0]])
def test_packed_rows_hold_every_text_once(lengths: list[int], even_width: int | None) -> None:
    """Read back through `rows` and `columns`, each text is whole, counts from 0, sees itself."""
    texts = tokens(lengths)
    packed = pack(texts.pieces(), even_width=even_width)
    real = texts.real
    assert sum(rows.ids.numel() for rows in packed.rows) < 1.3 * sum(lengths) + 128

    def laid(name: str) -> torch.Tensor:
        return torch.cat([getattr(rows, name).flatten() for rows in packed.rows])

    assert torch.equal(laid("ids")[packed.places][real], texts.ids[real])
    steps = torch.arange(real.shape[1]).expand(real.shape)
    assert torch.equal(laid("positions")[packed.places][real], steps[real])
    assert len(packed.places[real].unique()) == sum(lengths)
    start = 0
    for rows in packed.rows:
        height, width = rows.ids.shape
        for row in range(height):
            for column in range(width):
                place = start + row * width + column
                owners = ((packed.places == place) & real).nonzero()
                seen = rows.together[row, column]
                if len(owners):
                    text = owners[0, 0]
                    of_text = packed.places[text][real[text]] - start - row * width
                    assert torch.equal(seen.nonzero().squeeze(1), of_text.sort().values)
                assert seen.any()  # else a softmax would have nothing to share out
        start += height * width


def test_rows_are_as_wide_as_costs_least() -> None:
    """Texts of 30 tokens: one fills half a row of 48; where attention is dear, it stays so."""
    texts = tokens([30] * 32).pieces()

    def computed(even_width: int | None) -> int:
        return sum(rows.ids.numel() for rows in pack(texts, even_width=even_width).rows)

    assert computed(4608) == 30 * 32
    assert {rows.ids.shape[1] for rows in pack(texts, even_width=1).rows} == {30}
    draw = np.random.default_rng(0)
    lengths = np.clip(draw.lognormal(3.7, 0.4, 32), 3, 128).astype(np.int64).tolist()
    packed = pack(tokens(lengths).pieces(), even_width=4608)
    assert sum(rows.ids.numel() for rows in packed.rows) < 1.06 * sum(lengths)


def test_a_text_with_gaps_keeps_its_positions_and_touches_no_other() -> None:
    """As when words are lost: what is left of each text is encoded as the padded form would."""
    torch.manual_seed(0)
    encoder = TextEncoder(TINY_BERT, 32).eval()
    texts = tokens([30, 6, 90, 12, 20])
    lost = torch.rand(texts.real.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    lost[:, 0] = False
    texts = Tokens(ids=texts.ids, real=texts.real & ~lost)
    together = encoder(texts).values
    padded = encoder.project(
        encoder.bert(texts.ids, attention_mask=texts.real.long()).last_hidden_state
    )
    real = texts.real
    torch.testing.assert_close(together[real], padded[real], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lengths", [[3, 60, 11, 7, 30], [5], [4, 0, 9]])
def test_a_packed_text_is_encoded_as_if_alone(lengths: list[int]) -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(TINY_BERT, 32).eval()
    texts = tokens(lengths)
    together = encoder(texts).values
    for row, length in enumerate(lengths):
        if length:
            alone = encoder.bert(texts.ids[row : row + 1, :length]).last_hidden_state
            torch.testing.assert_close(
                together[row, :length], encoder.project(alone)[0], rtol=1e-4, atol=1e-5
            )


def test_frames_in_groups_are_encoded_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "FEWEST_STEPS", 10)
    torch.manual_seed(0)
    encoder = FrameEncoder(
        5, steps=40, width=32, heads=4, layers=2, position_dropout=0.1, encoder_dropout=0.1
    ).eval()
    frames = random_batch(text=[3] * 6, audio=[2, 40, 9, 0, 11, 38], vision=[3] * 6).audio
    frames.real[1, 7] = False  # a gap
    together = encoder(frames)
    for row in range(6):
        alone = encoder(frames.rows(torch.tensor([row])))
        steps = alone.real.shape[1]
        real = alone.real[0]
        assert torch.equal(together.real[row, :steps], real)
        torch.testing.assert_close(
            together.values[row, :steps][real], alone.values[0][real], rtol=1e-4, atol=1e-5
        )
