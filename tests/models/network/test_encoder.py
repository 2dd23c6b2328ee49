"""The bottleneck of frames and the dropout of whole features."""

import torch

from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.encoder import FrameEncoder
from dashfusion_models.network.sequence import Sequence
from tests.models.network.tiny import random_batch, tiny_config

SHAPE = {"steps": 6, "width": 8, "heads": 2, "layers": 1, "position_dropout": 0.0}


def frames(dims: int, *, seed: int = 0) -> Sequence:
    draw = torch.Generator().manual_seed(seed)
    return Sequence(
        values=torch.randn(3, 6, dims, generator=draw), real=torch.ones(3, 6, dtype=torch.bool)
    )


def test_a_bottleneck_passes_so_many_numbers_a_step() -> None:
    """What it does not let through changes nothing."""
    torch.manual_seed(0)
    encoder = FrameEncoder(9, encoder_dropout=0.0, bottleneck=2, **SHAPE).eval()  # type: ignore[arg-type]
    kernel = torch.linalg.svd(encoder.narrow.weight).Vh[2:]  # type: ignore[union-attr, arg-type]
    assert kernel.shape == (7, 9)
    x = frames(9)
    hidden = Sequence(values=x.values + 5 * kernel.sum(dim=0), real=x.real)
    torch.testing.assert_close(encoder(x).values, encoder(hidden).values, atol=1e-4, rtol=1e-4)
    other = Sequence(values=x.values + 1.0, real=x.real)
    assert not torch.allclose(encoder(x).values, encoder(other).values, atol=1e-2)


def test_dropout_hides_a_feature_in_all_steps_of_a_sample_and_only_in_training() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(500, encoder_dropout=0.0, feature_dropout=0.25, **SHAPE)  # type: ignore[arg-type]
    seen: list[torch.Tensor] = []
    encoder.map.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = frames(500)
    encoder.train()(x)
    encoder.eval()(x)
    in_training, in_use = seen
    hidden = in_training == 0
    assert (hidden == hidden[:, :1]).all()  # in every step or in none
    assert 0.2 < hidden[:, 0].float().mean() < 0.3
    assert not torch.equal(hidden[0, 0], hidden[1, 0])  # other features of another sample
    torch.testing.assert_close(in_training[~hidden], x.values[~hidden] / 0.75)
    torch.testing.assert_close(in_use, x.values)


def test_without_them_a_network_is_as_it_was() -> None:
    torch.manual_seed(0)
    plain = DashFusion(tiny_config())
    assert not any("narrow" in name for name in plain.state_dict())
    torch.manual_seed(0)
    narrow = DashFusion(tiny_config(frame_bottleneck=3, feature_dropout=0.5)).eval()
    assert narrow.audio_encoder.map.in_features == narrow.vision_encoder.map.in_features == 3
    batch = random_batch(text=[4, 6], audio=[5, 9], vision=[3, 8])
    assert torch.isfinite(narrow(batch)).all()
