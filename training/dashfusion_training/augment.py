"""Small untruths in voices and faces, so that they are not learned by heart.

All in units of the features' standard deviations over the training data; padding and steps in
which nothing was observed stay zero.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from dashfusion_models.network.sequence import Batch, Sequence

__all__ = ["augmented"]


def augmented(batch: Batch, *, noise: float, drop: float, shift: float = 0.0) -> Batch:
    """Disturb the audio and vision frames of a batch on the CPU.

    `noise` is the deviation of what is added to every value, `shift` of what is added to a feature
    in all steps of a sample alike, as another person or microphone would; `drop` is the share of
    steps that are hidden, never all. Random numbers come from torch's generator, which every step
    of a training seeds anew.
    """
    if not (noise or drop or shift):
        return batch
    return replace(
        batch,
        audio=_disturbed(batch.audio, noise, drop, shift),
        vision=_disturbed(batch.vision, noise, drop, shift),
    )


def _disturbed(x: Sequence, noise: float, drop: float, shift: float) -> Sequence:
    moved: Float[Tensor, "b t d"] = x.values + noise * torch.randn_like(x.values)
    if shift:
        moved = moved + shift * torch.randn_like(x.values[:, :1])
    kept = x.real & (torch.rand(x.real.shape) >= drop)
    real = torch.where(kept.any(dim=1, keepdim=True), kept, x.real)
    return Sequence(values=moved * real.unsqueeze(-1), real=real)
