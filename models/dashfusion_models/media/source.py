"""An open media file, decoded with honest times: seconds from where its container starts."""

import math
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dashfusion_models.closing import Closing
from dashfusion_models.errors import MediaError
from dashfusion_models.media.bounds import (
    MOST_PIXELS,
    is_rate,
    require_rate,
    require_size,
    threads_for,
)
from dashfusion_models.media.opening import open_container, open_file

__all__ = ["Kind", "MediaSource", "TimedFrame"]

Kind = Literal["audio", "video"]
TimedFrame = tuple[float, AudioFrame | VideoFrame]

# Their index or their own time stamps make the time after a seek exact; that of others is guessed.
_EXACT_SEEK = {"mov", "matroska", "avi", "mpeg", "mpegts", "asf", "wav", "w64", "mxf"}
_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails

_SEEK_LEADS_S = (1.0, 12.0)  # codecs need a run-up; keyframes are seldom more than 10 s apart
_BACK_JUMP_S = 1.0  # a clock that falls back this far has been started anew
_PAST_END_S = 60.0  # a time this far beyond the end of the file is not a time,
_JUMP_PAST_END_S = 1.0  # nor is one beyond it that lies this far behind the frame before
_LONGEST_S = 48 * 3600.0  # stands for the end of a file that does not tell its length
_EARLY_S = 1.0  # files often declare a little more than they hold


class MediaSource(Closing):
    """An open media file; `origin_s` is where its container starts counting.

    Attributes:
        audio: the sound that a player would choose, or None.
        video: the pictures that a player would choose (no cover art), or None.
        warnings: what went wrong while decoding, in words.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            MediaError: it is no regular file, is empty, cannot be read as media, or holds neither
                sound nor pictures, or such as cannot be (see `bounds`).
        """
        self.path = path
        self.warnings: list[str] = []
        self._open()

    def _open(self) -> None:
        self._closed = False
        self._file = open_file(self.path)
        try:
            self.container = open_container(self.path, self._file)
            self.audio = self._choose_audio()
            self.video = self._choose_video()
            if self.audio is None and self.video is None:
                fact = "has neither sound nor pictures"
                raise MediaError(f"{self.path}: {fact}; check that it is the right file")
            self._bound()
        except BaseException:
            self._file.close()
            raise
        self.origin_s = (self.container.start_time or 0) / av.time_base

    def _bound(self) -> None:
        """Refuse what the headers ask for without reason; see to it that decoding keeps to that."""
        if self.audio is not None:
            require_rate(self.path, self.audio.codec_context.sample_rate)
        if self.video is not None:
            if self.audio is None or self.video.codec_context.width:
                require_size(self.path, self.video, still=self.is_still)
            self.video.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            self.video.codec_context.thread_count = threads_for(self.video)

    def close(self) -> None:
        """Let go of the file; a decoding under way ends. Closing twice is harmless."""
        self._closed = True
        self.container.close()
        self._file.close()

    @property
    def formats(self) -> set[str]:
        """The names of the container's format, such as {"matroska", "webm"}."""
        return set(self.container.format.name.split(","))

    @property
    def is_still(self) -> bool:
        """Whether the format holds one picture and never more."""
        avif = self.container.metadata.get("major_brand", "").strip() == "avif"
        return avif or any(name.endswith("_pipe") for name in self.formats)

    @property
    def declared_s(self) -> float | None:
        """The length that the container states or FFmpeg estimates, in seconds."""
        duration = self.container.duration
        return duration / av.time_base if duration is not None and duration > 0 else None

    def stream(self, kind: Kind) -> AudioStream | VideoStream | None:
        """Return the chosen stream of a kind."""
        return self.audio if kind == "audio" else self.video

    def frames(
        self, kind: Kind, *, start_s: float = 0.0, end_s: float | None = None
    ) -> Generator[TimedFrame, None, None]:
        """Yield (seconds, decoded frame) from at or before `start_s` up to `end_s`.

        A file that breaks off, or damaged pieces in it, end in `warnings` and not in an error.

        Raises:
            MediaError: the disk refuses.
        """
        for seconds, frame in self._from(kind, start_s):
            if end_s is not None and seconds >= end_s:
                return
            yield seconds, frame

    def survey(self) -> tuple[int, float]:
        """Return the number of packets of sound and pictures and where the last one ends.

        Reads the file to its end without decoding; decode from a source opened anew.
        """
        count, end_s = 0, 0.0
        streams = tuple(s for s in (self.audio, self.video) if s is not None)
        with suppress(FFmpegError):
            for packet in self.container.demux(*streams):
                count += packet.size > 0
                if packet.pts is not None:
                    end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    end_s = max(end_s, end - self.origin_s)
        return count, end_s

    def _choose_audio(self) -> AudioStream | None:
        usable = [s for s in self.container.streams.audio if s.codec_context is not None]
        best = self.container.streams.best("audio")
        return next((s for s in usable if s is best), usable[0] if usable else None)

    def _choose_video(self) -> VideoStream | None:
        usable = [
            s
            for s in self.container.streams.video
            if s.codec_context is not None and not s.disposition & _NOT_VIDEO
        ]
        best = self.container.streams.best("video")
        return next((s for s in usable if s is best), usable[0] if usable else None)

    def _from(self, kind: Kind, start_s: float) -> Iterator[TimedFrame]:
        """Decode from a seek that arrives at or before `start_s`, else from the beginning."""
        leads = _SEEK_LEADS_S if self.formats & _EXACT_SEEK else ()
        for lead_s in leads:
            if start_s - lead_s <= 0 or not self._seek(kind, start_s - lead_s):
                break
            decoded = self._decode(kind)
            first = next(decoded, None)
            if first is not None and first[0] <= start_s:
                return chain([first], decoded)
        if start_s > 0 and leads:
            self.close()
            self.warnings.clear()
            self._open()
        return self._decode(kind)

    def _seek(self, kind: Kind, seconds: float) -> bool:
        stream = self.stream(kind)
        if stream is None or stream.time_base is None:
            return False
        try:
            self.container.seek(int((seconds + self.origin_s) / stream.time_base), stream=stream)
        except (FFmpegError, OSError):
            return False
        return True

    def _decode(self, kind: Kind) -> Iterator[TimedFrame]:
        """Decode one stream from where the file stands; times are from the container's start."""
        stream = self.stream(kind)
        if stream is None:
            return
        if isinstance(stream, VideoStream):
            stream.thread_type = "AUTO"
        clock = _Clock(self.origin_s, self.declared_s or _LONGEST_S)
        tally = _Tally()
        for packet in self._demux(stream, tally):
            try:
                # After a break nothing has told the decoder to give out what it still holds.
                decoded = packet.decode() if packet is not None else stream.decode(None)
            except (FFmpegError, OSError) as error:
                _raise_if_disk(self.path, error)
                if packet is not None:
                    tally.damaged += 1
                    tally.damaged_s = tally.damaged_s or clock.end_s
                continue
            for frame in decoded:
                assert isinstance(frame, AudioFrame | VideoFrame)
                if isinstance(frame, AudioFrame) and not is_rate(frame.sample_rate):
                    continue
                yield clock.seconds(frame), frame
        if not self._closed:
            self._note(stream, tally, clock.end_s)

    def _demux(self, stream: AudioStream | VideoStream, tally: "_Tally") -> Iterator[Any]:
        """Yield the packets of a stream, then None where the file breaks off.

        A stream that knows its length is read alone. Of one that does not, the container's length
        tells whether the file is whole, and that is the end of whichever stream ends last.
        """
        alone = bool(stream.duration)
        for other in self.container.streams:
            wanted = other is stream or (not alone and other in (self.audio, self.video))
            other.discard = Discard.default if wanted else Discard.all
        streams = [s for s in self.container.streams if s.discard != Discard.all]
        unit_s = {s.index: float(s.time_base or 0) for s in streams}
        try:
            for packet in self.container.demux(*streams):
                if packet.pts is not None:
                    end = (packet.pts + (packet.duration or 0)) * unit_s[packet.stream_index]
                    tally.end_s = max(tally.end_s, end - self.origin_s)
                if packet.stream_index == stream.index:
                    yield packet
                    if self._closed:  # going on would touch freed memory
                        return
        except (FFmpegError, OSError) as error:
            _raise_if_disk(self.path, error)
            tally.broken = True
            yield None

    def _note(self, stream: AudioStream | VideoStream, tally: "_Tally", reached_s: float) -> None:
        """Put into words what was missing after a stream was read to its end."""
        whole_s = self.declared_s or 0.0
        if stream.duration and stream.time_base is not None:
            end = (stream.start_time or 0) + stream.duration
            whole_s = float(end * stream.time_base) - self.origin_s
        what = "sound" if isinstance(stream, AudioStream) else "pictures"
        if tally.broken or whole_s - tally.end_s > max(_EARLY_S, 0.02 * whole_s):
            self.warnings.append(
                f"the file ends early: {what} could be read up to {reached_s:.1f} s"
            )
        if tally.damaged:
            packets = "packet" if tally.damaged == 1 else "packets, the first"
            where = f"{tally.damaged} {packets} at {tally.damaged_s or 0.0:.1f} s"
            self.warnings.append(f"damaged {what} left out: {where}")


