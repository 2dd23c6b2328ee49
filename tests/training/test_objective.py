"""The contrastive terms against the formula written with loops."""

import dataclasses
import math

import pytest
import torch

from dashfusion_models.records import Streams
from dashfusion_training.objective import Companions, Compared, ContrastiveConfig, contrastive_loss

N, D, TAU = 9, 6, 0.5


def planted(seed: int = 0) -> tuple[Compared, Companions]:
    draw = torch.Generator().manual_seed(seed)

    def features() -> torch.Tensor:
        return torch.randn(N, D, generator=draw)

    means = Streams(text=features(), audio=features(), vision=features())
    h_first = features()
    everything = Streams(*(torch.ones(N, dtype=torch.bool) for _ in range(3)))
    companions = Companions(
        anchors=torch.tensor([0, 1]),
        positives=torch.tensor([[2, 3], [4, 2]]),
        negatives=torch.tensor([[5, 6, 7, 8], [5, 3, 8, 6]]),
    )
    return Compared(means=means, h_first=h_first, present=everything), companions


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def by_loops(
    compared: Compared,
    companions: Companions,
    *,
    cross: bool = False,
    semantic: bool = True,
    supervised: bool = True,
    h_compared: bool = True,
) -> float:
    space = {**dict(compared.means.items()), "h": compared.h_first}
    here = {**dict(compared.present.items()), "h": compared.present.text}
    total = 0.0
    for row, i in enumerate(companions.anchors.tolist()):
        negatives = companions.negatives[row].tolist()
        pairs = []
        if semantic:
            for other in ("vision", "audio"):
                pairs.append(("text", i, other, i, other if cross else "text"))
        if supervised:
            for s in (
                ("text", "vision", "audio", "h") if h_compared else ("text", "vision", "audio")
            ):
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
@pytest.mark.parametrize("h_compared", [False, True])
@pytest.mark.parametrize(("semantic", "supervised"), [(True, True), (True, False), (False, True)])
def test_sum_over_pairs(cross: bool, semantic: bool, supervised: bool, h_compared: bool) -> None:
    compared, companions = planted()
    config = ContrastiveConfig(
        semantic_negatives="cross" if cross else "text",
        reduction="sum",
        semantic=semantic,
        supervised=supervised,
        h_compared=h_compared,
    )
    expected = by_loops(
        compared,
        companions,
        cross=cross,
        semantic=semantic,
        supervised=supervised,
        h_compared=h_compared,
    )
    loss = contrastive_loss(compared, companions, config)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_authors_reduction_divides_by_22() -> None:
    compared, companions = planted()
    loss = contrastive_loss(compared, companions, ContrastiveConfig())
    assert float(loss) == pytest.approx(by_loops(compared, companions) / 22, rel=1e-5)


def test_absent_modalities_and_missing_companions_leave_their_pairs_out() -> None:
    compared, companions = planted()
    compared.present.audio[0] = False
    compared.present.text[3] = False
    compared.present.vision[5] = False
    companions.positives[1, 0] = -1
    companions.negatives[1, 2] = -1
    config = ContrastiveConfig(reduction="sum")
    loss = contrastive_loss(compared, companions, config)
    assert float(loss) == pytest.approx(by_loops(compared, companions), rel=1e-5)


def test_a_closer_positive_costs_less() -> None:
    compared, companions = planted()
    before = contrastive_loss(compared, companions, ContrastiveConfig())
    compared.means.text[2] = compared.means.text[0]
    after = contrastive_loss(compared, companions, ContrastiveConfig())
    assert after < before


def test_lent_streams_and_what_read_them_are_not_compared() -> None:
    """Of the first anchor the voice is lent, of its second companion the face."""
    compared, companions = planted()
    own = Streams(*(torch.ones(N, dtype=torch.bool) for _ in range(3)))
    own.audio[0] = False
    own.vision[3] = False
    config = ContrastiveConfig(reduction="sum", h_compared=False)
    lent = dataclasses.replace(compared, own=own)
    absent = dataclasses.replace(
        compared, present=Streams(compared.present.text, own.audio, own.vision)
    )
    assert float(contrastive_loss(lent, companions, config)) == pytest.approx(
        by_loops(absent, companions, h_compared=False), rel=1e-5
    )
    # In H the anchor's own pairs go, and those with the companion that was lent a face.
    without_h = float(contrastive_loss(lent, companions, config))
    with_h = float(
        contrastive_loss(lent, companions, ContrastiveConfig(reduction="sum", semantic=True))
    )
    space, tau = compared.h_first, TAU
    expected = 0.0
    negatives = [n for n in companions.negatives[1].tolist() if n != 3]
    for p in companions.positives[1].tolist():
        top = math.exp(cosine(space[1], space[p]) / tau)
        bottom = top + sum(math.exp(cosine(space[1], space[n]) / tau) for n in negatives)
        expected -= math.log(top / bottom)
    assert with_h - without_h == pytest.approx(expected / 2, rel=1e-4)


def test_a_lent_stream_that_was_dropped_again_keeps_nothing_back() -> None:
    compared, companions = planted()
    own = Streams(*(torch.ones(N, dtype=torch.bool) for _ in range(3)))
    own.audio[0] = False
    compared.present.audio[0] = False
    config = ContrastiveConfig(reduction="sum")
    lent = dataclasses.replace(compared, own=own)
    assert float(contrastive_loss(lent, companions, config)) == pytest.approx(
        by_loops(compared, companions), rel=1e-5
    )
