"""What training minimises: squared error and the contrastive terms (paper III-C, III-D, III-F)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dashfusion_models.network.dashfusion import Aligned, DashFusion
from dashfusion_models.network.lengths import length_groups
from dashfusion_models.network.sequence import Batch, Sequence
from dashfusion_models.records import MODALITIES, Modality, Streams

__all__ = ["Companions", "Compared", "ContrastiveConfig", "Objective", "contrastive_loss"]

FEWEST_TOKENS = 512  # of all streams of the samples that are aligned together
AUTHORS_ENTRIES = 22  # entries that the code averages; 12 of them are constant zero


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Which pairs are live and how they are weighed (paper III-C and III-D).

    `semantic` and `supervised` say which of the two kinds there are. `h_compared` is whether H is
    a space of the supervised pairs: without temporal alignment it is the same for all samples.
    """

    weight: float = 0.2  # paper, eq. 12: λ
    temperature: float = 0.5  # paper: τ
    semantic_negatives: Literal["text", "cross"] = "text"
    reduction: Literal["authors", "sum"] = "authors"
    semantic: bool = True
    supervised: bool = True
    h_compared: bool = True


@dataclass(frozen=True)
class Companions:
    """Rows, among the encoded samples, of each anchor and of the six that were drawn for it.

    -1 stands for a companion that could not be found (a class of one).
    """

    anchors: Int[Tensor, " b"]
    positives: Int[Tensor, "b 2"]
    negatives: Int[Tensor, "b 4"]


@dataclass(frozen=True)
class _Space:
    """Unit features of one space, and which rows have them."""

    features: Float[Tensor, "n d"]
    here: Bool[Tensor, " n"]


@dataclass(frozen=True)
class Compared:
    """What the contrastive terms compare: X̄_m and H̄ of `n` samples, and what each sample has.

    `own` is False for a stream that another sample lent: it is not of the moment of the words, and
    the class of the sample's label is not its. Neither it nor the H that read it is compared. None
    means that nothing was lent.
    """

    means: Streams[Float[Tensor, "n d"]]
    h_first: Float[Tensor, "n d"]
    present: Streams[Bool[Tensor, " n"]]
    own: Streams[Bool[Tensor, " n"]] | None = None

    @classmethod
    def of(
        cls,
        parts: list[Aligned],
        order: Int[Tensor, " n"],
        present: Streams[Bool[Tensor, " n"]],
        own: Streams[Bool[Tensor, " n"]] | None = None,
    ) -> Compared:
        """Join what stands before the fusion; `order` names the samples of the parts in turn."""
        place = torch.argsort(order)
        means = {m: torch.cat([part.means[m] for part in parts])[place] for m in MODALITIES}
        return cls(
            means=Streams(**means).map(lambda x: x.float()),
            h_first=torch.cat([part.h_first for part in parts])[place].float(),
            present=present,
            own=own,
        )


