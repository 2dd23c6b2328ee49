"""Fine-tuning: a training with a few samples that goes on from a whole checkpoint."""

from __future__ import annotations

import dataclasses
from typing import Any

from dashfusion_models.checkpoint_about import checkpoint_head, modalities_of
from dashfusion_models.errors import CheckpointError
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.weights import locate_checkpoint
from dashfusion_training.config import TrainConfig, changed

__all__ = ["PRESET", "fine_tuning"]

PRESET = "finetune"
DROPOUTS = {
    "position_dropout",
    "encoder_dropout",
    "feature_dropout",
}  # no shape: the settings of a training
ADAPTERS = ("adapter_rank", "adapter_layers")
SHAPE = (
    {field.name for field in dataclasses.fields(NetworkConfig)}
    & {field.name for field in dataclasses.fields(TrainConfig)} - {"text_encoder"}
) - DROPOUTS


def fine_tuning(config: TrainConfig, start: str, *, offline: bool = False) -> TrainConfig:
    """Return `config` with all that a training has in common with the checkpoint it goes on from.

    These are the shape of the network, the text encoder, the modalities and languages, the range of
    the labels and the scores of classes; whatever of it is changed afterwards is the user's wish.

    Args:
        config: the settings of the training.
        start: the checkpoint, by its name or path.
        offline: fetch nothing.

    Raises:
        CheckpointError: there is no such file, or it is no checkpoint.
        WeightsError: there are no weights of that name.
    """
    about = checkpoint_head(locate_checkpoint(start, offline=offline))
    try:
        trained = about["training"]
        common: dict[str, Any] = {
            "start": start,
            "text_encoder": "",
            "modalities": list(modalities_of(trained)),
            "languages": about["languages"],
            "label_range": about["label_range"],
            "classes": trained.get("config", {}).get("classes", {}),
            **{key: value for key, value in about["network"].items() if key in SHAPE},
        }
        if "adapters" in about:  # they go on; their encoder stays
            common |= {key: trained["config"][key] for key in ADAPTERS}
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{start}: is damaged or of another version ({error!r}); train or fetch it again"
        ) from error
    return changed(config, common)
