"""Parts of a picture that are searched for faces, and where their faces are in the whole of it."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from dashfusion_models.records import Face

__all__ = [
    "SAME_FACE",
    "SMALL_PX",
    "Box",
    "Pixels",
    "Region",
    "around",
    "shared",
    "tiles",
    "with_margin",
]

SAME_FACE = 0.3  # two boxes that share this much of the smaller one are one face

SMALL_PX = 256  # what has a shorter longer side is enlarged twice
MARGIN = 0.25  # of each side; black finds 98 % of small pictures, a repeated border 94 %
FIELD_OF_VIEW = math.radians(63.0)  # vertical, that MediaPipe assumes of every camera

Pixels = UInt8[np.ndarray, "height width 3"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """A part of a picture in pixels; black where it reaches beyond the picture."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, pixels: Pixels) -> UInt8[np.ndarray, "cut_height cut_width 3"]:
        """Return the region's own picture, enlarged twice if it shows few pixels."""
        right, bottom = self.left + self.width, self.top + self.height
        inside = pixels[max(0, self.top) : bottom, max(0, self.left) : right]
        scale = 2 if max(inside.shape[:2]) < SMALL_PX else 1
        if scale == 2:
            inside = _doubled(inside)
        if inside.shape[:2] == (self.height * scale, self.width * scale):
            return inside
        above, before = max(0, -self.top) * scale, max(0, -self.left) * scale
        cut = np.zeros((self.height * scale, self.width * scale, 3), dtype=np.uint8)
        cut[above : above + inside.shape[0], before : before + inside.shape[1]] = inside
        return cut

    def off_centre(self, face: Face, width: int, height: int) -> float:
        """Return how far a face of the whole picture is from the region's middle, in widths."""
        x, y, wide, high = face.box
        across = (x + wide / 2) * width - self.left - self.width / 2
        down = (y + high / 2) * height - self.top - self.height / 2
        return math.hypot(across, down) / self.width

    def outside(self, face: Face, width: int, height: int) -> Face:
        """Turn a face of the region into one of the whole picture.

        The engine takes each picture for a camera's whole view. Seen as a part of a larger view,
        the same face is further away, and sideways by what the part is off the middle.
        """
        x, y, wide, high = face.box
        box = (
            (self.left + x * self.width) / width,
            (self.top + y * self.height) / height,
            wide * self.width / width,
            high * self.height / height,
        )
        pose = face.pose.copy()
        pose[5] *= height / self.height
        pixel_cm = -float(pose[5]) * 2 * math.tan(FIELD_OF_VIEW / 2) / height  # at the face
        pose[3] += (self.left + self.width / 2 - width / 2) * pixel_cm
        pose[4] -= (self.top + self.height / 2 - height / 2) * pixel_cm
        return Face(box=box, blendshapes=face.blendshapes, pose=pose)


def _doubled(pixels: Pixels) -> UInt8[np.ndarray, "2*height 2*width 3"]:
    """Enlarge a picture twice, linearly."""
    grown = pixels.astype(np.uint16)
    for _ in range(2):  # the rows; turned, then the columns
        padded = np.concatenate([grown[:1], grown, grown[-1:]])
        pair = np.stack([3 * grown + padded[:-2], 3 * grown + padded[2:]], axis=1)
        grown = pair.reshape(-1, *grown.shape[1:]).swapaxes(0, 1)
    return ((grown + 8) // 16).astype(np.uint8)


def with_margin(width: int, height: int) -> Region:
    """Return the whole picture with a margin around it."""
    x, y = round(width * MARGIN), round(height * MARGIN)
    return Region(-x, -y, width + 2 * x, height + 2 * y)


def tiles(width: int, height: int) -> list[Region]:
    """Cover a picture with squares of half its shorter side, by half steps."""
    side = max(1, min(width, height) // 2)
    columns = 1 + math.ceil(2 * (width - side) / side)
    rows = 1 + math.ceil(2 * (height - side) / side)
    return [
        Region(round(left), round(top), side, side)
        for top in np.linspace(0, height - side, rows)
        for left in np.linspace(0, width - side, columns)
    ]


def around(box: Box, width: int, height: int) -> Region:
    """Return a square three times as large as a face, the face in its middle."""
    x, y, wide, high = box
    side = max(1, round(3 * max(wide * width, high * height)))
    left, top = (x + wide / 2) * width - side / 2, (y + high / 2) * height - side / 2
    return Region(round(left), round(top), side, side)


def shared(a: Box, b: Box) -> float:
    """Return the share of the smaller box that both cover."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    smaller = max(1e-12, min(a[2] * a[3], b[2] * b[3]))
    return max(0.0, wide) * max(0.0, high) / smaller