class Objective(nn.Module):
    """Prediction error plus λ times the contrastive terms (paper, eq. 10 and 12).

    A module, so that DistributedDataParallel can carry it. Companions are encoded and aligned like
    anchors, with gradient; they skip fusion and head.
    """

    def __init__(
        self,
        network: DashFusion,
        config: ContrastiveConfig,
        *,
        prediction: Callable[[Tensor, Tensor, Tensor], Tensor],
        autocast: torch.dtype | None,
    ) -> None:
        """Compare by `prediction`: scores, labels and which samples have words, to a loss.

        `autocast` is None for full precision.
        """
        super().__init__()
        self.network = network
        self.config = config
        self.prediction = prediction
        self.autocast = autocast

    def forward(
        self,
        batch: Batch,
        companions: Companions,
        labels: Float[Tensor, " b"],
        own: Streams[Bool[Tensor, " n"]],
    ) -> Float[Tensor, ""]:
        """The loss of the anchors of `batch`; their order is that of `labels`.

        `own` says which streams were not lent (`Compared`).
        """
        with torch.autocast(labels.device.type, self.autocast, enabled=self.autocast is not None):
            encoded = self.network.encode(batch)
            groups = self._groups(batch)
            parts = [self._aligned(encoded, batch.present, group) for group in groups]
            compared = Compared.of(parts, torch.cat(groups), batch.present, own)
            scores = self._scores(parts, groups, companions.anchors)
        worded = batch.present.text[companions.anchors]
        loss = self.prediction(scores.float(), labels, worded)
        if not self.config.weight:
            return loss
        return loss + self.config.weight * contrastive_loss(compared, companions, self.config)

    def _groups(self, batch: Batch) -> list[Int[Tensor, " _k"]]:
        """Samples of like length, whose alignment and fusion are computed together.

        All three streams count: a long voice beside a short one is padding too.
        """
        streams = (getattr(batch, m) for m in MODALITIES)
        here = (batch.present[m] for m in MODALITIES)
        lengths = torch.stack(
            [stream.real.sum(dim=1) * there for stream, there in zip(streams, here, strict=True)]
        ).sum(dim=0)
        groups = length_groups(lengths.cpu().numpy(), fewest=FEWEST_TOKENS)
        return [torch.from_numpy(group).to(lengths.device) for group in groups]

    def _aligned(
        self,
        encoded: Streams[Sequence],
        present: Streams[Bool[Tensor, " n"]],
        group: Int[Tensor, " k"],
    ) -> Aligned:
        streams = encoded.map(lambda stream: stream.rows(group))
        return self.network.align(streams, present.map(lambda here: here[group]))

    def _scores(
        self, parts: list[Aligned], groups: list[Int[Tensor, " _k"]], anchors: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """Fuse and score the anchors, group by group, and return them in their own order."""
        scores, order = [], []
        for part, group in zip(parts, groups, strict=True):
            anchor, row = (anchors[:, None] == group[None]).nonzero(as_tuple=True)
            if len(row):
                scores.append(self.network.fuse(part.rows(row)))
                order.append(anchor)
        return torch.cat(scores)[torch.argsort(torch.cat(order))]


def contrastive_loss(
    compared: Compared, companions: Companions, config: ContrastiveConfig
) -> Float[Tensor, ""]:
    """Mean over the anchors of the sum of their live pairs (eq. 5 and 11).

    A pair is live where the modality of its anchor and of its positive is there and not lent. `n`
    samples were encoded, anchors and companions together.
    """
    spaces = _spaces(compared)
    total = torch.zeros(len(companions.anchors), device=compared.h_first.device)
    for anchor, positive, positives, negative in _pairs(companions, config):
        total = total + _pair_loss(
            anchor=(spaces[anchor], companions.anchors),
            positive=(spaces[positive], positives),
            negatives=(spaces[negative], companions.negatives),
            temperature=config.temperature,
        )
    if config.reduction == "authors":
        total = total / AUTHORS_ENTRIES
    return total.mean()


def _pairs(
    companions: Companions, config: ContrastiveConfig
) -> Iterator[tuple[str, str, Int[Tensor, " b"], str]]:
    """Yield (anchor's space, positive's space, positives' rows, negatives' space): 10 in full."""
    others: tuple[Modality, ...] = ("vision", "audio")
    if config.semantic:
        for modality in others:
            negatives = "text" if config.semantic_negatives == "text" else modality
            yield "text", modality, companions.anchors, negatives
    if config.supervised:
        for space in ("text", "vision", "audio", *(("h",) if config.h_compared else ())):
            for k in range(companions.positives.shape[1]):
                yield space, space, companions.positives[:, k], space


def _spaces(compared: Compared) -> dict[str, _Space]:
    """The four spaces T, A, V and H; H asks on behalf of the text, so it needs one."""
    here, h_here = compared.present, compared.present.text
    if compared.own is not None:
        for m, own in compared.own.items():
            h_here = h_here & (own | ~here[m])
            here = replace(here, **{m: here[m] & own})
    spaces: dict[str, _Space] = {
        m: _Space(F.normalize(features, dim=-1), here[m]) for m, features in compared.means.items()
    }
    return {**spaces, "h": _Space(F.normalize(compared.h_first, dim=-1), h_here)}


def _pair_loss(
    *,
    anchor: tuple[_Space, Int[Tensor, " b"]],
    positive: tuple[_Space, Int[Tensor, " b"]],
    negatives: tuple[_Space, Int[Tensor, "b k"]],
    temperature: float,
) -> Float[Tensor, " b"]:
    """-log(e^(s+/τ) / (e^(s+/τ) + Σ e^(s-/τ))), zero where the pair is not live; s = cosine."""
    a, a_here = _take(*anchor)
    p, p_here = _take(*positive)
    n, n_here = _take(*negatives)
    closeness = (a * p).sum(-1) / temperature
    distance = torch.einsum("bd,bkd->bk", a, n) / temperature
    distance = distance.masked_fill(~n_here, -torch.inf)
    loss = torch.logsumexp(torch.cat([closeness[:, None], distance], dim=1), dim=1) - closeness
    return torch.where(a_here & p_here, loss, torch.zeros_like(loss))


def _take(space: _Space, rows: Int[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Features of some rows, and whether each is there; -1 is never there."""
    found = rows.clamp(min=0)
    return space.features[found], space.here[found] & (rows >= 0)
