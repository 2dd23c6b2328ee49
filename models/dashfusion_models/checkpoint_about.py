"""What a checkpoint says of itself, read without its network and without PyTorch.

Enough to refuse a wrong file at once, and to begin work while the network is being loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from dashfusion_models.errors import CheckpointError
from dashfusion_models.records import MODALITIES, FeatureSpec, Modality

if TYPE_CHECKING:
    from dashfusion_models.checkpoint import Checkpoint

__all__ = [
    "FORMAT",
    "NORMALISED",
    "CheckpointFacts",
    "checkpoint_facts",
    "checkpoint_head",
    "damaged",
    "feature_spec",
    "modalities_of",
    "read_about",
    "require_features",
    "require_file",
    "unreadable",
]

FORMAT = "dashfusion/checkpoint/1"
NORMALISED = ("audio", "vision")
_FARTHEST_LABEL = 1e6  # from 0


@dataclass(frozen=True, kw_only=True)
class CheckpointFacts:
    """What a file must be known for before its utterances are cut (see `Checkpoint`).

    `text_encoder` names the one that its adapters belong to; None where the file holds it whole.
    """

    audio: FeatureSpec
    vision: FeatureSpec
    languages: tuple[str, ...]
    modalities: tuple[Modality, ...]
    text_encoder: str | None = None


def checkpoint_head(path: Path) -> dict[str, Any]:
    """Return all that a checkpoint says of itself, as JSON has it; no tensor is read.

    Raises:
        CheckpointError: the file is missing, or is no checkpoint of ours.
    """
    require_file(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error
    return read_about(path, metadata)


def checkpoint_facts(path: Path) -> CheckpointFacts:
    """Read the head of a checkpoint.

    Raises:
        CheckpointError: the file is missing, is no checkpoint of ours, or its head is damaged.
    """
    about = checkpoint_head(path)
    return CheckpointFacts(
        **{m: feature_spec(about["features"][m]) for m in NORMALISED},
        languages=tuple(about["languages"]),
        modalities=modalities_of(about["training"]),
        text_encoder=(about.get("adapters") or {}).get("text_encoder"),
    )


def require_file(path: Path) -> None:
    """Refuse a path at which there is no file."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint; give a file or a name of `weights list`"
        )


def unreadable(path: Path, error: Exception) -> CheckpointError:
    """Say that a file is nothing of the kind."""
    return CheckpointError(f"{path}: is not a checkpoint ({error}); give a file that `train` wrote")


def damaged(path: Path, error: Exception) -> CheckpointError:
    """Say that a checkpoint cannot be used, by the first line of what went wrong with it."""
    said = str(error).strip().splitlines()
    fact = said[0] if said and not isinstance(error, KeyError) else repr(error)
    return CheckpointError(
        f"{path}: is damaged or of another version ({fact}); train or fetch it again"
    )


def modalities_of(training: Mapping[str, Any]) -> tuple[Modality, ...]:
    """What a network was trained with, by the record of its training."""
    named = training.get("config", {}).get("modalities") or MODALITIES
    return tuple(m for m in MODALITIES if m in named)


def require_features(
    checkpoint: CheckpointFacts | Checkpoint,
    path: Path | str,
    *,
    audio: FeatureSpec,
    vision: FeatureSpec,
) -> None:
    """Refuse a checkpoint that was made for other features than those at hand.

    Raises:
        CheckpointError: naming both.
    """
    for modality, ours in (("audio", audio), ("vision", vision)):
        theirs: FeatureSpec = getattr(checkpoint, modality)
        if theirs != ours:
            raise CheckpointError(
                f"{path}: was made for {modality} features {_name(theirs)}, but these are "
                f"{_name(ours)}; use a checkpoint trained on the latter"
            )


def read_about(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read the JSON among a file's metadata; refuse what is none of ours, or makes no sense."""
    try:
        about: dict[str, Any] = json.loads(metadata["dashfusion"])
        found = about["format"]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: is not a dashfusion checkpoint; give a file that `train` wrote"
        ) from error
    if found != FORMAT:
        raise CheckpointError(
            f"{path}: has format {ascii(found)[:40]}; this version reads {FORMAT}"
        )
    try:
        _require_sense(about)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise damaged(path, error) from error
    return about


def _require_sense(about: Mapping[str, Any]) -> None:
    """Refuse values of another kind than `save_checkpoint` writes.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: saying which.
    """
    _require_names("name", [about["name"]])
    _require_names("license", [about["license"]])
    _require_names("languages", about["languages"])
    for modality in NORMALISED:
        spec = about["features"][modality]
        _require_names(f"{modality} features", [spec["extractor"], *spec["names"]])
        if type(spec["version"]) is not int:
            raise ValueError(f"the version of {modality} features is no number")
    if (adapters := about.get("adapters")) is not None:
        _require_names("adapters", [adapters["text_encoder"], adapters["sha256"]])
    low, high = about["label_range"]
    if type(low) is bool or not -_FARTHEST_LABEL <= low < high <= _FARTHEST_LABEL:
        raise ValueError("the label range is not two numbers, the lower one first")
    modalities_of(about["training"])


def _require_names(what: str, names: list[Any]) -> None:
    """Refuse what is no text, or holds characters that are not shown but steer what shows them."""
    for name in names:
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(f"{what}: {ascii(name)[:40]} is not a line of text")


def feature_spec(values: Mapping[str, Any]) -> FeatureSpec:
    """Read the names of features."""
    return FeatureSpec(
        extractor=values["extractor"], version=values["version"], names=tuple(values["names"])
    )


def _name(spec: FeatureSpec) -> str:
    return f"{spec.extractor} version {spec.version} ({spec.dims} a step)"