@dataclass
class _Tally:
    """What reading the packets of a stream came upon."""

    end_s: float = 0.0
    broken: bool = False
    damaged: int = 0
    damaged_s: float | None = None  # where the first damaged packet is


class _Clock:
    """The time of each frame from its own stamp; never undefined, never absurd."""

    def __init__(self, origin_s: float, whole_s: float) -> None:
        self._shift_s = -origin_s
        self._whole_s = whole_s
        self._started = False
        self.end_s = 0.0  # where the latest frame ends

    def seconds(self, frame: AudioFrame | VideoFrame) -> float:
        """Return when the frame begins; a frame without a stamp follows the one before it."""
        stamp_s = frame.time
        if stamp_s is None and frame.dts is not None and frame.time_base is not None:
            stamp_s = float(frame.dts * frame.time_base)
        seconds = self.end_s
        if stamp_s is not None and math.isfinite(stamp_s):  # after damage FFmpeg divides by zero
            seconds = stamp_s + self._shift_s
            fell_back = self._started and seconds < self.end_s - _BACK_JUMP_S
            jumped = self._started and seconds > self.end_s + _JUMP_PAST_END_S
            past_s = seconds - self._whole_s
            if fell_back or past_s > _PAST_END_S or (jumped and past_s > _JUMP_PAST_END_S):
                self._shift_s += self.end_s - seconds
                seconds = self.end_s
        self._started = True
        self.end_s = seconds + _length_s(frame)
        return seconds


def _length_s(frame: AudioFrame | VideoFrame) -> float:
    if isinstance(frame, AudioFrame):
        return frame.samples / frame.sample_rate if frame.sample_rate else 0.0
    return float(frame.duration * frame.time_base) if frame.time_base is not None else 0.0


def _raise_if_disk(path: Path, error: Exception) -> None:
    """Let FFmpeg's verdict on the content pass, but not the disk's on itself."""
    if not isinstance(error, FFmpegError):
        raise MediaError(f"{path}: reading failed ({error}); check the disk") from error
