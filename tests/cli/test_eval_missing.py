"""`eval --missing` and what `eval` takes for granted, as a user types it."""

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashfusion_models.checkpoint import save_checkpoint
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.sample_digests import digests_of, joined
from dashfusion_training.samples import Sample
from tests.training.tiny import AUDIO, VISION, planted_sample, write_tiny_encoder
from tests.training.untrained import untrained, write_untrained

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "planted"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for k in range(20):
            writer.add(*planted_sample(k, "test"))
    return folder


@pytest.fixture
def asked(store: Path, encoder: Path, tmp_path: Path) -> tuple[object, ...]:
    checkpoint = write_untrained(tmp_path, encoder)
    return ("eval", "--checkpoint", checkpoint, "--dataset", store, "--device", "cpu")


def test_random_in_every_form(command: Command, asked: tuple[object, ...]) -> None:
    done = command(*asked, "--missing", "random", "--format", "json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    rows = report["missing"]["rows"]
    assert [row["rate"] for row in rows] == [k / 10 for k in range(10)]
    complete = json.loads(command(*asked, "--format", "json").out)
    assert rows[0]["metrics"] == complete["metrics"]
    assert report.keys() == complete.keys() | {"missing"}

    lines = command(*asked, "--missing", "random").out.splitlines()
    assert lines[1] == "steps lost at random, mean of mask seeds 1111, 1112, 1113"
    assert lines[2].split() == ["rate", *report["metrics"]]
    assert [line.split()[0] for line in lines[3:14]] == [f"{k / 10:.1f}" for k in range(10)] + [
        "mean"
    ]
    assert lines[13].split()[1] == f"{report['metrics']['mae']:.4f}"
    assert len({len(line) for line in lines[2:14]}) == 1  # aligned

    done = command(*asked, "--missing", "random", "--format", "csv")
    cells = list(csv.DictReader(io.StringIO(done.out)))
    assert len(cells) == 11 * len(report["metrics"])
    found = {(cell["rate"], cell["metric"]): cell["value"] for cell in cells}
    assert found["0.4", "mae"] == f"{rows[4]['metrics']['mae']:.6f}"
    assert found["mean", "corr"] == f"{report['metrics']['corr']:.6f}"


def test_the_ending_of_the_file_chooses_the_form_of_a_report(
    command: Command, asked: tuple[object, ...]
) -> None:
    assert command(*asked, "-o", "report.json").code == 0
    assert json.loads(Path("report.json").read_text("utf-8"))["metrics"]
    assert command(*asked, "-o", "report.csv").code == 0
    assert list(csv.DictReader(io.StringIO(Path("report.csv").read_text("utf-8"))))
    assert command(*asked, "-o", "report.srt").code == 2


def test_subsets_name_their_modalities(command: Command, asked: tuple[object, ...]) -> None:
    report = json.loads(command(*asked, "--missing", "subsets", "--format", "json").out)
    names = ["+".join(row["modalities"]) for row in report["missing"]["rows"]]
    lines = command(*asked, "--missing", "subsets").out.splitlines()
    assert lines[2].split() == list(report["metrics"])
    assert [line.split()[0] for line in lines[3:11]] == [*names, "mean"]
    assert max(map(len, lines)) <= 80
    done = command(*asked, "--missing", "subsets", "--format", "csv")
    cells = list(csv.DictReader(io.StringIO(done.out)))
    assert list(dict.fromkeys(cell["modalities"] for cell in cells)) == [*names, "mean"]


def test_two_data_sets_follow_each_other(
    command: Command, asked: tuple[object, ...], store: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(store, again)
    done = command(*asked, "--dataset", again, "--missing", "subsets", "--format", "csv")
    cells = list(csv.DictReader(io.StringIO(done.out)))
    assert list(dict.fromkeys(cell["dataset"] for cell in cells)) == ["planted", "again"]
    done = command(*asked, "--dataset", again, "--missing", "subsets", "--format", "json")
    first, second = map(json.loads, done.out.splitlines())
    assert first["metrics"] == second["metrics"]


@pytest.mark.parametrize("other", [("--modalities", "text"), ("--missing", "some")])
def test_what_does_not_go_together_is_wrong_usage(
    command: Command, asked: tuple[object, ...], tmp_path: Path, other: tuple[str, str]
) -> None:
    done = command(*asked, "--missing", "random", *other)
    assert (done.code, done.out) == (2, "")
    if other[1] != "some":
        assert f"--missing: does not go with {other[0]}" in done.err


ORIGIN = ["file", "video_id", "clip_id", "text", "start_s", "end_s"]


def predictions(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predictions_of_every_case(
    command: Command, asked: tuple[object, ...], tmp_path: Path
) -> None:
    """Metrics computed from the file are those of the report."""
    for protocol, columns, cases in (
        ("random", ["rate", "seed"], 28),
        ("subsets", ["modalities"], 7),
    ):
        file = tmp_path / f"{protocol}.csv"
        done = command(*asked, "--missing", protocol, "--format", "json", "--predictions", file)
        assert done.code == 0, done.err
        rows = json.loads(done.out)["missing"]["rows"]
        found = predictions(file)
        assert list(found[0]) == ["id", "label", "prediction", *ORIGIN, *columns]
        assert len(found) == 20 * cases
        of_case: dict[str, list[float]] = {}
        for one in found:
            error = abs(float(one["label"]) - float(one["prediction"]))
            of_case.setdefault(one[columns[0]], []).append(error)
        assert [sum(errors) / len(errors) for errors in of_case.values()] == pytest.approx(
            [row["metrics"]["mae"] for row in rows], abs=1e-4
        )
    nothing_lost = [one for one in predictions(tmp_path / "random.csv") if one["rate"] == "0.0"]
    assert [one["seed"] for one in nothing_lost] == 20 * [""]


def test_predictions_are_joined_to_the_csv_that_they_come_from(
    command: Command, encoder: Path, tmp_path: Path
) -> None:
    """Also where the CSV has no ids, by file and text; its cells come back as they are."""
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.mp4").write_bytes(b"never opened")
    manifest = tmp_path / "clips.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "text", "label", "split", "video_id", "clip_id"))
        table.writerow(("clips/a.mp4", "the good film", 1, "test", "v1", "7"))
        table.writerow(("", "the bad, the poor film", -1, "test", "v1", "8"))
    store = tmp_path / "store"
    assert command("extract", manifest, "--text-only", "--output", store).code == 0
    checkpoint = write_untrained(tmp_path, encoder, training={"config": {"modalities": ["text"]}})
    done = command("eval", "--checkpoint", checkpoint, "--dataset", store, "--device", "cpu",
                   "--predictions", tmp_path / "p.csv")  # fmt: skip
    assert done.code == 0, done.err
    joined = {
        (one["file"], one["video_id"], one["clip_id"], one["text"]): float(one["label"])
        for one in predictions(tmp_path / "p.csv")
    }
    with manifest.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["file"], row["video_id"], row["clip_id"], row["text"])
            assert joined.pop(key) == float(row["label"])
    assert not joined


def test_samples_that_the_checkpoint_learned_from_are_warned_of(
    command: Command, store: Path, encoder: Path, tmp_path: Path
) -> None:
    samples = [Sample(Store(store), k, "planted", 0.0) for k in range(7)]
    checkpoint = dataclasses.replace(untrained(encoder), learned=joined(digests_of(samples)))
    save_checkpoint(checkpoint, tmp_path / "knows.safetensors")
    asked = ("eval", "--checkpoint", tmp_path / "knows.safetensors", "--dataset", store)
    done = command(*asked, "--format", "json", "--device", "cpu")
    assert json.loads(done.out)["trained_on"] == 7
    assert done.err.startswith(
        "warning: planted: 7 of 20 samples were in the training data of this checkpoint"
    )


def test_the_modalities_are_the_checkpoints_own(
    command: Command, store: Path, encoder: Path, tmp_path: Path
) -> None:
    training = {"config": {"modalities": ["text", "audio"]}}
    checkpoint = write_untrained(tmp_path, encoder, training=training)
    asked = ("eval", "--checkpoint", checkpoint, "--dataset", store, "--format", "json")
    report = json.loads(command(*asked).out)
    assert report["modalities"] == ["text", "audio"]
    less = json.loads(command(*asked, "--modalities", "audio").out)
    assert less["modalities"] == ["audio"]
    done = command(*asked, "--modalities", "text,vision")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "was not trained with vision; give --modalities text,audio" in done.err


def test_a_benchmark_is_found_by_its_name(
    command: Command, asked: tuple[object, ...], store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "stores" / "mosi")
    named = [*asked[:4], "mosi", *asked[5:], "--format", "json"]
    done = command(*named, "--data-root", tmp_path / "stores")
    assert done.code == 0, done.err
    assert json.loads(done.out)["dataset"] == "mosi"
    done = command(*named)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "mosi: no store at" in done.err
