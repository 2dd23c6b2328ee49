"""A tiny network."""

import pytest
import torch

from dashfusion_models.network.dashfusion import DashFusion
from tests.models.network.tiny import tiny_config


@pytest.fixture
def network() -> DashFusion:
    torch.manual_seed(3)
    network = DashFusion(tiny_config()).eval()
    with torch.no_grad():  # untrained positions are zeros and [CLS] ones: make them tell
        for encoder in (network.audio_encoder, network.vision_encoder):
            encoder.positions.normal_()
            encoder.cls.normal_()
    return network
