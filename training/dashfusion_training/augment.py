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


def augmented(batch: Batch, *, noise: float, drop: float) -> Batch:
    """Disturb the audio and vision frames of a batch on the CPU.

    `noise` is the deviation of what is added to every value; `drop` is the share of steps that are
    hidden, never all. Random numbers come from torch's generator, which every step of a
    training seeds anew.
    """
    if not (noise or drop):
        return batch
    return replace(
        batch,
        audio=_disturbed(batch.audio, noise, drop),
        vision=_disturbed(batch.vision, noise, drop),
    )


def _disturbed(x: Sequence, noise: float, drop: float) -> Sequence:
    moved: Float[Tensor, "b t d"] = x.values + noise * torch.randn_like(x.values)
    kept = x.real & (torch.rand(x.real.shape) >= drop)
    real = torch.where(kept.any(dim=1, keepdim=True), kept, x.real)
    return Sequence(values=moved * real.unsqueeze(-1), real=real)
