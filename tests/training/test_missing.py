"""What is lost is exactly what was asked for, and the network sees it as never observed."""

import dataclasses
import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint
from dashfusion_models.errors import CheckpointError, ConfigError
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch, Sequence
from dashfusion_models.records import MODALITIES, FeatureSpec, Modality
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import load_dataset
from dashfusion_training.evaluate import evaluate, evaluate_stores, report_of
from dashfusion_training.missing import (
    MASK_SEEDS,
    RATES,
    MissingReport,
    Protocol,
    evaluate_missing,
    with_steps_lost,
)
from tests.models.network.tiny import random_batch, tiny_config
from tests.training.tiny import AUDIO, VISION, planted_sample
from tests.training.untrained import untrained, write_untrained

CPU = torch.device("cpu")
IDS = ["a$_$1", "b", "c"]


@pytest.fixture
def batch() -> Batch:
    """Lengths that make halves, holes in what was observed, and a sample without a vision."""
    made = random_batch(text=[7, 2, 25], audio=[35, 5, 1], vision=[30, 15, 3])
    made.audio.real[0, 10:15] = False
    made.vision.real[2] = False
    made.present.vision[2] = False
    return made


def steps_of(batch: Batch, modality: Modality) -> torch.Tensor:
    real: torch.Tensor = getattr(batch, modality).real
    return real


@pytest.mark.parametrize("rate", RATES)
def test_exactly_the_share_is_lost(batch: Batch, rate: float) -> None:
    changed = with_steps_lost(batch, IDS, rate=rate, seed=1)
    for modality in MODALITIES:
        before, after = steps_of(batch, modality), steps_of(changed, modality)
        assert not (after & ~before).any()
        for row in range(3):
            n = int(before[row].sum()) - (2 if modality == "text" else 0)
            assert int(before[row].sum() - after[row].sum()) == round(rate * n)


def test_first_and_last_token_of_a_text_stay(batch: Batch) -> None:
    for seed in range(30):
        real = with_steps_lost(batch, IDS, rate=0.9, seed=seed).text.real
        assert real[:, 0].all()
        assert real[0, 6] and real[1, 1] and real[2, 24]


def test_a_rate_of_zero_changes_nothing_and_nothing_is_changed_in_place(batch: Batch) -> None:
    masks = {m: steps_of(batch, m).clone() for m in MODALITIES}
    same = with_steps_lost(batch, IDS, rate=0.0, seed=1)
    with_steps_lost(batch, IDS, rate=0.9, seed=1)
    for m in MODALITIES:
        assert torch.equal(steps_of(same, m), masks[m])
        assert torch.equal(steps_of(batch, m), masks[m])


def test_what_a_sample_loses_does_not_depend_on_its_batch(batch: Batch) -> None:
    """Alone, in another order and with other padding it loses the same steps."""
    together = with_steps_lost(batch, IDS, rate=0.5, seed=7)
    order = torch.tensor([2, 0])
    turned = with_steps_lost(batch.rows(order), [IDS[2], IDS[0]], rate=0.5, seed=7)
    for row, name in enumerate(IDS):
        alone = with_steps_lost(batch.rows(torch.tensor([row])), [name], rate=0.5, seed=7)
        for m in MODALITIES:
            steps = steps_of(alone, m).shape[1]
            assert torch.equal(steps_of(alone, m)[0], steps_of(together, m)[row, :steps])
    for place, row in enumerate(order):
        for m in MODALITIES:
            steps = steps_of(turned, m).shape[1]
            assert torch.equal(steps_of(turned, m)[place], steps_of(together, m)[row, :steps])


def test_every_id_seed_rate_and_modality_draws_its_own_steps() -> None:
    batch = random_batch(text=[42, 42], audio=[40, 40], vision=[40, 40])
    lost = with_steps_lost(batch, ["x", "y"], rate=0.5, seed=1)
    masks = [lost.audio.real[0], lost.audio.real[1], lost.vision.real[0], lost.text.real[0, 1:41]]
    masks.append(with_steps_lost(batch, ["x", "y"], rate=0.5, seed=2).audio.real[0])
    more = with_steps_lost(batch, ["x", "y"], rate=0.6, seed=1).audio.real[0]
    assert len({tuple(mask.tolist()) for mask in [*masks, more]}) == 6
    assert (more & ~masks[0]).any()  # not nested
    draw = np.random.default_rng([1, 5, crc32(b"x"), 1])
    expected = np.ones(40, np.bool_)
    expected[draw.permutation(40)[:20]] = False
    assert masks[0].tolist() == expected.tolist()


