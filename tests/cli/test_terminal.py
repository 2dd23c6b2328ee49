"""What a person sees on a terminal, bars and all, is what a program reads from a pipe.

Each command that prints under a bar runs twice: in a terminal, and with its streams in pipes. All
lines of the terminal, those scrolled out of sight too, must be those of both streams in the order
in which they were written. Bars are gone; only the titles of files are a terminal's own.
"""

import hashlib
import logging
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dashfusion_cli import checks
from dashfusion_cli.checks import Check, State
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session
from dashfusion_models.analysis import Analysis
from dashfusion_models.folder import LocalEngine
from dashfusion_models.records import Progress
from dashfusion_models.store import StoreWriter
from dashfusion_models.weights import lookup
from dashfusion_models.weights.known import Weight, WeightFile
from tests.models.folder.planted_work import PlantedTask
from tests.training.official.form import write_official_file
from tests.training.tiny import AUDIO, VISION, planted_sample, write_films, write_tiny_encoder
from tests.training.untrained import write_untrained

from .conftest import FakeRoad, analysis, segment
from .terminal import Pipe, Size, Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")

SMALL, LARGE = Size(80, 24), Size(140, 50)
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
TITLE = re.compile(r"\[\d+/\d+\] ")
NOBODY_WAITS = re.compile(r"done at about .*")  # the clock goes on between two runs
LONG = 55  # segments, lines, files: more than either screen has lines
STAGES = ("decode", "transcribe", "audio", "vision", "score")


def without_titles(lines: list[str]) -> list[str]:
    return [line for line in lines if not TITLE.match(line)]


