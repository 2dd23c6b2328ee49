"""`extract`, `train` and `eval` as a user types them, on texts with a planted signal."""

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashfusion_cli.commands import train as train_command
from dashfusion_cli.fetching import fetch_encoder
from dashfusion_cli.session import Session
from dashfusion_models.checkpoint_about import checkpoint_head
from dashfusion_training import manifest as manifest_module
from dashfusion_training.request import request_of, write_request
from tests.training.tiny import write_films, write_tiny_encoder

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

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
        "curves.svg", "request.json",
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
    resume = ("train", "--quiet", "--resume", "--output", tmp_path / "run")
    again = command(*resume[:1], *resume[2:], "--set", "learning_rate=2e-4")
    assert (again.code, again.out) == (0, f"{best}\n"), again.err
    assert "run: had ended before, so only the test was made anew\n" in again.err
    assert "had ended" not in done.err
    for contradiction, said in (
        (("--set", "learning_rate=1e-4"), "learning_rate: 0.0002 in RUN, 0.0001 given"),
        (("--seed", "5"), "seed: 1111 in RUN, 5 given"),
        (("--preset", "mosi"), "preset: mini in RUN, mosi given"),
        (("--seeds", "2"), "seeds: one training in RUN, 2 given"),
        (("--dataset", manifest), "films.digest"),
    ):
        refused = command(*resume, *contradiction)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert said in refused.err


def test_extraction_is_interrupted_after_a_sample_and_goes_on(
    command: Command, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_films(tmp_path / "films.csv", train=10)
    rows: list[str] = []
    real = manifest_module.extract_row

    def extract_row(row: Any, engines: Any) -> Any:
        rows.append(row.id)
        if len(rows) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(row, engines)

    monkeypatch.setattr(manifest_module, "extract_row", extract_row)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGINT)
    asked = ("train", "--dataset", manifest, "--output", tmp_path / "run", "--text-encoder",
             encoder, "--set", "epochs=1", "--device", "cpu")  # fmt: skip
    stopped = command(*asked)
    assert (stopped.code, stopped.out, len(rows)) == (130, "", 3)
    assert stopped.err.splitlines()[-1].endswith(
        "extracted samples are kept, run the same command again to go on"
    )
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(signal.SIGINT) is before
    done = command(*asked)
    assert done.code == 0, done.err
    assert len(rows) == len(set(rows)) == 50  # none was extracted twice


def test_nothing_to_go_on_with_is_wrong_usage(command: Command, tmp_path: Path) -> None:
    for asked in (("--resume",), ()):
        done = command("train", *asked, "--output", tmp_path / "run")
        assert (done.code, done.out) == (2, "")
        assert "--dataset" in done.err


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
        (("--finetune", "dashfusion-mimi"), 1, "did you mean dashfusion-mini?"),
        (("--finetune", "gone.safetensors"), 1, "gone.safetensors: no such checkpoint"),
        (("--finetune", "dashfusion-mini", "--fusion", "bf"), 2, "that of --finetune"),
        (("--finetune", "dashfusion-mini", "--text-encoder", "minilm"), 2, "that of --finetune"),
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


@pytest.mark.parametrize("wrong", [("--text-encoder", "minlm"), ("--set", "start=minlm")])
def test_a_part_that_is_not_there_is_refused_before_anything_is_opened(
    command: Command, tmp_path: Path, wrong: tuple[str, str]
) -> None:
    """What is wrong with the data would be said first else."""
    (tmp_path / "clips.csv").write_text("file,label,split\ngone.mp4,1,train\n", "utf-8")
    done = command("train", "--dataset", "clips.csv", "--output", tmp_path / "run", *wrong)
    assert done.code == 1
    assert "did you mean minilm?" in done.err
    assert "gone.mp4" not in done.err


def test_a_folder_called_as_known_weights_is_told_from_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "minilm").mkdir()
    fetch_encoder("./minilm", offline=True, session=Session())
    assert capsys.readouterr().err == ""
    fetch_encoder("minilm", offline=True, session=Session())
    said = "minilm: the known weights, not the folder here, which is ./minilm\n"
    assert capsys.readouterr().err == said


