"""The video itself with its analysis drawn over it. moviepy lives here, and writes.

Pictures and sound come from `dashfusion_models.media`, one at a time: moviepy never opens the
source, so rotation, odd time stamps and hostile files are met in one place only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dashfusion_cli.output import OutputError, whole_file
from dashfusion_cli.render.overlay_fonts import Fonts, lays_out
from dashfusion_cli.render.overlay_look import Overlay
from dashfusion_cli.render.overlay_pictures import PicturesByTime
from dashfusion_models.analysis import Analysis
from dashfusion_models.errors import DashfusionError
from dashfusion_models.media import FrameReader, Moving, moving_pictures, write_sound
from dashfusion_models.records import Progress, Span

__all__ = ["write_overlay"]

_QUALITY = "20"  # x264's constant rate factor: hardly told from the source
_PRESET = "veryfast"  # a medium one takes three times as long for files a tenth smaller
_REPORT_EACH = 10  # pictures

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class _Take:
    """Which pictures are written: `count` of them from `start_s` on, at the source's exact rate."""

    width: int  # both even, as H.264 wants them
    height: int
    rate: Fraction
    start_s: float
    count: int

    @classmethod
    def of(cls, moving: Moving, start_s: float, end_s: float | None) -> "_Take":
        end_s = moving.duration_s if end_s is None else min(end_s, moving.duration_s)
        count = max(1, round((end_s - start_s) * moving.rate))
        width, height = (max(2, side - side % 2) for side in (moving.width, moving.height))
        return cls(width, height, moving.rate, start_s, count)

    @property
    def window(self) -> Span:
        """The stretch of the file."""
        return Span(self.start_s, self.start_s + float(self.count / self.rate))


def write_overlay(
    analysis: Analysis,
    target: Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    force: bool = False,
    report: Report = lambda progress: None,
) -> tuple[str, ...]:
    """Write the analysed video, or a stretch of it, with the analysis over it; return warnings.

    The file appears when it is whole. Length, rate and channels of the sound are the source's.

    Raises:
        MediaError: the source cannot be read, or holds no moving pictures.
        OutputError: the target cannot be written.
        DiskError: there is no room.
    """
    path = analysis.media.path
    take = _Take.of(moving_pictures(path), start_s, end_s)
    fonts = Fonts()
    overlay = Overlay(
        analysis, width=take.width, height=take.height, window=take.window, fonts=fonts
    )
    with whole_file(target, option="--overlay", force=force) as beside:
        sound = beside.with_suffix(".m4a")
        try:
            heard = write_sound(
                path,
                sound,
                start_s=start_s,
                end_s=end_s,
                report=lambda s: report(Progress("sound", s, take.window.duration_s)),
            )
            with FrameReader(
                path, frames_per_second=None, longer_side=None, start_s=start_s, end_s=end_s
            ) as frames:
                pictures = PicturesByTime(frames, slack_s=float(0.5 / take.rate), path=path)
                _write(pictures, overlay, take, beside, sound if heard else None, report)
        except OSError as error:  # of moviepy: all others have a name
            raise _failed(target, error) from error
        finally:
            sound.unlink(missing_ok=True)
        _check(beside, take, target)
    return tuple(_warnings(analysis, fonts))


def _write(
    pictures: PicturesByTime,
    overlay: Overlay,
    take: _Take,
    target: Path,
    sound: Path | None,
    report: Report,
) -> None:
    """Have moviepy pull picture after picture, draw on it, and encode it."""
    clip_of = _moviepy_clip()

    def shown(seconds: float) -> UInt8[np.ndarray, "height width 3"]:
        return pictures.at(take.start_s + seconds)[: take.height, : take.width]

    def drawn(get: Callable[[float], Any], seconds: float) -> Any:
        number = round(seconds * take.rate)
        if number % _REPORT_EACH == 0 or number + 1 == take.count:
            report(Progress("overlay", seconds, take.window.duration_s))
        return overlay.draw(get(seconds), take.start_s + seconds)

    # moviepy writes as many pictures as fit in a whole: half of one more keeps its rounding off.
    clip = clip_of(shown, duration=float((take.count + Fraction(1, 2)) / take.rate)).transform(
        drawn
    )
    clip.write_videofile(
        str(target.absolute()),  # or FFmpeg would take "a:b.mp4" for an address
        fps=float(take.rate),
        codec="libx264",
        audio=str(sound.absolute()) if sound is not None else False,
        audio_codec="copy",
        preset=_PRESET,
        ffmpeg_params=_parameters(take.rate),
        logger=None,
    )
    report(Progress("overlay", take.window.duration_s, take.window.duration_s))


def _parameters(rate: Fraction) -> list[str]:
    """What FFmpeg is told beyond what moviepy tells it.

    moviepy rounds the rate to two decimals, so pictures get their time anew, from their number.
    Colours are BT.709 and say so: FFmpeg takes BT.601 without a word, players the other.
    """
    exact = f"{rate.numerator}/{rate.denominator}"
    filters = (
        f"settb={rate.denominator}/{rate.numerator}",
        "setpts=N",
        "scale=out_color_matrix=bt709:out_range=tv",
        "format=yuv420p",
    )
    colors = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    return [
        "-vf", ",".join(filters), "-r", exact, "-crf", _QUALITY, *colors, "-color_range", "tv",
        "-movflags", "+faststart", "-map_metadata", "-1",
    ]  # fmt: skip


def _moviepy_clip() -> Any:
    try:
        from moviepy import VideoClip
    except (ImportError, OSError, RuntimeError) as error:
        fact = f"cannot be used ({(str(error).splitlines() or [''])[0]})"
        fix = "install ffmpeg, or set FFMPEG_BINARY to its path"
        raise OutputError(f"moviepy: {fact}; {fix}") from error
    return VideoClip


def _failed(target: Path, error: OSError) -> OutputError:
    """Say in a line what FFmpeg said in many."""
    told = str(error).split("while writing file", 1)[-1].splitlines()[1:]
    lines = [line.strip() for line in told if line.strip()]
    fact = lines[0] if lines else (error.strerror or type(error).__name__)
    return OutputError(f"{target}: cannot be written ({fact}); see that there is room")


def _check(written: Path, take: _Take, target: Path) -> None:
    """Look at what was written: FFmpeg may fail at the very end without moviepy noticing."""
    try:
        found = moving_pictures(written)
    except DashfusionError as error:
        raise OutputError(f"{target}: was not written whole; see that there is room") from error
    if abs(found.duration_s - take.window.duration_s) > float(2 / take.rate):
        raise OutputError(f"{target}: was not written whole; see that there is room")


def _warnings(analysis: Analysis, fonts: Fonts) -> list[str]:
    found = []
    if fonts.missing:
        some = "".join(sorted(fonts.missing)[:8])
        found.append(f"captions: no font here has {some!r}; install one (such as Noto Sans CJK)")
    if not all(lays_out(segment.text or "") for segment in analysis.segments):
        found.append("captions: written from left to right; install FriBiDi (libfribidi0)")
    return found
