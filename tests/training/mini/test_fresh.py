"""A start that knows words and nothing else."""

from pathlib import Path

import pytest
import torch

from dashfusion_models.errors import CheckpointError
from dashfusion_models.store import Store
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.mini.fresh import TEXTS, fresh_above
from tests.training.mini.people import write_stores
from tests.training.tiny import AUDIO, VISION, write_tiny_encoder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    stores = write_stores(tmp_path_factory.mktemp("people"))
    return {name: stores[name] for name in TEXTS}


def test_the_text_encoder_is_kept_and_the_rest_is_new(
    texts: dict[str, Store], tmp_path: Path
) -> None:
    encoder = write_tiny_encoder(tmp_path)
    config = TrainConfig(text_encoder=str(encoder), modalities=("text",), context_tokens=6)
    learned = new_checkpoint(changed(config, {"seed": 7}), encoder, [], audio=AUDIO, vision=VISION)
    with torch.no_grad():
        for weight in learned.network.parameters():
            weight.add_(0.25)
    made = fresh_above(learned, config, texts).network.state_dict()
    never = new_checkpoint(config, encoder, [], audio=AUDIO, vision=VISION).network.state_dict()
    for name, weight in learned.network.state_dict().items():
        kept = weight if name.startswith("text_encoder.") else never[name]
        assert torch.equal(made[name], kept), name
    assert any(not name.startswith("text_encoder.") for name in made)


def test_another_text_encoder_is_refused(texts: dict[str, Store], tmp_path: Path) -> None:
    encoder = write_tiny_encoder(tmp_path)
    config = TrainConfig(text_encoder=str(encoder), modalities=("text",))
    learned = new_checkpoint(config, encoder, [], audio=AUDIO, vision=VISION)
    learned.network.text_encoder = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointError, match="is not the text encoder of"):
        fresh_above(learned, config, texts)
