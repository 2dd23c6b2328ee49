"""Peak memory of `dashfusion analyze` with all its processes: a clip, and the same clip repeated.

`python -m tests.benchmarks.memory assets/demo.mp4 --minutes 20`. The long clip is made by joining
the packets of the short one, again and again; nothing is encoded.
"""

import argparse
import platform
import sys
import tempfile
from pathlib import Path

import av
import psutil

from tests.benchmarks.peak import peak_of


def repeated(clip: Path, target: Path, seconds: float) -> Path:
    """Join a clip with itself until it is `seconds` long."""
    with av.open(str(clip)) as source:
        length = (source.duration or 0) / av.time_base
    with av.open(str(target), "w") as sink:
        streams = {}
        for turn in range(max(1, round(seconds / length))):
            with av.open(str(clip)) as source:
                if not streams:
                    taken = (*source.streams.video[:1], *source.streams.audio[:1])
                    streams = {s.index: sink.add_stream_from_template(s) for s in taken}
                for packet in source.demux(*(source.streams[i] for i in streams)):
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    later = round(turn * length / packet.time_base)
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = streams[packet.stream.index]
                    sink.mux(packet)
    return target


def peak_bytes(clip: Path) -> tuple[int, float]:
    """Analyse a clip; return the largest sum of resident sizes, and the seconds taken."""
    command = ["-m", "dashfusion_cli", "analyze", str(clip), "--format", "json", "-q"]
    seen = peak_of([sys.executable, *command])
    return seen.peak_bytes, seen.seconds


def main() -> None:
    """Measure both and print them with the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.platform()}, {psutil.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        long = repeated(arguments.clip, Path(folder) / "long.mkv", arguments.minutes * 60)
        short_peak, short_s = peak_bytes(arguments.clip)
        long_peak, long_s = peak_bytes(long)
    for name, peak, seconds in (("clip", short_peak, short_s), ("long", long_peak, long_s)):
        print(f"{name}: peak {peak / 2**20:.0f} MB of the process tree, {seconds:.1f} s")
    print(f"growth: {(long_peak - short_peak) / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
