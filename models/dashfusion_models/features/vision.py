"""What a face shows: MediaPipe's 52 blendshapes and the pose of the head, picture by picture.

Blendshapes are the open counterpart of action units. MediaPipe is loaded by the first FaceFinder;
its lock allows one picture at a time in a process, so a FaceFinder for videos lives in a process
of its own (face_process.py).

A picture that stands alone is looked at twice, as it is and mirrored: what the engine makes of one
look is noise in part, and of the two it is the mean (measured on noisy pictures: an area under the
curve of 0.92 instead of 0.89 for happiness). Of a video each picture is looked at once; its noise
is averaged over the pictures.
"""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from dashfusion_models.closing import Closing
from dashfusion_models.features.contract import MAX_STEPS, averaged, checked, empty
from dashfusion_models.features.face_engine import MOST_FACES, landmarker
from dashfusion_models.features.face_names import BLENDSHAPES, POSE
from dashfusion_models.features.mirror import joined, mirrored, mirrored_box
from dashfusion_models.features.regions import (
    SAME_FACE,
    SMALL_PX,
    Box,
    Pixels,
    Region,
    around,
    shared,
    tiles,
    with_margin,
)
from dashfusion_models.records import Face, FeatureSequence, FeatureSpec, Span

__all__ = ["BLENDSHAPES", "POSE", "VISION_SPEC", "FaceFinder", "sequence"]

VISION_SPEC = FeatureSpec(extractor="mediapipe-face", version=3, names=(*BLENDSHAPES, *POSE))


class FaceFinder(Closing):
    """MediaPipe's face landmarker: up to four faces in a picture, the largest first.

    With `video` it follows faces from one picture to the next, which must come in the order of
    time; without, each picture stands alone and is looked at twice, as it is and mirrored. Its
    process is cut off from the web from then on (see `face_engine`): give it one of its own.

    Raises:
        FaceError: MediaPipe, a system library or the model cannot be loaded.
    """

    def __init__(self, model: Path, *, video: bool) -> None:
        """Load the model file `model` (a MediaPipe .task bundle)."""
        self._model = model
        self._video = video
        self._main = landmarker(model, video=video)
        self._still: Any = None if video else self._main
        self._last_ms = -1

    def find(self, pixels: Pixels, seconds: float) -> tuple[Face, ...]:
        """Find the faces of an upright RGB picture taken at `seconds`.

        A small picture is enlarged twice with a margin first; a still in which nothing was found
        is tried the other way too. Boxes are shares of the picture as it was given.
        """
        faces = self._find(pixels, seconds)
        if not self._video:
            faces = joined(faces, [mirrored(f) for f in self._find(pixels[:, ::-1], seconds)])
        return _largest_first(faces)[:MOST_FACES]

    def _find(self, pixels: Pixels, seconds: float) -> list[Face]:
        """Look at the whole of a picture."""
        height, width = pixels.shape[:2]
        small = max(height, width) < SMALL_PX
        regions = [Region(0, 0, width, height), with_margin(width, height)]
        first, second = reversed(regions) if small else regions
        faces = self._look(self._main, pixels, first, seconds)
        if not faces and not self._video:
            faces = self._look(self._main, pixels, second, seconds)
        return faces

    def look_again(self, pixels: Pixels, *, near: Sequence[Box] = ()) -> tuple[Face, ...]:
        """Search a picture where `find` found nothing: with a margin, then in overlapping tiles.

        It wants the full size: the detector sees no face below a tenth of what it looks at. With
        `near` (boxes where faces were seen a moment ago) only their surroundings are searched.
        """
        if self._still is None:
            self._still = landmarker(self._model, video=False)
        faces = self._search(pixels, near)
        if not self._video:
            twins = self._search(pixels[:, ::-1], [mirrored_box(box) for box in near])
            faces = joined(faces, [mirrored(face) for face in twins])
        return _largest_first(faces)[:MOST_FACES]

    def _search(self, pixels: Pixels, near: Sequence[Box]) -> list[Face]:
        """Look at parts of a picture."""
        height, width = pixels.shape[:2]
        regions = [around(box, width, height) for box in near]
        if not near:
            regions = [with_margin(width, height), *tiles(width, height)]
        found: list[tuple[float, Face]] = []
        for region in regions:
            for face in self._look(self._still, pixels, region, 0.0):
                found.append((region.off_centre(face, width, height), face))
        found.sort(key=lambda item: item[0])  # a face is whole where it is in the middle of a tile
        return _distinct([face for _, face in found])

    def _look(self, engine: Any, pixels: Pixels, region: Region, seconds: float) -> list[Face]:
        """Run the engine on one region of a picture, enlarged if that is small."""
        import mediapipe

        height, width = pixels.shape[:2]
        image = mediapipe.Image(  # it ignores strides
            image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(region.cut(pixels))
        )
        if self._video and engine is self._main:
            self._last_ms = max(self._last_ms + 1, round(seconds * 1000))
            result = engine.detect_for_video(image, self._last_ms)
        else:
            result = engine.detect(image)
        faces = [region.outside(face, width, height) for face in _faces(result)]
        return [face for face in faces if _inside(face.box)]

    def close(self) -> None:
        """Give the engine back; it must not be used afterwards."""
        for engine in {id(m): m for m in (self._main, self._still) if m is not None}.values():
            with contextlib.suppress(RuntimeError):
                engine.close()
        self._main = self._still = None


