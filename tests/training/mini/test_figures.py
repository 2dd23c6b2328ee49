"""The card's figures against networks whose scores are known on paper, and references."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, roc_auc_score

from dashfusion_models.errors import DataError
from dashfusion_models.records import Features
from dashfusion_models.store import Store
from dashfusion_training.mini import extremes as extremes_module
from dashfusion_training.mini import figures
from dashfusion_training.mini.bench import Bench, class_auc, open_bench, rewritten
from dashfusion_training.mini.extremes import extremes, extremes_table
from dashfusion_training.mini.tables import markdown, number_text
from dashfusion_training.mini.timing import Timing, time_scoring, typical_features
from tests.training.mini.planted import (
    CLASSES,
    SAYS,
    Sum,
    checkpoint_of,
    frames,
    row,
    store_of,
    text_row,
    voice_row,
)
from tests.training.tiny import AUDIO, VISION
from tests.training.untrained import untrained, write_untrained

CPU = torch.device("cpu")
FACE_CLASSES = {"happiness": 2.0, "anger": -2.0, "sadness": -1.5, "surprise": 0.0}
SCORES = {**CLASSES, **FACE_CLASSES, "fear": -1.5, "disgust": -2.0, "fearful": -1.5}


def acted_row(k: int) -> tuple:
    """The face says what the class is; the voice says the opposite in every third clip."""
    emotion = ("happy", "sad", "angry", "surprised")[k % 4]
    said = CLASSES[emotion] * (-1 if k % 3 == 0 else 1)
    features = Features(
        text=None, audio=frames(AUDIO.dims, said), vision=frames(VISION.dims, CLASSES[emotion])
    )
    return row(f"j{k}", emotion, features, person=f"actor{k % 2}")


def clip_row(k: int, split: str) -> tuple:
    """The label is the sum of what the word, the voice and the face say."""
    draw = np.random.default_rng([k, len(split)])
    word = list(SAYS)[int(draw.integers(5))]
    loud, smile = (round(float(x), 3) for x in draw.uniform(-0.5, 0.5, 2))
    voice, face = frames(AUDIO.dims, loud, 3), frames(VISION.dims, smile, 2)
    features = Features(text=f"the {word} film", audio=voice, vision=face)
    label = round(SAYS[word] + loud + smile, 6)
    return row(f"{split}{k}", label, features, split=split, video_id=f"v{k % 5}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    words = list(SAYS)
    labels = [SAYS[words[k % 5]] / 2 + (0.5 if k % 7 == 0 else 0.0) for k in range(60)]
    # Every second text is shouted, which the tokenizer of the test does not know.
    texts = [text_row(f"t{k}", words[k % 5], labels[k], video_id=f"v{k % 12}") for k in range(60)]
    shouted = [
        text_row(f"u{k}", words[k % 5].upper() + "!", labels[k], video_id=f"v{k % 12}")
        for k in range(60)
    ]
    voices = [
        voice_row(f"s{k}", ("happy", "angry", "sad", "calm")[k % 4], person=f"p{k % 4 + k % 3}")
        for k in range(48)
    ]
    smiles = [
        row(
            f"f{k}",
            list(FACE_CLASSES)[k % 4],
            Features(text=None, audio=None, vision=frames(VISION.dims, float(k % 4 == 0))),
            person=str(k),
        )
        for k in range(20)
    ]
    stores = {
        "mosei_text": texts + shouted,
        "ravdess": voices,
        "faces": smiles,
        "javanese": [acted_row(k) for k in range(36)],
        "mosi_clips": [clip_row(k, s) for s in ("train", "test") for k in range(40)],
    }
    for name, rows in stores.items():
        store_of(folder / "stores" / name, rows)
    (folder / "manifests").mkdir()
    listed = ["id,split", *(f"f{k},test" for k in range(25)), "g,train"]
    (folder / "manifests" / "faces.csv").write_text("\n".join(listed), "utf-8")
    return folder


@pytest.fixture
def bench(tiny_encoder: Path, folder: Path) -> Bench:
    found = {path.name: Store(path) for path in (folder / "stores").iterdir()}
    network = Sum(text=1.0, audio=1.0, vision=1.0)
    checkpoint = checkpoint_of(tiny_encoder, network, classes=SCORES)
    return Bench(path=Path("planted"), checkpoint=checkpoint, stores=found, device=CPU)


def test_words_lose_what_capitals_and_punctuation_hide(bench: Bench) -> None:
    """The network reads "GOOD!" as nothing, and "good" as what it says."""
    plain, bare = figures.words(bench)
    samples = bench.samples("mosei_text")
    label = np.array([s.label for s in samples])
    whole = np.array([SAYS[str(s.row.text).split()[1].lower().strip("!")] for s in samples])
    shouted = np.array(["!" in str(s.row.text) for s in samples])
    heard = np.where(shouted, 0.0, whole)
    assert plain.n == bare.n == 120
    assert plain.over == 12
    assert plain.values["mae"] == pytest.approx(mean_absolute_error(label, heard))
    assert plain.values["corr"] == pytest.approx(pearsonr(label, heard).statistic)
    assert bare.values["corr"] == pytest.approx(pearsonr(label, whole).statistic)
    loss = bare.values["corr_loss"]
    assert loss == pytest.approx(plain.values["corr"] - bare.values["corr"])  # type: ignore[operator]
    low, high = bare.intervals["corr_loss"]
    assert low <= loss <= high < 0
    assert set(plain.intervals) == {"mae", "corr", "acc2_np", "acc7"}


def test_every_text_of_a_sample_is_rewritten(bench: Bench) -> None:
    told = dataclasses.replace(bench.samples("mosi_clips")[0], context="so far so good")
    (sample,) = rewritten([told], str.upper)
    features = sample.features()
    assert features.context == "SO FAR SO GOOD"
    assert features.text == str(sample.row.text).upper()
    assert features.audio is not None


def test_voice_and_face_alone(bench: Bench, folder: Path) -> None:
    four, angry = figures.voices(bench)
    assert (four.n, angry.n) == (36, 24)  # calm ones are in neither group
    assert four.values["auc"] == angry.values["auc"] == 1.0
    face, found = figures.faces(bench, folder / "manifests")
    assert face.n == 15
    assert face.values["auc"] == 1.0
    assert found.n == 25
    assert found.values["share"] == 20 / 25
    assert len(list(figures.faces(bench, None))) == 1


def test_acted_clips_by_voice_by_face_and_by_both(bench: Bench) -> None:
    voice, face, both = figures.acted(bench)
    samples = [s for s in bench.samples("javanese") if s.row.label != "surprised"]
    said = [float(s.features().audio.values[0, 0]) for s in samples]  # type: ignore[union-attr]
    happy = [s.row.label == "happy" for s in samples]
    assert voice.n == face.n == both.n == 27
    assert voice.over == 2
    assert voice.values["auc"] == pytest.approx(roc_auc_score(happy, said))
    assert face.values["auc"] == 1.0
    total = np.array(said) + [s.label for s in samples]
    assert both.values["auc"] == pytest.approx(roc_auc_score(happy, total))


def test_class_auc_counts_only_the_classes_that_are_named(bench: Bench) -> None:
    samples = bench.samples("javanese")
    draw = np.random.default_rng(0).normal(size=len(samples))
    found = class_auc("x", samples, draw, {"happy"}, {"angry"})
    kept = [i for i, s in enumerate(samples) if s.row.label in ("happy", "angry")]
    expected = roc_auc_score([samples[i].row.label == "happy" for i in kept], draw[kept])
    assert found.values["auc"] == pytest.approx(expected)
    with pytest.raises(DataError, match="no sample of bored, glad"):
        class_auc("x", samples, draw, {"glad"}, {"bored"})


def test_combinations_are_compared_with_the_mean_of_the_training_labels(bench: Bench) -> None:
    rows = [r for r in figures.subsets(bench) if r.source == "mosi_clips"]
    assert [r.what for r in rows] == [
        "words", "voice", "face", "words + voice", "words + face", "voice + face",
        "words + voice + face",
    ]  # fmt: skip
    assert rows[-1].values["mae"] == pytest.approx(0.0, abs=1e-6)
    samples = bench.samples("mosi_clips")
    label = np.array([s.label for s in samples])
    read = [s.features() for s in samples]
    says = {
        "words": np.array([SAYS[str(f.text).split()[1]] for f in read]),
        "voice": np.array([float(f.audio.values[0, 0]) for f in read]),  # type: ignore[union-attr]
        "face": np.array([float(f.vision.values[0, 0]) for f in read]),  # type: ignore[union-attr]
    }
    taught = np.mean([s.label for s in bench.samples("mosi_clips", "train")])
    for one in rows:
        assert one.values["mae_of_mean"] == pytest.approx(np.abs(label - taught).mean())
        said = sum(says[name] for name in one.what.split(" + "))
        assert one.values["mae"] == pytest.approx(mean_absolute_error(label, said), abs=1e-6)
    acted = [r.what for r in figures.subsets(bench) if r.source == "javanese"]
    assert acted == ["voice", "face", "voice + face"]
    assert all(
        r.values["mae_of_mean"] is None for r in figures.subsets(bench) if r.source == "faces"
    )


def test_extremes_are_in_order_and_say_why(bench: Bench) -> None:
    high, low = extremes(bench, "mosi_clips", count=3)
    scores = sorted(float(s.label) for s in bench.samples("mosi_clips"))
    assert [one.score for one in high] == pytest.approx(scores[::-1][:3], abs=1e-5)
    assert [one.score for one in low] == pytest.approx(scores[:3], abs=1e-5)
    for one in (*high, *low):
        assert one.words is not None
        assert one.contributions.text == pytest.approx(SAYS[one.words.split()[1]], abs=1e-5)
        assert one.label == pytest.approx(one.score, abs=1e-5)
    table = extremes_table(high)
    assert f"| {high[0].id} |" in table
    assert "+2.00" in table


def test_timing_counts_utterances_on_one_thread(tiny_encoder: Path) -> None:
    checkpoint = untrained(tiny_encoder)
    ticks = iter((10.0, 14.0))
    before = torch.get_num_threads()
    found = time_scoring(checkpoint, count=8, clock=lambda: next(ticks))
    assert found.seconds_each == 0.5
    assert (found.utterances, found.threads) == (8, 1)
    assert torch.get_num_threads() == before
    assert "500 ms" in found.sentence()
    (features,) = typical_features(checkpoint, 1)
    assert all(there for _, there in features.present.items())
    assert 50 <= len((features.context or "").split()) <= 70


def test_the_commands(
    tiny_encoder: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_untrained(tmp_path, tiny_encoder, training={"config": {"classes": SCORES}})
    timing = Timing(utterances=1, threads=1, seconds_each=0.1)
    monkeypatch.setattr(figures, "time_scoring", lambda checkpoint: timing)
    output = tmp_path / "out"
    line = ["figures", f"--checkpoint={path}", f"--stores={folder / 'stores'}"]
    monkeypatch.setattr(sys, "argv", [*line, f"--output={output}"])
    figures.main()
    tables = capsys.readouterr().out
    assert "Words alone:" in tables
    assert "no store: mosi_text, mosi_heard" in tables
    found = json.loads((output / "figures.json").read_text("utf-8"))
    assert set(found["tables"]) == {
        "Words alone", "Voice alone", "Face alone", "Acted clips", "Combinations of modalities"
    }  # fmt: skip
    assert (output / "figures.md").read_text("utf-8") == tables
    clips = folder / "stores" / "mosi_clips"
    line = ["extremes", f"--checkpoint={path}", f"--store={clips}", "--count=2"]
    monkeypatch.setattr(sys, "argv", line)
    extremes_module.main()
    assert capsys.readouterr().out.count("film") == 4


def test_a_folder_without_stores_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    path = write_untrained(tmp_path, tiny_encoder)
    with pytest.raises(DataError, match="holds no store"):
        open_bench(path, tmp_path, CPU)


def test_markdown_keeps_a_table_whole() -> None:
    assert markdown(("a", "b"), [("x|y", "two\nlines")]).splitlines()[-1] == r"| x\|y | two lines |"
    assert number_text(None) == "-"
    assert number_text(0.12345, (0.1, 0.2)) == "0.123 [0.100, 0.200]"
