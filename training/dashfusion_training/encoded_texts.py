"""Texts that are encoded once: for trainings that leave the text encoder as it is."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from dashfusion_models.collate import Collator
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Sequence, Tokens
from dashfusion_models.records import Features

__all__ = ["EncodedTexts"]


class EncodedTexts:
    """Remembers what the text encoder makes of each text with its context, without dropout.

    A text of 26 word pieces takes 13 KB at a width of 128.
    """

    def __init__(self, network: DashFusion, collate: Collator) -> None:
        """Encode with the text encoder of `network` as it is now; it must not change."""
        self._encoder, self._collate = network.text_encoder, collate
        self._known: dict[tuple[str, str | None], Float[Tensor, "t d"]] = {}

    def __call__(self, features: Several[Features]) -> Sequence:
        """The encoded texts of some samples, padded; a sample without words has none that is real.

        On the CPU, wherever the encoder is.
        """
        new = {_key(f): f for f in features if f.text is not None and _key(f) not in self._known}
        if new:
            self._encode(new)
        width = self._encoder.width
        known = [self._known[_key(f)] if f.text is not None else None for f in features]
        longest = max([1, *(len(one) for one in known if one is not None)])
        values = torch.zeros(len(features), longest, width)
        real = torch.zeros(len(features), longest, dtype=torch.bool)
        for row, one in enumerate(known):
            if one is not None:
                values[row, : len(one)] = one
                real[row, : len(one)] = True
        return Sequence(values=values, real=real)

    def _encode(self, new: dict[tuple[str, str | None], Features]) -> None:
        # Voices and faces are left out: only the words are wanted.
        only_words = [replace(f, audio=None, vision=None) for f in new.values()]
        tokens = self._collate(only_words).text
        assert isinstance(tokens, Tokens)  # a collator encodes nothing
        device = next(self._encoder.parameters()).device
        was_training = self._encoder.training
        self._encoder.eval()
        with torch.no_grad():
            encoded = self._encoder(tokens.to(device))
        self._encoder.train(was_training)
        for key, values, real in zip(new, encoded.values.cpu(), encoded.real.cpu(), strict=True):
            self._known[key] = values[real].clone()


def _key(features: Features) -> tuple[str, str | None]:
    return features.text or "", features.context
