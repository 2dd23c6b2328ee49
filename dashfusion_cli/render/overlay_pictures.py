"""The pictures of a video by the clock: which one a player shows at a time."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dashfusion_models.errors import MediaError
from dashfusion_models.records import Frame

__all__ = ["PicturesByTime"]

Pixels = UInt8[np.ndarray, "height width 3"]


class PicturesByTime:
    """Goes through frames in order of time and holds one of them and the next."""

    def __init__(self, frames: Iterable[Frame], *, slack_s: float, path: Path) -> None:
        """Begin; a frame that is due within `slack_s` is shown already (stamps are rounded).

        Raises:
            MediaError: there is no frame.
        """
        self._frames = iter(frames)
        self._slack_s = slack_s
        first = next(self._frames, None)
        if first is None:
            raise MediaError(f"{path}: its pictures cannot be decoded; convert it to MP4 (H.264)")
        self._shown: Pixels = first.pixels
        self._following = next(self._frames, None)

    def at(self, seconds: float) -> Pixels:
        """Return the picture shown at a time; times must not go back.

        Before the first picture it is the first, after the last one the last.
        """
        while self._following is not None and self._following.seconds <= seconds + self._slack_s:
            self._shown = self._following.pixels
            self._following = next(self._frames, None)
        return self._shown