def sequence(track_frames: Sequence[tuple[float, Face | None]], span: Span) -> FeatureSequence:
    """Make one utterance's sequence of one face, from (seconds, face) in the order of time.

    A step is a picture inside `span`, or several where there are more than MAX_STEPS, averaged
    over those that show the face. It is zeros and not real where none does.
    """
    inside = [face for time, face in track_frames if span.start_s <= time < span.end_s]
    if not inside:
        return empty(VISION_SPEC)
    values = np.zeros((len(inside), VISION_SPEC.dims), dtype=np.float32)
    real = np.array([face is not None for face in inside])
    for row, face in zip(values, inside, strict=True):
        if face is not None:
            row[:] = np.nan_to_num(np.concatenate([face.blendshapes, face.pose]))
    factor = -(-len(inside) // MAX_STEPS)
    weight = np.repeat(real[:, None], VISION_SPEC.dims, axis=1)
    return checked(
        FeatureSequence(
            values=averaged(values, weight, factor=factor),
            real=np.logical_or.reduceat(real, np.arange(0, len(real), factor)),
        ),
        VISION_SPEC,
    )


def _faces(result: Any) -> list[Face]:
    """Read the engine's answer; boxes are those of the landmarks."""
    faces = []
    for marks, shapes, matrix in zip(
        result.face_landmarks,
        result.face_blendshapes,
        result.facial_transformation_matrixes,
        strict=True,
    ):
        x = np.array([mark.x for mark in marks])
        y = np.array([mark.y for mark in marks])
        faces.append(
            Face(
                box=(float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))),
                blendshapes=np.array([shape.score for shape in shapes], dtype=np.float32),
                pose=_pose(np.asarray(matrix, dtype=np.float64)),
            )
        )
    return faces


def _pose(matrix: Float[np.ndarray, "4 4"]) -> Float32[np.ndarray, " 6"]:
    """Return pitch, yaw, roll (rotation = roll after yaw after pitch) and x, y, z."""
    turn = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    pitch = math.atan2(turn[2, 1], turn[2, 2])
    yaw = math.asin(min(1.0, max(-1.0, -turn[2, 0])))
    roll = math.atan2(turn[1, 0], turn[0, 0])
    return np.array([pitch, yaw, roll, *matrix[:3, 3]], dtype=np.float32)


def _inside(box: Box) -> bool:
    """Tell whether the middle of a box is in the picture and not in the margin."""
    return 0 <= box[0] + box[2] / 2 <= 1 and 0 <= box[1] + box[3] / 2 <= 1


def _largest_first(faces: Sequence[Face]) -> tuple[Face, ...]:
    return tuple(sorted(faces, key=lambda face: -face.box[2] * face.box[3]))


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """Leave out what shows a face that stands earlier in the list."""
    kept: list[Face] = []
    for face in faces:
        if all(shared(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return kept
