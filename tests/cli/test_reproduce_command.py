"""`reproduce` and `train --ablate` as a user types them."""

import csv
import io
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashfusion_cli.commands.train import Ablation
from dashfusion_training.config import ABLATIONS
from tests.training.paper.rehearsal import write_rehearsal

Command = Callable[..., Any]
SMALL = ("epochs=2", "warmup_epochs=1", "encoder_layers=1", "batch_size=8", "learning_rate=1e-3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rehearsal")
    write_rehearsal(folder, {"train": 24, "valid": 8, "test": 12}, kind="sum")
    return folder


def options(place: Path) -> list[object]:
    found: list[object] = ["--data-root", place / "data", "--text-encoder", place / "encoder"]
    for setting in SMALL:
        found += ["--set", setting]
    return [*found, "--device", "cpu"]


def test_a_table_is_printed_and_written_and_found_again(command: Command, place: Path) -> None:
    asked = ("reproduce", "table3", *options(place), "--seeds", 1, "--output", place / "out")
    done = command(*asked)
    assert done.code == 0, done.err
    assert "ours, 1 seed" in done.out
    assert "Self-MM" in done.out  # the baselines as they are printed
    assert "(not the paper's data or settings, see below)" in " ".join(done.out.split())
    assert "CH-SIMS, DashFusion, seed 1111 (1 of 1)" in done.err
    assert f"written to {place / 'out'}" in done.err
    again = command(*asked)
    assert again.out == done.out
    assert "seed 1111" not in again.err
    for form, check in (
        ("csv", lambda text: next(iter(csv.reader(io.StringIO(text))))[0] == "table"),
        ("json", lambda text: json.loads(text)["complete"] is True),
        ("markdown", lambda text: "| **ours, 1 seed** |" in text),
        ("latex", lambda text: r"\toprule" in text),
    ):
        shown = command(*asked, "--format", form)
        assert (shown.code, check(shown.out)) == (0, True), shown.out
    assert not command(*asked, "--quiet").err


def test_what_cannot_run_is_said_and_the_rest_is_shown(command: Command, tmp_path: Path) -> None:
    done = command("reproduce", "table5", "table1", "--output", tmp_path / "out")
    assert done.code == 1
    text = " ".join(done.out.split())
    assert "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f" in text
    assert "146.6M" in text  # counted without data
    assert "Table I" in text
    assert "error:" not in done.err


def test_several_tables_are_one_csv_and_lines_of_json(command: Command, tmp_path: Path) -> None:
    asked = ("reproduce", "table4", "table5", "--output", tmp_path / "out", "--format")
    lines = command(*asked, "csv").out.splitlines()
    assert [line.startswith("table,row") for line in lines].count(True) == 1
    assert {line.partition(",")[0] for line in lines[1:]} == {"table4", "table5"}
    records = [json.loads(line) for line in command(*asked, "json").out.splitlines()]
    assert [record["table"] for record in records] == ["table4", "table5"]


def test_a_wrong_table_is_a_wrong_command_line(command: Command) -> None:
    done = command("reproduce", "table9")
    assert done.code == 2
    assert "table5" in done.err


def test_a_wrong_setting_is_an_error_in_one_line(command: Command, tmp_path: Path) -> None:
    done = command("reproduce", "table3", "--set", "epoch=3", "--output", tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: key 'epoch'")


@pytest.mark.parametrize("part", Ablation)
def test_train_leaves_a_part_out(
    part: Ablation, command: Command, place: Path, tmp_path: Path
) -> None:
    done = command(
        "train", "--dataset", "sims", *options(place), "--set", "epochs=1", "--ablate", part.value,
        "--output", tmp_path / "run",
    )  # fmt: skip
    assert done.code == 0, done.err
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text("utf-8"))
    assert {key: config[key] for key in ABLATIONS[part.value]} == ABLATIONS[part.value]


def test_every_ablation_has_a_name_on_the_command_line() -> None:
    assert [part.value for part in Ablation] == list(ABLATIONS)


def test_an_ablated_fusion_is_not_another_one(command: Command, tmp_path: Path) -> None:
    done = command(
        "train", "--dataset", "sims", "--ablate", "hbf", "--fusion", "ca", "--output", tmp_path
    )
    assert done.code == 2
    assert "--fusion concat" in done.err
