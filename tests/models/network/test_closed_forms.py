"""Parameters and multiply-adds equal METHOD.md section 9, which were counted by hand."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.fusions import build_fusion
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import Streams

BERT = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
POOLER = 768 * 768 + 768  # counted in METHOD.md; nothing reads it, so ours is not built

BENCHMARKS = {
    "sims": ({"vocab_size": 21128}, (33, 400), (709, 55), 2, 2, 104_883_201),
    "mosi": ({"vocab_size": 30522}, (5, 375), (20, 500), 2, 2, 112_059_777),
    "mosei": ({"vocab_size": 30522}, (74, 500), (35, 500), 4, 3, 113_344_001),
}


def config_of(name: str, **changes: object) -> NetworkConfig:
    vocabulary, audio, vision, encoder_layers, fusion_layers, _ = BENCHMARKS[name]
    return NetworkConfig(
        text_encoder={**BERT, **vocabulary},
        audio_dims=audio[0],
        audio_steps=audio[1],
        vision_dims=vision[0],
        vision_steps=vision[1],
        encoder_layers=encoder_layers,
        fusion_layers=fusion_layers,
        **changes,
    )


@pytest.mark.parametrize("name", BENCHMARKS)
def test_parameters(name: str) -> None:
    with torch.device("meta"):
        network = DashFusion(config_of(name))
    counted = sum(p.numel() for p in network.parameters())
    absent = sum(p.numel() for n, p in network.named_parameters() if n.startswith("absent_"))
    assert counted - absent + POOLER == BENCHMARKS[name][-1]


@pytest.mark.parametrize(
    ("fusion", "multiply_adds"),
    [
        ("hbf", 146_639_872),
        ("bf", 148_464_640),
        ("ca", 70_423_552),
        ("concat-sa", 304_861_696),
        ("concat", 0),
    ],
)
def test_multiply_adds_of_the_fusion_at_ch_sims_shapes(fusion: str, multiply_adds: int) -> None:
    """Counted by torch's own counter over the modules: matrix products only, two each."""
    module: nn.Module = build_fusion(config_of("sims", fusion=fusion)).eval()

    def stream(steps: int) -> Sequence:
        return Sequence(
            values=torch.randn(1, steps, 128), real=torch.ones(1, steps, dtype=torch.bool)
        )

    x = Streams(text=stream(50), audio=stream(401), vision=stream(56))
    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        module(stream(50), x)
    assert counter.get_total_flops() == 2 * multiply_adds
