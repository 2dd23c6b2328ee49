"""`dashfusion analyze` against the `whisper` command on the same files, in turn.

`python -m tests.benchmarks.analyze CLIPS [--pairs 5] [--lengths demo 60 600]`

CLIPS is a folder of talking videos; those that have the most frequent shape are joined, as they
are, to files of 60 s and of 10 minutes. `whisper` is openai-whisper's own command with its
defaults, on the weights of faster-whisper's folder, converted. It needs the ffmpeg program
(Debian: apt-get install ffmpeg), which the joining uses too. Each is run once before it counts.
"""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import av

from dashfusion_models.media import duration_of
from dashfusion_models.resources import cores_here
from tests.benchmarks.tree import Cost, cost_of

DEMO = Path(__file__).parents[2] / "assets" / "demo.mp4"
SAID = (  # in the demo
    "he was not an ill disposed young man unless to be rather cold hearted and rather selfish is "
    "to be ill disposed had he married a more amiable woman he might have been made still more "
    "respectable than he was he might even have been made amiable himself"
)
PACKAGES = ("dashfusion", "torch", "faster-whisper", "ctranslate2", "openai-whisper", "mediapipe")


def joined(folder: Path, seconds: float, target: Path) -> Path:
    """Join clips of one shape, in the order of their names, to a file of about `seconds`.

    Raises:
        SystemExit: there are too few.
    """
    shapes: dict[tuple[object, ...], list[Path]] = {}
    for path in sorted(folder.glob("*.mp4")):
        with av.open(str(path)) as file:
            if file.streams.video and file.streams.audio:
                video, audio = file.streams.video[0], file.streams.audio[0]
                shape = (video.width, video.height, video.codec_context.name, audio.rate)
                shapes.setdefault(shape, []).append(path)
    alike = max(shapes.values(), key=len, default=[])
    total, taken = 0.0, []
    for path in alike:
        taken.append(path)
        total += duration_of(path)
        if total >= seconds:
            break
    else:
        raise SystemExit(f"{folder}: clips of one shape last only {total:.0f} s")
    names = target.with_suffix(".txt")
    names.write_text("".join(f"file '{path.resolve()}'\n" for path in taken), "utf-8")
    command = ["ffmpeg", "-loglevel", "error", "-f", "concat", "-safe", "0", "-i", str(names)]
    subprocess.run([*command, "-c", "copy", "-t", str(seconds), str(target)], check=True)
    return target


def converted(target: Path) -> Path:
    """Write Whisper base as openai-whisper's own kind of file (in a process of its own)."""
    code = (
        "import sys, torch\n"
        "from dashfusion_models.speech.whisper_weights import convert_ctranslate2\n"
        "from dashfusion_models.weights import locate\n"
        "dims, state = convert_ctranslate2(locate('whisper-base', offline=True))\n"
        "torch.save({'dims': dims, 'model_state_dict': state}, sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(target)], check=True)
    return target


class Pair:
    """The two commands on one file."""

    def __init__(self, clip: Path, weights: Path, place: Path) -> None:
        self._clip, self._place = clip, place
        ours = [sys.executable, "-m", "dashfusion_cli", "analyze", str(clip), "--format", "json"]
        whisper = shutil.which("whisper", path=str(Path(sys.executable).parent)) or "whisper"
        theirs = [whisper, str(clip), "--model", str(weights), "--language", "en"]
        self._ours = ours
        self._theirs = [*theirs, "--output_format", "json", "--output_dir", str(place)]

    def ours(self) -> tuple[Cost, str]:
        """Run `dashfusion analyze`; its cost and the words."""
        cost = cost_of(self._ours, Path.cwd())
        segments = json.loads(cost.out)["segments"]
        return cost, " ".join(s["text"] for s in segments if s["text"])

    def theirs(self) -> tuple[Cost, str]:
        """Run `whisper`; its cost and the words."""
        cost = cost_of(self._theirs, self._place)
        found = self._place / f"{self._clip.stem}.json"
        return cost, json.loads(found.read_text("utf-8"))["text"]


def plain(text: str) -> list[str]:
    """The words without case and signs."""
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()


def word_error(said: str, truth: str) -> float:
    """Words to change, add and leave out, for each word of the truth."""
    a, b = plain(said), plain(truth)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1] / max(1, len(b))


def compare(name: str, clip: Path, weights: Path, pairs: int, place: Path) -> None:
    """Run both in turn and print the lines of one file."""
    both, seconds = Pair(clip, weights, place), duration_of(clip)
    both.ours(), both.theirs()
    runs = []
    for number in range(pairs):
        # Who is first changes, so that neither always finds the machine warmer.
        if number % 2:
            theirs, ours = both.theirs(), both.ours()
        else:
            ours, theirs = both.ours(), both.theirs()
        runs.append((ours, theirs))
        print(f"  pair {number + 1}: {ours[0].wall_s:.2f} s, {theirs[0].wall_s:.2f} s", flush=True)
    mine, whispers = [o for (o, _), _ in runs], [t for _, (t, _) in runs]
    ratios = [o.wall_s / t.wall_s for o, t in zip(mine, whispers, strict=True)]
    print(
        f"{name} ({seconds:.1f} s): dashfusion / whisper, wall time: median "
        f"{statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
    )
    for label, costs in (("dashfusion", mine), ("whisper", whispers)):
        print(f"  {label}: {_line(costs, seconds)}")
    (_, said), (_, heard) = runs[-1]
    error, back = word_error(said, heard), word_error(heard, said)
    print(f"  words: dashfusion against whisper {error:.3f}, whisper against dashfusion {back:.3f}")
    if clip == DEMO:
        known = word_error(said, SAID), word_error(heard, SAID)
        print(f"  against what is said: dashfusion {known[0]:.3f}, whisper {known[1]:.3f}")


def _line(costs: Sequence[Cost], seconds: float) -> str:
    wall_s = statistics.median(c.wall_s for c in costs)
    cpu_s = statistics.median(c.cpu_s for c in costs)
    peak = max(c.peak_bytes for c in costs) / 2**30
    busy = statistics.mean(c.all_busy for c in costs)
    return (
        f"{wall_s:.2f} s, real-time factor {wall_s / seconds:.3f}, {cpu_s:.1f} s of processor, "
        f"all cores busy {busy:.0%} of the time, at most {peak:.2f} GiB (PSS)"
    )


def main() -> None:
    """Compare on the demo clip and on the joined ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--lengths", nargs="+", default=["demo", "60", "600"])
    asked = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        raise SystemExit("ffmpeg: not found; apt-get install ffmpeg (for this benchmark only)")
    versions = " ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    print(f"{platform.platform()}, {cores_here()} cores, Python {platform.python_version()}")
    print(versions, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        weights = converted(place / "base.pt")
        for length in asked.lengths:
            clip = DEMO
            if length != "demo":
                clip = joined(asked.clips, float(length), place / f"joined-{length}.mp4")
            compare(length, clip, weights, asked.pairs, place)


if __name__ == "__main__":
    main()
