"""CONTRIBUTING's fusion of one's own works as it is printed."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dashfusion_models.network import fusions
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.store import Store
from dashfusion_training import config as training_config
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.train import Training, train
from tests.models.network.tiny import random_batch
from tests.models.network.tiny import tiny_config as tiny_network
from tests.training.conftest import planted_store, tiny_config, tiny_encoder

__all__ = ["planted_store", "tiny_config", "tiny_encoder"]  # fixtures

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """Add the class and the line that the page prints."""
    (code,) = re.findall(r"```python\n(class \w+\(Fusion\):.*?)```", PAGE, re.DOTALL)
    (line,) = re.findall(r'^    "(\w+)": (\w+),$', PAGE, re.MULTILINE)
    assert len(code.splitlines()) + 1 < 40
    names: dict[str, Any] = dict(vars(fusions))
    exec(code, names)
    known = {**fusions.FUSIONS, line[0]: names[line[1]]}
    monkeypatch.setattr(fusions, "FUSIONS", known)
    monkeypatch.setitem(training_config.CHOICES, "fusion", tuple(known))
    return str(line[0])


def test_it_keeps_what_holds_for_every_fusion(name: str) -> None:
    torch.manual_seed(0)
    model = DashFusion(tiny_network(fusion=name)).eval()
    batch = random_batch(text=[6, 3], audio=[9, 12], vision=[5, 8])
    alone = torch.cat([model(batch.rows(torch.tensor([i]))) for i in range(2)])
    torch.testing.assert_close(model(batch), alone)


def test_it_trains_and_its_checkpoint_is_evaluated(
    name: str, planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    settings = {"epochs": 12, "encoder_dropout": 0.0, "position_dropout": 0.0, "fusion": name}
    training = Training(
        config=changed(tiny_config, settings),
        stores={"planted": planted_store},
        output=tmp_path / "run",
        resume=False,
        device=torch.device("cpu"),
    )
    best = train(training)
    (report,) = evaluate_stores(
        best, training.stores, split="test", classes=None, device=torch.device("cpu")
    )
    assert (report.metrics["corr"] or 0) > 0.9
