"""What is missing or fails costs its row of a table, says so in one line, and nothing more."""

import shutil
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from dashfusion_models.errors import ConfigError, TrainingError
from dashfusion_training.paper.reproduce import reproduce
from dashfusion_training.watch import Unwatched
from tests.training.paper.rehearsal import CPU, request_of


def test_a_training_that_fails_is_a_problem_of_its_row_and_no_other(place: Path) -> None:
    settings = {"learning_rate": "1e6", "contrastive_weight": "0.0"}
    request = request_of(place, "table3", output=place / "failing", settings=settings)
    comparison = reproduce(request, devices=[CPU])
    assert not comparison.complete
    (row,) = [row for row in comparison.rows if row.ours]
    assert row.ours is not None
    assert [p.partition(":")[0] for p in row.ours.problems] == [
        "CH-SIMS, seed 1111",
        "CH-SIMS, seed 1112",
    ]
    assert "learning rate" in row.ours.problems[0]


def test_without_data_the_table_says_where_to_get_them(place: Path, tmp_path: Path) -> None:
    request = request_of(place, "table5", data_root=tmp_path / "none", output=tmp_path / "out")
    comparison = reproduce(request, devices=[CPU])
    (problem,) = comparison.problems
    assert "unaligned_39.pkl" in problem
    assert "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f" in problem
    assert "MMSA" in problem
    counted = [row.ours.mean["sims"]["multiply_adds"] for row in comparison.rows if row.ours]
    assert counted == [0, 304_861_696, 70_423_552, 148_464_640, 146_639_872]


def test_a_text_encoder_that_is_missing_stops_no_table(place: Path, tmp_path: Path) -> None:
    settings = {"text_encoder": "nobody/has-this"}
    request = request_of(place, "table3", output=tmp_path, settings=settings, offline=True)
    comparison = reproduce(request, devices=[CPU])
    assert not comparison.complete
    assert "nobody/has-this" in comparison.problems[0]


def test_texts_alone_are_not_enough(place: Path, tmp_path: Path) -> None:
    from dashfusion_models.store import Store, StoreWriter

    whole = Store(place / "data" / "sims")
    with StoreWriter(tmp_path / "sims", audio=whole.audio, vision=whole.vision) as writer:
        for row, features in whole:
            writer.add(
                replace(row, audio=False, vision=False), replace(features, audio=None, vision=None)
            )
    request = request_of(place, "table3", data_root=tmp_path, output=tmp_path / "out")
    (problem,) = reproduce(request, devices=[CPU]).problems
    assert "has no audio in split train" in problem


def test_two_at_work_in_one_folder_are_refused(place: Path, tmp_path: Path) -> None:
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(TrainingError, match="another `reproduce` is at work"),
    ):
        reproduce(request_of(place, "table1", output=tmp_path), devices=[CPU])


def test_a_setting_that_nobody_knows_is_refused_at_once(place: Path, tmp_path: Path) -> None:
    for table, settings in (
        ("table3", {"epoch": "3"}),
        ("table3", {"seed": "4"}),
        ("table5", {"fusion": '"ca"'}),  # its rows would no longer be what they are called
        ("fig4", {"bottleneck": "16"}),
        ("table4", {"temporal_alignment": "false"}),
    ):
        request = request_of(place, table, output=tmp_path, settings=settings)
        with pytest.raises(ConfigError, match=next(iter(settings))):
            reproduce(request, devices=[CPU])


class _OutOfMemory(Unwatched):
    """A fault that no code of ours raises, in the first training only."""

    def __init__(self) -> None:
        self.number = 0

    def begin(self, number: int, of: int, name: str) -> None:
        self.number = number

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        if self.number == 1:
            raise MemoryError("no room for 3 GiB")


def test_a_fault_of_any_kind_costs_its_training_only(place: Path, tmp_path: Path) -> None:
    said: list[str] = []
    request = request_of(place, "table3", output=tmp_path)
    comparison = reproduce(request, devices=[CPU], watch=_OutOfMemory(), warn=said.append)
    (row,) = [row for row in comparison.rows if row.ours]
    assert row.ours is not None
    assert row.ours.seeds["sims"] == (1112,)
    (problem,) = row.ours.problems
    assert "MemoryError: no room for 3 GiB" in problem
    assert said == ["CH-SIMS, DashFusion, seed 1111: " + problem.partition(": ")[2]]


def test_the_store_of_another_benchmark_is_refused(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "data" / "mosei", tmp_path / "sims")
    request = request_of(place, "table3", data_root=tmp_path, output=tmp_path / "out")
    (problem,) = reproduce(request, devices=[CPU]).problems
    assert "was made of mosei's file" in problem


def test_a_folder_that_cannot_be_locked_is_an_error_in_one_line(
    place: Path, tmp_path: Path
) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(TrainingError, match="check the folder and its rights"):
        reproduce(request_of(place, "table1", output=tmp_path), devices=[CPU])
