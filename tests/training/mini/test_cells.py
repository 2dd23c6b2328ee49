"""The table of cells against a network that adds up what the planted streams say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import DataError
from dashfusion_models.records import MODALITIES, Modality, Streams
from dashfusion_models.score import score
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.mini import cells
from dashfusion_training.mini.cells import Cell, cells_of, distances, draw_cells
from dashfusion_training.people import sign_alone
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
from tests.training.mini.test_composed import CPU

RANGE = (-3.0, 3.0)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    folder = tmp_path_factory.mktemp("cells")
    rows = {
        "texts": [text_row(f"t{k}", word, SAYS[word]) for k, word in enumerate([*SAYS] * 4)],
        "voices": [voice_row(f"v{k}", list(CLASSES)[k % 6]) for k in range(24)],
        "faces": [face_row(f"f{k}", list(CLASSES)[k % 6]) for k in range(24)],
    }
    return {name: store_of(folder / name, found) for name, found in rows.items()}


@pytest.fixture(scope="module")
def samples(stores: dict[str, Store]) -> dict[Modality, list[Sample]]:
    config = TrainConfig(classes=CLASSES)
    found = [load_dataset({name: store}, "test", config) for name, store in stores.items()]
    return dict(zip(MODALITIES, found, strict=True))


@pytest.fixture(scope="module")
def adding(tiny_encoder: Path) -> Checkpoint:
    """Half of what words say, a fifth of the voice, a third of the face."""
    return checkpoint_of(tiny_encoder, Sum(text=0.5, audio=0.2, vision=0.3))


def test_every_cell_has_samples_of_its_signs(samples: dict[Modality, list[Sample]]) -> None:
    drawn = draw_cells(samples, RANGE, each=3)
    assert len(drawn) == 27 * 3
    for one in drawn:
        assert one.signs == one.alone.map(sign_alone)
        assert one.features.present == Streams(text=True, audio=True, vision=True)
        assert one.features.audio is not None and one.features.vision is not None
        assert float(one.features.audio.values[0, 0]) == pytest.approx(3 * one.alone.audio)
        assert float(one.features.vision.values[0, 0]) == pytest.approx(3 * one.alone.vision)
    again = draw_cells(samples, RANGE, each=3)
    assert [one.alone for one in drawn] == [one.alone for one in again]


def test_means_are_those_of_the_samples(
    samples: dict[Modality, list[Sample]], adding: Checkpoint
) -> None:
    drawn = draw_cells(samples, RANGE, each=4)
    shown = score(adding, [one.features for one in drawn], device=CPU)
    found = cells_of(drawn, [one.score / 3 for one in shown])
    assert len(found) == 27
    for cell in found:
        some = [one.alone for one in drawn if one.signs == cell.signs]
        expected = np.mean([0.5 * a.text + 0.2 * a.audio + 0.3 * a.vision for a in some])
        assert cell.score == pytest.approx(expected, abs=1e-5)
        assert cell.n == 4
    (happy,) = [c for c in found if c.signs == Streams(text=1, audio=-1, vision=-1)]
    assert happy.people == pytest.approx(-0.44, abs=0.01)  # METHOD.md, section 11
    (quiet,) = [c for c in found if c.signs == Streams(text=1, audio=0, vision=0)]
    words = [one.alone.text for one in drawn if one.signs == quiet.signs]
    assert quiet.label == pytest.approx(np.mean(words))  # the words' label stays


def test_labels_are_near_people_where_voice_or_face_says_something(
    samples: dict[Modality, list[Sample]],
) -> None:
    found = distances(cells_of(draw_cells(samples, RANGE, each=40)))
    for group in ("voice and face", "voice or face"):
        assert found[group]["label_mean"] < 0.15


def test_distances_are_of_the_two_dozen_cells() -> None:
    made = [
        Cell(signs=Streams(*signs), n=1, people=0.5, label=0.5, score=0.5 - gap)
        for signs, gap in (((1, 1, 1), 0.1), ((0, -1, 1), 0.3), ((0, 0, 1), 0.2), ((1, 0, 0), 9.0))
    ]
    found = distances(made)
    assert found["voice and face"]["score_mean"] == pytest.approx(0.2)
    assert found["voice and face"]["score_most"] == pytest.approx(0.3)
    assert found["voice or face"] == pytest.approx(
        {"label_mean": 0.0, "label_most": 0.0, "score_mean": 0.2, "score_most": 0.2}
    )


def test_a_sign_that_is_missing_is_named(samples: dict[Modality, list[Sample]]) -> None:
    words = [s for s in samples["text"] if s.label <= 0]
    with pytest.raises(DataError, match=r"text: no test sample has the sign \+"):
        draw_cells({**samples, "text": words}, RANGE)


def test_the_command_prints_and_writes(
    stores: dict[str, Store],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "cells.json"
    given = [f"--{name}={store.folder}" for name, store in stores.items()]
    monkeypatch.setattr(sys, "argv", ["cells", *given, "--limit=2", f"--output={output}"])
    assert cells.main() == 0
    shown = capsys.readouterr().out
    assert shown.count("\n| ") == 28 and "distance from people: label mean" in shown
    written = json.loads(output.read_text("utf-8"))
    assert written["schema"] == "dashfusion/cells/1"
    assert len(written["cells"]) == 27
    assert written["cells"][0]["signs"] == {"text": -1, "audio": -1, "vision": -1}
