"""What a teacher says of a text was learned from the texts of other videos."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dashfusion_models.errors import TrainingError
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.loop import Splits
from dashfusion_training.mini import fold_training
from dashfusion_training.mini import teach as teach_module
from dashfusion_training.mini.teach import main, teach
from dashfusion_training.run import Run
from tests.training.tiny import AUDIO, SCORE_OF, VISION

VIDEOS = 9


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The word tells the score; videos have three to eleven texts. Manifests name no person."""
    from dashfusion_models.records import Features

    folder = tmp_path_factory.mktemp("taught") / "texts"
    draw = np.random.default_rng(0)
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for video in range(VIDEOS):
            for clip in range(3 + video):
                word = str(draw.choice(list(SCORE_OF)))
                text = f"the {word} film"
                row = Row(id=f"{video}-{clip}", label=SCORE_OF[word],
                          split="valid" if clip == 0 else "train", text=text, audio=False,
                          vision=False, video_id=f"video {video}", clip_id=str(clip))  # fmt: skip
                writer.add(row, Features(text, None, None))
    return Store(folder)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_text_is_scored_once_by_who_never_met_its_video(
    texts: Store, tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[set[str]] = []

    def spied(checkpoint: Any, splits: Splits, *rest: Any, **named: Any) -> Any:
        met.append({sample.row.video_id for sample in splits.train})
        return spied_on(checkpoint, splits, *rest, **named)

    spied_on = fold_training.fit
    monkeypatch.setattr(fold_training, "fit", spied)
    config = TrainConfig(**{**tiny_config.to_dict(), "epochs": 12, "modalities": ("text",)})
    how: dict[str, Any] = {"folds": 3, "device": torch.device("cpu")}
    teach({"texts": texts}, config, tmp_path, only=2, **how)
    mine = tmp_path / f"seed-{config.seed}"
    assert [path.name for path in mine.glob("*.csv")] == ["fold-2.csv"]
    assert not (tmp_path / f"seed-{config.seed}.csv").exists()
    teach({"texts": texts}, config, tmp_path, **how)
    assert len(met) == 3  # the second fold was there
    for fold, knew in zip((2, 1, 3), met, strict=True):
        said = {f"video {row['id'].split('-')[0]}" for row in read(mine / f"fold-{fold}.csv")}
        assert said and knew and not said & knew
    rows = read(tmp_path / f"seed-{config.seed}.csv")
    assert sorted(row["id"] for row in rows) == sorted(
        row.id for row in texts.rows if row.split == "train"
    )
    told = np.array([[float(row["label"]), float(row["prediction"])] for row in rows])
    assert np.corrcoef(told.T)[0, 1] > 0.8


def test_a_fold_that_was_stopped_goes_on(
    texts: Store, tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With adapters, as dashfusion-base teaches; a training that was finished is not done again."""
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    config = changed(tiny_config, {"epochs": 1, "modalities": ["text"], "adapter_rank": 2})
    how: dict[str, Any] = {"folds": 2, "only": 1, "device": torch.device("cpu")}
    steps = 0
    end_step = Run.end_step

    def counted(self: Run, *rest: Any) -> Any:
        nonlocal steps
        steps += 1
        return end_step(self, *rest)

    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "end_step", counted)
    with monkeypatch.context() as patch:
        patch.setattr(teach_module, "predict", stopped)
        with pytest.raises(KeyboardInterrupt):
            teach({"texts": texts}, config, tmp_path / "out", **how)
    trained_for, steps = steps, 0
    assert trained_for > 0
    with pytest.raises(TrainingError, match="was started with other settings"):
        teach({"texts": texts}, changed(config, {"batch_size": 8}), tmp_path / "out", **how)
    with pytest.raises(TrainingError, match="samples: other content"):
        teach({"texts": texts}, config, tmp_path / "out", **{**how, "folds": 3})
    teach({"texts": texts}, config, tmp_path / "out", **how)
    mine = tmp_path / "out" / f"seed-{config.seed}"
    assert steps == 0
    assert (mine / "fold-1.csv").exists()
    assert not (mine / "fold-1" / "last").exists()


def test_the_command(
    texts: Store, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = ["teach", "--text-encoder", str(tiny_encoder), "--stores", str(texts.folder),
               "--output", str(tmp_path / "out"), "--folds", "2", "--set", "epochs=1",
               "--set", "context_tokens=8", "--device", "cpu"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 0
    assert len(read(tmp_path / "out" / "seed-1111.csv")) == sum(
        row.split == "train" for row in texts.rows
    )
    monkeypatch.setattr(sys, "argv", [*command, "--set", "epochs"])
    assert main() == 1
    assert "has no '='" in capsys.readouterr().err
