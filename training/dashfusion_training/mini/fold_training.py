"""One training of a fold: the same for whoever leaves samples out."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint
from dashfusion_models.records import MODALITIES
from dashfusion_models.store import Store
from dashfusion_training.build import encoder_facts, new_checkpoint
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.datasets import Dataset
from dashfusion_training.encoded_texts import EncodedTexts
from dashfusion_training.loop import Splits, fit
from dashfusion_training.processes import ALONE
from dashfusion_training.run import Run
from dashfusion_training.sources import feature_specs

__all__ = ["SharedTexts", "to_the_end", "trained", "untrained"]


class SharedTexts:
    """What a text encoder that is not trained makes of texts, for all trainings that start from it.

    It keeps the first network alive, whose text encoder no training changes.
    """

    def __init__(self) -> None:
        self._known: EncodedTexts | None = None

    def of(self, checkpoint: Checkpoint, config: TrainConfig) -> EncodedTexts | None:
        """None where the text encoder is trained."""
        if config.train_text:
            return None
        if self._known is None:
            self._known = EncodedTexts(checkpoint.network, checkpoint.collate)
        return self._known


def to_the_end(config: TrainConfig) -> TrainConfig:
    """The same, keeping what the last epoch leaves: nothing is chosen by those left out."""
    return changed(config, {"first_kept_epoch": config.epochs})


def untrained(stores: Mapping[str, Store], samples: Dataset, config: TrainConfig) -> Checkpoint:
    """A new network for the features of the stores, as `config` says; no text encoder is fetched.

    Raises:
        WeightsError: the text encoder is missing.
    """
    encoder, _ = encoder_facts(config.text_encoder, offline=True)
    used = [m for m in MODALITIES if m in config.modalities]
    audio, vision = feature_specs(stores, used)
    return new_checkpoint(config, encoder, samples, audio=audio, vision=vision)


def trained(
    stores: Mapping[str, Store],
    splits: Splits,
    config: TrainConfig,
    folder: Path,
    *,
    device: torch.device,
    texts: SharedTexts,
    resume: bool = False,
) -> Checkpoint:
    """Train on the splits of one fold in a new `folder`; what it kept comes back, on the CPU.

    With `resume` a training that lies there goes on, and what that needs is left to the caller to
    remove.

    Raises:
        TrainingError: the loss is no longer a number, or the folder cannot be written; or what lies
            there was trained otherwise.
        WeightsError: the text encoder is missing.
    """
    checkpoint = untrained(stores, splits.train, config)
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    run = Run(folder, config, resume=resume, data={"samples": {"digest": _digest(splits.train)}})
    known = texts.of(checkpoint, config)
    fit(checkpoint, splits, config, run, device=device, team=ALONE, texts=known)
    run.close()
    if not resume:
        shutil.rmtree(folder / "last", ignore_errors=True)
    return load_checkpoint(run.best)


def _digest(samples: Dataset) -> str:
    """The SHA-256 of which samples these are, and of their labels."""
    lines = [f"{s.source}\t{s.row.id}\t{s.label:g}" for s in samples]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
