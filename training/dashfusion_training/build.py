"""A new network for a training: pretrained text encoder, fresh everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch

from dashfusion_models.bounded_file import read_json
from dashfusion_models.calibration import Calibration
from dashfusion_models.checkpoint import Checkpoint, load_checkpoint
from dashfusion_models.checkpoint_about import checkpoint_head
from dashfusion_models.collate import Collator, Normalisation, load_tokenizer
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import CheckpointError, ConfigError, WeightsError
from dashfusion_models.near import hinted
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.pretrained import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    encoder_weights,
)
from dashfusion_models.records import FeatureSpec, Modality
from dashfusion_models.weights import (
    is_folder,
    locate_checkpoint,
    locate_folder,
    names_of,
)
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset
from dashfusion_training.readout import with_readout
from dashfusion_training.sample_digests import joined, learned_from
from dashfusion_training.start import (
    adapted_encoder,
    add_adapters,
    go_on,
    inherited_license,
    require_alike,
    require_same_encoder,
)

__all__ = [
    "encoder_facts",
    "encoder_of",
    "network_config",
    "new_checkpoint",
    "require_parts",
    "start_facts",
]

ENCODER_FILES = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)


def require_parts(config: TrainConfig, *, offline: bool = False) -> None:
    """Refuse a text encoder or a start that cannot be one; nothing is fetched for it.

    Raises:
        CheckpointError: there is no such start.
        ConfigError: neither a text encoder nor a start that has one.
        WeightsError: no weights of that name, or those of something else; or the folder lacks a
            file.
    """
    start_facts(config, offline=offline)
    name = config.text_encoder
    if not name:
        if not config.start:
            raise ConfigError("text_encoder: is empty; name one, or a start that has one")
    elif is_folder(name):
        for file in ENCODER_FILES:
            if not (Path(name) / file).is_file():
                raise WeightsError(f"{name}: is not a text encoder ({file} is missing); {_named()}")
    elif name not in (known := names_of(ENCODER_FILES)):
        raise WeightsError(f"{name}: no such text encoder; {hinted(name, known)}, or {_named()}")


def _named() -> str:
    return f"give the folder that has {', '.join(ENCODER_FILES)}"


def encoder_of(config: TrainConfig, *, offline: bool) -> tuple[Path | None, dict[str, str]]:
    """The folder of the text encoder and what tells it from another; no folder: that of `start`.

    Raises:
        CheckpointError: there is no such start.
        WeightsError: there is no such encoder, or a file of it is missing.
    """
    if config.text_encoder:
        return encoder_facts(config.text_encoder, offline=offline)
    trained = checkpoint_head(_start_path(config, offline=offline))["training"]
    return None, dict(trained.get("text_encoder", {}))


def encoder_facts(name: str, *, offline: bool) -> tuple[Path, dict[str, str]]:
    """The folder of a text encoder, fetched if need be, and what tells it from another.

    Raises:
        WeightsError: there is none, or a file of it is missing.
    """
    folder = locate_folder(name, offline=offline)
    try:
        return folder, {
            "name": name,
            "sha256": sha256_of(folder / WEIGHTS_FILE),
            "config_sha256": sha256_of(folder / CONFIG_FILE),
            "tokenizer_sha256": sha256_of(folder / TOKENIZER_FILE),
        }
    except OSError as error:
        raise WeightsError(
            f"{folder}: is not a text encoder ({error.filename}: {error.strerror}); name another"
        ) from error


def new_checkpoint(
    config: TrainConfig,
    encoder: Path | None,
    samples: Dataset,
    *,
    audio: FeatureSpec,
    vision: FeatureSpec,
) -> Checkpoint:
    """Build the network that `config` describes on the text encoder in the folder `encoder`.

    The fresh weights depend on `config.seed` alone. A calibration holds for the network as it is
    made, before any step. Normalisation is measured on `samples`, which the checkpoint names as
    those that it learned from, beside those of the start. Without a folder, the text encoder and
    the widths are those of `start`.

    Raises:
        WeightsError: the folder lacks config.json, tokenizer.json or fitting weights.
    """
    start = load_checkpoint(_start_path(config), offline=True) if config.start else None
    encoder = encoder or adapted_encoder(config, start)
    about, tokenizer = _described(encoder, start)
    if start is not None:
        require_alike(start, config, tokenizer=tokenizer, audio=audio, vision=vision)
    collate = _collator(tokenizer, samples, config, start, audio=audio, vision=vision)
    shape = network_config(
        config,
        text_encoder=_only_shape(about) | _dropout(config),
        audio_dims=collate.audio.read,
        vision_dims=collate.vision.read,
        of=start.network.config if start is not None and encoder is None else None,
    )
    torch.manual_seed(config.seed)  # only now: opening `start` draws random weights too
    network = DashFusion(shape)
    if encoder is not None:
        _load_pretrained(network, encoder)
    adapters = add_adapters(network, config, encoder, start)
    if start is not None:
        require_same_encoder(start, config, adapters, takes_encoder=encoder is None)
        go_on(network, start, config, takes_encoder=encoder is None)
    return Checkpoint(
        name=config.name or "unnamed",
        network=network,
        collate=collate,
        audio=audio,
        vision=vision,
        label_range=config.label_range,
        languages=config.languages,
        license=config.license or inherited_license(start),
        calibration=_calibration_of(start, config, takes_encoder=encoder is None),
        learned=joined(learned_from(samples), *([start.learned] if start else [])),
        adapters=adapters,
    )


def _calibration_of(
    start: Checkpoint | None, config: TrainConfig, *, takes_encoder: bool
) -> Calibration | None:
    """The calibration of `start`, where the fresh network gives the scores that `start` gives."""
    if start is None or not takes_encoder or config.voice_readout or config.face_readout:
        return None
    same = start.label_range == config.label_range and set(start.modalities) == set(
        config.modalities
    )
    return start.calibration if same else None


def _described(encoder: Path | None, start: Checkpoint | None) -> tuple[dict[str, object], str]:
    """The config.json of a text encoder and its tokenizer.json."""
    if encoder is None:
        if start is None:
            raise ConfigError("text_encoder: is empty; name one, or a start that has one")
        return dict(start.network.config.text_encoder), start.collate.tokenizer.to_str()
    try:
        about = read_json(encoder / CONFIG_FILE)
        return about, (encoder / TOKENIZER_FILE).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise WeightsError(f"{encoder}: is not a text encoder ({error}); name another") from error


def start_facts(config: TrainConfig, *, offline: bool = False) -> dict[str, str]:
    """What tells the checkpoint that training goes on from, with its licence; nothing without one.

    Raises:
        CheckpointError: there is no such file, or it is no checkpoint.
        WeightsError: there are no weights of that name.
    """
    if not config.start:
        if not config.train_text:
            raise ConfigError(
                "train_text: is false without a start; add --set start=CHECKPOINT, or train it"
            )
        return {}
    path = _start_path(config, offline=offline)
    about = checkpoint_head(path)
    return {"name": about["name"], "license": about["license"], "sha256": sha256_of(path)}


def _start_path(config: TrainConfig, *, offline: bool = False) -> Path:
    """The file of the checkpoint that training goes on from, by its name or path."""
    path = locate_checkpoint(config.start, offline=offline)
    if not path.is_file():
        raise CheckpointError(f"{config.start}: no such checkpoint to start from; name another")
    return path


def network_config(
    config: TrainConfig,
    *,
    text_encoder: Mapping[str, object],
    audio_dims: int,
    vision_dims: int,
    of: NetworkConfig | None = None,
) -> NetworkConfig:
    """The network that `config` describes: every key that both records have, and what data say.

    The keys that a training does not have are those of `of`, or the defaults.
    """
    values = config.to_dict()
    shared = {field.name for field in dataclasses.fields(NetworkConfig)} & values.keys()
    about = {"text_encoder": text_encoder, "audio_dims": audio_dims, "vision_dims": vision_dims}
    rest = {} if of is None else of.to_dict()
    return NetworkConfig.from_dict({**rest, **{name: values[name] for name in shared}, **about})


def _dropout(config: TrainConfig) -> dict[str, object]:
    """What the training says of the text encoder's dropout; nothing where it says nothing.

    Without dropout of the attention a step is a fifth faster: its fused form can be used.
    """
    if config.attention_dropout is None:
        return {}
    return {"attention_probs_dropout_prob": config.attention_dropout}


def _only_shape(about: dict[str, object]) -> dict[str, object]:
    """What describes the model, without what describes the file it came in."""
    drop = {"_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype"}
    return {k: v for k, v in about.items() if k not in drop}


def _load_pretrained(network: DashFusion, encoder: Path) -> None:
    """Load the encoder's weights; every tensor that the network has must be found."""
    wanted = network.text_encoder.bert.state_dict()
    found = encoder_weights(encoder, wanted)
    try:
        network.text_encoder.bert.load_state_dict(found)
    except RuntimeError as error:
        raise WeightsError(
            f"{encoder / WEIGHTS_FILE}: does not fit its config.json; fetch both again"
        ) from error


