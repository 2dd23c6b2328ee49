"""Parameters of each part equal what METHOD.md sections 1 to 5 say, added up by hand.

The sums for the paper's networks, and the multiply-adds, are in tests/training/test_operations.py.
"""

import pytest
import torch
from torch import nn

from dashfusion_models.network.dashfusion import DashFusion
from tests.models.network.tiny import TINY_BERT, tiny_config

D = 32  # of the tiny network, as are the numbers below
HEADS, HEAD_WIDTH = 4, 8
AUDIO, VISION = (5, 40), (7, 30)  # features, learned positions

NORM = 2 * D
FEED_FORWARD = (2 * D * D + 2 * D) + (2 * D * D + D)
ONE_LAYER = 4 * (D * D + D) + NORM + FEED_FORWARD + NORM  # eq. 1, 6, 9
MULTI = 7 * D * D + (D * D + D) + NORM + FEED_FORWARD + NORM  # eq. 7 and 8
TRANSFORMERS = {"hbf": 4, "bf": 4, "ca": 1, "concat": 0, "concat-sa": 1}  # in each layer
REFINES = {"hbf": 1, "bf": 1, "ca": 1, "concat": 0, "concat-sa": 0}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def whole() -> DashFusion:
    with torch.device("meta"):
        return DashFusion(tiny_config(encoder_layers=3))


def test_encoders(whole: DashFusion) -> None:
    hidden = TINY_BERT["hidden_size"]
    assert count(whole.text_encoder.project) == hidden * D + D * D + NORM
    for encoder, (dims, steps) in ((whole.audio_encoder, AUDIO), (whole.vision_encoder, VISION)):
        cls_and_positions = D + (steps + 1) * D
        assert count(encoder) == dims * D + D + cls_and_positions + 3 * ONE_LAYER + NORM


def test_temporal_alignment(whole: DashFusion) -> None:
    """Eq. 4: one query, two keys, two values, one output with a bias."""
    assert count(whole.alignment) == 6 * D * HEADS * HEAD_WIDTH + D


@pytest.mark.parametrize("fusion", TRANSFORMERS)
@pytest.mark.parametrize("layers", [1, 3])
def test_fusion_and_head(fusion: str, layers: int) -> None:
    with torch.device("meta"):
        network = DashFusion(tiny_config(fusion=fusion, fusion_layers=layers))
    one = TRANSFORMERS[fusion] * ONE_LAYER + REFINES[fusion] * MULTI
    assert count(network.fusion) == layers * one
    firsts = 1 if fusion == "ca" else 4
    head = (firsts * D * 2 * D + 2 * D) + (2 * D * D + D) + (D + 1)
    assert count(network.head) == head


def test_nothing_else_has_parameters(whole: DashFusion) -> None:
    parts = ("text_encoder", "audio_encoder", "vision_encoder", "alignment", "fusion", "head")
    absent = (8 + 1 + 1) * D  # tokens for an absent text, voice, face
    assert count(whole) == sum(count(getattr(whole, part)) for part in parts) + absent
