"""The second look at a still picture, mirrored left-right: its faces turned back, and joined."""

import math
from collections.abc import Sequence

import numpy as np

from dashfusion_models.features.face_names import BLENDSHAPES, POSE
from dashfusion_models.features.regions import SAME_FACE, Box, shared
from dashfusion_models.records import Face

__all__ = ["joined", "mirrored", "mirrored_box"]


def _other_side(name: str) -> str:
    if "Left" in name:
        return name.replace("Left", "Right")
    return name.replace("Right", "Left")


SWAPPED = np.array([BLENDSHAPES.index(_other_side(name)) for name in BLENDSHAPES])
SIGNS = np.array([-1 if name in {"yaw", "roll", "x"} else 1 for name in POSE], dtype=np.float32)
ANGLES = POSE.index("roll") + 1  # of the pose come first


def mirrored(face: Face) -> Face:
    """Return the face as a mirrored picture shows it; twice is the face itself."""
    return Face(
        box=mirrored_box(face.box),
        blendshapes=face.blendshapes[SWAPPED],
        pose=face.pose * SIGNS,
    )


def mirrored_box(box: Box) -> Box:
    """Return where the box is in the mirrored picture."""
    x, y, width, height = box
    return (1.0 - x - width, y, width, height)


def joined(faces: Sequence[Face], twins: Sequence[Face]) -> list[Face]:
    """Return the mean of each face and its twin, found in another look at the same picture.

    The twins are turned back already. Whose boxes overlap most belong together; a face that was
    found in one of the two looks only counts alone, so that none is lost.
    """
    pairs = [(shared(f.box, t.box), i, k) for i, f in enumerate(faces) for k, t in enumerate(twins)]
    twin_of: dict[int, int] = {}
    for overlap, i, k in sorted(pairs, key=lambda pair: -pair[0]):
        if overlap >= SAME_FACE and i not in twin_of and k not in twin_of.values():
            twin_of[i] = k
    both = [
        _mean(face, twins[twin_of[i]]) if i in twin_of else face for i, face in enumerate(faces)
    ]
    return both + [twin for k, twin in enumerate(twins) if k not in twin_of.values()]


def _mean(face: Face, twin: Face) -> Face:
    """Average two looks at one face; angles by the shorter way around."""
    apart = twin.pose - face.pose
    apart[:ANGLES] = (apart[:ANGLES] + math.pi) % (2 * math.pi) - math.pi
    x, y, width, height = ((a + b) / 2 for a, b in zip(face.box, twin.box, strict=True))
    return Face(
        box=(x, y, width, height),
        blendshapes=(face.blendshapes + twin.blendshapes) / 2,
        pose=face.pose + apart / 2,
    )
