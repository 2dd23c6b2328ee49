"""The contrastive terms against the formula written with loops."""

import math

import pytest
import torch

from dashfusion_models.network.dashfusion import Aligned
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import Streams
from dashfusion_training.objective import Companions, ContrastiveConfig, contrastive_loss

N, D, TAU = 9, 6, 0.5


def planted(seed: int = 0) -> tuple[Aligned, Streams[torch.Tensor], Companions]:
    draw = torch.Generator().manual_seed(seed)

    def features() -> torch.Tensor:
        return torch.randn(N, D, generator=draw)

    means = Streams(text=features(), audio=features(), vision=features())
    h = Sequence(values=features()[:, None], real=torch.ones(N, 1, dtype=torch.bool))
    everything = Streams(*(torch.ones(N, dtype=torch.bool) for _ in range(3)))
    companions = Companions(
        anchors=torch.tensor([0, 1]),
        positives=torch.tensor([[2, 3], [4, 2]]),
        negatives=torch.tensor([[5, 6, 7, 8], [5, 3, 8, 6]]),
    )
    return Aligned(streams=means.map(lambda _: h), h=h, means=means), everything, companions


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def by_loops(
    aligned: Aligned,
    present: Streams[torch.Tensor],
    companions: Companions,
    *,
    cross: bool = False,
    semantic: bool = True,
    supervised: bool = True,
) -> float:
    space = {**dict(aligned.means.items()), "h": aligned.h_first}
    here = {**dict(present.items()), "h": present.text}
    total = 0.0
    for row, i in enumerate(companions.anchors.tolist()):
        negatives = companions.negatives[row].tolist()
        pairs = []
        if semantic:
            for other in ("vision", "audio"):
                pairs.append(("text", i, other, i, other if cross else "text"))
        if supervised:
            for s in ("text", "vision", "audio", "h"):
                pairs += [(s, i, s, p, s) for p in companions.positives[row].tolist()]
        for anchor_space, a, positive_space, p, negative_space in pairs:
            if p < 0 or not here[anchor_space][a] or not here[positive_space][p]:
                continue
            top = math.exp(cosine(space[anchor_space][a], space[positive_space][p]) / TAU)
            bottom = top + sum(
                math.exp(cosine(space[anchor_space][a], space[negative_space][n]) / TAU)
                for n in negatives
                if n >= 0 and here[negative_space][n]
            )
            total += -math.log(top / bottom)
    return total / len(companions.anchors)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize(("semantic", "supervised"), [(True, True), (True, False), (False, True)])
def test_sum_over_pairs(cross: bool, semantic: bool, supervised: bool) -> None:
    aligned, present, companions = planted()
    config = ContrastiveConfig(
        semantic_negatives="cross" if cross else "text",
        reduction="sum",
        semantic=semantic,
        supervised=supervised,
    )
    expected = by_loops(
        aligned, present, companions, cross=cross, semantic=semantic, supervised=supervised
    )
    loss = contrastive_loss(aligned, present, companions, config)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_authors_reduction_divides_by_22() -> None:
    aligned, present, companions = planted()
    loss = contrastive_loss(aligned, present, companions, ContrastiveConfig())
    assert float(loss) == pytest.approx(by_loops(aligned, present, companions) / 22, rel=1e-5)


def test_absent_modalities_and_missing_companions_leave_their_pairs_out() -> None:
    aligned, present, companions = planted()
    present.audio[0] = False
    present.text[3] = False
    present.vision[5] = False
    companions.positives[1, 0] = -1
    companions.negatives[1, 2] = -1
    config = ContrastiveConfig(reduction="sum")
    loss = contrastive_loss(aligned, present, companions, config)
    assert float(loss) == pytest.approx(by_loops(aligned, present, companions), rel=1e-5)


def test_a_closer_positive_costs_less() -> None:
    aligned, present, companions = planted()
    before = contrastive_loss(aligned, present, companions, ContrastiveConfig())
    aligned.means.text[2] = aligned.means.text[0]
    after = contrastive_loss(aligned, present, companions, ContrastiveConfig())
    assert after < before
