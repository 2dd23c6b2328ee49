"""The shape of a network: a frozen record that refuses nonsense and travels in the checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from dashfusion_models.errors import ConfigError

__all__ = ["NetworkConfig", "NormOrder"]

NormOrder = Literal["post", "authors"]

# The largest sizes that are built; far more than any network of this kind has.
_MOST = {
    "audio_dims": 100_000,
    "vision_dims": 100_000,
    "audio_steps": 100_000,
    "vision_steps": 100_000,
    "width": 8_192,
    "heads": 256,
    "alignment_head_width": 8_192,
    "encoder_layers": 100,
    "fusion_layers": 100,
    "bottleneck": 10_000,
    "context_tokens": 100_000,
    "frame_bottleneck": 8_192,
}
_MAY_BE_0 = ("context_tokens", "frame_bottleneck")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Widths, depths and dropouts (METHOD.md sections 1 to 5).

    `text_encoder` is the configuration of a transformers model, as its config.json says it.
    `audio_steps` and `vision_steps` are the longest sequences that positions are learned for.
    """

    text_encoder: Mapping[str, Any] = field(hash=False)
    audio_dims: int
    vision_dims: int
    audio_steps: int = 500
    vision_steps: int = 500
    width: int = 128  # d, shared by the three streams
    heads: int = 8
    alignment_head_width: int = 32  # the code's; 256 wide in all
    encoder_layers: int = 2
    fusion_layers: int = 2
    bottleneck: int = 8  # p, the tokens of the first fusion layer
    context_tokens: int = 0  # word pieces said before that the text encoder sees too (ours)
    fusion: str = "hbf"  # a key of FUSIONS in fusions.py
    temporal_alignment: bool = True  # False: H is p learned tokens (paper, table IV)
    near_in_time: bool = False  # what is near a word in time reaches it more easily (ours)
    norm_order: NormOrder = "post"
    position_dropout: float = 0.1
    encoder_dropout: float = 0.5  # the code's constructor default, probably not meant
    frame_bottleneck: int = 0  # numbers a step of audio and of vision goes through; 0: none (ours)
    feature_dropout: float = 0.0  # of audio and vision features, in all steps of a sample (ours)

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built, or that no network of this kind has."""
        if not isinstance(self.text_encoder, Mapping):
            raise ConfigError("text_encoder: is not the configuration of a model; give a mapping")
        for name, most in _MOST.items():
            _require_size(name, getattr(self, name), most, least=int(name not in _MAY_BE_0))
        if self.width % self.heads:
            raise ConfigError(
                f"width {self.width}: is not a multiple of heads {self.heads}; change one of them"
            )
        for name in ("position_dropout", "encoder_dropout", "feature_dropout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ConfigError(f"{name}: is {value!r}; it must be in [0, 1)")
        if self.norm_order not in get_args(NormOrder):
            raise ConfigError(
                f"norm_order: {self.norm_order!r} is unknown; "
                f"use {' or '.join(get_args(NormOrder))}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return {**dataclasses.asdict(self), "text_encoder": dict(self.text_encoder)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: a key is unknown or missing, or a value makes no sense.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"network key {unknown[0]!r}: is unknown; known keys: {', '.join(sorted(known))}"
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"network: {error}; give every key that has no default") from error


def _require_size(name: str, value: object, most: int, *, least: int) -> None:
    """Refuse what is no whole number from `least` to `most`."""
    if type(value) is not int:
        raise ConfigError(f"{name}: is {value!r}; it must be a whole number")
    if value < least:
        raise ConfigError(f"{name}: is {value}; it must be at least {least}")
    if value > most:
        raise ConfigError(f"{name}: is above {most}, the largest that is built; set it lower")
