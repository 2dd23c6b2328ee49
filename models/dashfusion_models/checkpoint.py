"""A trained network in one safetensors file, with all that is needed to use it again.

Tensors: the network's state (as `storage` says), the normalisation
(`normalisation.<modality>.<mean|std|project>`) and digests of the samples that it learned from
(`learned`), where they are known.
Metadata: `dashfusion`, one JSON object with the format, the configuration, the feature
specifications, the label range, the licence and how it was trained, and the calibration where there
is one; `tokenizer`, a tokenizer.json.

A checkpoint that was trained with adapters lacks its text encoder: it holds the adapters
(`adapters.<linear map>.<down|up>`) and names the encoder that they belong to, which is looked up
when the file is loaded.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.overrides import TorchFunctionMode

from dashfusion_models.atomic_write import rename_finished
from dashfusion_models.calibration import Calibration, Thresholds
from dashfusion_models.checkpoint_about import (
    FORMAT,
    NORMALISED,
    damaged,
    feature_spec,
    modalities_of,
    read_about,
    require_features,
    require_file,
    unreadable,
)
from dashfusion_models.collate import Collator, Normalisation, load_tokenizer
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import CheckpointError, ConfigError
from dashfusion_models.network.adapters import adapter_state, is_adapted, merged
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.pretrained import WEIGHTS_FILE, encoder_weights
from dashfusion_models.records import FeatureSpec, Modality
from dashfusion_models.storage import Storage, packed, require_finite, storage_of_kinds, unpacked
from dashfusion_models.weights import file_sha256, locate_folder

__all__ = [
    "Adapters",
    "Checkpoint",
    "load_checkpoint",
    "require_features",
    "save_checkpoint",
    "storage_of",
]

NETWORK = "network."
# What a library may raise over a content that was not written by `save_checkpoint`.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
ENCODER = "text_encoder.bert."  # what a checkpoint with adapters leaves out of the network


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """What a training changed in a text encoder, and which one that was.

    `sha256` is that of the encoder's model.safetensors; `factors` are as `adapter_state` gives
    them, empty while they are trained: then the network holds them.
    """

    text_encoder: str
    sha256: str
    factors: Mapping[str, torch.Tensor] = field(default_factory=dict, repr=False)


LEARNED = "learned"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network and what it was made for.

    `audio` and `vision` name the features that it reads. `languages` are the ISO 639-1 codes that
    its text encoder learned from. `training` is free: data, settings, figures. `calibration` is
    None where nobody made one. `learned` are sorted digests of the samples that it learned from;
    None where nobody kept them. `adapters` is None where the file holds the whole text encoder.
    `sha256` is that of the file it was loaded from, empty before it was saved.
    """

    name: str
    network: DashFusion
    collate: Collator
    audio: FeatureSpec
    vision: FeatureSpec
    label_range: tuple[float, float]
    languages: tuple[str, ...]
    license: str
    training: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    learned: Int64[np.ndarray, " n"] | None = None
    adapters: Adapters | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        """Refuse a calibration that was made for another scale."""
        if self.calibration is not None and self.calibration.label_range != self.label_range:
            raise ConfigError(
                f"{self.name}: has labels in {self.label_range}, its calibration in "
                f"{self.calibration.label_range}; calibrate it again"
            )

    @property
    def thresholds(self) -> Thresholds:
        """When a score deserves less trust: as calibrated, else the defaults."""
        return self.calibration.thresholds if self.calibration else Thresholds()

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What it was trained with; its encoders of anything else hold random weights."""
        return modalities_of(self.training)


def save_checkpoint(checkpoint: Checkpoint, path: Path, *, storage: Storage = "fp32") -> None:
    """Write the file whole or not at all, the weights in 32, 16 or 8 bits.

    Adapters have 16 bits where matrices of the network have 8.
    """
    tensors = packed(_weights(checkpoint), storage, matrices=NETWORK)
    for modality in NORMALISED:
        statistics: Normalisation = getattr(checkpoint.collate, modality)
        tensors[f"normalisation.{modality}.mean"] = torch.from_numpy(statistics.mean)
        tensors[f"normalisation.{modality}.std"] = torch.from_numpy(statistics.std)
        if statistics.project is not None:
            tensors[f"normalisation.{modality}.project"] = torch.from_numpy(statistics.project)
    if checkpoint.learned is not None:
        tensors[LEARNED] = torch.from_numpy(checkpoint.learned)
    about = {
        "format": FORMAT,
        "name": checkpoint.name,
        "network": checkpoint.network.config.to_dict(),
        "features": {m: dataclasses.asdict(getattr(checkpoint, m)) for m in NORMALISED},
        "label_range": list(checkpoint.label_range),
        "languages": list(checkpoint.languages),
        "license": checkpoint.license,
        "training": dict(checkpoint.training),
    }
    if checkpoint.calibration is not None:
        about["calibration"] = checkpoint.calibration.to_dict()
    if (adapters := checkpoint.adapters) is not None:
        about["adapters"] = {"text_encoder": adapters.text_encoder, "sha256": adapters.sha256}
    metadata = {
        "dashfusion": json.dumps(about, sort_keys=True),
        "tokenizer": checkpoint.collate.tokenizer.to_str(),
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, beside, metadata)
        rename_finished(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The tensors of the network, or of what stands on a text encoder that is left out."""
    state, adapters = checkpoint.network.state_dict(), checkpoint.adapters
    if adapters is None:
        return {f"{NETWORK}{k}": v for k, v in state.items()}
    encoder = checkpoint.network.text_encoder.bert
    factors = adapter_state(encoder) if is_adapted(encoder) else adapters.factors
    above = {f"{NETWORK}{k}": v for k, v in state.items() if not k.startswith(ENCODER)}
    return above | {f"adapters.{k}": v for k, v in factors.items()}