@pytest.fixture
def same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Run a command in a pipe and in a terminal, each in a folder of its own, and compare."""

    def check(
        size: Size,
        *arguments: object,
        code: int = 0,
        prepare: Callable[[], object] = lambda: None,
    ) -> list[str]:
        monkeypatch.setattr("dashfusion_cli.progress._LINE_EVERY_S", math.inf)
        seen = []
        for kind in (Pipe, Terminal):
            folder = tmp_path / kind.__name__
            folder.mkdir()
            monkeypatch.chdir(folder)
            prepare()
            place = kind(size).run(*arguments)
            lines = [NOBODY_WAITS.sub("", line) for line in place.lines()]
            assert place.code == code, lines
            seen.append(lines)
        piped, shown = seen
        assert without_titles(shown) == piped
        return piped

    return check


Same = Callable[..., list[str]]


def scored(path: Path, *, segments: int, warnings: Sequence[str] = ()) -> Analysis:
    parts = [segment(f"Sentence {k} of {path.stem}.", k / LONG) for k in range(segments)]
    return analysis(str(path), *parts, warnings=tuple(warnings))


def plant(*names: str, text: str = "whatever") -> None:
    for name in names:
        Path(name).write_text("broken" if "broken" in name else text)


@SIZES
@pytest.mark.parametrize("segments", [1, LONG])
@pytest.mark.parametrize("form", ["table", "json", "csv", "srt", "vtt"])
def test_a_result_is_whole(
    same: Same, road: FakeRoad, size: Size, segments: int, form: str
) -> None:
    road.stages = STAGES
    road.answer = lambda path: scored(path, segments=segments, warnings=["it is " + "long " * 40])
    plant_clip = partial(plant, "clip.mp4")
    lines = same(size, "analyze", "clip.mp4", "--format", form, prepare=plant_clip)
    last = {"table": "Base and contributions make the score.", "json": "}", "csv": "clip.mp4,"}
    foot = " ".join(lines[-5:])  # a narrow screen breaks lines
    assert last.get(form, f"Sentence {segments - 1} of clip.") in foot
    assert form != "table" or any(line.startswith(" all ") for line in lines[-9:])


@SIZES
@pytest.mark.parametrize("segments", [1, LONG])
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_results_warnings_and_errors_stand_in_their_order(
    same: Same, road: FakeRoad, size: Size, segments: int, form: str
) -> None:
    def answer(path: Path) -> Analysis:
        logging.getLogger("dashfusion_models").warning("logged while %s is scored", path)
        return scored(path, segments=segments, warnings=[f"first of {path}", "x" * 200])

    road.stages, road.answer = STAGES, answer
    names = ("a.mp4", "broken.mp4", "gone.mp4", "z.mp4")
    there = partial(plant, "a.mp4", "broken.mp4", "z.mp4")
    lines = same(size, "analyze", *names, "--format", form, code=1, prepare=there)
    for told in (
        "WARNING dashfusion_models: logged while z.mp4 is scored",
        "warning: z.mp4: first of z.mp4",
        "error: broken.mp4: cannot be read; convert it with ffmpeg",
        "error: gone.mp4: no such file; check the name",
    ):
        assert told in lines


def test_titles_of_several_files_stay(road: FakeRoad, tmp_path: Path) -> None:
    plant("a.mp4", "b.mp4")
    lines = Terminal(SMALL).run("analyze", "a.mp4", "b.mp4").lines()
    assert [line for line in lines if TITLE.match(line)] == ["[1/2] a.mp4", "[2/2] b.mp4"]


@pytest.mark.parametrize(
    ("first", "then"), [(SMALL, LARGE), (LARGE, SMALL), (LARGE, Size(140, 24))], ids=str
)
def test_a_window_that_changes_its_size_loses_nothing(
    road: FakeRoad, first: Size, then: Size
) -> None:
    """Between one file and the next, with all bars on the screen."""
    plant("a.mp4", "b.mp4", "c.mp4")
    terminal = Terminal(first)

    def answer(path: Path) -> Analysis:
        return scored(path, segments=5, warnings=[f"of {path}"])

    def resizing(path: Path) -> Analysis:
        if path.name == "b.mp4":
            terminal.resize(then)
        return answer(path)

    road.stages, road.answer = STAGES, resizing
    asked = ("analyze", "a.mp4", "b.mp4", "c.mp4")
    lines = without_titles(terminal.run(*asked).lines())
    road.answer = answer
    before, after = (Pipe(size).run(*asked).lines() for size in (first, then))
    told = "warning: b.mp4: of b.mp4"
    assert lines[lines.index(told) :] == after[after.index(told) :]
    if then.columns >= first.columns:  # this emulator cuts what is wider than it becomes
        assert lines[: lines.index(told)] == before[: before.index(told)]


@SIZES
def test_what_ends_without_a_line_end_is_not_drawn_over(size: Size) -> None:
    terminal = Terminal(size)

    def command(*_: object) -> int:
        with show_progress(Session()) as board:
            board(Progress("decode", 1, 2))
            board(Progress("score", 1, 2))
            with board.aside():
                sys.stdout.write("no line end")
                sys.stdout.flush()
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.cli.terminal.run", command)
        assert terminal.run().lines() == ["no line end"]


@SIZES
def test_a_folder(same: Same, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: Size) -> None:
    from dashfusion_cli.commands import batch

    work = PlantedTask(str(tmp_path / "log"))
    monkeypatch.setattr(batch, "_engine", lambda *_: LocalEngine(work, workers=1))

    def clips() -> None:
        Path("clips").mkdir()
        for k in range(30):
            Path(f"clips/{k:02d}.mp4").write_text(f"bad {k}" if k % 7 == 3 else f"ok {k}")

    lines = same(size, "batch", "clips", "--output", "results", "--html", code=3, prepare=clips)
    assert lines[-2:] == ["results: 26 analysed, 4 failed", ""]
    assert "warning: clips/03.mp4: cannot be read; convert it" in lines
    assert "warning: clips/29.mp4: it is planted" in lines


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    return write_untrained(tmp_path_factory.mktemp("checkpoint"), encoder)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "planted"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for k in range(30):
            writer.add(*planted_sample(k, ("train", "valid", "test")[k % 3]))
    return folder


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening data sets takes two stages and warns of as much as a manifest of bad rows does."""
    from dashfusion_training import sources

    real = sources.open_sources

    def open_sources(datasets: Sequence[Path], *, report: Any, warn: Any, **how: Any) -> Any:
        for k in range(LONG):
            report(Progress("words", k, LONG, "samples"))
            report(Progress("faces", k, LONG, "samples"))
            warn(f"{datasets[0]}: row {k}: " + "cannot be read, " * (k % 7))
        return real(datasets, report=report, warn=warn, **how)

    monkeypatch.setattr(sources, "open_sources", open_sources)


