import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dashfusion_cli.app import run
from dashfusion_models.analysis import (
    Analysis,
    Asr,
    DetectedLanguage,
    Devices,
    ModelInfo,
    Overall,
    Run,
    Segment,
    label_of,
)
from dashfusion_models.errors import MediaError
from dashfusion_models.privacy import SWITCHES
from dashfusion_models.records import MediaInfo, Progress, Streams

ROOT = Path(__file__).parents[2]
UNIT = (-3.0, 3.0)


def segment(text: str | None = "I really liked it.", score: float = 1.6, **other: Any) -> Segment:
    values: dict[str, Any] = {
        "start_s": 0.0,
        "end_s": 3.2,
        "speaker": None,
        "label": label_of(score, UNIT),
        "interval": (0.5, 2.6),
        "base": 0.4,
        "contributions": Streams(text=1.1, audio=0.1, vision=None),
        "alone": Streams(text=1.2, audio=0.3, vision=None),
        "present": Streams(text=0.94, audio=0.97, vision=0.0),
        "speech_confidence": 0.91,
        "face": None,
        "reasons": (),
    }
    return Segment(text=text, score=score, **{**values, **other})


def analysis(path: str = "clip.mp4", *segments: Segment, **other: Any) -> Analysis:
    values: dict[str, Any] = {
        "tool_version": "0.1.0",
        "media": MediaInfo(Path(path), "0" * 64, 12.4, True, True, False, 640, 360, 29.97),
        "model": ModelInfo("dashfusion-mini", "1" * 64, UNIT, "CC BY-NC-SA 4.0"),
        "run": Run(),
        "device": Devices(score="cpu", transcribe="cpu", vision="cpu"),
        "asr": Asr("faster-whisper", "base"),
        "language": DetectedLanguage("en", 0.98),
        "overall": Overall(
            0.84,
            "weakly positive",
            (-0.2, 1.9),
            Streams(text=0.7, audio=0.1, vision=0.05),
            base=-0.01,
            alone=Streams(text=1.2, audio=-0.8, vision=-1.5),
        ),
        "segments": segments or (segment(),),
        "warnings": (),
        "timing_s": {"decode": 0.4, "total": 2.6},
    }
    return Analysis(**{**values, **other})


@dataclass
class FakeRoad:
    """Stands in for the analyzer: remembers what it was asked, and answers what it is told."""

    loaded: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[Path], Analysis] = lambda path: analysis(str(path))
    stages: tuple[str, ...] = ("decode",)


@pytest.fixture
def road(monkeypatch: pytest.MonkeyPatch) -> FakeRoad:
    fake = FakeRoad()

    class AnalyzeOptions:
        def __init__(self, **values: Any) -> None:
            fake.options = values

    class Analyzer:
        @classmethod
        def load(cls, checkpoint: str, **values: Any) -> "Analyzer":
            fake.loaded = {"checkpoint": checkpoint, **values}
            return cls()

        def __enter__(self) -> "Analyzer":
            return self

        def __exit__(self, *_: object) -> None: ...

        def analyze(self, path: Path, options: object, *, report: Any) -> Analysis:
            for stage in fake.stages:
                report(Progress(stage, 1.0, 2.0))
            print("a library prints this")
            if path.read_bytes() == b"broken":
                raise MediaError(f"{path}: cannot be read; convert it with ffmpeg")
            return fake.answer(path)

    module = types.ModuleType("dashfusion_models.analyzer")
    module.Analyzer, module.AnalyzeOptions = Analyzer, AnalyzeOptions  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dashfusion_models.analyzer", module)
    return fake


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of this machine reach a test, and no test changes the environment for good."""
    for name in list(os.environ):
        if name.startswith("DASHFUSION_"):
            monkeypatch.delenv(name)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", *SWITCHES):
        monkeypatch.setenv(name, os.environ.get(name, "0"))  # put back after the test
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        capfdbinary.readouterr()
        code = run([str(argument) for argument in arguments])
        caught = capfdbinary.readouterr()
        return Result(code, caught.out.decode("utf-8"), caught.err.decode("utf-8"))

    return call


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"whatever")
    return path