def _collator(
    tokenizer: str,
    samples: Dataset,
    config: TrainConfig,
    start: Checkpoint | None,
    *,
    audio: FeatureSpec,
    vision: FeatureSpec,
) -> Collator:
    return Collator(
        tokenizer=load_tokenizer(tokenizer),
        context_tokens=config.context_tokens,
        audio=_normalisation("audio", audio, samples, config, start),
        vision=_normalisation("vision", vision, samples, config, start),
    )


def _normalisation(
    modality: Modality,
    spec: FeatureSpec,
    samples: Dataset,
    config: TrainConfig,
    start: Checkpoint | None,
) -> Normalisation:
    """The statistics that `start` was trained with, or those of `samples`; then the readout."""
    if start is not None and modality in start.modalities:
        measured: Normalisation = getattr(start.collate, modality)
    elif config.normalise:
        with_it = (sample.features() for sample in samples if sample.has(modality))
        measured = Normalisation.of((getattr(f, modality) for f in with_it), spec.dims)
    else:
        measured = Normalisation.identity(spec.dims)
    strength = config.voice_readout if modality == "audio" else config.face_readout
    if not strength:
        return measured
    return with_readout(
        dataclasses.replace(measured, project=None),
        spec,
        samples,
        strength,
        modality,
        beside=config.readout_beside,
    )
