"""Work that is planted: a file's own text says what its analysis does. Loaded in worker processes.

`ok`, `slow SECONDS`, `bad` (the file is), `silent`, `memory`, `disk`, `setup`, `hang`, `die`,
`child` (start one that never ends, then hang), and `once WHAT`: the first time WHAT, later `ok`.
Every start is logged beside the files.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import MediaError, NothingToScore, TranscriptError, WeightsError
from dashfusion_models.folder import Job


@dataclass(frozen=True)
class PlantedTask:
    log: str
    padding: int = 0

    def __call__(self) -> Callable[[Job], Mapping[str, Any]]:
        def work(job: Job) -> Mapping[str, Any]:
            path = Path(job.file)
            with open(self.log, "a", errors="backslashreplace") as log:
                log.write(path.name.replace("\n", "_") + "\n")
            do(path.read_text().split(), path)
            found = record(path, padding=self.padding)
            if job.transcript is not None:
                found["run"] = heard(Path(job.transcript))
            return found

        return work


@dataclass(frozen=True)
class TellingTask(PlantedTask):
    """Tells how far it is: `steady SECONDS` does so all the time, all else once."""

    def telling(self, tell: Callable[[float], None]) -> Callable[[Job], Mapping[str, Any]]:
        work = self()

        def told(job: Job) -> Mapping[str, Any]:
            match Path(job.file).read_text().split():
                case ["steady", seconds, *_]:
                    for tenth in range(round(10 * float(seconds))):
                        tell(tenth / 10)
                        time.sleep(0.1)
            return work(job)

        return told


@dataclass(frozen=True)
class NeverLoads:
    how: str

    def __call__(self) -> Any:
        do([self.how], Path("checkpoint"))


def heard(transcript: Path) -> dict[str, str]:
    """What an analysis says of the transcript that it was made with; "broken" is none."""
    if transcript.read_text() == "broken":
        raise TranscriptError(f"{transcript}: no words in it; check that it is the right file")
    return {"transcript": str(transcript), "transcript_sha256": sha256_of(transcript)}


def do(words: list[str], path: Path) -> None:
    match words:
        case ["slow", seconds, *_]:
            time.sleep(float(seconds))
        case ["bad", *_]:
            raise MediaError(f"{path}: cannot be read; convert it")
        case ["silent", *_]:
            raise NothingToScore(path, 3.0)
        case ["memory", *_]:
            raise MemoryError
        case ["disk", *_]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case ["setup", *_]:
            raise WeightsError("whisper-base: not found; pull it")
        case ["hang", *_]:
            time.sleep(3600)
        case ["child", *_]:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
            path.with_name(f".{path.name}.child").write_text(str(child.pid))
            time.sleep(3600)
        case ["die", *_]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["once", *rest]:
            marker = path.with_name(f".{path.name}.once")
            if not marker.exists():
                marker.touch()
                do(rest, path)


def record(path: Path, *, padding: int = 0, score: float = 0.5) -> dict[str, Any]:
    segment = {
        "start_s": 0.0,
        "end_s": 2.0,
        "text": "words " * max(1, padding),
        "speaker": None,
        "score": score,
        "label": "neutral",
        "interval": [-0.5, 1.5],
        "contributions": {"text": 0.1, "audio": None, "vision": 0.2},
        "present": {"text": 1.0, "audio": 0.0, "vision": 0.5},
        "speech_confidence": 0.9,
        "face": None,
        "reasons": ["short"],
    }
    return {
        "schema": "dashfusion/analysis/1",
        "tool": {"version": "0"},
        "media": {
            "path": str(path),
            "sha256": sha256_of(path),
            "duration_s": 2.0,
            "has_audio": True,
            "has_video": True,
            "width": 2,
            "height": 2,
            "fps": 10.0,
        },
        "model": {"name": "planted", "sha256": "0", "label_range": [-3.0, 3.0], "license": "none"},
        "device": {"score": "cpu", "transcribe": None, "vision": None},
        "asr": None,
        "language": {"code": "en", "probability": 1.0},
        "overall": {
            "score": score,
            "label": "neutral",
            "interval": None,
            "contributions": segment["contributions"],
        },
        "segments": [segment],
        "warnings": ["it is planted"],
        "timing_s": {"total": 0.0},
    }