def load_checkpoint(path: Path, *, offline: bool = False) -> Checkpoint:
    """Read a checkpoint for use: fp32, evaluation mode, adapters merged, on the CPU.

    Args:
        path: a file that `save_checkpoint` wrote.
        offline: do not download the text encoder that adapters belong to.

    Nothing of it refers to the file, which may be written anew.

    Raises:
        CheckpointError: the file is missing, is no checkpoint of ours, or is damaged; or the text
            encoder is another than its adapters belong to.
        WeightsError: that text encoder is missing.
    """
    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error
    about = read_about(path, metadata)
    try:
        adapters = _adapters(about.get("adapters"), tensors)
        network = _build(path, about, tensors, adapters, offline=offline)
        collate = Collator(
            tokenizer=_tokenizer(metadata["tokenizer"], network.config),
            context_tokens=network.config.context_tokens,
            **{m: _statistics(tensors, m) for m in NORMALISED},
        )
        specs = {m: feature_spec(about["features"][m]) for m in NORMALISED}
        _require_fitting(collate, network.config, specs)
        low, high = about["label_range"]
        return Checkpoint(
            name=about["name"],
            network=network,
            collate=collate,
            **specs,
            label_range=(low, high),
            languages=tuple(about["languages"]),
            license=about["license"],
            training=about["training"],
            calibration=_calibration(about.get("calibration")),
            learned=tensors[LEARNED].numpy().copy() if LEARNED in tensors else None,
            adapters=adapters,
            sha256=sha256_of(path),
        )
    except (*_DAMAGE, ConfigError) as error:
        raise damaged(path, error) from error


def storage_of(path: Path) -> Storage:
    """Return how the network's weights are stored in a checkpoint file that was loaded before."""
    with safe_open(path, framework="pt") as file:
        kinds = {file.get_slice(k).get_dtype() for k in file.keys() if k.startswith(NETWORK)}  # noqa: SIM118
    return storage_of_kinds(kinds)


def _build(
    path: Path,
    about: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    adapters: Adapters | None,
    *,
    offline: bool,
) -> DashFusion:
    """Build the network around its tensors, without drawing random weights first."""
    folder = None if adapters is None else _encoder_of(adapters, path, offline=offline)
    held = sum(values.numel() for values in tensors.values())
    if folder is not None:
        held += (folder / WEIGHTS_FILE).stat().st_size
    with _Undrawn(most=held + _BESIDE):
        network = DashFusion(NetworkConfig.from_dict(about["network"]))
    state = _named(NETWORK, tensors)
    if adapters is not None and folder is not None:
        weights = encoder_weights(folder, network.text_encoder.bert.state_dict())
        whole = merged(weights, adapters.factors)
        state |= {f"{ENCODER}{name}": weight for name, weight in whole.items()}
    kinds = {name: own.is_floating_point() for name, own in network.state_dict().items()}
    for name, values in state.items():
        require_finite(name, values)
        if values.is_floating_point() != kinds.get(name, values.is_floating_point()):
            raise ValueError(f"{name} holds numbers of another kind")
    network.load_state_dict(state)
    return network.eval()


