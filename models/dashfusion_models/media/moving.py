"""What it takes to write a video again: its size, its exact rate, how long its pictures last."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.video.stream import VideoStream

from dashfusion_models.errors import MediaError
from dashfusion_models.media.pictures import first_size
from dashfusion_models.media.probing import duration_of
from dashfusion_models.media.source import MediaSource

__all__ = ["Moving", "moving_pictures"]

_HIGHEST_RATE = 120  # what is more is a clock, not a rate
_SAME_END_S = 0.5  # sound and pictures seldom end at the same sample


@dataclass(frozen=True)
class Moving:
    """The pictures of a video as a player shows them; `rate` is exact, in pictures a second.

    Where the rate of the source varies, it is the one that its time stamps keep to, so that every
    picture keeps its place; where they keep to none below 120, it is the mean.
    """

    width: int
    height: int
    rate: Fraction
    duration_s: float
    has_audio: bool


def moving_pictures(path: Path) -> Moving:
    """Say how the pictures of a video move.

    Raises:
        MediaError: the file cannot be read, or holds no moving pictures.
    """
    with MediaSource(path) as source:
        video, has_audio, origin_s = source.video, source.audio is not None, source.origin_s
        size = None if source.is_still or video is None else first_size(source)
        rate = _rate(video) if video is not None and size is not None else None
        pictures_end_s = _end_s(video, origin_s) if video is not None else None
    if size is None or rate is None:
        raise MediaError(f"{path}: has no moving pictures; name a video")
    whole_s = duration_of(path)
    if pictures_end_s is not None and 0 <= whole_s - pictures_end_s < _SAME_END_S:
        whole_s = pictures_end_s
    return Moving(size[0], size[1], rate, whole_s, has_audio)


def _rate(video: VideoStream) -> Fraction | None:
    """Return the rate that the time stamps keep to, else the mean."""
    mean, ticks = video.average_rate, video.guessed_rate
    if ticks and mean and mean < ticks <= _HIGHEST_RATE:
        return ticks
    return mean or ticks or None


def _end_s(video: VideoStream, origin_s: float) -> float | None:
    """Return where the pictures end, None where the file does not say so."""
    if not video.duration or video.time_base is None:
        return None
    return float(((video.start_time or 0) + video.duration) * video.time_base) - origin_s
