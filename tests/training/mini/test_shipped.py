"""The shipped checkpoint gives the figures that its card states for three small samples."""

import csv
import re
from pathlib import Path

import pytest
import torch

from dashfusion_models.engines import Engines
from dashfusion_models.store import Store
from dashfusion_models.weights import DEFAULT_CHECKPOINT, locate_checkpoint
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.mini.recipe import write_manifests
from dashfusion_training.sources import extract_to

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
CARD = ROOT / "models" / "README.md"
CPU = torch.device("cpu")
ENOUGH = {"mosi_text": 200, "ravdess": 32, "faces": 80}  # samples
SPEAKERS, ACTED = {"17", "18"}, {"happy", "angry"}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data sets")


def figure_of_card(name: str) -> float:
    """The number in the row of the card's table of small samples."""
    (found,) = re.findall(
        rf"^\| {re.escape(name)} \|.*\| ([0-9.]+) \|$", CARD.read_text("utf-8"), re.M
    )
    return float(found)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The first samples of three test splits, along the road that every clip comes."""
    folder = tmp_path_factory.mktemp("shipped")
    engines = Engines(offline=True)
    made = {}
    for path in write_manifests(DATA, folder):
        if path.stem not in ENOUGH:
            continue
        with path.open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        rows = [row for row in table if row["split"] == "test"]
        if path.stem == "ravdess":
            rows = [r for r in rows if r["person"] in SPEAKERS and r["label"] in ACTED]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(rows[: ENOUGH[path.stem]])
        made[path.stem] = extract_to(
            path, folder / "stores" / path.stem, media_root=DATA, engines=engines,
            report=lambda progress: None, warn=lambda text: None,
        )  # fmt: skip
    engines.close()
    return made


@pytest.mark.parametrize(
    ("source", "metric", "name"),
    [
        ("mosi_text", "corr", "a sample of words"),
        ("ravdess", "auc", "a sample of voices"),
        ("faces", "auc", "a sample of faces"),
    ],
)
def test_the_card_says_what_the_shipped_file_does(
    stores: dict[str, Store], source: str, metric: str, name: str
) -> None:
    path = locate_checkpoint(DEFAULT_CHECKPOINT, offline=True)
    (report,) = evaluate_stores(
        path, {source: stores[source]}, split="test", classes=None, device=CPU
    )
    assert report.n >= 0.9 * ENOUGH[source]
    assert report.metrics[metric] == pytest.approx(figure_of_card(name), abs=0.01)