@pytest.mark.parametrize(
    ("size", "more"),
    [(SMALL, ()), (LARGE, ()), (SMALL, ("--format", "json")), (SMALL, ("--missing", "subsets"))],
    ids=str,
)
def test_a_report(
    same: Same, warned: None, checkpoint: Path, store: Path, size: Size, more: tuple[str, ...]
) -> None:
    asked = ("eval", "--checkpoint", checkpoint, "--dataset", store, "--device", "cpu", *more)
    lines = same(size, *asked)
    assert sum(line.startswith("warning: ") for line in lines) == LONG


@SIZES
def test_a_training(
    warned: None, encoder: Path, store: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its table stays on the screen, so that it is compared with nothing but itself."""
    from dashfusion_training import train

    def training(task: Any) -> Path:
        for epoch in range(1, 4):
            task.watch.step(epoch, 3, 1, 2, 0.5)
            logging.getLogger("dashfusion_training").warning("logged in epoch %d", epoch)
            task.watch.epoch(epoch, 1.0, 0.8, 0.7, epoch == 1)
        return Path(task.output / "best.safetensors")

    monkeypatch.setattr(train, "train", training)
    asked = ("train", "--dataset", store, "--text-encoder", encoder, "--device", "cpu")
    asked += ("--set", "intervals=false")  # nothing is trained, so there is no checkpoint to read
    place = Terminal(size).run(*asked, "--output", "run")
    lines = place.lines()
    assert place.code == 0, lines
    warnings = Pipe(size).run(*asked, "--output", "run").lines()
    told = [line for line in warnings if not line.startswith("epoch ")]
    table = [line for line in lines if line not in told]
    assert [line for line in lines if line in told] == told
    assert [line.split() for line in table if line] == [
        ["epoch", "loss", "valid", "MAE", "Corr"],
        ["1", "1.0000", "0.8000", "0.700", "best"],
        ["2", "1.0000", "0.8000", "0.700"],
        ["3", "1.0000", "0.8000", "0.700"],
        ["valid", "MAE", "▁▁▁", "0.8000", "to", "0.8000"],
    ]
    assert lines[-2:] == ["run/best.safetensors", ""]


@SIZES
def test_a_training_that_is_interrupted(
    encoder: Path, store: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of it stands above the table, which is drawn over itself and not below."""
    from dashfusion_training import train
    from dashfusion_training.interruption import Interrupted

    def training(task: Any) -> Path:
        for epoch in range(1, 4):
            task.watch.step(epoch, 9, 1, 2, 0.5)
            task.watch.epoch(epoch, 1.0, 0.8, 0.7, epoch == 1)
            time.sleep(0.3)  # until it is drawn
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.6)
        assert task.stop.asked
        raise Interrupted("stopped after step 2")

    monkeypatch.setattr(train, "train", training)
    asked = ("train", "--dataset", store, "--text-encoder", encoder, "--device", "cpu")
    place = Terminal(size).run(*asked, "--output", "run")
    lines = place.lines()
    assert place.code == 130, lines
    assert sum(line.split()[:2] == ["epoch", "loss"] for line in lines) == 1, lines
    assert lines.count("stopping after this step; Ctrl-C again stops at once") == 1