def _named(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, without it, in full precision."""
    return unpacked({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def _adapters(
    about: Mapping[str, Any] | None, tensors: Mapping[str, torch.Tensor]
) -> Adapters | None:
    """Read the adapters, where there are any."""
    return None if about is None else Adapters(**about, factors=_named("adapters.", tensors))


def _encoder_of(adapters: Adapters, path: Path, *, offline: bool) -> Path:
    """Find the text encoder that adapters belong to.

    Raises:
        CheckpointError: there is another in its place.
        WeightsError: it is missing.
    """
    folder = locate_folder(adapters.text_encoder, offline=offline)
    found = file_sha256(folder / WEIGHTS_FILE)
    if found != adapters.sha256:
        raise CheckpointError(
            f"{path}: belongs to the text encoder {adapters.text_encoder} with SHA-256 "
            f"{adapters.sha256[:12]}…, but {folder / WEIGHTS_FILE} has {found[:12]}…; put the "
            "former there, or train again"
        )
    return folder


# By name: transformers puts functions of its own in the place of PyTorch's.
_DRAWING = frozenset({"normal_", "uniform_", "trunc_normal_", "kaiming_uniform_"})
_MAKING = frozenset({"empty", "zeros", "ones", "full", "rand", "randn"})
_UNUSUAL = "a 1 \u2603 \u6f22 \U0001fae0"  # of characters that not every vocabulary has
_BESIDE = 1 << 20  # numbers of a network that are not among its weights, such as 0, 1, 2, …


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of random weights, which takes longer than reading the true ones.

    It makes room for no more than `most` numbers: a configuration may ask for far more than the
    file has.
    """

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call `func`, unless it fills a tensor at random or makes too large a one.

        Raises:
            ValueError: the tensors made so far and this one have too many numbers.
        """
        named = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _DRAWING:
            return args[0] if args else named["tensor"]
        if name in _MAKING:
            size = named.get("size", args[0] if args and not isinstance(args[0], int) else args)
            self.left -= math.prod(size)
            if self.left < 0:
                raise ValueError("its configuration asks for more weights than it has")
        return func(*args, **named)


def _tokenizer(serialized: str, config: NetworkConfig) -> Tokenizer:
    """Read a tokenizer, and try it.

    Raises:
        ValueError: it fails, or has word pieces that the text encoder does not know.
    """
    try:
        tokenizer = load_tokenizer(serialized)
        tokenizer.encode(_UNUSUAL)
    except Exception as error:  # it raises nothing more precise
        raise ValueError(f"tokenizer: {error}") from error
    known = config.text_encoder.get("vocab_size")
    if known is not None and max(tokenizer.get_vocab().values(), default=0) >= known:
        raise ValueError(f"tokenizer: has word pieces beyond the {known} of the text encoder")
    return tokenizer


def _require_fitting(
    collate: Collator, config: NetworkConfig, specs: Mapping[str, FeatureSpec]
) -> None:
    """Refuse statistics that no features have, or that make others of them than are read.

    Raises:
        ValueError: saying of which modality.
    """
    for modality, spec in specs.items():
        of: Normalisation = getattr(collate, modality)
        if of.mean.shape != of.std.shape or of.mean.shape != (spec.dims,):
            raise ValueError(f"the normalisation of {modality} is not one of its features")
        if of.read != getattr(config, f"{modality}_dims"):
            raise ValueError(f"the normalisation of {modality} does not fit the network")
        if not (of.std > 0).all():
            raise ValueError(f"the normalisation of {modality} divides by what is not above 0")


def _statistics(tensors: Mapping[str, torch.Tensor], modality: str) -> Normalisation:
    prefix = f"normalisation.{modality}"
    for name in (n for n in tensors if n.startswith(prefix)):
        require_finite(name, tensors[name])
    project = tensors.get(f"{prefix}.project")
    return Normalisation(
        mean=tensors[f"{prefix}.mean"].numpy().copy(),
        std=tensors[f"{prefix}.std"].numpy().copy(),
        project=None if project is None else project.numpy().copy(),
    )


def _calibration(values: Mapping[str, Any] | None) -> Calibration | None:
    """Read what older files lack."""
    return None if values is None else Calibration.from_dict(values)
