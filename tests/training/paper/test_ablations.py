"""What each ablation of table IV leaves out, against the full model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.network.alignment import LearnedTokens
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.fusions import FUSIONS
from dashfusion_models.network.sequence import Batch
from dashfusion_models.store import Store
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import ABLATIONS, TrainConfig, changed
from dashfusion_training.datasets import Lesson, epoch_batches, load_dataset
from dashfusion_training.objective import ContrastiveConfig
from dashfusion_training.processes import ALONE
from dashfusion_training.retrieval import Retrieval
from dashfusion_training.step import Step
from tests.models.network.tiny import random_batch, tiny_config
from tests.training.tiny import AUDIO, VISION

CPU = torch.device("cpu")
BATCH: Batch = random_batch(text=[6, 3], audio=[9, 12], vision=[5, 8])


def network(**changes: object) -> DashFusion:
    torch.manual_seed(3)
    config: NetworkConfig = tiny_config(**changes)
    return DashFusion(config).eval()


def test_without_temporal_alignment_h_is_p_tokens_the_same_for_all() -> None:
    model = network(temporal_alignment=False, bottleneck=5)
    h = model.align(model.encode(BATCH), BATCH.present).h
    assert h.values.shape == (2, 5, 32)
    assert bool(h.real.all())
    torch.testing.assert_close(h.values[0], h.values[1])
    assert isinstance(model.alignment, LearnedTokens)
    torch.testing.assert_close(h.values[0], model.alignment.tokens)


def test_learned_tokens_start_small_and_are_learned() -> None:
    torch.manual_seed(0)
    tokens = LearnedTokens(128, 64).tokens
    assert float(tokens.detach().std()) == pytest.approx(0.02, rel=0.05)
    model = network(temporal_alignment=False)
    model(BATCH).sum().backward()
    assert isinstance(model.alignment, LearnedTokens)
    gradient = model.alignment.tokens.grad
    assert gradient is not None
    assert bool((gradient.abs().sum(dim=1) > 0).all())


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("temporal_alignment", [True, False])
def test_a_sample_scores_the_same_alone_and_in_a_batch(
    fusion: str, temporal_alignment: bool
) -> None:
    model = network(fusion=fusion, temporal_alignment=temporal_alignment)
    with torch.no_grad():
        together = model(BATCH)
        alone = torch.cat([model(BATCH.rows(torch.tensor([i]))) for i in range(2)])
    torch.testing.assert_close(together, alone)


def test_without_hbf_the_head_reads_the_first_tokens_before_the_fusion() -> None:
    model = network(**ABLATIONS["hbf"])
    with torch.no_grad():
        aligned = model.align(model.encode(BATCH), BATCH.present)
        streams = [aligned.streams[m].values[:, 0] for m in ("text", "audio", "vision")]
        expected = model.head(torch.cat([*streams, aligned.h.values[:, 0]], dim=1)).squeeze(-1)
        torch.testing.assert_close(model(BATCH), expected)


@pytest.fixture
def config(tiny_config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(tiny_config, contrastive_weight=0.2)


def first_lesson(config: TrainConfig, store: Store, encoder: Path) -> tuple[Lesson, Step]:
    samples = load_dataset({"small": store}, "train", config)
    checkpoint = new_checkpoint(config, encoder, samples, audio=AUDIO, vision=VISION)
    retrieval = Retrieval(checkpoint, samples, config, device=CPU, team=ALONE)
    retrieval.refresh(1)
    lesson = next(epoch_batches(samples, config, 1, neighbours=retrieval.neighbours))
    return lesson, Step(checkpoint, config, batches=1, device=CPU)


PAIRS = {  # which pairs stay: semantic, supervised, and H among the supervised
    "temporal-alignment": (True, True, False),
    "semantic-alignment": (False, True, True),
    "dual-stream-alignment": (False, True, False),
    "scl": (True, False, True),
    "hbf": (True, True, True),
}


@pytest.mark.parametrize("part", ABLATIONS)
def test_each_ablation_keeps_the_pairs_that_the_table_means(
    part: str, config: TrainConfig, small_store: Store, tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[ContrastiveConfig] = []
    from dashfusion_training import objective

    real = objective.contrastive_loss

    def spy(compared: object, companions: object, config: ContrastiveConfig) -> object:
        seen.append(config)
        return real(compared, companions, config)  # type: ignore[arg-type]

    monkeypatch.setattr(objective, "contrastive_loss", spy)
    lesson, step = first_lesson(changed(config, ABLATIONS[part]), small_store, tiny_encoder)
    assert np.isfinite(step(lesson))
    (found,) = seen
    assert (found.semantic, found.supervised, found.h_compared) == PAIRS[part]
    assert found.reduction == "authors"  # the divisor stays 22


def test_without_scl_nothing_is_encoded_that_nothing_compares(
    config: TrainConfig, small_store: Store, tiny_encoder: Path
) -> None:
    lesson, _ = first_lesson(changed(config, ABLATIONS["scl"]), small_store, tiny_encoder)
    assert lesson.companions is not None
    assert (lesson.companions[:, :2] == -1).all()
    assert (lesson.companions[:, 2:] >= 0).all()
    assert len(lesson.features) <= 5 * len(lesson.anchors)


def test_without_any_pair_nothing_is_drawn(
    config: TrainConfig, small_store: Store, tiny_encoder: Path
) -> None:
    nothing = changed(config, {"semantic_alignment": False, "supervised_contrast": False})
    lesson, _ = first_lesson(nothing, small_store, tiny_encoder)
    assert lesson.companions is None
