"""What the network reads and passes on: padded tensors that carry their masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dashfusion_models.records import Modality, Streams

__all__ = ["MAX_WORD_PIECES", "Batch", "Pieces", "Sequence", "Tokens", "masked_mean"]


MAX_WORD_PIECES = 128  # of a text, [CLS] and [SEP] counted


@dataclass(frozen=True)
class Sequence:
    """`b` sequences padded to one length; `real` is True where there is something to attend to."""

    values: Float[Tensor, "b t d"]
    real: Bool[Tensor, "b t"]

    @property
    def first(self) -> Float[Tensor, "b d"]:
        """The first token of each sequence."""
        return self.values[:, 0]

    def rows(self, index: Int[Tensor, " n"]) -> Sequence:
        """The sequences of some samples, cut to the longest among them."""
        real = self.real[index]
        steps = _longest(real)
        return Sequence(values=self.values[index, :steps], real=real[:, :steps])

    def to(self, device: torch.device) -> Sequence:
        """The same on another device."""
        return Sequence(values=self.values.to(device), real=self.real.to(device))


@dataclass(frozen=True)
class Tokens:
    """`b` texts as word pieces, [CLS] first and [SEP] last, padded to one length.

    `before` are the word pieces of what was said before each text, [SEP] last, where the network
    reads context: the text encoder sees them, the stream does not hold them.
    """

    ids: Int[Tensor, "b t"]
    real: Bool[Tensor, "b t"]
    before: Tokens | None = None

    def rows(self, index: Int[Tensor, " n"]) -> Tokens:
        """The texts of some samples, cut to the longest among them."""
        real = self.real[index]
        steps = _longest(real)
        before = self.before.rows(index) if self.before is not None else None
        return Tokens(ids=self.ids[index, :steps], real=real[:, :steps], before=before)

    def to(self, device: torch.device) -> Tokens:
        """The same on another device."""
        before = self.before.to(device) if self.before is not None else None
        return Tokens(ids=self.ids.to(device), real=self.real.to(device), before=before)

    def pieces(self) -> Pieces:
        """Each text with its context behind it, as a BERT reads two texts."""
        b, t = self.ids.shape
        place = torch.arange(t, device=self.ids.device)
        own = Pieces(
            ids=self.ids,
            real=self.real,
            positions=place.expand(b, t),
            kinds=torch.zeros_like(self.ids),
        )
        if self.before is None:
            return own
        ends = ((place + 1) * self.real).amax(dim=1, keepdim=True)  # gaps keep their positions
        later = torch.arange(self.before.ids.shape[1], device=self.ids.device)
        return Pieces(
            ids=torch.cat([own.ids, self.before.ids], dim=1),
            real=torch.cat([own.real, self.before.real], dim=1),
            positions=torch.cat([own.positions, ends + later], dim=1),
            kinds=torch.cat([own.kinds, torch.ones_like(self.before.ids)], dim=1),
        )


@dataclass(frozen=True)
class Pieces:
    """Word pieces as a text encoder reads them: with their positions and which text they are of."""

    ids: Int[Tensor, "b t"]
    real: Bool[Tensor, "b t"]
    positions: Int[Tensor, "b t"]
    kinds: Int[Tensor, "b t"]  # 0: the text itself, 1: what was said before it


@dataclass(frozen=True)
class Batch:
    """`b` samples. A modality that a sample lacks is False in `present`; its row is padding.

    `text` may be encoded already, where the text encoder is not trained.
    """

    text: Tokens | Sequence
    audio: Sequence
    vision: Sequence
    present: Streams[Bool[Tensor, " b"]]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.present.text)

    def rows(self, index: Int[Tensor, " n"]) -> Batch:
        """Some samples, each modality cut to the longest among them."""
        return Batch(
            text=self.text.rows(index),
            audio=self.audio.rows(index),
            vision=self.vision.rows(index),
            present=self.present.map(lambda here: here[index]),
        )

    def without(self, *modalities: Modality) -> Batch:
        """The same samples with some modalities marked as absent."""
        gone = {m: torch.zeros_like(self.present[m]) for m in modalities}
        return replace(self, present=replace(self.present, **gone))

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(
            text=self.text.to(device),
            audio=self.audio.to(device),
            vision=self.vision.to(device),
            present=self.present.map(lambda here: here.to(device)),
        )


def masked_mean(x: Float[Tensor, "b t d"], real: Bool[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """Mean over the real steps of each sample; zeros where a sample has none."""
    weight = real.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def _longest(real: Bool[Tensor, "b t"]) -> int:
    """Steps up to the last real one of any row, at least 1."""
    used = real.any(dim=0).nonzero()
    return int(used[-1]) + 1 if len(used) else 1
