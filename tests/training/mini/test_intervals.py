"""The coverage of a checkpoint's intervals, as a command prints it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint
from dashfusion_models.score import score
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.calibrate import main as calibrate
from dashfusion_training.mini.intervals import main
from tests.training.tiny import AUDIO, VISION, planted_sample
from tests.training.untrained import untrained


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    with StoreWriter(folder / "javanese", audio=AUDIO, vision=VISION) as writer:
        for split, count in (("valid", 60), ("test", 80)):
            for k in range(count):
                writer.add(*planted_sample(k, split))
    return folder


def test_it_counts_the_intervals_that_a_user_would_see(
    stores: Path, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_checkpoint(untrained(tiny_encoder), before)
    assert main(["--checkpoint", str(before), "--stores", str(stores)]) == 1
    assert "is not calibrated" in capsys.readouterr().err
    asked = ["--checkpoint", str(before), "--output", str(after), "--device", "cpu"]
    assert calibrate([*asked, "--dataset", str(stores / "javanese")]) == 0
    capsys.readouterr()

    store = Store(stores / "javanese")
    tested = [k for k, row in enumerate(store.rows) if row.split == "test"]
    shown = score(load_checkpoint(after), [store[k] for k in tested], device=torch.device("cpu"))
    ends = np.array([one.interval for one in shown])
    label = np.array([float(store.rows[k].label) for k in tested])
    share = float(((label >= ends[:, 0]) & (label <= ends[:, 1])).mean())
    assert 0 < share < 1

    assert main(["--checkpoint", str(after), "--stores", str(stores)]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if "| javanese |" in one)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "80"
    assert cells[2].startswith(f"{share:.3f} ± ")
    assert float(cells[4]) == pytest.approx(float((ends[:, 1] - ends[:, 0]).mean()), abs=0.02)
    assert main(["--checkpoint", str(after), "--stores", str(tmp_path)]) == 1
