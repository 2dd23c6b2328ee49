"""Low-rank adapters: what a training changes in the linear maps of an encoder, apart from them.

An adapted map adds `up @ down` to its weight, which stays as it is; merged, it is a plain linear
map again. Source: Hu et al., LoRA, ICLR 2022.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from dashfusion_models.errors import ConfigError

__all__ = ["SCALE", "AdaptedLinear", "adapt", "adapter_state", "is_adapted", "merged"]

SCALE = 2.0  # of up @ down (their alpha / r)
_PARTS = ("down", "up")
_LAYER = re.compile(r"\blayers?\.(\d+)\.")


class AdaptedLinear(nn.Linear):
    """A linear map whose weight and bias stay, with the two factors that learn."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        """Take the weight and the bias of `base`; at first it maps as that does."""
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.requires_grad_(False)
        self.down = nn.Parameter(self.weight.new_empty(rank, base.in_features))
        self.up = nn.Parameter(self.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, values: Float[Tensor, "*b d"]) -> Float[Tensor, "*b out"]:
        """Map, and add what was learned."""
        learned = linear(linear(values, self.down), self.up)
        return linear(values, self.weight, self.bias).add(learned, alpha=SCALE)


def adapt(encoder: nn.Module, rank: int, *, upper: int = 0) -> None:
    """Freeze `encoder` and give its linear maps adapters, in place.

    `upper` is how many of the topmost layers get them; 0: every linear map.

    Raises:
        ConfigError: no map would have one, or there are fewer layers.
    """
    layers = 1 + max(_layer_of(name) for name, _ in encoder.named_modules())
    if upper > layers:
        raise ConfigError(
            f"adapter_layers: is {upper}, but this text encoder has {layers}; set it lower"
        )
    chosen = [
        (name, module)
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and (not upper or _layer_of(name) >= layers - upper)
    ]
    if not chosen:
        raise ConfigError(
            f"adapter_rank: is {rank}, but this text encoder has no linear maps to adapt; set it "
            "to 0"
        )
    encoder.requires_grad_(False)
    for name, module in chosen:
        _put(encoder, name, AdaptedLinear(module, rank))


def is_adapted(module: nn.Module) -> bool:
    """Whether any map in it has an adapter."""
    return any(True for _ in _adapted(module))


def adapter_state(encoder: nn.Module) -> dict[str, Tensor]:
    """The factors of every adapter in `encoder`, by name."""
    return {
        f"{name}.{part}": getattr(module, part).detach()
        for name, module in _adapted(encoder)
        for part in _PARTS
    }


def merged(weights: Mapping[str, Tensor], adapters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add each adapter (a state as `adapter_state` gives it) to the weight that it belongs to.

    Raises:
        KeyError: a factor or the weight of one is missing.
        ValueError: a factor does not fit.
    """
    summed = dict(weights)
    names = {name.rsplit(".", 1)[0] for name in adapters}
    for name in sorted(names):
        down, up = (adapters[f"{name}.{part}"].float() for part in _PARTS)
        weight = weights[f"{name}.weight"].float()
        if (len(up), down.shape[1]) != tuple(weight.shape) or up.shape[1] != len(down):
            raise ValueError(f"the adapter of {name} does not fit")
        summed[f"{name}.weight"] = torch.addmm(weight, up, down, alpha=SCALE)
    return summed


def _adapted(module: nn.Module) -> Iterator[tuple[str, AdaptedLinear]]:
    for name, inside in module.named_modules():
        if isinstance(inside, AdaptedLinear):
            yield name, inside


def _layer_of(name: str) -> int:
    """The layer that a module stands in, from 0; -1 outside of layers."""
    found = _LAYER.search(f"{name}.")
    return int(found[1]) if found else -1


def _put(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    owner = root.get_submodule(parent)
    if isinstance(owner, nn.ModuleDict):
        owner[last] = module
    else:
        setattr(owner, last, module)
