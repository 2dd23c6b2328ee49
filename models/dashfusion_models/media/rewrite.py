"""The sound of a file as it is, all channels, written to a file of its own: AAC in MP4.

A video that is written again gets it. It is written while it is decoded, however long it is.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from jaxtyping import Float32

from dashfusion_models.errors import DiskError
from dashfusion_models.media.source import MediaSource

__all__ = ["write_sound"]

_GAP_S = 0.05  # time stamps jitter by less, as for the sound that is analysed
_BITS_PER_CHANNEL = 96_000  # a second: what is heard of it is what was there
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}  # AAC's
_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_SILENCE_SAMPLES = 1 << 15  # written at a time

_Piece = Float32[np.ndarray, "channels samples"]


def write_sound(
    path: Path,
    target: Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    report: Callable[[float], None] = lambda seconds: None,
) -> bool:
    """Write the sound from `start_s` (inside) to `end_s` (outside); False where there is none.

    Where the file holds no sound for a while, there is silence. Channels stay apart as far as AAC
    has a layout for so many; the rate is the source's, as far as AAC knows it. `report` is told how
    many seconds are written.

    Raises:
        MediaError: the file cannot be read.
        DiskError: there is no room.
    """
    with MediaSource(path) as source:
        if source.audio is None:
            return False
        sound = source.audio.codec_context
        layout = _LAYOUTS.get(sound.layout.nb_channels, "stereo")
        rate = min(_RATES_HZ, key=lambda hz: abs(hz - sound.sample_rate))
        lane = _Lane(layout, rate, start_s, end_s)
        try:
            return _encode(lane.pieces(source), target, layout, rate, report)
        except (FFmpegError, OSError) as error:
            fact = f"cannot be written ({error.strerror or type(error).__name__})"
            raise DiskError(f"{target.parent}: {fact}; free some space") from error


def _encode(
    pieces: Iterator[_Piece],
    target: Path,
    layout: str,
    rate: int,
    report: Callable[[float], None],
) -> bool:
    written = 0
    with av.open(str(target.absolute()), "w", format="mp4") as sink:  # ":" is no protocol
        stream = sink.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = _BITS_PER_CHANNEL * stream.codec_context.layout.nb_channels
        for piece in pieces:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece), "fltp", layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), written
            sink.mux(stream.encode(frame))
            written += piece.shape[1]
            report(written / rate)
        sink.mux(stream.encode(None))
    return written > 0


class _Lane:
    """Pieces of sound laid one behind the other, each at its own time; the rest is silence."""

    def __init__(self, layout: str, rate: int, start_s: float, end_s: float | None) -> None:
        self._layout = layout
        self._rate = rate
        self._start_s, self._end_s = start_s, end_s
        self._limit = None if end_s is None else round(max(0.0, end_s - start_s) * rate)
        self._written = 0  # samples in all
        self._run_s = start_s  # where the gapless run under way begins...
        self._taken_s = 0.0  # ...how much of it came in...
        self._given = 0  # ...and how many samples of it were given out
        self._kind: tuple[str, str, int] | None = None  # of the sound that comes in
        self._resampler: AudioResampler | None = None

    def pieces(self, source: MediaSource) -> Iterator[_Piece]:
        """Yield the sound of a source without gaps from the start on."""
        for seconds, frame in source.frames("audio", start_s=self._start_s, end_s=self._end_s):
            if not isinstance(frame, AudioFrame) or not frame.samples or not frame.sample_rate:
                continue
            due_s = self._run_s + self._taken_s
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if self._resampler is not None and seconds < due_s - _GAP_S:
                continue  # it was there already
            if kind != self._kind or seconds > due_s + _GAP_S:
                yield from self._flush()
                self._run_s, self._taken_s, self._given, self._kind = seconds, 0.0, 0, kind
                self._resampler = AudioResampler("fltp", self._layout, self._rate)
            self._taken_s += frame.samples / frame.sample_rate
            yield from self._laid(frame)
        yield from self._flush()

    def _flush(self) -> Iterator[_Piece]:
        if self._resampler is not None:
            yield from self._laid(None)
            self._resampler = None

    def _laid(self, frame: AudioFrame | None) -> Iterator[_Piece]:
        """Yield what is in a frame, or what the resampler still holds, after what silence it takes.

        What lies before the start, after the end or under what was written already falls away.
        """
        assert self._resampler is not None
        for resampled in self._resampler.resample(frame):
            piece: _Piece = resampled.to_ndarray()
            begin = round((self._run_s - self._start_s) * self._rate) + self._given
            self._given += piece.shape[1]
            if begin > self._written:
                yield from self._silence(begin - self._written, piece.shape[0])
            piece = piece[:, max(0, self._written - begin) :]
            if self._limit is not None:
                piece = piece[:, : max(0, self._limit - self._written)]
            if piece.shape[1]:
                self._written += piece.shape[1]
                yield np.nan_to_num(piece, nan=0.0, posinf=1.0, neginf=-1.0)

    def _silence(self, samples: int, channels: int) -> Iterator[_Piece]:
        end = self._written + samples
        end = end if self._limit is None else min(end, self._limit)
        while self._written < end:
            some = min(_SILENCE_SAMPLES, end - self._written)
            self._written += some
            yield np.zeros((channels, some), np.float32)
