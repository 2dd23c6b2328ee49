"""TensorBoard and Weights & Biases, each read with its own reader, show what the log says."""

import dataclasses
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.train import train
from dashfusion_training.writers import LogTo, TensorBoard, WeightsAndBiases, Writers, writers_of
from tests.training.logged import NOON, Stopped, StopsAt, log_of, training_of

ROOT = Path(__file__).parents[2]
Curves = dict[str, list[tuple[int, float]]]


def curves_of(folder: Path) -> Curves:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {
        tag: [(point.step, point.value) for point in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def expected_curves(folder: Path) -> Curves:
    """From log.jsonl, the last of what stands twice, by the names of the page on training."""
    found: dict[str, dict[int, float]] = {}
    for entry in log_of(folder):
        values = {"train/loss": entry.get("loss"), "train/epoch_loss": entry.get("train_loss")}
        values |= {f"valid/{k}": v for k, v in entry.get("valid", {}).get("planted", {}).items()}
        for name, value in values.items():
            if value is not None:
                found.setdefault(name, {})[entry["step"]] = pytest.approx(value, rel=1e-6)
    return {name: list(points.items()) for name, points in found.items()}


@pytest.mark.usefixtures("every_step")
def test_tensorboard_reads_the_curves(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    config = dataclasses.replace(tiny_config, epochs=2)
    training = training_of(small_store, config, tmp_path, *writers_of([LogTo.tensorboard]))
    with pytest.raises(Stopped):
        train(dataclasses.replace(training, watch=StopsAt(7)))
    assert [step for step, _ in curves_of(tmp_path)["train/loss"]] == list(range(1, 8))
    train(dataclasses.replace(training, resume=True))
    found = curves_of(tmp_path)
    assert found == expected_curves(tmp_path)
    assert [step for step, _ in found["train/loss"]] == list(range(1, 9))
    assert [step for step, _ in found["valid/mae"]] == [4, 8]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_a_viewer_forgets_a_file_that_could_not_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")

    def kept(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(path)

    log = {"kind": "step", "epoch": 1, "step": 1, "loss": 2.0, "time": NOON}
    (tmp_path / "log.jsonl").write_text(json.dumps(log), "utf-8")
    monkeypatch.setattr(Path, "unlink", kept)
    for _ in range(2):
        writers = Writers([TensorBoard])
        writers.begin(tmp_path, epoch=1, step=1)
        writers.close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
    assert curves_of(tmp_path) == {"train/loss": [(1, 2.0)]}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_ends_tensorboard_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorboard")
    writer = TensorBoard(tmp_path)
    writer._file.close()
    writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    writer._records._writer = writer._file
    writers = Writers([lambda folder: writer])
    writers.begin(tmp_path, epoch=1, step=0)
    for step in (1, 2):
        writers.write({"kind": "step", "step": step, "loss": 1.0, "time": NOON})
    writers.close()
    (record,) = caplog.records
    assert "TensorBoard: stopped (No space left on device)" in record.getMessage()


# -- Weights & Biases --


CHILD = """
import sys
from pathlib import Path
from dashfusion_training.writers import LogTo, Writers, writers_of

for folder in map(Path, sys.argv[1:]):
    writers = Writers(writers_of([LogTo.wandb]))
    writers.begin(folder, epoch=2, step=2)
    writers.close()
"""


def records_of(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format after a header of seven bytes."""
    proto: Any = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    content, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # the rest of a block that holds no header
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the whole record, or the last part of one
            yield proto.Record.FromString(whole)
            whole = b""


def history_of(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    return [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in row.history.item}
        for row in records_of(file)
        if row.HasField("history")
    ]


def test_weights_and_biases_keeps_to_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment asks for: the server that it names hears nothing."""
    pytest.importorskip("wandb")
    entries = [
        {"kind": "start", "time": NOON},
        {"kind": "step", "epoch": 1, "step": 1, "loss": 2.0, "time": NOON},
        {"kind": "epoch", "epoch": 1, "step": 1, "train_loss": 2.0, "valid_mae": 0.5,
         "valid": {"mosi": {"mae": 0.5, "corr": 0.8}}, "time": NOON},
        {"kind": "step", "epoch": 2, "step": 2, "loss": 1.0, "time": NOON},
    ]  # fmt: skip
    seeds = [tmp_path / "mosi" / f"seed-{seed}" for seed in (1111, 1112)]
    for folder in seeds:
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text('batch_size = 16\nname = "mosi"\n', "utf-8")
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, entries)), "utf-8")
    home = tmp_path / "home"
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        environment = {
            **os.environ,
            "WANDB_BASE_URL": f"http://127.0.0.1:{trap.getsockname()[1]}",
            "WANDB_API_KEY": "0" * 40,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "true",
            "WANDB_RESUME": "must",
            "WANDB_RUN_ID": "theirs",
            "HOME": str(home),
            "USERPROFILE": str(home),
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT / "models"), str(ROOT / "training"), os.environ.get("PYTHONPATH", "")]
            ),
        }
        # Twice the first, as if it were resumed.
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *map(str, [seeds[0], *seeds])],
            env=environment, capture_output=True, text=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert (done.stdout, done.stderr) == ("", "")
    assert list(home.rglob("*")) == []
    for folder in seeds:
        first, second = history_of(folder)
        assert first["train/loss"] == 2.0
        assert first["train/epoch_loss"] == 2.0
        assert (first["valid/mae"], first["valid/corr"], first["_step"]) == (0.5, 0.8, 1)
        assert (second["train/loss"], second["_step"]) == (1.0, 2)
        (file,) = folder.glob("wandb/offline-run-*/*.wandb")
        (run,) = [row.run for row in records_of(file) if row.HasField("run")]
        config = {item.key: item.value_json for item in run.config.update}
        assert (run.display_name, run.run_group, config["batch_size"]) == (
            folder.name,
            "mosi",
            "16",
        )
        assert (run.host, run.git.commit) == ("", "")


def test_the_environment_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("wandb")
    seen: dict[str, str | None] = {}

    def init(**_: Any) -> object:
        seen.update(os.environ)
        return object()

    module.init, module.Settings = init, dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    monkeypatch.delenv("WANDB_CACHE_DIR", raising=False)
    (tmp_path / "config.toml").write_text("", "utf-8")
    WeightsAndBiases(tmp_path)
    assert seen["WANDB_ERROR_REPORTING"] == os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert Path(str(seen["WANDB_CACHE_DIR"])).is_relative_to(tmp_path.resolve())
    assert "WANDB_CACHE_DIR" not in os.environ
