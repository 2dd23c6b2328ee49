"""What is counted from the modules equals METHOD.md section 9, which was counted by hand."""

import dataclasses

import pytest
import torch

from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.network.config import NetworkConfig
from dashfusion_training.benchmarks import benchmark
from dashfusion_training.config import read_preset
from dashfusion_training.paper.operations import (
    SIMS_AUDIO,
    SIMS_TEXT,
    SIMS_VISION,
    multiply_adds,
    paper_network,
    parameters,
)
from tests.training.paper.closed_forms import closed_form

FUSIONS = ("hbf", "bf", "ca", "concat", "concat-sa")
SHAPES = [  # text, audio, vision, width, layers, bottleneck
    (50, 401, 56, 128, 3, 8),
    (50, 401, 56, 128, 2, 32),
    (50, 401, 56, 128, 2, 1),
    (17, 3, 1, 64, 4, 5),  # an odd p, halved to nothing
    (6, 40, 30, 32, 3, 64),  # a text shorter than p
    (1, 1, 1, 16, 1, 8),
]


def sims(**changes: object) -> NetworkConfig:
    return dataclasses.replace(paper_network(read_preset("sims"), benchmark("sims")), **changes)


@pytest.mark.parametrize(
    ("fusion", "known"),
    [
        ("hbf", 146_639_872),
        ("bf", 148_464_640),
        ("ca", 70_423_552),
        ("concat-sa", 304_861_696),
        ("concat", 0),
    ],
)
def test_multiply_adds_at_ch_sims_shapes(fusion: str, known: int) -> None:
    lengths = {"text": SIMS_TEXT, "audio": SIMS_AUDIO, "vision": SIMS_VISION}
    assert multiply_adds(sims(fusion=fusion), **lengths) == known
    assert closed_form(fusion, **lengths, width=128, layers=2, bottleneck=8) == known


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_counted_equals_the_closed_form(fusion: str, shape: tuple[int, ...]) -> None:
    text, audio, vision, width, layers, bottleneck = shape
    config = sims(fusion=fusion, width=width, fusion_layers=layers, bottleneck=bottleneck)
    counted = multiply_adds(config, text=text, audio=audio, vision=vision)
    assert counted == closed_form(
        fusion,
        text=text,
        audio=audio,
        vision=vision,
        width=width,
        layers=layers,
        bottleneck=bottleneck,
    )


def test_without_temporal_alignment_h_is_as_long_as_the_bottleneck() -> None:
    """concat + self-attention runs over the streams and H: d = 128, one layer."""
    config = sims(fusion="concat-sa", fusion_layers=1, temporal_alignment=False)
    n = 20 + 30 + 10 + 8
    assert multiply_adds(config, text=20, audio=30, vision=10) == 8 * n * 128**2 + 2 * n**2 * 128


@pytest.mark.parametrize(
    ("preset", "known"),
    [
        ("sims", 104_883_201),
        ("mosi", 112_059_777),
        ("mosei", 113_344_001),
        ("mosi-authors", 112_059_777),
    ],
)
def test_parameters(preset: str, known: int) -> None:
    assert parameters(preset) == known


def test_counting_draws_no_random_number_and_leaves_torch_as_it_was() -> None:
    before = torch.get_rng_state()
    parameters("sims")
    multiply_adds(sims(), text=5, audio=6, vision=7)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(1).device.type == "cpu"
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_what_has_no_paper_network_is_refused() -> None:
    with pytest.raises(DataError, match="mini: is no benchmark"):
        parameters("mini")
    other = dataclasses.replace(read_preset("mosi"), text_encoder="minilm")
    with pytest.raises(ConfigError, match="shape of 'minilm' is not known here; use bert-base"):
        paper_network(other, benchmark("mosi"))
