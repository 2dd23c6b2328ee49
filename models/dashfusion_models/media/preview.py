"""A small copy of a file that every browser plays: H.264 and AAC in MP4."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dashfusion_models.media.pictures import FrameReader
from dashfusion_models.media.sound import read_sound
from dashfusion_models.records import SAMPLE_RATE_HZ, Frame

__all__ = ["small_copy"]

_RATE_HZ = 15.0  # enough for a face that speaks
_QUALITY = "31"  # x264's constant rate factor: about 10 kB a second at 320 pixels
_SOUND_BITS = 40_000  # a second: mono speech at 16 kHz
_TICKS_HZ = 1000
_SAMPLES = 1 << 15  # encoded at a time


def small_copy(
    path: Path,
    *,
    longer_side: int = 320,
    start_s: float = 0.0,
    end_s: float | None = None,
    report: Callable[[float], None] = lambda seconds: None,
) -> bytes:
    """Return the file from `start_s` (inside) to `end_s` (outside), small; it begins at 0.

    Pictures have at most `longer_side` pixels and 15 a second, sound is mono at 16 kHz; a file
    without the one has the other. `report` is told how many seconds of pictures are done.

    Raises:
        MediaError: the file cannot be read, or has neither sound nor pictures.
        DiskError: there is no room for long sound.
    """
    place = io.BytesIO()
    sound = read_sound(path, start_s=start_s, end_s=end_s)
    with av.open(place, "w", format="mp4") as sink:
        speech = None
        if len(sound.recording):
            speech = sink.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
            speech.bit_rate = _SOUND_BITS
        with FrameReader(path, _RATE_HZ, longer_side, start_s, end_s) as frames:
            _add_pictures(sink, frames, start_s, report)
        for begin in range(0, len(sound.recording), _SAMPLES):
            assert speech is not None
            samples = sound.recording[begin : begin + _SAMPLES]
            frame = AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = (
                SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ), begin,
            )  # fmt: skip
            sink.mux(speech.encode(frame))
        if speech is not None:
            sink.mux(speech.encode(None))
    return place.getvalue()


def _add_pictures(
    sink: OutputContainer, frames: FrameReader, start_s: float, report: Callable[[float], None]
) -> None:
    stream: VideoStream | None = None
    last = -1
    for frame in frames:
        pixels = _even(frame)
        if stream is None:
            stream = _stream_for(sink, pixels)
        picture = VideoFrame.from_ndarray(pixels, format="rgb24")
        last = max(last + 1, round((frame.seconds - start_s) * _TICKS_HZ))
        picture.pts, picture.time_base = last, Fraction(1, _TICKS_HZ)
        sink.mux(stream.encode(picture))
        report(frame.seconds - start_s)
    if stream is not None:
        sink.mux(stream.encode(None))


def _stream_for(sink: OutputContainer, pixels: UInt8[np.ndarray, "height width 3"]) -> VideoStream:
    stream = sink.add_stream("libx264", rate=Fraction(_RATE_HZ))
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, _TICKS_HZ)
    stream.options = {"crf": _QUALITY, "preset": "veryfast", "g": "30"}  # seeks by two seconds
    return stream


def _even(frame: Frame) -> UInt8[np.ndarray, "height width 3"]:
    """Return the picture with even sides, as H.264 wants them; of one row or column, two."""
    height, width = frame.pixels.shape[:2]
    pixels = np.pad(frame.pixels, ((0, height == 1), (0, width == 1), (0, 0)), mode="edge")
    height, width = (side - side % 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])