@pytest.mark.parametrize(("size", "jobs"), [(SMALL, 1), (LARGE, 1), (SMALL, 2)], ids=str)
def test_tables_of_the_paper(
    same: Same, size: Size, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashfusion_training.paper import reproduce, side_by_side

    real = reproduce.reproduce
    monkeypatch.setattr(side_by_side, "devices_for", lambda device, _: [device] * jobs)

    def reproduced(request: Any, *, warn: Any, report: Any = lambda _: None, **how: Any) -> Any:
        for k in range(LONG):
            report(Progress("train", k, LONG, "trainings"))
            report(Progress("score", k, LONG, "trainings"))
            warn(f"training {k} " + "is not done, " * (k % 7))
        return real(request, warn=warn, report=report, **how)

    monkeypatch.setattr(reproduce, "reproduce", reproduced)
    lines = same(size, "reproduce", "table5", "--output", "out", code=1)
    assert lines[-2:] == ["written to out", ""]
    assert sum(line.startswith("warning: training ") for line in lines) == LONG


@SIZES
def test_a_store_of_a_manifest(same: Same, size: Size) -> None:
    lines = same(
        size, "extract", "films.csv", "--output", "store", "--text-only",
        prepare=lambda: write_films(Path("films.csv"), train=LONG),
    )  # fmt: skip
    assert lines == [f"store: {LONG + 40} samples", ""]


@SIZES
def test_official_files(same: Same, size: Size, tmp_path: Path) -> None:
    counts = {"train": 6, "valid": 3, "test": 3}
    write_official_file(tmp_path / "unaligned_50.pkl", "mosi", counts, seed=2, kind="sum")
    asked = ("data", "prepare", "mosi", tmp_path / "unaligned_50.pkl", "--output", tmp_path / "m")

    def prepare() -> None:
        import shutil

        shutil.rmtree(tmp_path / "m", ignore_errors=True)

    lines = same(size, *asked, prepare=prepare)
    assert sum(line.startswith("warning: ") for line in lines) == 4


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """More sets of weights than a screen has lines, all in the cache."""
    known = {}
    for k in range(LONG):
        name, data = f"tiny-{k}", f"weights {k}".encode()
        file = WeightFile(name="tiny.bin", sha256=hashlib.sha256(data).hexdigest())
        known[name] = Weight(
            name=name, purpose="tests", licence="MIT", size_bytes=len(data), files=(file,),
            single=True, url="https://example.invalid/tiny.bin",
        )  # fmt: skip
        path = tmp_path / "cache" / "weights" / name / "tiny.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    monkeypatch.setattr(lookup, "WEIGHTS", known)
    return list(known)


@SIZES
def test_weights_that_are_verified(
    same: Same, weights: list[str], size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "\n".join(same(size, "weights", "verify"))
    assert re.findall(r"^(\S+): sound, SHA-256 ", lines, re.MULTILINE) == weights


@SIZES
def test_weights_that_are_pulled(
    same: Same, weights: list[str], size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locate(name: str, *, report: Callable[[Progress], None], **_: object) -> Path:
        report(Progress("download", 1e6, 2e6, "B"))
        report(Progress("verify", 1e6, 2e6, "B"))
        return Path("cache") / name

    monkeypatch.setattr("dashfusion_models.weights.locate", locate)
    assert same(size, "weights", "pull", "tiny-1") == ["cache/tiny-1", ""]


@SIZES
def test_the_doctor(same: Same, size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_checks(*, offline: bool) -> Iterator[Check]:
        for k in range(LONG):
            print("a library prints this")
            yield Check(f"check {k}", State.warn, f"/a/folder/of/{k}/" * 12, "mend it")

    monkeypatch.setattr(checks, "all_checks", all_checks)
    lines = same(size, "doctor")
    assert lines.count("a library prints this") == LONG
    assert re.findall(r"^ ?check (\d+) +warn", "\n".join(lines), re.MULTILINE) == [
        str(k) for k in range(LONG)
    ]
