"""Ablations that would change nothing are refused, not trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dashfusion_models.errors import ConfigError
from dashfusion_models.store import Row, Store
from dashfusion_training.config import ABLATIONS, TrainConfig

__all__ = ["require_compared", "require_effect"]

LEAVE_IT = "leave this ablation out"


def require_effect(parts: Collection[str], config: TrainConfig) -> None:
    """Refuse to leave out what the settings do without already.

    Args:
        parts: names of ABLATIONS.
        config: the settings before anything is left out.

    Raises:
        ConfigError: one of the parts is not there.
    """
    for part in parts:
        compares = ABLATIONS[part].keys() & {"semantic_alignment", "supervised_contrast"}
        if compares and not config.contrastive_weight:
            raise ConfigError(
                f"{part}: nothing is compared with contrastive_weight = 0; set it to 0.2, or "
                f"{LEAVE_IT}"
            )
        if part == "hbf" and config.fusion == ABLATIONS[part]["fusion"]:
            raise ConfigError(f"{part}: the fusion is {config.fusion} already; {LEAVE_IT}")


def require_compared(
    parts: Collection[str], config: TrainConfig, stores: Mapping[str, Store]
) -> None:
    """Refuse to leave out pairs of which the training samples have none.

    Args:
        parts: names of ABLATIONS.
        config: the settings of the training.
        stores: its data sets.

    Raises:
        ConfigError: there is nothing to leave out.
    """
    rows = [row for store in stores.values() for row in store.rows if row.split == "train"]
    for part in parts:
        if "semantic_alignment" in ABLATIONS[part] and not any(
            _reads(row, "text", config) and _has_frames(row, config) for row in rows
        ):
            raise ConfigError(
                f"{part}: no training sample has words with a voice or a face to be aligned with; "
                f"{LEAVE_IT}"
            )
        if (
            "supervised_contrast" in ABLATIONS[part]
            and config.companions_of != "all"
            and not any(_has_frames(row, config) for row in rows)
        ):
            raise ConfigError(
                f"{part}: no training sample has a voice or a face, and texts alone are not "
                f"compared with companions_of = {config.companions_of!r}; set it to 'all', or "
                f"{LEAVE_IT}"
            )


def _has_frames(row: Row, config: TrainConfig) -> bool:
    return _reads(row, "audio", config) or _reads(row, "vision", config)


def _reads(row: Row, modality: str, config: TrainConfig) -> bool:
    there = row.text is not None if modality == "text" else bool(getattr(row, modality))
    return there and modality in config.modalities
