"""What the face engine saw in the pictures of a file, kept on disk where that is much."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from dashfusion_models.errors import DiskError
from dashfusion_models.records import Face, FrameFaces
from dashfusion_models.spool import Spool

__all__ = ["Answer", "Seen"]

FACE = np.dtype([("box", "f8", 4), ("blendshapes", "f4", 52), ("pose", "f4", 6)])
BLOCK_PICTURES = 512  # read together


@dataclass(frozen=True)
class Answer(FrameFaces):
    """The faces of a picture; `again` where the first look found none and there was a second."""

    again: bool = False


class Seen(Sequence[Answer]):
    """Answers in the order of time: added one by one, read as a sequence."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._faces = Spool(FACE)
        self._ends = array("q", [0])  # of the faces of each picture, behind a beginning of 0
        self._again = bytearray()
        self._times = array("d")
        self._full: DiskError | None = None

    def append(self, answer: Answer) -> None:
        """Add a picture; where there is no room for it, reading will tell."""
        rows = np.zeros(len(answer.faces), dtype=FACE)
        for row, face in zip(rows, answer.faces, strict=True):
            row["box"], row["blendshapes"], row["pose"] = face.box, face.blendshapes, face.pose
        try:
            self._faces.append(rows)
        except DiskError as error:
            self._full = error
        self._ends.append(self._ends[-1] + len(rows))
        self._again.append(answer.again)
        self._times.append(answer.seconds)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._times)

    @overload
    def __getitem__(self, place: int) -> Answer: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Answer, ...]: ...

    def __getitem__(self, place: int | slice) -> Answer | tuple[Answer, ...]:
        """Return the answer to one picture, or those to a slice of them without a step.

        Raises:
            DiskError: there was no room for what was seen, or it cannot be read.
        """
        if isinstance(place, slice):
            first, last, _ = place.indices(len(self))
            return self._read(first, max(first, last))
        first = range(len(self))[place]
        return self._read(first, first + 1)[0]

    def __iter__(self) -> Iterator[Answer]:
        """Yield all answers, a block of them at a time in memory."""
        for first in range(0, len(self), BLOCK_PICTURES):
            yield from self._read(first, min(len(self), first + BLOCK_PICTURES))

    def _read(self, first: int, last: int) -> tuple[Answer, ...]:
        if self._full is not None:
            raise self._full
        begin = self._ends[first]
        faces = [
            Face(box=tuple(row["box"].tolist()), blendshapes=row["blendshapes"], pose=row["pose"])
            for row in self._faces[begin : self._ends[last]]
        ]
        return tuple(
            Answer(
                self._times[i],
                tuple(faces[self._ends[i] - begin : self._ends[i + 1] - begin]),
                bool(self._again[i]),
            )
            for i in range(first, last)
        )
