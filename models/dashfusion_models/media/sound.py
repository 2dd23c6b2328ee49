"""The sound of a file at 16 kHz, mono, each sample at its own time.

Times are seconds from the start of the container, for sound and pictures alike, so that lips and
voice stay together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from jaxtyping import Float32

from dashfusion_models.errors import MediaError
from dashfusion_models.media.source import MediaSource
from dashfusion_models.records import SAMPLE_RATE_HZ, Samples, Span
from dashfusion_models.spool import Spool

__all__ = ["Sound", "read_sound"]

_GAP_S = 0.05  # time stamps jitter by less; what is more is a real gap or overlap
_HOLE_S = 1.0  # what is longer is worth telling: there may be damage
_REPORT_EACH_S = 60.0
_LEAST_EMPTY_S = 3600.0  # with less silence between pieces of sound there is no need to ask,
_MOST_EMPTY = 100.0  # nor where it is less than so many times as long as the sound
_CHUNK_SAMPLES = 1 << 16  # resampled together: FFmpeg's filter costs more a call than a sample
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}

_Mono = Float32[np.ndarray, " mono"]


@dataclass(frozen=True)
class Sound:
    """Mono sound; sample k is at `start_s` + k / 16000 seconds of the file.

    The recording is on disk where it is long.
    """

    recording: Spool
    start_s: float
    warnings: tuple[str, ...]

    @property
    def samples(self) -> Samples:
        """All of it at once."""
        samples: Samples = self.recording[:]
        return samples

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.recording) / SAMPLE_RATE_HZ


def read_sound(
    path: Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    report: Callable[[float], None] = lambda seconds: None,
) -> Sound:
    """Read the sound from `start_s` (inside) to `end_s` (outside) as mono at 16 kHz.

    Channels are averaged. Where the file holds no sound for a while, there is silence; a file
    without sound gives no samples. Sound that breaks off is kept, with a warning. `report` hears
    how many seconds of sound were read, once for each minute of it.

    Raises:
        MediaError: the file cannot be read, has neither sound nor pictures, or hours without sound
            around a moment of it.
        DiskError: there is no room for long sound.
    """
    with MediaSource(path) as source:
        timeline, due_s = _Timeline(start_s, end_s), _REPORT_EACH_S
        for seconds, frame in source.frames("audio", start_s=start_s, end_s=end_s):
            if isinstance(frame, AudioFrame) and frame.samples:
                timeline.put(seconds, _mono(frame), frame.sample_rate)
                if timeline.heard_s >= due_s:
                    report(timeline.heard_s)
                    due_s += _REPORT_EACH_S
        recording = timeline.finish()
        if timeline.empty_s > max(_LEAST_EMPTY_S, _MOST_EMPTY * timeline.heard_s):
            raise MediaError(
                f"{path}: holds {timeline.heard_s:.1f} s of sound in "
                f"{timeline.empty_s / 3600:.1f} h, its time stamps may be damaged; save it anew, "
                "or name the part that is wanted"
            )
        return Sound(recording, start_s, (*source.warnings, *timeline.warnings()))


def _mono(frame: AudioFrame) -> _Mono:
    """Average the channels (FFmpeg's own downmix of floats is 3 dB louder), full scale at 1."""
    base = frame.format.name.removesuffix("p")
    if base not in _FULL_SCALE:  # 64-bit integers, which NumPy's side of PyAV does not take
        frame = AudioResampler(format="dblp").resample(frame)[0]
        base = "dbl"
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    offset = _FULL_SCALE[base] if base == "u8" else 0.0
    mean = values.mean(axis=0, dtype=np.float64)
    mono: _Mono = ((mean - offset) / _FULL_SCALE[base]).astype(np.float32)
    return mono


class _Timeline:
    """16 kHz samples, each piece laid at its own time; the rest is silence."""

    def __init__(self, start_s: float, end_s: float | None) -> None:
        self._start_s = start_s
        self._limit = None if end_s is None else _samples_in(max(0.0, end_s - start_s))
        self._recording = Spool(np.float32)
        self._rate = 0  # of the run of gapless sound being written; 0 before the first
        self._run_s = 0.0  # where the run begins
        self._taken = 0  # samples of the run at its own rate
        self._written = 0  # samples of the run at 16 kHz
        self._pending: list[_Mono] = []
        self._held = 0  # samples in `_pending`
        self._resampler: AudioResampler | None = None
        self._holes: list[Span] = []
        self.heard_s = 0.0  # sound that the file holds
        self.empty_s = 0.0  # silence before and between its pieces

    def put(self, seconds: float, mono: _Mono, rate: int) -> None:
        """Lay a piece at its time; what overlaps the piece before it is dropped."""
        due_s = self._run_s + self._taken / self._rate if self._rate else seconds
        self.empty_s += max(0.0, seconds - (due_s if self._rate else self._start_s))
        if self._rate and seconds < due_s - _GAP_S:
            mono, seconds = mono[round((due_s - seconds) * rate) :], due_s
        if not mono.size:
            return
        if seconds > due_s + _HOLE_S:
            self._holes.append(Span(due_s, seconds))
        if rate != self._rate or seconds > due_s + _GAP_S:
            self._end_run()
            self._rate, self._run_s, self._taken, self._written = rate, seconds, 0, 0
        self._pending.append(mono)
        self._held += mono.size
        self._taken += mono.size
        self.heard_s += mono.size / rate
        if self._held >= _CHUNK_SAMPLES:
            self._push()

    def finish(self) -> Spool:
        """Return the samples; the timeline is used up."""
        self._end_run()
        return self._recording

    def warnings(self) -> tuple[str, ...]:
        """Say where the file holds no sound between two pieces of it."""
        if not self._holes:
            return ()
        longest = max(self._holes, key=lambda hole: hole.duration_s)
        told = f"no sound in the file from {longest.start_s:.1f} to {longest.end_s:.1f} s"
        others = len(self._holes) - 1
        return (f"{told} (shorter gaps: {others})" if others else told,)

    def _push(self) -> None:
        """Bring the pending pieces to 16 kHz and write them."""
        if not self._pending:
            return
        mono = np.nan_to_num(np.concatenate(self._pending), nan=0.0, posinf=1.0, neginf=-1.0)
        self._pending.clear()
        self._held = 0
        if self._rate == SAMPLE_RATE_HZ:
            self._write(mono)
            return
        if self._resampler is None:
            self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        frame = AudioFrame.from_ndarray(mono[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = self._rate
        for resampled in self._resampler.resample(frame):
            self._write(resampled.to_ndarray()[0])

    def _end_run(self) -> None:
        """Write the rest of a run, also what the resampler still holds."""
        self._push()
        if self._resampler is not None:
            for resampled in self._resampler.resample(None):
                self._write(resampled.to_ndarray()[0])
            self._resampler = None

    def _write(self, piece: np.ndarray) -> None:
        begin = round((self._run_s - self._start_s) * SAMPLE_RATE_HZ) + self._written
        self._written += piece.size
        piece = piece[max(0, -begin) :]
        begin = max(0, begin)
        end = begin + piece.size if self._limit is None else min(begin + piece.size, self._limit)
        if end > begin:
            self._recording.write(begin, np.clip(piece[: end - begin], -1.0, 1.0))


def _samples_in(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
