"""Two processes compute what one does; a training that is killed goes on as if it never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dashfusion_models.store import Store
from dashfusion_training.processes import Team
from tests.training.tiny import write_films, write_tiny_encoder

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

ROOT = Path(__file__).parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def environment() -> dict[str, str]:
    """That of a process which finds the packages in this tree."""
    paths = [str(ROOT), str(ROOT / "models"), str(ROOT / "training")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def run(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def steady_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder without dropout."""
    folder = write_tiny_encoder(tmp_path_factory.mktemp("steady"))
    about = json.loads((folder / "config.json").read_text("utf-8"))
    about |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(about), "utf-8")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun has no gloo rendezvous there")
@pytest.mark.parametrize("anchors", [8, 5, 1])
def test_two_processes_give_the_loss_and_the_gradients_of_one(
    small_store: Store, steady_encoder: Path, tmp_path: Path, anchors: int
) -> None:
    """Equal parts, unequal parts, and a process without any anchor."""
    child = ["-m", "tests.training.torchrun_child", small_store.folder, steady_encoder, anchors]
    run(*child, tmp_path / "one.pt")
    run(*TORCHRUN, *child, tmp_path / "two.pt")
    one = torch.load(tmp_path / "one.pt", weights_only=True)
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    assert sum(name.startswith("gradient.") for name in one) > 50
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5, msg=name)
    for name in set(two) - set(one):  # what no process needed
        assert not two[name].any(), name


@pytest.mark.parametrize("total", [1, 6, 7])
def test_parts_are_dealt_out_and_gathered(total: int) -> None:
    parts = [Team(rank=rank, world=3).part(range(total)) for rank in range(3)]
    assert sorted(card for part in parts for card in part) == list(range(total))
    values = np.arange(total, dtype=np.float64)
    assert np.array_equal(Team().gather(values, total), values)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return write_films(tmp_path / "films.csv", train=90)


def train_command(films: Path, encoder: Path, output: Path) -> list[str]:
    words = [
        "-m", "dashfusion_cli", "train", "--dataset", films, "--preset", "mosi",
        "--text-encoder", encoder, "--output", output, "--device", "cpu", "--set", "epochs=4",
        "--set", "learning_rate=1e-3", "--set", "batch_size=8", "--set", "warmup_epochs=1.0",
    ]  # fmt: skip
    return [sys.executable, *map(str, words)]


def result(folder: Path) -> dict:
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return {**report["seeds"][0], "seconds": None}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_three_times_the_numbers_are_the_same(
    films: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    """Killed at random moments, also while a state is written; every step is saved here."""
    settings = {**environment(), "DASHFUSION_CACHE": str(tmp_path / "cache")}
    whole = train_command(films, tiny_encoder, tmp_path / "whole")
    subprocess.run(whole, env=settings, cwd=ROOT, check=True, capture_output=True, timeout=240)
    often = [
        sys.executable, "-c",
        "import sys, dashfusion_training.run as run; run.SAVE_EVERY_S = 0.0; "
        "from dashfusion_cli.__main__ import main; main()",
    ]  # fmt: skip
    command = [*often, *train_command(films, tiny_encoder, tmp_path / "parts")[3:]]
    draw = random.Random(5)
    log = tmp_path / "parts" / "log.jsonl"
    for kill in range(3):
        child = subprocess.Popen(
            [*command, *(["--resume"] if kill else [])],
            env=settings,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started = time.monotonic()
        while not (log.exists() and log.read_text("utf-8").count('"start"') > kill):
            assert child.poll() is None and time.monotonic() - started < 120
            time.sleep(0.02)
        time.sleep(draw.uniform(0.3, 2.5))
        assert child.poll() is None, "it was over before it could be killed"
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(
        [*command, "--resume"], env=settings, cwd=ROOT, check=True, capture_output=True, timeout=240
    )
    assert result(tmp_path / "parts") == result(tmp_path / "whole")
    one, other = (load_file(tmp_path / name / "best.safetensors") for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
