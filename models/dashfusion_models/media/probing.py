"""What a file is: its content hash, its length, its streams, the size that a player shows."""

from pathlib import Path

from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import MediaError
from dashfusion_models.media.pictures import first_size
from dashfusion_models.media.source import MediaSource
from dashfusion_models.records import MediaInfo

__all__ = ["duration_of", "probe"]

_NO_LENGTH = {"mp3", "aac", "ac3", "eac3", "amr", "amrnb", "amrwb"}  # FFmpeg guesses from the rate


def probe(path: Path) -> MediaInfo:
    """Say what a file is: content hash, length, streams and the size that a player shows.

    The length is measured where the container states none. An image counts as pictures without
    length and without rate.

    Raises:
        MediaError: the file cannot be read, or has neither sound nor pictures.
    """
    with MediaSource(path) as source:
        is_image = _is_image(source)
        video = source.video
        size = first_size(source) if video is not None else None
        if size is None and source.audio is None:
            raise MediaError(f"{path}: its pictures cannot be decoded; convert it to MP4 (H.264)")
        rate = (video.average_rate or video.guessed_rate) if video is not None and size else None
        has_audio = source.audio is not None
    return MediaInfo(
        path=path,
        sha256=_sha256(path),
        duration_s=0.0 if is_image else _duration_s(path),
        has_audio=has_audio,
        has_video=size is not None,
        is_image=is_image,
        width=size[0] if size else None,
        height=size[1] if size else None,
        fps=float(rate) if rate and not is_image else None,
    )


def duration_of(path: Path) -> float:
    """Return the length of a file in seconds without decoding it; 0 for an image.

    Raises:
        MediaError: the file cannot be read.
    """
    with MediaSource(path) as source:
        is_image = _is_image(source)
    return 0.0 if is_image else _duration_s(path)


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise MediaError(f"{path}: reading failed ({error.strerror}); check the disk") from error


def _is_image(source: MediaSource) -> bool:
    """Tell a picture from a film: by the format, and for GIF and PNG by the number of pictures."""
    if source.audio is not None:
        return False
    if source.is_still:
        return True
    if not source.formats & {"gif", "apng"}:
        return False
    with MediaSource(source.path) as again:  # counting uses up the packets
        return again.survey()[0] <= 1


def _duration_s(path: Path) -> float:
    """Return what the container declares, else the end of its last packet."""
    with MediaSource(path) as source:
        if source.declared_s is not None and not source.formats & _NO_LENGTH:
            return source.declared_s
        return source.survey()[1]
