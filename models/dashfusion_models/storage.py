"""How a checkpoint stores its weights: in 32 or 16 bits a number, or matrices in 8.

In 8 bits each row of a matrix is whole numbers from -127 to 127 and one scale, which is kept beside
it (`<name>.row_scale`); what is no matrix has 16 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["STORAGES", "Storage", "packed", "require_finite", "storage_of_kinds", "unpacked"]

Storage = Literal["fp32", "fp16", "int8"]
STORAGES: tuple[Storage, ...] = get_args(Storage)

ROW_SCALE = ".row_scale"
SCALE_STEPS = 1 << 16  # of the fraction of a scale; with the 7 bits of LARGEST they fit 24
LARGEST = 127  # of the whole numbers; -128 would have no counterpart


def packed(
    weights: Mapping[str, Tensor], storage: Storage, *, matrices: str = ""
) -> dict[str, Tensor]:
    """Return the tensors that stand for `weights` in a file.

    Args:
        weights: what is to be stored, by name.
        storage: how.
        matrices: with "int8", only matrices whose names begin so have 8 bits.
    """
    stored: dict[str, Tensor] = {}
    for name, values in weights.items():
        if storage == "fp32" or not values.is_floating_point():
            stored[name] = values
        elif storage == "int8" and values.ndim == 2 and name.startswith(matrices):
            stored[name], stored[f"{name}{ROW_SCALE}"] = _in_rows(values.float())
        else:
            stored[name] = values.half()
    return stored


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that `packed` stored, in full precision.

    Raises:
        KeyError: the scale of a matrix is missing.
        ValueError: it does not fit.
    """
    weights: dict[str, Tensor] = {}
    for name, values in stored.items():
        if name.endswith(ROW_SCALE):
            continue
        if values.dtype == torch.int8:
            scale = stored[f"{name}{ROW_SCALE}"]
            if scale.shape != values.shape[:1]:
                raise ValueError(f"the scale of {name} does not fit")
            weights[name] = values.float().mul_(scale.float().unsqueeze(1))
        else:
            weights[name] = values.float() if values.is_floating_point() else values
    return weights


def require_finite(name: str, values: Tensor) -> None:
    """Refuse tensors that hold something else than finite numbers.

    Raises:
        ValueError: they hold infinities, or what is not a number at all.
    """
    # A sum of finite numbers may overflow; then, and only then, each of them is looked at.
    if not torch.isfinite(values.sum()) and not torch.isfinite(values).all():
        raise ValueError(f"{name} holds weights that are not finite numbers")


def storage_of_kinds(kinds: Collection[str]) -> Storage:
    """Return how weights are stored that have these kinds of numbers, as safetensors calls them."""
    return "int8" if "I8" in kinds else "fp16" if "F16" in kinds else "fp32"


def _in_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers and the scale of each row; a row of zeros has the scale 1.

    Scales are rounded up to so few bits that LARGEST times one is exact: what is stored again is
    the same.
    """
    fraction, exponent = torch.frexp(values.abs().amax(dim=1) / LARGEST)
    scale = torch.ldexp((fraction * SCALE_STEPS).ceil() / SCALE_STEPS, exponent)
    scale[scale == 0] = 1.0
    return torch.round(values / scale.unsqueeze(1)).to(torch.int8), scale
