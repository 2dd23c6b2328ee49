"""A folder of raw clips with the benchmark's own label.csv becomes a model in three commands."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.tiny import write_tiny_encoder

from .conftest import ROOT

DEMO = ROOT / "assets" / "demo.mp4"
SAID = ("He was not an ill-disposed young man.", "Had he married a more amiable woman.")


def cut(start_s: float, target: Path) -> None:
    """Two seconds of the demo clip."""
    import imageio_ffmpeg

    program, span = imageio_ffmpeg.get_ffmpeg_exe(), ["-ss", str(start_s), "-t", "2"]
    quiet = ["-loglevel", "error", *span, "-i", str(DEMO)]
    subprocess.run([program, *quiet, str(target)], check=True, stdin=subprocess.DEVNULL)


@pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")
def test_three_commands(command: Callable[..., Any], tmp_path: Path) -> None:
    raw = tmp_path / "Raw"
    (raw / "talk").mkdir(parents=True)
    with (raw / "label.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("video_id", "clip_id", "text", "label", "mode"))
        for number, (start_s, mode) in enumerate(((0.5, "train"), (9.5, "valid"))):
            cut(start_s, raw / "talk" / f"{number}.mp4")
            table.writerow(("talk", number, SAID[number], number - 0.5, mode))
    (tmp_path / "encoder").mkdir()
    encoder = write_tiny_encoder(tmp_path / "encoder")
    store, run = tmp_path / "stores" / "raw", tmp_path / "runs" / "raw"

    done = command("extract", raw / "label.csv", "--output", store, "--workers", "1", "--offline")
    assert (done.code, done.out) == (0, f"{store}: 2 samples\n"), done.err
    settings = ("--set", "epochs=1", "--set", "first_kept_epoch=1", "--set", "batch_size=2")
    done = command(
        "train", "--dataset", store, "--output", run, "--text-encoder", encoder, *settings,
        "--device", "cpu", "--offline",
    )  # fmt: skip
    assert done.code == 0, done.err
    clip = raw / "talk" / "0.mp4"
    best = run / "best.safetensors"
    done = command("analyze", clip, "--checkpoint", best, "--format", "json", "--offline")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["model"]["name"] == "raw"  # a checkpoint has the name of its folder
    assert found["segments"][0]["contributions"]["audio"] is not None
    assert found["segments"][0]["contributions"]["vision"] is not None
