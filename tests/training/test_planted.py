"""Files of exactly the official form with a planted signal: prepared, trained, evaluated."""

from pathlib import Path

import pytest
import torch

from dashfusion_models.records import Modality
from dashfusion_models.store import Store
from dashfusion_training.benchmarks import benchmark
from dashfusion_training.config import changed, read_preset
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.official.prepare import prepare
from dashfusion_training.train import Training, train
from tests.training.official.form import Kind, write_encoder, write_official_file

CPU = torch.device("cpu")

# What each kind needs to be learned in half a minute with a tiny text encoder.
SETTINGS: dict[Kind, tuple[int, dict[str, object]]] = {
    "sum": (240, {"epochs": 6}),
    "agreement": (
        1000,
        # Companions of a like label do not help to find the right moment, and cost seven times.
        {"epochs": 9, "contrastive_weight": 0.0, "encoder_dropout": 0.0, "position_dropout": 0.0},
    ),
}


@pytest.mark.parametrize("kind", ["sum", "agreement"])
def test_the_planted_signal_is_learned_and_every_modality_needed(
    kind: Kind, tmp_path: Path
) -> None:
    count, settings = SETTINGS[kind]
    file = write_official_file(
        tmp_path / "unaligned_50.pkl",
        "mosi",
        {"train": count, "valid": 60, "test": 150},
        seed=1,
        kind=kind,
    )
    write_encoder(tmp_path / "encoder")
    prepare(benchmark("mosi"), file, tmp_path / "mosi", lambda progress: None)
    store = Store(tmp_path / "mosi")
    config = changed(
        read_preset("mosi"),
        {
            "learning_rate": 5e-4,
            "warmup_epochs": 1.0,
            "text_encoder": str(tmp_path / "encoder"),
            **settings,
        },
    )
    best = train(
        Training(
            config=config, stores={"mosi": store}, output=tmp_path / "run", resume=False, device=CPU
        )
    )

    def corr(*modalities: Modality) -> float:
        (report,) = evaluate_stores(
            best, {"mosi": store}, split="test", modalities=modalities, classes=None, device=CPU
        )
        value = report.metrics["corr"]
        assert value is not None
        return value

    assert corr("text", "audio", "vision") > 0.9
    assert corr("audio", "vision") < 0.85
    assert corr("text", "vision") < 0.87
    assert corr("text", "audio") < 0.87
