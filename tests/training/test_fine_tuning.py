"""Rates by layer, clipping, running means, and trainings that go on from a checkpoint."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import CheckpointError, ConfigError, WeightsError
from dashfusion_models.store import Store
from dashfusion_training.build import new_checkpoint, require_parts, start_facts
from dashfusion_training.calibrate import fit_calibration
from dashfusion_training.config import TrainConfig, changed, read_preset
from dashfusion_training.datasets import Lesson, epoch_batches, load_dataset
from dashfusion_training.encoded_texts import EncodedTexts
from dashfusion_training.evaluate import evaluate_stores, predict
from dashfusion_training.fine_tuning import PRESET, fine_tuning
from dashfusion_training.step import Step
from dashfusion_training.train import Training, train
from tests.training.calibration.planted_predictions import by_group, planted
from tests.training.logged import log_of
from tests.training.tiny import AUDIO, VISION
from tests.training.untrained import untrained

CPU = torch.device("cpu")


def built(config: TrainConfig, store: Store, encoder: Path) -> Checkpoint:
    samples = load_dataset({"small": store}, "train", config)
    return new_checkpoint(config, encoder, samples, audio=AUDIO, vision=VISION)


def lessons_of(config: TrainConfig, store: Store) -> list[Lesson]:
    samples = load_dataset({"small": store}, "train", config)
    return list(epoch_batches(samples, config, 1))


@pytest.fixture
def make(tiny_encoder: Path, small_store: Store) -> Callable[[TrainConfig], Checkpoint]:
    return partial(built, store=small_store, encoder=tiny_encoder)


def test_layers_nearer_to_the_words_learn_more_slowly(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint]
) -> None:
    config = changed(tiny_config, {"text_learning_rate": 1e-4, "text_layer_decay": 0.5,
                                   "warmup_epochs": 0.0})  # fmt: skip
    checkpoint = make(config)
    step = Step(checkpoint, config, batches=5, device=CPU)
    rates = {
        id(p): group["initial_lr"]
        for group in step._optimizer.param_groups
        for p in group["params"]
    }
    named = dict(checkpoint.network.named_parameters())
    wanted = {
        "text_encoder.bert.encoder.layer.1.output.dense.weight": 1e-4,
        "text_encoder.bert.encoder.layer.0.output.dense.weight": 0.5e-4,
        "text_encoder.bert.embeddings.word_embeddings.weight": 0.25e-4,
        "head.0.weight": config.learning_rate,
    }
    assert {name: rates[id(named[name])] for name in wanted} == pytest.approx(wanted)


def test_gradients_are_clipped_together(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    config = changed(tiny_config, {"clip_norm": 1e-3})
    checkpoint = make(config)
    Step(checkpoint, config, batches=5, device=CPU)(lessons_of(config, small_store)[0])
    gradients = [p.grad for p in checkpoint.network.parameters() if p.grad is not None]
    norm = torch.stack([g.norm() for g in gradients]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_the_huber_loss_is_torchs_own(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    config = changed(
        tiny_config,
        {"loss": "huber", "huber_delta": 0.2, "encoder_dropout": 0.0, "position_dropout": 0.0,
         "attention_dropout": 0.0},
    )  # fmt: skip
    checkpoint = make(config)
    for module in checkpoint.network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    lesson = lessons_of(config, small_store)[0]
    batch = checkpoint.collate([lesson.features[i] for i in lesson.anchors])
    expected = F.huber_loss(checkpoint.network(batch), torch.from_numpy(lesson.labels), delta=0.2)
    step = Step(checkpoint, config, batches=5, device=CPU)
    assert step(lesson) == pytest.approx(float(expected.detach()), abs=1e-5)


def test_without_words_errors_are_squared_further_and_pull_no_harder(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    config = changed(
        tiny_config,
        {"loss": "huber", "huber_delta": 0.25, "wordless_delta": 4.0, "encoder_dropout": 0.0,
         "position_dropout": 0.0, "attention_dropout": 0.0},
    )  # fmt: skip
    checkpoint = make(config)
    for module in checkpoint.network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    lesson = lessons_of(config, small_store)[0]
    silent = [
        dataclasses.replace(f, text=None) if i % 2 else f for i, f in enumerate(lesson.features)
    ]
    lesson = dataclasses.replace(lesson, features=silent)
    scores = checkpoint.network(checkpoint.collate([silent[i] for i in lesson.anchors])).detach()
    error = (scores - torch.from_numpy(lesson.labels)).abs().numpy()
    worded = np.array([silent[i].text is not None for i in lesson.anchors])
    assert worded.any() and not worded.all() and error.max() < 4.0
    with_words = np.where(error < 0.25, error**2 / 2, 0.25 * (error - 0.125))
    expected = np.where(worded, with_words, 0.0625 * error**2 / 2)
    step = Step(checkpoint, config, batches=5, device=CPU)
    assert step(lesson) == pytest.approx(float(expected.mean()), abs=1e-5)


def test_the_running_mean_is_what_is_kept(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    config = changed(tiny_config, {"average": 0.9})
    checkpoint = make(config)
    step = Step(checkpoint, config, batches=5, device=CPU)
    weight, expected = checkpoint.network.head[0].weight, None
    for count, lesson in enumerate(lessons_of(config, small_store)[:4]):
        step(lesson)
        now = weight.detach().clone()
        share = min(0.9, (1 + count) / (10 + count))
        expected = now if expected is None else share * expected + (1 - share) * now
    assert expected is not None
    torch.testing.assert_close(step.learned.head[0].weight, expected)
    assert not torch.equal(step.learned.head[0].weight, weight)
    # and it is what goes on after an interruption
    again = Step(make(config), config, batches=5, device=CPU)
    again.restore(step.state())
    torch.testing.assert_close(again.learned.head[0].weight, expected)
    # without one, the network itself is kept
    plain = Step(checkpoint, tiny_config, batches=5, device=CPU)
    assert plain.learned is checkpoint.network


@pytest.fixture
def words_only(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], tmp_path: Path
) -> Path:
    config = changed(tiny_config, {"modalities": ["text"], "seed": 5})
    trained = dataclasses.replace(make(config), training={"config": config.to_dict()})
    with torch.no_grad():
        for weight in trained.network.parameters():
            weight.add_(0.01)
    save_checkpoint(trained, tmp_path / "words.safetensors")
    return tmp_path / "words.safetensors"


def test_training_goes_on_from_what_was_trained(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], words_only: Path
) -> None:
    config = changed(tiny_config, {"start": str(words_only)})
    fresh, going_on = make(tiny_config), make(config)
    start = load_checkpoint(words_only).network.state_dict()
    for name, weight in going_on.network.state_dict().items():
        never_trained = name.startswith(("audio_encoder.", "vision_encoder."))
        wanted = fresh.network.state_dict()[name] if never_trained else start[name]
        assert torch.equal(weight, wanted), name
    assert start_facts(config) == {
        "name": "unnamed", "license": "not stated", "sha256": sha256_of(words_only)
    }  # fmt: skip
    assert start_facts(tiny_config) == {}


def test_a_start_that_does_not_fit_is_refused(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], words_only: Path
) -> None:
    with pytest.raises(ConfigError, match="another shape"):
        make(changed(tiny_config, {"start": str(words_only), "fusion_layers": 1, "bottleneck": 4}))
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        start_facts(changed(tiny_config, {"start": "nowhere.safetensors"}))
    with pytest.raises(ConfigError, match="--set start=CHECKPOINT"):
        start_facts(changed(tiny_config, {"train_text": False}))


def test_a_text_encoder_that_is_left_stays_and_is_asked_once(
    tiny_config: TrainConfig,
    make: Callable[[TrainConfig], Checkpoint],
    words_only: Path,
    small_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = changed(tiny_config, {"start": str(words_only), "train_text": False,
                                   "context_tokens": 4})  # fmt: skip
    checkpoint = make(config)
    before = {k: v.clone() for k, v in checkpoint.network.state_dict().items()}
    step = Step(checkpoint, config, batches=5, device=CPU)
    asked: list[int] = []
    forward = checkpoint.network.text_encoder.forward

    def counted(tokens: object) -> object:
        asked.append(len(tokens.ids))  # type: ignore[attr-defined]
        return forward(tokens)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint.network.text_encoder, "forward", counted)
    for _ in range(2):
        for lesson in lessons_of(config, small_store):
            step(lesson)
    texts = {row.text for row in small_store.rows if row.split == "train"}
    assert sum(asked) == len(texts)
    for name, weight in checkpoint.network.state_dict().items():
        same = torch.equal(weight, before[name])
        assert same or not name.startswith("text_encoder."), name
    assert not torch.equal(checkpoint.network.head[0].weight, before["head.0.weight"])


def test_encoded_texts_are_what_the_encoder_says(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    checkpoint = make(tiny_config)
    features = [small_store[i] for i in (0, 3, 3, 7)]
    features[1] = dataclasses.replace(features[1], text=None)
    network = checkpoint.network.eval()
    with torch.inference_mode():
        plain = network(checkpoint.collate(features))
        batch = checkpoint.collate(features)
        remembered = EncodedTexts(network, checkpoint.collate)
        for _ in range(2):
            encoded = dataclasses.replace(batch, text=remembered(features))
            np.testing.assert_allclose(network(encoded), plain, atol=1e-5)


def test_a_text_is_remembered_with_its_context(
    tiny_config: TrainConfig, make: Callable[[TrainConfig], Checkpoint], small_store: Store
) -> None:
    checkpoint = make(changed(tiny_config, {"context_tokens": 4}))
    said = (None, "the good film", "a bad film")
    features = [dataclasses.replace(small_store[0], context=before) for before in said]
    network = checkpoint.network.eval()
    with torch.inference_mode():
        remembered = EncodedTexts(network, checkpoint.collate)
        for _ in range(2):
            apart = [remembered([one]).values for one in features]  # type: ignore[list-item]
        plain = [network.encode(checkpoint.collate([one])).text.values for one in features]
    for found, expected in zip(apart, plain, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for one, other in ((0, 1), (1, 2)):
        assert not np.allclose(apart[one], apart[other], atol=1e-3)


@pytest.fixture
def whole(tiny_encoder: Path, tmp_path: Path) -> Path:
    """A licensed checkpoint of all modalities, in shapes that no default has."""
    classes = {"config": {"classes": {"glad": 1.5}}, "text_encoder": {"name": "gone"}}
    made = untrained(tiny_encoder, training=classes, context_tokens=4)
    path = tmp_path / "whole.safetensors"
    save_checkpoint(dataclasses.replace(made, name="whole", license="CC-BY-NC-SA-4.0"), path)
    return path


def tuned(start: Path, output: Path, store: Store, **changes: object) -> Path:
    config = fine_tuning(read_preset(PRESET), str(start))
    few = {"epochs": 2, "batch_size": 20, "intervals": False}
    return train(
        Training(
            config=changed(config, few | changes),
            stores={"small": store},
            output=output,
            resume=False,
            device=CPU,
            offline=True,
        )
    )


def scores_of(checkpoint: Path, store: Store) -> list[float]:
    (report,) = evaluate_stores(checkpoint, {"small": store}, split="valid", classes=None,
                                device=CPU)  # fmt: skip
    return [one.prediction for one in report.predictions]


def test_all_that_must_agree_comes_from_the_checkpoint(whole: Path) -> None:
    config = fine_tuning(read_preset(PRESET), str(whole))
    shape = load_checkpoint(whole).network.config
    for key in ("bottleneck", "fusion_layers", "context_tokens", "audio_steps", "fusion"):
        assert getattr(config, key) == getattr(shape, key), key
    assert (config.start, config.text_encoder) == (str(whole), "")
    assert config.classes == {"glad": 1.5}
    assert config.encoder_dropout == read_preset(PRESET).encoder_dropout  # no shape
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        fine_tuning(config, "nowhere.safetensors")


def test_a_start_that_cannot_be_bettered_is_kept(
    whole: Path, small_store: Store, tmp_path: Path
) -> None:
    """No text encoder is at hand; with a rate that ruins the network the best epoch is 0."""
    best = tuned(whole, tmp_path / "run", small_store, learning_rate=10.0, clip_norm=0.0)
    epochs = [line for line in log_of(tmp_path / "run") if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [0, 1, 2]
    assert [line["best_epoch"] for line in epochs] == [0, 0, 0]
    assert epochs[0]["train_loss"] is None
    assert epochs[2]["valid_mae"] > epochs[0]["valid_mae"]
    expected = scores_of(whole, small_store)
    np.testing.assert_allclose(scores_of(best, small_store), expected, atol=2e-3)  # 16 bits
    assert load_checkpoint(best).network.config.context_tokens == 4  # read there, not here


def test_fine_tuning_learns_and_keeps_the_text_encoder(
    whole: Path, small_store: Store, tmp_path: Path
) -> None:
    quickly = {"epochs": 10, "batch_size": 10, "learning_rate": 3e-3, "storage": "fp32",
               "average": 0.0, "encoder_dropout": 0.0, "modality_dropout": 0.0}  # fmt: skip
    best = tuned(whole, tmp_path / "run", small_store, **quickly)
    first, *others = [line for line in log_of(tmp_path / "run") if line["kind"] == "epoch"]
    assert min(line["valid_mae"] for line in others) < first["valid_mae"] - 0.1
    before, after = (load_checkpoint(path).network.state_dict() for path in (whole, best))
    for name, weight in after.items():
        assert name.startswith("text_encoder.") <= torch.equal(weight, before[name]), name


def test_another_range_begins_with_the_same_scores_on_it(whole: Path, small_store: Store) -> None:
    """From [-3, 3] to [0, 10]: s becomes (s + 3) / 6 * 10."""
    config = fine_tuning(read_preset(PRESET), str(whole))
    config = changed(config, {"label_range": [0.0, 10.0]})
    samples = load_dataset({"small": small_store}, "train", fine_tuning(config, str(whole)))
    start = load_checkpoint(whole)
    made = new_checkpoint(config, None, samples, audio=AUDIO, vision=VISION)
    assert made.label_range == (0.0, 10.0)
    known, found = (predict(c.network, c.collate, samples, device=CPU) for c in (start, made))
    np.testing.assert_allclose(found, (known + 3.0) / 6.0 * 10.0, atol=1e-4)


def test_a_licence_is_inherited_and_said_to_be(
    whole: Path, small_store: Store, tmp_path: Path
) -> None:
    once = load_checkpoint(tuned(whole, tmp_path / "mine", small_store, epochs=1))
    assert (once.name, once.license) == ("mine", "CC-BY-NC-SA-4.0 (inherited from whole)")
    assert once.training["start"] == {
        "name": "whole", "license": "CC-BY-NC-SA-4.0", "sha256": sha256_of(whole)
    }  # fmt: skip
    path = tmp_path / "mine" / "best.safetensors"
    twice = load_checkpoint(tuned(path, tmp_path / "again", small_store, epochs=1))
    assert (twice.name, twice.license) == ("again", once.license)
    stated = {"epochs": 1, "name": "ours", "license": "agreed with the makers of whole"}
    own = load_checkpoint(tuned(whole, tmp_path / "third", small_store, **stated))
    assert (own.name, own.license) == ("ours", "agreed with the makers of whole")
    assert own.training["start"]["license"] == "CC-BY-NC-SA-4.0"


def test_a_start_by_its_name_is_the_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dashfusion-mini").write_bytes(b"what lies beside is not it")
    config = TrainConfig(start="dashfusion-mini", text_encoder="minilm")
    assert start_facts(config)["license"] == "CC-BY-NC-SA-4.0"
    require_parts(config)


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"text_encoder": "minlm"}, WeightsError, r"no such text encoder; did you mean minilm\?"),
        ({"text_encoder": "whisper-base"}, WeightsError, "no such text encoder"),
        ({"text_encoder": "folder"}, WeightsError, r"\(config.json is missing\)"),
        ({"text_encoder": ""}, ConfigError, "is empty; name one, or a start"),
        ({"start": "nowhere.safetensors"}, CheckpointError, "no such checkpoint to start from"),
        ({"start": "dashfusion-mimi"}, WeightsError, "did you mean dashfusion-mini"),
    ],
)
def test_parts_that_are_not_there_are_refused(
    changes: dict[str, str], kind: type[Exception], said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(kind, match=said):
        require_parts(changed(TrainConfig(), changes))


def test_what_is_kept_as_it_is_keeps_its_calibration(
    whole: Path, small_store: Store, tmp_path: Path
) -> None:
    """Of 20 validation samples none can be made; another range, or another epoch, has none."""
    start = load_checkpoint(whole)
    made = fit_calibration(planted(400, 1, by_group), label_range=start.label_range)
    save_checkpoint(dataclasses.replace(start, calibration=made), whole)
    ruined = {"learning_rate": 10.0, "clip_norm": 0.0, "epochs": 1, "intervals": True}
    kept = load_checkpoint(tuned(whole, tmp_path / "kept", small_store, **ruined))
    assert kept.calibration == made
    ranged = tuned(whole, tmp_path / "range", small_store, **ruined, label_range=[-4.0, 4.0])
    assert load_checkpoint(ranged).calibration is None
    later = {"learning_rate": 3e-3, "epochs": 1, "first_kept_epoch": 1, "intervals": True}
    assert (
        load_checkpoint(tuned(whole, tmp_path / "later", small_store, **later)).calibration is None
    )
