"""The figures of words against a network whose scores are known on paper, and references."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, roc_auc_score

from dashfusion_models.calibration import Calibration, Line, Width
from dashfusion_models.calibration_groups import Grouping
from dashfusion_models.errors import DataError
from dashfusion_models.store import Store
from dashfusion_training.mini import word_figures
from dashfusion_training.mini.bench import Bench
from dashfusion_training.mini.word_figures import comments, main, measure, reviews
from tests.training.mini.planted import SAYS, Sum, checkpoint_of, store_of, text_row
from tests.training.untrained import write_untrained

WORDS = list(SAYS)
# What people feel in each comment, whatever its one word says to the network.
FELT = [("joy", "love"), ("anger",), ("neutral",), ("joy", "anger"), ("surprise",), ("confusion",),
        ("joy", "neutral"), ("sadness",)]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    labels = [SAYS[WORDS[k % 5]] * 1.4 + (k % 3 - 1) * 0.2 for k in range(60)]
    texts = [text_row(f"t{k}", WORDS[k % 5], labels[k], video_id=f"v{k % 7}") for k in range(60)]
    said = [text_row(f"c{k}", WORDS[k * k % 5], 0.0) for k in range(80)]
    store_of(folder / "stores" / "mosi_text", texts)
    store_of(folder / "stores" / "goemotions", said)
    names = sorted({emotion for felt in FELT for emotion in felt})
    (folder / "goemotions").mkdir()
    (folder / "goemotions" / "labels.txt").write_text("\n".join(names), "utf-8")
    lines = [f"x\t{','.join(str(names.index(e)) for e in FELT[k % 8])}\tc{k}" for k in range(80)]
    (folder / "goemotions" / "test.tsv").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def bench(tiny_encoder: Path, folder: Path) -> Bench:
    stores = {path.name: Store(path) for path in (folder / "stores").iterdir()}
    checkpoint = checkpoint_of(tiny_encoder, Sum(text=1.1, audio=0.0, vision=0.0))
    calibration = Calibration(
        label_range=(-3.0, 3.0),
        grouping=Grouping(short_words=5, weak=0.5),
        widths={"all": Width(half=1.0, n=50)},
        lines={"text": Line(slope=0.5, offset=0.25, n=50)},
    )
    return Bench(
        path=Path("planted"),
        checkpoint=dataclasses.replace(checkpoint, calibration=calibration),
        stores=stores,
        device=torch.device("cpu"),
    )


def test_reviews_and_how_far_their_scores_go(bench: Bench) -> None:
    plain, bare, up, down = reviews(bench, "mosi_text")
    samples = bench.samples("mosi_text")
    label = np.array([sample.label for sample in samples])
    scored = np.array([1.1 * SAYS[str(s.row.text).split()[1]] for s in samples])
    assert plain.n == bare.n == 60
    assert plain.over == 7
    assert plain.values["mae"] == pytest.approx(mean_absolute_error(label, scored), abs=1e-6)
    assert plain.values["corr"] == pytest.approx(pearsonr(label, scored).statistic)
    assert set(plain.intervals) == {"mae", "corr", "acc2_np", "acc7"}
    assert bare.values["corr_loss"] == pytest.approx(0.0)
    for found, there, sign in ((up, label >= 2.5, 1), (down, label <= -2.5, -1)):
        assert found.n == there.sum() == 12
        assert found.values["label"] == pytest.approx(label[there].mean())
        assert found.values["score"] == pytest.approx(sign * 2.2, abs=1e-6)
        assert found.values["farthest"] == pytest.approx(sign * 2.2, abs=1e-6)
        assert found.values["shown"] == pytest.approx(sign * 1.1 + 0.25, abs=1e-6)


def test_comments_of_one_sign_and_of_none(bench: Bench, folder: Path) -> None:
    clear, neutral = comments(bench, folder)
    felt = [FELT[k % 8] for k in range(80)]
    scored = np.array([1.1 * SAYS[WORDS[k * k % 5]] for k in range(80)])
    sign = np.array([
        {("joy", "love"): 1, ("anger",): -1, ("sadness",): -1}.get(one, 0) for one in felt
    ])  # fmt: skip
    assert clear.n == (sign != 0).sum() == 30
    assert clear.values["auc"] == pytest.approx(
        roc_auc_score(sign[sign != 0] > 0, scored[sign != 0])
    )
    assert neutral.n == 10
    of_none = [abs(s) for s, one in zip(scored, felt, strict=True) if one == ("neutral",)]
    assert neutral.values == {"mean_size": pytest.approx(np.mean(of_none), abs=1e-6)}
    assert "auc" in clear.intervals


def test_what_is_missing_is_named(bench: Bench, folder: Path, tmp_path: Path) -> None:
    for part, data, fact in (
        ("mosei", None, "mosei_text: no such store"),
        ("goemotions", None, "give --data"),
        ("goemotions", tmp_path, "holds no GoEmotions"),
    ):
        with pytest.raises(DataError, match=fact):
            measure(bench, part, data)
    other = tmp_path / "goemotions"
    other.mkdir()
    (other / "labels.txt").write_text("joy", "utf-8")
    (other / "test.tsv").write_text("x\t0\tc0", "utf-8")
    with pytest.raises(DataError, match="has no comment c1; give the data of the store"):
        measure(bench, "goemotions", tmp_path)


def test_the_command_goes_on_where_it_stopped(
    tiny_encoder: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path, output = write_untrained(tmp_path, tiny_encoder), tmp_path / "words.json"
    asked = ["--checkpoint", str(path), "--stores", str(folder / "stores"), "--output",
             str(output), "--data", str(folder)]  # fmt: skip
    assert main([*asked, "--only", "mosi"]) == 0
    first = json.loads(output.read_text("utf-8"))
    assert list(first["parts"]) == ["mosi"]
    assert "| as written | mosi_text | 60 |" in capsys.readouterr().out
    measured: list[str] = []

    def spied(bench: Bench, part: str, data: Path | None) -> object:
        measured.append(part)
        return measure(bench, part, data)

    monkeypatch.setattr(word_figures, "measure", spied)
    assert main([*asked, "--only", "mosi", "goemotions"]) == 0
    found = json.loads(output.read_text("utf-8"))
    assert measured == ["goemotions"]
    assert found["parts"]["mosi"] == first["parts"]["mosi"]
    assert [row["what"] for row in found["parts"]["goemotions"]] == [
        "comments of one clear sign", "neutral comments"
    ]  # fmt: skip
    assert main([*asked, "--only", "goemotions", "--force"]) == 0
    assert measured == ["goemotions"] * 2
    output.write_text(json.dumps({**found, "sha256": "0" * 64}), "utf-8")
    assert main(asked) == 1
    assert "has figures of another checkpoint" in capsys.readouterr().err