@pytest.mark.parametrize("modality", ["audio", "vision"])
def test_lost_frames_are_as_if_cut_out(modality: Modality) -> None:
    """The learned positions start at zero, so a sequence with holes is a shorter sequence."""
    network = network_of()
    whole = random_batch(text=[9, 4], audio=[31, 17], vision=[22, 29])
    lost = with_steps_lost(whole, ["x", "y"], rate=0.4, seed=5)
    masked = dataclasses.replace(whole, **{modality: getattr(lost, modality)})
    holes: Sequence = getattr(masked, modality)
    steps = int(holes.real.sum(dim=1).max())
    values, real = torch.zeros(2, steps, holes.values.shape[2]), torch.zeros(2, steps).bool()
    for row in range(2):
        kept = holes.values[row, holes.real[row]]
        values[row, : len(kept)], real[row, : len(kept)] = kept, True
    cut = dataclasses.replace(whole, **{modality: Sequence(values=values, real=real)})
    with torch.inference_mode():
        torch.testing.assert_close(network(masked), network(cut))
        assert (network(masked) - network(whole)).abs().max() > 1e-4


def test_a_lost_step_has_no_say() -> None:
    """Whatever word or frame stands under the mask, the score is the same."""
    network = network_of()
    whole = random_batch(text=[20, 12], audio=[31, 17], vision=[22, 29])
    lost = with_steps_lost(whole, ["x", "y"], rate=0.7, seed=5)
    other = random_batch(text=[20, 12], audio=[31, 17], vision=[22, 29], seed=9)
    swapped = dataclasses.replace(
        lost,
        text=dataclasses.replace(
            lost.text, ids=torch.where(lost.text.real, lost.text.ids, other.text.ids)
        ),
        audio=under_the_mask(lost.audio, other.audio),
        vision=under_the_mask(lost.vision, other.vision),
    )
    with torch.inference_mode():
        torch.testing.assert_close(network(lost), network(swapped))


def test_lost_words_are_masked_and_the_others_keep_their_places() -> None:
    """As BERT itself does it, however the text encoder lays out the texts."""
    encoder = network_of().text_encoder
    whole = random_batch(text=[40, 12, 25, 3], audio=[1] * 4, vision=[1] * 4)
    tokens = with_steps_lost(whole, list("wxyz"), rate=0.5, seed=3).text
    with torch.inference_mode():
        hidden = encoder.bert(input_ids=tokens.ids, attention_mask=tokens.real.long())
        expected = encoder.project(hidden.last_hidden_state)
        found = encoder(tokens)
    assert torch.equal(found.real, tokens.real)
    torch.testing.assert_close(found.values[tokens.real], expected[tokens.real])


def under_the_mask(kept: Sequence, other: Sequence) -> Sequence:
    values = torch.where(kept.real[..., None], kept.values, 100 * other.values)
    return Sequence(values=values, real=kept.real)


def network_of() -> DashFusion:
    torch.manual_seed(1)
    return DashFusion(tiny_config()).eval()


def missing(path: Path, store: Store, protocol: Protocol) -> MissingReport:
    (report,) = evaluate_missing(
        path, {"planted": store}, protocol=protocol, split="test", classes=None, device=CPU
    )
    return report


