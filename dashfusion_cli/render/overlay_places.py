"""Places of captions on a picture: at the bottom or at the top, where they leave the mouth free."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from dashfusion_models.analysis import Segment

__all__ = ["Place", "Room", "caption_places"]

Place = Literal["bottom", "top"]
Size = tuple[int, int]

_MOUTH_FROM = 2 / 3  # of the height of a face's box


@dataclass(frozen=True)
class Room:
    """Size of the pictures, and the heights between which captions stand, all in pixels."""

    width: int
    height: int
    top: int
    bottom: int

    def corner(self, place: Place, size: Size) -> tuple[int, int]:
        """Return where the upper left corner of a caption of this size is put."""
        wide, high = size
        lowest = max(0, self.bottom - high)
        return (self.width - wide) // 2, lowest if place == "bottom" else min(self.top, lowest)


def caption_places(
    segments: Sequence[Segment], sizes: Sequence[Sequence[Size]], room: Room
) -> tuple[Place, ...]:
    """Return a place for each segment, where all of its captions stay.

    It is where captions cover the lower third of the face's box for the least of the time; where
    that makes no difference, it is the place of the segment before. The first is at the bottom.

    Args:
        segments: in order of time.
        sizes: of the captions of each segment, in pixels.
        room: where they may stand.
    """
    return tuple(_places(segments, sizes, room))


def _places(
    segments: Sequence[Segment], sizes: Sequence[Sequence[Size]], room: Room
) -> Iterator[Place]:
    place: Place = "bottom"
    for segment, captions in zip(segments, sizes, strict=True):
        other: Place = "top" if place == "bottom" else "bottom"
        boxes = _face_boxes(segment)
        if captions and len(boxes):
            largest = max(wide for wide, _ in captions), max(high for _, high in captions)
            if _covered(boxes, other, largest, room) < _covered(boxes, place, largest, room):
                place = other
        yield place


def _face_boxes(segment: Segment) -> Float[np.ndarray, "looks 4"]:
    """Return the boxes of the face at each look, as shares of the frame; none without a face."""
    if segment.face is None:
        return np.zeros((0, 4))
    path = segment.face.path[:, 1:] if len(segment.face.path) else [segment.face.box]
    return np.asarray(path, np.float64)


def _covered(boxes: Float[np.ndarray, "looks 4"], place: Place, size: Size, room: Room) -> float:
    """Return at which share of the looks a caption covers some of the mouth."""
    left, top = room.corner(place, size)
    right, bottom = left + size[0], top + size[1]
    x, y, wide, high = (boxes * [room.width, room.height, room.width, room.height]).T
    aside = (x + wide <= left) | (x >= right)
    above_or_below = (y + high <= top) | (y + _MOUTH_FROM * high >= bottom)
    return float(np.mean(~(aside | above_or_below)))
