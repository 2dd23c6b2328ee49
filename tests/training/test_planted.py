"""Files of exactly the official form with a planted signal: prepared, trained, evaluated."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.records import Modality
from dashfusion_models.store import Store
from dashfusion_training.benchmarks import benchmark
from dashfusion_training.config import TrainConfig, changed, read_preset
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
    best = trained(config, store, tmp_path / "run")
    assert corr(best, store, "text", "audio", "vision") > 0.9
    assert corr(best, store, "audio", "vision") < 0.85
    assert corr(best, store, "text", "vision") < 0.87
    assert corr(best, store, "text", "audio") < 0.87


def trained(config: TrainConfig, store: Store, output: Path) -> Path:
    return train(
        Training(config=config, stores={"mosi": store}, output=output, resume=False, device=CPU)
    )


def corr(checkpoint: Path, store: Store, *modalities: Modality) -> float:
    (report,) = evaluate_stores(
        checkpoint, {"mosi": store}, split="test", modalities=modalities, classes=None, device=CPU
    )
    value = report.metrics["corr"]
    assert value is not None
    return value


def with_frames_shuffled(file: Path, shuffled: Path) -> Path:
    """The same samples with the frames of each voice and each face in another order."""
    draw = np.random.default_rng(5)
    data = pickle.loads(file.read_bytes())
    for part in data.values():
        for modality in ("audio", "vision"):
            for frames, length in zip(part[modality], part[f"{modality}_lengths"], strict=True):
                frames[:length] = draw.permutation(frames[:length])
    shuffled.write_bytes(pickle.dumps(data, protocol=4))
    return shuffled


# What the preset asks of a start or of features that are not here, sizes, and how long it learns.
# All of the network learns from nothing, so at a higher rate. Companions would make a step six
# times as long. All that disturbs what is read stays: noise, hidden steps, lost modalities.
SMALL: dict[str, object] = {
    "train_text": True,
    "context_tokens": 0,
    "voice_readout": 0.0,
    "face_readout": 0.0,
    "learning_rate": 5e-4,
    "batch_size": 16,
    "encoder_layers": 1,
    "contrastive_weight": 0.0,
    "epochs": 2,
}


def test_the_fusion_that_ships_hears_and_sees_what_went_with_a_word(tmp_path: Path) -> None:
    """Averages of words, voice and face reach 0.70: only the moment of the marker tells more."""
    counts = {"train": 3000, "valid": 60, "test": 300}
    file = write_official_file(tmp_path / "a.pkl", "mosi", counts, seed=1, kind="moment")
    stores = []
    for name in (file, with_frames_shuffled(file, tmp_path / "b.pkl")):
        prepare(benchmark("mosi"), name, tmp_path / name.stem, lambda progress: None)
        stores.append(Store(tmp_path / name.stem))
    as_it_was, shuffled = stores
    encoder = write_encoder(tmp_path / "encoder")
    config = changed(read_preset("mini-fusion"), {"text_encoder": str(encoder), **SMALL})
    best = trained(config, as_it_was, tmp_path / "run")
    assert corr(best, as_it_was, "text", "audio", "vision") > 0.8
    assert corr(best, shuffled, "text", "audio", "vision") < 0.65
