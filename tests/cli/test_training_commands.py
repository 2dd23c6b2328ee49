"""`extract`, `train` and `eval` as a user types them, on texts with a planted signal."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.tiny import write_films, write_tiny_encoder

Command = Callable[..., Any]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_films(tmp_path / "films.csv", train=100)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_from_a_manifest_to_a_report(
    command: Command, manifest: Path, encoder: Path, tmp_path: Path
) -> None:
    done = command("extract", manifest, "--output", tmp_path / "store", "--text-only")
    assert (done.code, done.out) == (0, f"{tmp_path / 'store'}: 140 samples\n")
    done = command(
        "train", "--dataset", tmp_path / "store", "--output", tmp_path / "run",
        "--text-encoder", encoder, "--set", "epochs=15", "--set", "batch_size=8",
        "--set", "text_learning_rate=2e-4", "--set", "learning_rate=2e-4", "--device", "cpu",
    )  # fmt: skip
    assert done.code == 0, done.err
    best = tmp_path / "run" / "best.safetensors"
    assert done.out == f"{best}\n"
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "config.toml", "data.json", "log.jsonl", "best.safetensors", "last", "report.json",
        "curves.svg",
    }  # fmt: skip
    done = command(
        "eval", "--checkpoint", best, "--dataset", tmp_path / "store", "--format", "json",
        "--modalities", "text", "--predictions", tmp_path / "predictions.csv",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert (report["schema"], report["n"]) == ("dashfusion/report/1", 20)
    assert report["metrics"]["corr"] > 0.9
    with (tmp_path / "predictions.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 20
    refused = command("train", "--dataset", manifest, "--output", tmp_path / "run")
    assert refused.code == 1
    assert refused.err.startswith("error: ")
    assert "--resume" in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--set", "epoch=3"), 1, "known keys"),
        (("--preset", "maxi"), 1, "known presets"),
        (("--set", "epochs=soon"), 1, "epochs: is 'soon'; give a whole number"),
        (("--precision", "fp8"), 1, "use fp32 or bf16 or fp16"),
        (("--modalities", "text,smell"), 2, "smell"),
        (("--seed", "1", "--seeds", "2"), 2, "not both"),
        (("--dataset", "mosei"), 1, "data prepare mosei"),
        (("--classes", "happy"), 2, "name=score"),
        (("--device", "cuda:7"), 1, "cuda:7"),
        (("--label-range", "-1", "1"), 1, "outside [-1, 1]"),
    ],
)
def test_wrong_settings_end_with_one_line(
    command: Command,
    manifest: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    done = command("train", "--dataset", manifest, "--output", tmp_path / "run", *arguments)
    assert done.code == code
    assert said in done.err
    if code == 1:
        assert done.err.count("\n") == 1