def test_words_alone_need_no_media(command: Command, encoder: Path, tmp_path: Path) -> None:
    """A label.csv of a benchmark whose clips are not here."""
    with (tmp_path / "label.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("video_id", "clip_id", "text", "label", "mode"))
        for k in range(30):
            split = ("train", "valid", "test")[k % 3]
            table.writerow((f"v{k}", 1, f"the {('bad', 'good')[k % 2]} film", k % 2, split))
    line = ("train", "--dataset", "label.csv", "--text-encoder", encoder, "--device", "cpu",
            "--set", "epochs=1", "--output", "run")  # fmt: skip
    done = command(*line, "--modalities", "text")
    assert done.code == 0, done.err
    done = command(*line[:-1], "other")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "extract --text-only" in done.err


def test_a_few_samples_on_top_of_the_shipped_checkpoint(
    command: Command, manifest: Path, tmp_path: Path
) -> None:
    """No text encoder is fetched, the range may be another, and the licence comes along."""
    done = command(
        "train", "--dataset", manifest, "--finetune", "dashfusion-mini", "--label-range", -2, 2,
        "--set", "epochs=1", "--output", tmp_path / "mine", "--offline", "--device", "cpu",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "before training, valid MAE" in done.err
    assert "intervals need 40 validation samples" in done.err
    made = checkpoint_head(tmp_path / "mine" / "best.safetensors")
    assert made["name"] == "mine"
    assert made["license"] == "CC-BY-NC-SA-4.0 (inherited from dashfusion-mini)"
    assert made["label_range"] == [-2.0, 2.0]


@pytest.fixture
def run(encoder: Path, tmp_path: Path) -> Path:
    """A RUN of data that are gone."""
    folder = tmp_path / "run"
    gone = [tmp_path / "gone.csv"]
    asked = {"data_root": tmp_path, "media_root": None, "device": "cpu", "preset": "mini"}
    write_request(folder, request_of(gone, **asked, seeds=None, log_to=()))
    (folder / "data.json").write_text("{}", "utf-8")
    (folder / "config.toml").write_text(f"epochs = 2\ntext_encoder = '{encoder}'\n", "utf-8")
    return folder


def test_other_settings_are_refused_before_data_are_opened(command: Command, run: Path) -> None:
    same = command("train", "--resume", "--output", run, "--set", "epochs=2")
    assert same.code == 1 and "gone.csv" in same.err
    other = command("train", "--resume", "--output", run, "--set", "epochs=9")
    assert (other.code, other.err.count("\n")) == (1, 1)
    assert "epochs: 2 in RUN, 9 given" in other.err and "gone.csv" not in other.err


def test_a_run_that_does_not_say_its_preset_is_given_none(
    command: Command, run: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one go on that has no settings yet: nobody knows which were asked for."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(train_command, "_train", lambda found, *rest: asked.append(found) or [])
    (run / "request.json").rename(run / "kept.json")
    assert command("train", "--resume", "--output", run, "--dataset", manifest).code == 0
    assert asked[0]["preset"] is None and train_command._request(asked[0]).preset is None
    (run / "kept.json").rename(run / "request.json")
    (run / "config.toml").unlink()
    done = command("train", "--resume", "--output", run)
    assert done.code == 2 and "--dataset" in done.err


@pytest.mark.parametrize("part", ["scl", "semantic-alignment", "dual-stream-alignment"])
def test_an_ablation_without_effect_is_refused_in_one_line(
    part: str, command: Command, manifest: Path, encoder: Path, tmp_path: Path
) -> None:
    """Texts alone are compared with nothing, by the settings or by the data."""
    run = ("--text-encoder", encoder, "--output", tmp_path / "run", "--device", "cpu")
    off = ("--set", "contrastive_weight=0")
    for settings, said in ((off, "nothing is compared"), ((), "no training sample has")):
        done = command("train", "--dataset", manifest, *run, "--ablate", part, *settings)
        assert (done.code, done.out) == (1, "")
        assert done.err.splitlines()[-1].startswith(f"error: {part}: {said}")
        assert not (tmp_path / "run").exists()


def test_data_that_have_a_benchmarks_name_by_chance_are_ones_own(
    command: Command, manifest: Path, encoder: Path, tmp_path: Path
) -> None:
    films = tmp_path / "mosi.csv"
    films.write_bytes(manifest.read_bytes())
    run = ("--text-encoder", encoder, "--device", "cpu", "--set", "epochs=1")
    done = command("train", "--dataset", films, *run, "--output", tmp_path / "own")
    assert done.code == 0, done.err
    assert "mosi.csv: was not made of the benchmark's own file; its preset is mini" in done.err
    request = json.loads((tmp_path / "own" / "request.json").read_text("utf-8"))
    assert request["preset"] == "mini"
    done = command("extract", films, "--output", tmp_path / "data" / "mosi", "--text-only")
    assert done.code == 0, done.err
    named = ("--dataset", "mosi", "--data-root", tmp_path / "data")
    done = command(
        "train", *named, *run, "--output", tmp_path / "named", "--modalities", "text",
        "--set", "contrastive_weight=0",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "was not made of the benchmark's own file; its preset is mosi" in done.err
