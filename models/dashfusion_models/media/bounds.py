"""What a file may ask for: sizes of pictures, shapes of pixels and rates of sound that exist.

A few bytes of a header can ask for gigabytes. What no camera and no recorder writes is refused
before anything is decoded, or where it can be done without, passed over.
"""

from pathlib import Path

from av.video.stream import VideoStream

from dashfusion_models.errors import MediaError
from dashfusion_models.resources import cores_here

__all__ = [
    "FULL_PIXELS",
    "MOST_PIXELS",
    "is_rate",
    "pixel_shape",
    "require_rate",
    "require_size",
    "threads_for",
]

MOST_PIXELS = 200_000_000  # of a still: the largest that telephones take
_MOST_MOVING_PIXELS = 40_000_000  # 8K has 33, the highest common levels of H.264 and H.265 allow 36
_DEEP_BITS = 32  # pixels of more bits take so much more memory that half as many must do
FULL_PIXELS = 52_000_000  # of a picture in RGB; larger ones are shrunk to it

_PIXEL_SHAPES = (0.25, 4.0)  # width by height; the widest in use, of anamorphic film, is about 2
_RATES_HZ = (1_000, 768_000)

_DECODING_BYTES = 512 << 20  # of the pictures that threads decode at the same time
_MOST_THREADS = 16


def require_size(path: Path, video: VideoStream, *, still: bool) -> None:
    """Refuse pictures that would take more memory than this is worth, by what the header says.

    Raises:
        MediaError: they are larger than any camera's, or say no size at all.
    """
    most = MOST_PIXELS if still else _MOST_MOVING_PIXELS
    pixels = video.codec_context
    if pixels.format is not None and pixels.format.padded_bits_per_pixel > _DEEP_BITS:
        most //= 2
    limit = f"more than {most // 1_000_000} megapixels"
    if not pixels.width or not pixels.height:
        fact = f"its pictures have no size that can be read, or {limit}"
    elif pixels.width * pixels.height > most:
        fact = f"its pictures of {pixels.width} x {pixels.height} have {limit}"
    else:
        return
    raise MediaError(f"{path}: {fact}; make them smaller, such as 1920 x 1080")


def pixel_shape(video: VideoStream | None) -> float:
    """Return the width of a stored pixel by its height; 1 where the file says what cannot be."""
    shape = float((video is not None and video.sample_aspect_ratio) or 1)
    if video is None or not _PIXEL_SHAPES[0] <= shape <= _PIXEL_SHAPES[1]:
        return 1.0
    stretched = video.codec_context.width * video.codec_context.height * shape
    return shape if stretched <= FULL_PIXELS else 1.0


def is_rate(sample_rate_hz: int) -> bool:
    """Whether sound is recorded at such a rate."""
    return _RATES_HZ[0] <= sample_rate_hz <= _RATES_HZ[1]


def require_rate(path: Path, sample_rate_hz: int) -> None:
    """Refuse sound whose header says a rate at which nothing is recorded.

    Raises:
        MediaError: it is below 1 kHz or above 768 kHz.
    """
    if sample_rate_hz and not is_rate(sample_rate_hz):
        low, high = (rate // 1000 for rate in _RATES_HZ)
        raise MediaError(
            f"{path}: its sample rate of {sample_rate_hz} Hz lies outside {low} to {high} kHz; "
            "its header may be damaged: save it anew, at 16 kHz"
        )


def threads_for(video: VideoStream) -> int:
    """Return how many threads may decode pictures of this size; 0 leaves it to FFmpeg.

    Each holds a picture or two.
    """
    pixels = video.codec_context
    bits = pixels.format.padded_bits_per_pixel if pixels.format is not None else _DEEP_BITS
    room = _DECODING_BYTES // max(1, pixels.width * pixels.height * bits // 8)
    return 0 if room >= _MOST_THREADS else max(1, min(room, cores_here()))
