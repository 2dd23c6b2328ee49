"""The composed test set against networks whose scores are known on paper."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.records import Features
from dashfusion_models.score import score
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.mini import composed
from dashfusion_training.mini.composed import Composed, Part, compose, measure, measure_stores
from dashfusion_training.mini.lent import Lent, score_lent
from dashfusion_training.mini.pairs import KINDS, Kind, lenders_of, sampled
from tests.training.mini.planted import (
    CLASSES,
    SAYS,
    Sum,
    checkpoint_of,
    face_row,
    store_of,
    text_row,
    voice_row,
)
from tests.training.untrained import untrained, write_untrained

CPU = torch.device("cpu")
CONFIG = TrainConfig(classes=CLASSES)
# A label and the word that is said about it: the words err now and then.
SAID = [("superb", 2.0), ("bad", -2.0), ("good", 1.0), ("poor", -1.0), ("fair", 0.4),
        ("fair", -1.5), ("poor", 1.5), ("good", -1.0), ("fair", 0.0)]  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    folder = tmp_path_factory.mktemp("composed")
    texts = [text_row(f"t{k}", *SAID[k % len(SAID)], video_id=f"video{k // 3}") for k in range(180)]
    voices = [voice_row(f"v{k}", list(CLASSES)[k % 6], person=str(k)) for k in range(30)]
    faces = [face_row(f"f{k}", list(CLASSES)[k % 6], person=str(k)) for k in range(36)]
    rows = {"texts": texts, "voices": voices, "faces": faces}
    return {name: store_of(folder / name, found) for name, found in rows.items()}


@pytest.fixture(scope="module")
def samples(stores: dict[str, Store]) -> dict[str, list[Sample]]:
    return {name: load_dataset({name: store}, "test", CONFIG) for name, store in stores.items()}


def test_what_is_lent_has_the_sign_that_it_should(samples: dict[str, list[Sample]]) -> None:
    texts, voices, faces = samples["texts"], samples["voices"], samples["faces"]
    pairs = compose(texts, voices, faces, seed=0)
    for i, text in enumerate(texts):
        for kind, sign in (("neutral", 0), ("agreeing", 1), ("opposing", -1)):
            lent = pairs[kind][i]  # type: ignore[index]
            if kind != "neutral" and abs(text.label) < 1:
                assert lent is None
                continue
            assert lent is not None
            for lender in (voices[lent.voice], faces[lent.face]):
                assert np.sign(lender.label) == sign * np.sign(text.label)
                assert lender.row.label != "surprised"
    assert len({p.voice for p in pairs["neutral"] if p}) == 10  # every neutral and calm one


def test_a_choice_depends_on_the_seed_and_the_id_alone(samples: dict[str, list[Sample]]) -> None:
    def chosen(turn: int, count: int, seed: int) -> dict[tuple[str, str], tuple[str, str]]:
        texts, voices, faces = (samples[name][::turn] for name in ("texts", "voices", "faces"))
        pairs = compose(texts[:count], voices, faces, seed)
        return {
            (text.row.id, kind): (voices[lent.voice].row.id, faces[lent.face].row.id)
            for kind in KINDS
            for text, lent in zip(texts[:count], pairs[kind], strict=True)
            if lent is not None
        }

    whole, turned, few = chosen(1, 180, 0), chosen(-1, 180, 0), chosen(1, 20, 0)
    assert whole == turned
    assert few.items() <= whole.items()
    other = chosen(1, 180, 1)
    assert sum(other[key] == whole[key] for key in whole) < len(whole) / 5
    ids = [s.row.id for s in sampled(samples["texts"], 30, 0)]
    assert ids == [s.row.id for s in sampled(samples["texts"][::-1], 30, 0)]
    assert len(set(ids)) == 30
    assert set(ids) < {s.row.id for s in sampled(samples["texts"], 60, 0)}


def test_a_class_that_is_missing_is_named(samples: dict[str, list[Sample]]) -> None:
    loud = [s for s in samples["voices"] if s.row.label not in ("neutral", "calm")]
    with pytest.raises(DataError, match="voices: has no neutral class"):
        lenders_of(loud, "voices")


def measured(
    encoder: Path, samples: dict[str, list[Sample]], network: Sum
) -> tuple[np.ndarray, dict[Kind, Lent], tuple[Part, ...]]:
    texts, voices, faces = samples["texts"], samples["voices"], samples["faces"]
    pairs = compose(texts, voices, faces, seed=0)
    checkpoint = checkpoint_of(encoder, network)
    alone, lent = score_lent(checkpoint, texts, voices, faces, pairs, device=CPU)
    label = np.array([s.label for s in texts])
    return alone, lent, measure(label, [s.row.video_id for s in texts], alone, lent)


def test_gains_and_disagreements_are_those_known_on_paper(
    tiny_encoder: Path, samples: dict[str, list[Sample]]
) -> None:
    """score = word + voice/2 + face/2: agreeing ones mend all that words err by, and more."""
    network = Sum(text=0.5, audio=0.5, vision=0.5)
    alone, lent, (neutral, agreeing, opposing) = measured(tiny_encoder, samples, network)
    label = np.array([s.label for s in samples["texts"]])
    said = np.array([SAYS[str(s.row.text).split()[1]] for s in samples["texts"]])
    np.testing.assert_allclose(alone, 0.5 * said)

    np.testing.assert_allclose(lent["neutral"].scores, alone, atol=1e-6)
    assert neutral.n == 180
    assert neutral.composed == pytest.approx(np.corrcoef(label, said)[0, 1])
    assert neutral.gain == pytest.approx((0.0, 0.0), abs=1e-6)
    assert neutral.disagree == 0.0

    signed = np.abs(label) >= 1
    assert agreeing.n == opposing.n == signed.sum()
    for part, kind in ((agreeing, "agreeing"), (opposing, "opposing")):
        scores = lent[kind].scores  # type: ignore[index]
        assert np.isnan(scores[~signed]).all()
        positive = label[signed] > 0
        assert part.text_alone == pytest.approx(roc_auc_score(positive, said[signed]))
        assert part.composed == pytest.approx(roc_auc_score(positive, scores[signed]))
    assert agreeing.composed == 1.0  # the two of them outweigh the worst word
    assert agreeing.gain is not None and agreeing.gain[0] > 0
    assert opposing.gain is not None and opposing.gain[1] < 0
    # Words alone reach half a point where they say good or worse; the lent ones always do.
    erring = np.sign(said[signed]) == -np.sign(label[signed])
    right = np.sign(said[signed]) == np.sign(label[signed])
    assert agreeing.disagree == pytest.approx(erring.mean())
    assert opposing.disagree == pytest.approx(right.mean())


def test_a_network_of_words_alone_gains_nothing(
    tiny_encoder: Path, samples: dict[str, list[Sample]]
) -> None:
    _, _, parts = measured(tiny_encoder, samples, Sum(text=1.0, audio=0.0, vision=0.0))
    for part in parts:
        assert part.composed == part.text_alone
        assert part.gain == (0.0, 0.0)
        assert part.disagree == 0.0


def test_scores_are_those_of_scoring_one_by_one(
    tiny_encoder: Path, samples: dict[str, list[Sample]]
) -> None:
    checkpoint = untrained(tiny_encoder, context_tokens=4)
    texts = samples["texts"][:20]
    assert sum(text.context is not None for text in texts) > 10
    voices, faces = samples["voices"], samples["faces"]
    pairs = compose(texts, voices, faces, seed=3)
    alone, lent = score_lent(checkpoint, texts, voices, faces, pairs, device=CPU)
    for i, text in enumerate(texts):
        (expected,) = score(checkpoint, [text.features()], device=CPU)
        assert alone[i] == pytest.approx(expected.score, abs=1e-5)
        for kind in KINDS:
            if (given := pairs[kind][i]) is None:
                continue
            whole = Features(
                text=text.row.text,
                context=text.context,
                audio=voices[given.voice].features().audio,
                vision=faces[given.face].features().vision,
            )
            (expected,) = score(checkpoint, [whole], device=CPU)
            assert lent[kind].scores[i] == pytest.approx(expected.score, abs=1e-5)


def test_the_command(
    tiny_encoder: Path,
    stores: dict[str, Store],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_untrained(tmp_path, tiny_encoder, training={"config": {"classes": CLASSES}})
    said = [f"--{name}={store.folder}" for name, store in stores.items()]
    output = tmp_path / "composed.json"
    line = ["composed", f"--checkpoint={path}", *said, "--limit=40", f"--output={output}"]
    monkeypatch.setattr(sys, "argv", line)
    composed.main()
    table = capsys.readouterr().out
    assert "| neutral | 40 | corr |" in table
    monkeypatch.setattr(sys, "argv", [*line, "--json"])
    composed.main()
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(output.read_text("utf-8"))
    assert found["n"] == 40
    assert [part["kind"] for part in found["parts"]] == list(KINDS)


def test_a_checkpoint_of_words_alone_is_refused(
    tiny_encoder: Path, stores: dict[str, Store], tmp_path: Path
) -> None:
    trained = {"config": {"classes": CLASSES, "modalities": ["text"]}}
    path = write_untrained(tmp_path, tiny_encoder, training=trained)
    with pytest.raises(ConfigError, match="was not trained with audio, vision"):
        measure_stores(path, **stores, device=CPU)
    assert Composed(checkpoint="x", seed=0, n=0, parts=()).to_dict()["parts"] == []
