"""Memory and speed of `dashfusion analyze` on minutes and on hours of video.

`python -m tests.benchmarks.long_media FOLDER --minutes 10 120`, FOLDER with talking clips. The
shortest video is made of the clips, one after another, brought to one size and rate; longer ones
repeat its packets. Each is analysed in a fresh process; the memory is the sum of the proportional
set sizes of all its processes, looked at every 0.2 s (Linux), and is printed process by process.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from importlib import metadata
from itertools import cycle
from pathlib import Path

import av

from dashfusion_models.resources import cores_here
from tests.benchmarks.memory import repeated
from tests.benchmarks.peak import Seen, peak_of, proportional

WIDTH, HEIGHT, PICTURES_A_SECOND, RATE_HZ = 640, 360, 25, 16_000
POLL_S = 0.2
LIBRARIES = ("dashfusion", "av", "faster-whisper", "librosa", "mediapipe", "numpy", "torch")


def joined(clips: list[Path], target: Path, seconds: float) -> Path:
    """Make one video of the clips, again from the first where they are too short."""
    with av.open(str(target), "w") as sink:
        video = sink.add_stream("libx264", rate=PICTURES_A_SECOND, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = sink.add_stream("aac", rate=RATE_HZ, layout="mono")
        pictures = samples = 0
        for clip in cycle(clips):
            for frame in _frames(clip, samples / RATE_HZ):
                if isinstance(frame, av.VideoFrame):
                    frame.pts, pictures = pictures, pictures + 1
                    frame.time_base = Fraction(1, PICTURES_A_SECOND)
                    sink.mux(video.encode(frame))
                else:
                    frame.pts, samples = samples, samples + frame.samples
                    frame.time_base = Fraction(1, RATE_HZ)
                    sink.mux(sound.encode(frame))
            # The next clip begins where the longer of the two ends: the sound waits for pictures.
            while pictures < samples / RATE_HZ * PICTURES_A_SECOND:
                blank = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
                blank.pts, pictures = pictures, pictures + 1
                blank.time_base = Fraction(1, PICTURES_A_SECOND)
                sink.mux(video.encode(blank))
            if samples / RATE_HZ >= seconds:
                break
        sink.mux([*video.encode(None), *sound.encode(None)])
    return target


def _frames(clip: Path, start_s: float) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """The sound and the pictures of a clip in the form of the whole, up to the end of its sound."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE_HZ)
    with av.open(str(clip)) as source:
        length_s = 0.0
        for heard in source.decode(audio=0):
            for frame in resampler.resample(heard):
                length_s += frame.samples / RATE_HZ
                yield frame
        source.seek(0)
        shown = 0
        for seen in source.decode(video=0):
            while shown < length_s * PICTURES_A_SECOND and (seen.time or 0.0) >= (
                shown / PICTURES_A_SECOND
            ):
                shown += 1
                yield seen.reformat(WIDTH, HEIGHT, "yuv420p")


def analysed(video: Path, options: list[str]) -> Seen:
    """Analyse a video in a fresh process and watch its memory."""
    command = [sys.executable, "-m", "dashfusion_cli", "analyze", str(video), "--format", "json"]
    return peak_of([*command, "-q", *options], size=proportional, poll_s=POLL_S)


def main() -> None:
    """Make the videos, analyse each and print peaks, growth and real-time factors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 120.0])
    parser.add_argument("--without", choices=["text", "audio", "vision"], action="append")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.platform()}, {cores_here()} cores")
    print(", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES))
    options = [part for name in arguments.without or () for part in ("--without", name)]
    minutes = sorted(arguments.minutes)
    found: list[Seen] = []
    with tempfile.TemporaryDirectory() as folder:
        clips = sorted(arguments.clips.glob("*.mp4"))
        first = joined(clips, Path(folder) / "first.mkv", minutes[0] * 60)
        for length in minutes:
            video = repeated(first, Path(folder) / f"{length:g}.mkv", length * 60)
            seen = analysed(video, options)
            found.append(seen)
            factor = seen.seconds / (length * 60)
            parts = " + ".join(f"{size / 2**20:.0f}" for size in seen.sizes)
            peak = f"peak {seen.peak_bytes / 2**20:.0f} MB ({parts}) at {seen.peak_s:.0f} s"
            print(f"{length:g} min: {peak} of {seen.seconds:.0f} s, real-time factor {factor:.2f}")
    growth = found[-1].peak_bytes / found[0].peak_bytes - 1
    print(f"growth from {minutes[0]:g} to {minutes[-1]:g} min: {growth:.1%}")


if __name__ == "__main__":
    main()
