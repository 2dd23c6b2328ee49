"""A tiny text encoder on disk and a store with a planted signal."""

from pathlib import Path

import pytest

from dashfusion_models.store import Store, StoreWriter
from dashfusion_training import run as run_module
from dashfusion_training.config import TrainConfig
from tests.training.tiny import AUDIO, VISION, planted_sample, write_tiny_encoder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def planted_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("stores") / "planted"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for split, count in (("train", 240), ("valid", 60), ("test", 80)):
            for k in range(count):
                writer.add(*planted_sample(k, split))
    return Store(folder)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Enough for a few steps of an epoch."""
    folder = tmp_path_factory.mktemp("stores") / "small"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for split, count in (("train", 60), ("valid", 20), ("test", 20)):
            for k in range(count):
                writer.add(*planted_sample(k, split))
    return Store(folder)


@pytest.fixture
def tiny_config(tiny_encoder: Path) -> TrainConfig:
    return TrainConfig(
        epochs=3,
        batch_size=16,
        learning_rate=1e-3,
        warmup_epochs=1.0,
        text_encoder=str(tiny_encoder),
        encoder_dropout=0.1,
        first_kept_epoch=1,
        contrastive_weight=0.0,
    )


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has a line for every step."""
    monkeypatch.setattr(run_module, "LOG_EVERY", 1)
