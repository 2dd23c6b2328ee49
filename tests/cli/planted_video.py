"""Videos whose every picture and sample is known."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np

RATE_HZ = 48_000
RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 180, 60), (50, 60, 200), (120, 120, 120)

Shot = tuple[float, np.ndarray]


def plain(color: tuple[int, int, int], width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def noise(seconds: float, channels: int) -> np.ndarray:
    """Noise that swells and fades: its correlation has one clear peak."""
    samples = np.random.default_rng(7).normal(0.0, 0.15, (channels, round(seconds * RATE_HZ)))
    swell = np.random.default_rng(8).uniform(0.1, 1.0, samples.shape[1] // 4800 + 1).repeat(4800)
    return (samples * swell[: samples.shape[1]]).astype(np.float32)


def write_video(
    path: Path,
    shots: Sequence[Shot],
    *,
    tick: Fraction,
    rate: Fraction,
    sound: np.ndarray | None = None,
    sound_from_s: float = 0.0,
    layout: str = "stereo",
    codec: str = "libx264",
    options: Mapping[str, str] = MappingProxyType({"preset": "ultrafast"}),
    setup: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    with av.open(str(path), "w") as sink:
        video = sink.add_stream(codec, rate=rate, options=dict(options))
        video.height, video.width = shots[0][1].shape[:2]
        video.pix_fmt, video.time_base, video.codec_context.time_base = "yuv420p", tick, tick
        setup(video)
        audio = None
        if sound is not None:
            audio = sink.add_stream("aac", rate=RATE_HZ, layout=layout)
            audio.bit_rate = 96_000 * sound.shape[0]
        for seconds, picture in shots:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(seconds / tick), tick
            sink.mux(video.encode(frame))
        sink.mux(video.encode(None))
        if audio is not None:
            piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", layout)
            piece.sample_rate, piece.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            piece.pts = round(sound_from_s * RATE_HZ)
            sink.mux([*audio.encode(piece), *audio.encode(None)])
    return path
