"""A checkpoint stored anew, and what that costs by an independent count."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from dashfusion_models.checkpoint import load_checkpoint, storage_of
from dashfusion_models.store import Store
from dashfusion_training.mini.storage import compared, convert, main
from dashfusion_training.predict import predict
from dashfusion_training.samples import Sample
from tests.training.mini.planted import SAYS, store_of, text_row
from tests.training.untrained import write_untrained


@pytest.fixture
def store(tmp_path: Path) -> Store:
    words = list(SAYS)
    rows = [
        text_row(f"{split}{k}", words[k % 5], SAYS[words[k % 5]] / 2 + (k % 3) / 4,
                 split=split, video_id=f"v{k % 6}")
        for split in ("valid", "test") for k in range(40)
    ]  # fmt: skip
    return store_of(tmp_path / "mosei_text", rows)


def test_what_it_costs_is_counted_on_validation_texts(
    store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    before, after = write_untrained(tmp_path, tiny_encoder), tmp_path / "after.safetensors"
    convert(before, after, "int8")
    (cost,) = compared(before, after, [store])
    valid = [k for k, row in enumerate(store.rows) if row.split == "valid"]
    samples = [Sample(store, k, "mosei_text", float(store.rows[k].label)) for k in valid]
    label = np.array([s.label for s in samples])
    one, other = (
        predict(c.network, c.collate, samples, device=torch.device("cpu"), modalities=("text",))
        for c in (load_checkpoint(before), load_checkpoint(after))
    )
    assert cost.n == 40
    assert cost.corr == pytest.approx(pearsonr(label, one).statistic)
    assert cost.corr_after == pytest.approx(pearsonr(label, other).statistic)
    assert cost.mae_after == pytest.approx(np.abs(label - other).mean())
    assert cost.largest_change == pytest.approx(np.abs(one - other).max())
    assert 0 < cost.largest_change < 0.1
    (few,) = compared(before, after, [store], limit=7)
    assert few.n == 7


def test_the_command(
    store: Store, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = write_untrained(tmp_path, tiny_encoder), tmp_path / "after.safetensors"
    asked = ["--checkpoint", str(before), "--output", str(after), "--storage", "int8",
             "--stores", str(store.folder)]  # fmt: skip
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert f"{before.stat().st_size / 1e6:.2f} MB, int8: " in said
    assert "| mosei_text | 40 | " in said
    assert storage_of(after) == "int8"
    assert after.stat().st_size < 0.5 * before.stat().st_size
    assert main(asked) == 1
    assert "exists; give another name or --force" in capsys.readouterr().err
