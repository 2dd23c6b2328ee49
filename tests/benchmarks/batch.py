"""`dashfusion batch` against a shell loop of `dashfusion analyze` over the same clips.

`python tests/benchmarks/batch.py CLIPS [--files 60] [--broken 10] [--workers 2]`

CLIPS is a folder of videos; those of 4 to 6 s are taken, and the broken ones are made here, each in
another way. Both run in one go, after a run of `analyze` that warms the disk's cache. Only good
files count. The records are compared with what the loop printed.
"""

import argparse
import io
import json
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from importlib import metadata
from pathlib import Path

import numpy as np

from dashfusion_models.errors import MediaError
from dashfusion_models.media import duration_of
from dashfusion_models.resources import cores_here

SHORTEST_S, LONGEST_S = 4.0, 6.0


def good_clips(folder: Path, count: int) -> list[Path]:
    """The first clips of the right length in the order of their names."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        try:
            if SHORTEST_S <= duration_of(path) <= LONGEST_S:
                found.append(path)
        except MediaError:
            continue
        if len(found) == count:
            return found
    raise SystemExit(f"{folder}: has only {len(found)} clips of 4 to 6 s")


def silence(seconds: float) -> bytes:
    """A sound file in which nobody speaks."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.zeros(int(16_000 * seconds), "<i2").tobytes())
    return data.getvalue()


def broken_files(folder: Path, good: Path, count: int) -> None:
    """Write files in which nothing can be scored, in ten ways."""
    whole, draw = good.read_bytes(), random.Random(0)
    ways = {
        "empty.mp4": b"",
        "text.mp4": b"just words\n" * 50,
        "page.mp4": b"<!doctype html><title>404</title>",
        "random.mp4": draw.randbytes(50_000),
        "zeros.mp4": bytes(50_000),
        "head.mp4": whole[:64],
        "tail.mp4": whole[-500:],
        "archive.mp4": b"PK\x03\x04" + bytes(1000),
        "silence.wav": silence(5.0),
        "short.wav": silence(0.1)[:60],
    }
    for name, content in list(ways.items())[:count]:
        (folder / f"broken-{name}").write_bytes(content)


def run(*arguments: str, cwd: Path) -> tuple[int, float, str]:
    """One command: its exit code, its wall time, what it printed."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "dashfusion_cli", *arguments]
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, time.perf_counter() - started, done.stdout


def loop(folder: Path, cwd: Path) -> tuple[float, dict[str, dict[str, object]]]:
    """`for f in clips/*; do dashfusion analyze "$f" --format json; done`."""
    seconds, found = 0.0, {}
    for path in sorted(folder.iterdir()):
        name = str(path.relative_to(cwd))
        code, spent, out = run("analyze", name, "--format", "json", "-q", "--offline", cwd=cwd)
        seconds += spent
        if code == 0:
            found[name] = json.loads(out)
    return seconds, found


def same(found: dict[str, object], expected: dict[str, object]) -> bool:
    """Whether two records differ in nothing but their timing."""
    strip = [{k: v for k, v in one.items() if k != "timing_s"} for one in (found, expected)]
    return strip[0] == strip[1]


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", type=Path)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--broken", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    good = good_clips(asked.clips, asked.files - asked.broken)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = root / "clips"
        folder.mkdir()
        for path in good:
            shutil.copy(path, folder / path.name)
        broken_files(folder, good[0], asked.broken)
        run("analyze", f"clips/{good[0].name}", "-q", "--offline", cwd=root)
        workers = ("--workers", str(asked.workers))
        code, batch_s, _ = run("batch", "clips", "-o", "results", *workers, "--offline", cwd=root)
        lines = (root / "results" / "results.jsonl").read_bytes().splitlines()
        loop_s, expected = loop(folder, root)
    records = {r["media"]["path"]: r for r in map(json.loads, lines)}
    scored = {name: r for name, r in records.items() if "error" not in r}
    versions = " ".join(f"{n} {metadata.version(n)}" for n in ("dashfusion", "torch", "av"))
    print(f"{platform.platform()}, {cores_here()} cores, Python {platform.python_version()}")
    print(versions)
    print(f"{len(good)} good and {asked.broken} broken files: exit {code}")
    print(f"{len(scored)} results, {len(records) - len(scored)} failures in {len(lines)} lines")
    equal = sum(name in scored and same(scored[name], one) for name, one in expected.items())
    print(f"the same as analyze prints: {equal} of {len(expected)}")
    print(f"batch, {asked.workers} workers: {batch_s:.1f} s, {len(scored) / batch_s * 60:.1f}/min")
    print(f"shell loop of analyze: {loop_s:.1f} s, {len(expected) / loop_s * 60:.1f}/min")
    ratio = (len(scored) / batch_s) / (len(expected) / loop_s)
    print(f"batch / loop, files per minute: {ratio:.2f}")


if __name__ == "__main__":
    main()
