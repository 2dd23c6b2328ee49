"""A training's start: what it takes over from a checkpoint, and the adapters that it adds."""

from __future__ import annotations

from pathlib import Path

import torch

from dashfusion_models.checkpoint import Adapters, Checkpoint, require_features
from dashfusion_models.collate import load_tokenizer
from dashfusion_models.errors import CheckpointError, ConfigError
from dashfusion_models.network.adapters import adapt
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.pretrained import WEIGHTS_FILE
from dashfusion_models.records import MODALITIES, FeatureSpec
from dashfusion_models.weights import file_sha256, locate_folder
from dashfusion_training.config import TrainConfig

__all__ = [
    "adapted_encoder",
    "add_adapters",
    "go_on",
    "inherited_license",
    "require_alike",
    "require_same_encoder",
]

ENCODER = "text_encoder.bert."
NOT_STATED = "not stated"  # a licence that the maker of a checkpoint did not name
INHERITED = " (inherited from "


def inherited_license(start: Checkpoint | None) -> str:
    """What binds whoever goes on from `start`, and says from where; nobody's word without one."""
    if start is None or start.license in ("", NOT_STATED):
        return NOT_STATED
    if INHERITED in start.license:
        return start.license
    return f"{start.license}{INHERITED}{start.name})"


def adapted_encoder(config: TrainConfig, start: Checkpoint | None) -> Path | None:
    """The folder of the text encoder that the adapters of `start` belong to, to go on with them."""
    if start is None or start.adapters is None or not config.adapter_rank:
        return None
    return locate_folder(start.adapters.text_encoder, offline=True)


def add_adapters(
    network: DashFusion, config: TrainConfig, encoder: Path | None, start: Checkpoint | None
) -> Adapters | None:
    """Give the text encoder its adapters, where there are to be any, and say which encoder it is.

    Raises:
        CheckpointError: the encoder is that of a checkpoint, which is published nowhere.
        ConfigError: it has nothing that adapters fit.
    """
    if not config.adapter_rank:
        return None
    if encoder is None:
        raise _whole_encoder(config)
    adapt(network.text_encoder.bert, config.adapter_rank, upper=config.adapter_layers)
    sha256 = file_sha256(encoder / WEIGHTS_FILE)
    name = config.text_encoder
    if not name and start is not None and start.adapters is not None:
        name = start.adapters.text_encoder
    return Adapters(text_encoder=name, sha256=sha256)


def _whole_encoder(config: TrainConfig) -> CheckpointError:
    return CheckpointError(
        f"{config.start}: holds a whole text encoder, which adapters would not leave as it is; "
        "set adapter_rank to 0"
    )


def require_same_encoder(
    start: Checkpoint, config: TrainConfig, adapters: Adapters | None, *, takes_encoder: bool
) -> None:
    """Refuse to go on with adapters from a whole text encoder, or the other way round.

    Where the merged encoder is taken whole, none are needed.

    Raises:
        CheckpointError: one has adapters and the other none, or they belong to another encoder.
    """
    was = start.adapters
    if was is None and adapters is not None:
        raise _whole_encoder(config)
    if was is not None and adapters is None and not takes_encoder:
        raise CheckpointError(
            f"{config.start}: was trained with adapters; set adapter_rank as it was then"
        )
    if was is not None and adapters is not None and was.sha256 != adapters.sha256:
        raise CheckpointError(
            f"{config.start}: its adapters belong to another text encoder ({was.text_encoder}); "
            "give --text-encoder"
        )


def require_alike(
    start: Checkpoint,
    config: TrainConfig,
    *,
    tokenizer: str,
    audio: FeatureSpec,
    vision: FeatureSpec,
) -> None:
    """Refuse a start whose weights mean something else here.

    Raises:
        CheckpointError: it was made for other features or another vocabulary.
    """
    require_features(
        start,
        config.start,
        audio=audio if "audio" in start.modalities else start.audio,
        vision=vision if "vision" in start.modalities else start.vision,
    )
    words = load_tokenizer(tokenizer).get_vocab()
    if start.collate.tokenizer.get_vocab() != words:
        raise CheckpointError(
            f"{config.start}: reads the words of another text encoder; give --text-encoder"
        )


def go_on(
    network: DashFusion, start: Checkpoint, config: TrainConfig, *, takes_encoder: bool
) -> None:
    """Take the weights of what `start` was trained with, on the scale of `config`.

    Its encoders of other modalities hold random weights, which are left. With `takes_encoder` its
    pretrained text encoder is taken in any case.

    Raises:
        ConfigError: its network has another shape.
    """
    left = [f"{m}_encoder." for m in MODALITIES if m not in start.modalities]
    if start.adapters and not takes_encoder:
        left.append(ENCODER)
    state = {
        name: weight
        for name, weight in start.network.state_dict().items()
        if not name.startswith(tuple(left)) or (takes_encoder and name.startswith(ENCODER))
    }
    if start.adapters and not takes_encoder:
        state |= {f"{ENCODER}{name}": part for name, part in start.adapters.factors.items()}
    state |= _on_scale(start, config.label_range)
    try:
        network.load_state_dict({**network.state_dict(), **state})
    except RuntimeError as error:
        raise ConfigError(
            f"start: {start.name} has another shape ({str(error).splitlines()[-1].strip()}); "
            "train with its settings"
        ) from error


def _on_scale(start: Checkpoint, wanted: tuple[float, float]) -> dict[str, torch.Tensor]:
    """The last layer, so that what scored at an end of the range of `start` does so of `wanted`."""
    if start.label_range == wanted:
        return {}
    (low, high), (new_low, new_high) = start.label_range, wanted
    factor = (new_high - new_low) / (high - low)
    state, last = start.network.state_dict(), f"head.{len(start.network.head) - 1}"
    return {
        f"{last}.weight": state[f"{last}.weight"] * factor,
        f"{last}.bias": (state[f"{last}.bias"] - low) * factor + new_low,
    }