def test_random_loss_is_reported_as_the_protocol_says(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    path = write_untrained(tmp_path, tiny_encoder)
    report = missing(path, planted_store, "random")
    (complete,) = evaluate_stores(
        path, {"planted": planted_store}, split="test", classes=None, device=CPU
    )
    assert [row.rate for row in report.rows] == [k / 10 for k in range(10)]
    assert report.rows[0].metrics == complete.metrics  # exactly
    checkpoint = load_checkpoint(path)
    samples = load_dataset({"planted": planted_store}, "test", TrainConfig())
    errors = []
    for seed in MASK_SEEDS:  # one at a time, in another order than the evaluation's
        scores = []
        for sample in reversed(samples):
            one = checkpoint.collate([sample.features()])
            with torch.inference_mode():
                lossy = with_steps_lost(one, [sample.row.id], rate=0.3, seed=seed)
                scores.append(float(checkpoint.network(lossy)))
        by_hand = report_of(samples, np.array(scores[::-1]), label_range=(-3.0, 3.0))
        errors.append(by_hand["mae"])
    assert report.rows[3].metrics["mae"] == pytest.approx(np.mean(errors), abs=1e-5)
    assert report.metrics["corr"] == pytest.approx(
        np.mean([r.metrics["corr"] for r in report.rows])
    )


def test_subsets_equal_the_evaluation_of_these_modalities(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    path = write_untrained(tmp_path, tiny_encoder)
    report = missing(path, planted_store, "subsets")
    assert [row.modalities for row in report.rows] == [
        ("text",), ("audio",), ("vision",),
        ("text", "audio"), ("text", "vision"), ("audio", "vision"), MODALITIES,
    ]  # fmt: skip
    checkpoint = untrained(tiny_encoder)
    samples = load_dataset({"planted": planted_store}, "test", TrainConfig())
    for row in report.rows:
        assert row.modalities is not None
        expected = evaluate(
            checkpoint.network,
            checkpoint.collate,
            samples,
            device=CPU,
            label_range=(-3.0, 3.0),
            modalities=row.modalities,
        )
        assert row.metrics == pytest.approx(expected, abs=1e-6)
    assert report.metrics["mae"] == pytest.approx(np.mean([r.metrics["mae"] for r in report.rows]))


def test_the_json_form(planted_store: Store, tiny_encoder: Path, tmp_path: Path) -> None:
    path = write_untrained(tmp_path, tiny_encoder)
    random = json.loads(json.dumps(missing(path, planted_store, "random").to_dict()))
    assert (random["schema"], random["n"]) == ("dashfusion/report/1", 80)
    assert random["missing"]["protocol"] == "random"
    assert random["missing"]["mask_seeds"] == [1111, 1112, 1113]
    assert [row["rate"] for row in random["missing"]["rows"]][:4] == [0.0, 0.1, 0.2, 0.3]
    subsets = json.loads(json.dumps(missing(path, planted_store, "subsets").to_dict()))
    assert subsets["missing"]["rows"][3]["modalities"] == ["text", "audio"]
    assert set(subsets["missing"]["rows"][3]) == {"modalities", "metrics"}
    assert subsets["metrics"].keys() == random["metrics"].keys()


def test_a_metric_is_averaged_over_the_rows_that_define_it(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    """Texts alone: without them the network has one answer, which correlates with nothing."""
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        for k in range(70):
            row, features = planted_sample(k, "test")
            writer.add(
                dataclasses.replace(row, audio=False, vision=False),
                dataclasses.replace(features, audio=None, vision=None),
            )
    store, path = Store(tmp_path / "store"), write_untrained(tmp_path, tiny_encoder)
    report = missing(path, store, "subsets")
    found = [row.metrics["corr"] for row in report.rows]
    assert [value is None for value in found] == ["text" not in r.modalities for r in report.rows]  # type: ignore[operator]
    assert report.metrics["corr"] == pytest.approx(found[0])
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_checkpoint_is_asked_for_what_it_was_trained_with(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    training = {"config": {"modalities": ["text", "vision"]}}
    path = write_untrained(tmp_path, tiny_encoder, training=training)
    stores = {"planted": planted_store}
    (report,) = evaluate_stores(path, stores, split="test", classes=None, device=CPU)
    assert report.modalities == ("text", "vision")
    subsets = missing(path, planted_store, "subsets")
    assert [r.modalities for r in subsets.rows] == [("text",), ("vision",), ("text", "vision")]
    assert subsets.rows[2].metrics == report.metrics
    with pytest.raises(ConfigError, match=r"not trained with audio; give --modalities text,vision"):
        list(
            evaluate_stores(
                path, stores, split="test", modalities=("text", "audio"), classes=None, device=CPU
            )
        )


def test_features_that_are_not_read_may_be_others(tiny_encoder: Path, tmp_path: Path) -> None:
    other = FeatureSpec(extractor="other", version=1, names=("x",))
    with StoreWriter(tmp_path / "store", audio=other, vision=VISION) as writer:
        for k in range(10):
            row, features = planted_sample(k, "test")
            audio = dataclasses.replace(features.audio, values=features.audio.values[:, :1])  # type: ignore[union-attr, type-var]
            writer.add(row, dataclasses.replace(features, audio=audio))
    store, path = {"other": Store(tmp_path / "store")}, write_untrained(tmp_path, tiny_encoder)
    with pytest.raises(CheckpointError, match="was made for audio features"):
        list(evaluate_stores(path, store, split="test", classes=None, device=CPU))
    kept: tuple[Modality, ...] = ("text", "vision")
    (report,) = evaluate_stores(
        path, store, split="test", modalities=kept, classes=None, device=CPU
    )
    assert report.n == 10


def test_scores_that_are_no_numbers_are_refused(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    checkpoint = untrained(tiny_encoder)
    # Weights that are no numbers are refused when the file is opened; these overflow in use.
    torch.nn.init.constant_(checkpoint.network.head[-1].weight, 3e38)
    torch.nn.init.constant_(checkpoint.network.head[-1].bias, 3e38)
    save_checkpoint(checkpoint, tmp_path / "broken.safetensors")
    stores = {"planted": planted_store}
    path = tmp_path / "broken.safetensors"
    with pytest.raises(CheckpointError, match="80 of 80 scores of planted are not finite"):
        list(evaluate_stores(path, stores, split="test", classes=None, device=CPU))
    with pytest.raises(CheckpointError, match="are not finite"):
        missing(path, planted_store, "subsets")
