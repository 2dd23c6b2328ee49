"""A training that is asked to stop saves what it learned, wherever it is, and goes on there."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.folder import Stop
from dashfusion_models.store import Store
from dashfusion_training import loop as loop_module
from dashfusion_training import retrieval as retrieval_module
from dashfusion_training import train as train_module
from dashfusion_training.config import TrainConfig
from dashfusion_training.interruption import Interrupted
from dashfusion_training.train import Training, train, train_seeds
from dashfusion_training.watch import Unwatched
from tests.training.logged import training_of
from tests.training.test_processes import ROOT, TORCHRUN, environment, train_command
from tests.training.tiny import write_films

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

STEPS = 4  # of an epoch of the small store


class AsksAt(Unwatched):
    """Asks to stop in the step that is told."""

    def __init__(self, stop: Stop, step: int) -> None:
        self.stop, self.left = stop, step

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        self.left -= 1
        if not self.left:
            self.stop.ask()


def asking(stop: Stop, work: Callable[..., Any], call: int) -> Callable[..., Any]:
    """The same work, in the middle of which somebody asks to stop at the `call`th time."""
    calls = 0

    def asked(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            stop.ask()
        return work(*values, **named)

    return asked


def saved(run: Path) -> dict[str, Any]:
    state = torch.load(run / "last" / "state.pt", weights_only=True)
    return dict(state["position"])


def assert_same_network(one: Path, other: Path) -> None:
    known, found = load_checkpoint(one), load_checkpoint(other)
    for name, value in known.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], value, rtol=0, atol=0)
    assert known.training == found.training


@pytest.mark.parametrize(
    ("where", "epoch", "batch"),
    [("step", 2, 3), ("validation", 2, STEPS), ("search", 3, 0), ("test", 4, 0)],
)
def test_wherever_it_is_stopped_it_ends_with_the_same_numbers(
    small_store: Store,
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    epoch: int,
    batch: int,
) -> None:
    config = dataclasses.replace(tiny_config, contrastive_weight=0.2)
    whole = train(training_of(small_store, config, tmp_path / "whole"))
    stop = Stop()
    parts: Training = dataclasses.replace(
        training_of(small_store, config, tmp_path / "parts"), stop=stop
    )
    with monkeypatch.context() as patched:
        if where == "step":
            parts = dataclasses.replace(parts, watch=AsksAt(stop, STEPS + batch))
        for name, module, work, call in (
            ("validation", loop_module, "predict", 2),
            ("search", retrieval_module, "embed", 2),
            ("test", train_module, "evaluate_stores", 1),
        ):
            if where == name:
                patched.setattr(module, work, asking(stop, getattr(module, work), call))
        with pytest.raises(Interrupted) as caught:
            train(parts)
    if where != "test":
        assert str(caught.value) == f"saved at epoch {epoch} of 3, step {batch} of {STEPS}"
    at = saved(tmp_path / "parts")
    assert (at["epoch"], at["batch"]) == (epoch, batch)
    assert not (tmp_path / "parts" / "report.json").exists()
    resumed = train(dataclasses.replace(parts, resume=True, stop=Stop(), watch=Unwatched()))
    assert_same_network(whole, resumed)


def test_of_several_seeds_the_one_under_way_is_saved(
    small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    stop = Stop()
    config = dataclasses.replace(tiny_config, epochs=1)
    training = dataclasses.replace(
        training_of(small_store, config, tmp_path / "runs"), stop=stop, watch=AsksAt(stop, 6)
    )
    with pytest.raises(Interrupted, match="seed 1112: saved at epoch 1 of 1, step 2 of 4"):
        train_seeds(training, 3)
    assert saved(tmp_path / "runs" / "seed-1112")["batch"] == 2
    assert not (tmp_path / "runs" / "seed-1113").exists()


# -- the command, as a process --

LOGS_EVERY_STEP = (
    "import sys, dashfusion_training.run as run; run.LOG_EVERY = 1; "
    "from dashfusion_cli.__main__ import main; main()"
)


def steps_in(run: Path) -> int:
    log = run / "log.jsonl"
    return log.read_text("utf-8").count('"step", "epoch"') if log.exists() else 0


def wait_for_steps(child: "subprocess.Popen[str]", run: Path, steps: int) -> None:
    started = time.monotonic()
    while steps_in(run) < steps:
        assert child.poll() is None and time.monotonic() - started < 480
        time.sleep(0.01)


def started(command: list[str], tmp_path: Path) -> "subprocess.Popen[str]":
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        command,
        env={**environment(), "DASHFUSION_CACHE": str(tmp_path / "cache")},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other there")
def test_ctrl_c_saves_the_step_and_resume_needs_nothing_but_the_folder(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    films = write_films(tmp_path / "films.csv", train=90)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    done = started(train_command(films, tiny_encoder, whole), tmp_path)
    assert done.communicate(timeout=480)[0] == f"{whole / 'best.safetensors'}\n"
    logging = [sys.executable, "-c", LOGS_EVERY_STEP]
    sittings = (
        (train_command(films, tiny_encoder, parts)[3:], signal.SIGINT, 130),
        (["train", "--resume", "--output", str(parts)], signal.SIGTERM, 143),
    )
    for arguments, sent, code in sittings:
        child = started([*logging, *arguments], tmp_path)
        wait_for_steps(child, parts, steps_in(parts) + 5)
        child.send_signal(sent)
        out, err = child.communicate(timeout=480)
        assert (child.returncode, out) == (code, ""), err
        *_, said = err.splitlines()
        found = re.search(r"saved at epoch (\d) of 4, step (\d+) of 12; go on with: (.*)", said)
        assert found is not None, err
        assert "Traceback" not in err
        at = saved(parts)
        assert (at["epoch"], at["batch"]) == (int(found[1]), int(found[2]))
        assert found[3] == f"dashfusion train --resume --output {parts}"
        (*_, last) = (parts / "log.jsonl").read_text("utf-8").splitlines()
        assert json.loads(last)["step"] == at["step"]  # no step was learned in vain
    rest = started([sys.executable, "-m", "dashfusion_cli", *sittings[1][0]], tmp_path)
    assert rest.communicate(timeout=480)[0] == f"{parts / 'best.safetensors'}\n"
    one, other = (load_file(folder / "best.safetensors") for folder in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    of = [json.loads((f / "report.json").read_text("utf-8"))["seeds"][0] for f in (whole, parts)]
    assert {**of[0], "seconds": None} == {**of[1], "seconds": None}


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun has no gloo rendezvous there")
def test_of_several_processes_the_leader_saves(tiny_encoder: Path, tmp_path: Path) -> None:
    """torchrun hands its Ctrl-C on to all of them."""
    films = write_films(tmp_path / "films.csv", train=200)
    command = train_command(films, tiny_encoder, tmp_path / "run")
    (tmp_path / "every_step.py").write_text(LOGS_EVERY_STEP, "utf-8")
    words = [*TORCHRUN, str(tmp_path / "every_step.py"), *command[3:]]
    child = started([command[0], *words], tmp_path)
    wait_for_steps(child, tmp_path / "run", 3)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=480)
    assert err.count("saved at epoch") == 1, err
    assert "go on with: torchrun … -m dashfusion_cli train --resume" in err
    (*_, last) = (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()
    assert saved(tmp_path / "run")["step"] == json.loads(last)["step"] >= 3
    assert not list((tmp_path / "run" / "last").glob("*.part"))
    assert "process 1: stopped" not in err
    assert os.listdir(tmp_path / "run" / "last") == ["state.pt"]
