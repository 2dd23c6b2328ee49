"""What befalls a face between a lens and a file, done to pictures of faces.

Pictures are upright RGB. What is drawn comes from the generator that is given.
"""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy import ndimage

__all__ = ["CHANCES", "as_jpeg", "rolled", "rough_face", "shrunk"]

# How often each befalls a face, in the order in which it would.
CHANCES = {"roll": 0.3, "blur": 0.35, "light": 0.5, "small": 0.5, "jpeg": 0.5}

MOST_DEGREES = 15.0
BLUR_SHARE = (0.003, 0.012)  # standard deviation, of the longer side
BRIGHTNESS = (0.45, 1.5)
CONTRAST = (0.5, 1.3)
CAST = (0.85, 1.15)  # a lamp's colour: gain of each of red, green and blue
LONGER_SIDE_PX = (40, 110)
QUALITY = (15, 45)
CLEAN_QUALITY = 92
GREY = 128.0

Pixels = UInt8[np.ndarray, "height width 3"]
Shrunk = UInt8[np.ndarray, "fewer_rows fewer_columns 3"]


def rough_face(
    pixels: Pixels, kinds: Collection[str], draw: np.random.Generator
) -> tuple[Shrunk, int]:
    """What is left of a picture after `kinds` of CHANCES, and the quality for `as_jpeg`."""
    if "roll" in kinds:
        pixels = rolled(pixels, draw.uniform(-MOST_DEGREES, MOST_DEGREES))
    if "blur" in kinds:
        # Two widths: a hand that shook blurs one direction more.
        widths = draw.uniform(*BLUR_SHARE, size=2) * max(pixels.shape)
        pixels = ndimage.gaussian_filter(pixels, (*widths, 0.0))
    if "light" in kinds:
        pixels = _lit(pixels, draw)
    if "small" in kinds:
        low, high = LONGER_SIDE_PX
        pixels = shrunk(pixels, int(draw.integers(low, high + 1)))
    low, high = QUALITY
    return pixels, int(draw.integers(low, high + 1)) if "jpeg" in kinds else CLEAN_QUALITY


def rolled(pixels: Pixels, degrees: float) -> Pixels:
    """Turn counter-clockwise within the picture's size; its edges go on beyond it."""
    turned: Pixels = ndimage.rotate(pixels, degrees, reshape=False, order=1, mode="nearest")
    return turned


def shrunk(pixels: Pixels, longer_side: int) -> Shrunk:
    """Bring the longer side down to `longer_side`; a smaller picture stays as it is."""
    height, width = pixels.shape[:2]
    scale = longer_side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def as_jpeg(pixels: Pixels, quality: int) -> bytes:
    """The picture as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _lit(pixels: Pixels, draw: np.random.Generator) -> Pixels:
    """Another light: contrast around grey, brightness, and a colour cast."""
    values = (pixels - GREY) * draw.uniform(*CONTRAST) + GREY
    values *= draw.uniform(*BRIGHTNESS) * draw.uniform(*CAST, size=3)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
