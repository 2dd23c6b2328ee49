"""How long `analyze` takes from its start until every model has processed its first input.

`python -m tests.benchmarks.ready [--runs 5]`

Each run is a fresh process on the first three seconds of the demo clip; it is told when it was
started, and notes when each stage is through. Stages run side by side. The last one counts.
"""

import argparse
import contextlib
import io
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

DEMO = Path(__file__).parents[2] / "assets" / "demo.mp4"
SECONDS = "3"


def run_once() -> dict[str, float]:
    """Start a process; the second at which it was through with each stage."""
    command = [sys.executable, "-m", "tests.benchmarks.ready", "--from", repr(time.time())]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(out)
    return found


def notes(started: float) -> dict[str, float]:
    """Analyse in this process and note when what was first done."""
    seen: dict[str, float] = {}

    def note(stage: str) -> None:
        seen.setdefault(stage, time.time() - started)

    note("interpreter")
    from dashfusion_cli.app import run

    note("command line")
    from dashfusion_models import analyzer, engines, observe, opened
    from dashfusion_models.features import audio, face_process
    from dashfusion_models.speech import recogniser

    note("analyzer imported")
    for place, name, stage in (
        (observe, "read_sound", "sound decoded"),
        (opened, "_load", "network loaded"),
        (engines.Engines, "recogniser", "recogniser loaded"),
        (recogniser.WhisperRecogniser, "recognise", "first words"),
        (engines.Engines, "voice_states", "voice states loaded"),
        (audio.AudioExtractor, "frames", "first voice frames"),
        (face_process.FaceProcess, "_ask", "first face"),
        (analyzer.Analyzer, "analyze", "first score"),
    ):
        _watch(place, name, partial(note, stage))
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(["analyze", str(DEMO), "--format", "json", "--end", SECONDS, "-q", "--offline"])
    if code:
        raise SystemExit(code)
    return seen


def _watch(place: Any, name: str, done: Callable[[], None]) -> None:
    """Have `done` called whenever a function or method has returned."""
    inner = getattr(place, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        result = inner(*arguments, **named)
        done()
        return result

    setattr(place, name, outer)


def main() -> None:
    """Print the median of each stage, in the order in which they are reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--from", dest="started", type=float)
    asked = parser.parse_args()
    if asked.started is not None:
        print(json.dumps(notes(asked.started)))
        return
    run_once()  # warms the disk's cache
    runs = [run_once() for _ in range(asked.runs)]
    print(f"Python {platform.python_version()}, {platform.platform()}, {asked.runs} runs, medians")
    medians = {stage: statistics.median(r[stage] for r in runs) for stage in runs[0]}
    for stage, seconds in sorted(medians.items(), key=lambda item: item[1]):
        print(f"{seconds:6.2f} s  {stage}")
    print(f"every model has processed its first input after {max(medians.values()):.2f} s")


if __name__ == "__main__":
    main()
