"""Faces of single pictures -> faces over time, and the one of them that speaks.

A face is followed by the overlap of its boxes; a cut to another picture ends a track, as the boxes
do not overlap any more. The speaking face is the one whose mouth moves when the sound is loud.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from dashfusion_models.features.vision import BLENDSHAPES
from dashfusion_models.records import Face, FaceChoice, FacePath, FrameFaces, Span

__all__ = ["SoundEnergy", "Track", "Tracks", "choose"]

LEAST_OVERLAP = 0.3  # intersection over union of the same face in two pictures
LONGEST_GAP_S = 1.0  # a face unseen for longer comes back as another track

LEAST_PICTURES = 8  # fewer cannot tell whose mouth follows the sound
LONGEST_STEP_S = 0.35  # between two pictures that show a movement of the mouth
SOUND_LATER_S = 0.1  # the mouth moves before it is heard (best of -0.1 to 0.1 on 109 clips)
SOUND_WINDOW_S = 0.05  # before and after
LEAST_RANK_CORRELATION = 0.25
CLEARLY_BETTER = 0.1

MOUTH = np.array(
    [i for i, name in enumerate(BLENDSHAPES) if name.startswith("mouth") or name == "jawOpen"]
)

Box = tuple[float, float, float, float]
Times = Float64[np.ndarray, " times"]
Sounds = Float64[np.ndarray, " sounds"]
SoundEnergy = tuple[Sounds, Sounds]  # seconds, and how loud it is then, in any unit


@dataclass(frozen=True)
class Track:
    """One face over time: (seconds, face) in order; ids count from 0 in order of appearance."""

    id: int
    faces: tuple[tuple[float, Face], ...]


class Tracks:
    """The faces of a file's pictures, joined to tracks; a stretch of them is read when wanted.

    In memory stay only the times of the pictures and whose each face is. `frames` come in the order
    of time.
    """

    def __init__(self, frames: Sequence[FrameFaces]) -> None:
        """Follow the faces through all pictures."""
        self._frames = frames
        times, owners, ends = array("d"), array("i"), array("q", [0])
        for frame, ids in _followed(frames):
            times.append(frame.seconds)
            owners.extend(ids)
            ends.append(len(owners))
        self._owners, self._ends = owners, ends
        self.times: Times = np.array(times)
        self.shown: Bool[np.ndarray, " times"] = np.diff(np.array(ends)) > 0  # any face

    def within(self, span: Span) -> tuple[tuple[FrameFaces, ...], tuple[Track, ...]]:
        """Return the pictures inside a span, and those parts of the tracks that lie in it."""
        first, last = np.searchsorted(self.times, (span.start_s, span.end_s)).tolist()
        frames = tuple(self._frames[first:last])
        found: dict[int, list[tuple[float, Face]]] = {}
        for i, frame in enumerate(frames, first):
            ids = self._owners[self._ends[i] : self._ends[i + 1]]
            for owner, face in zip(ids, frame.faces, strict=True):
                found.setdefault(owner, []).append((frame.seconds, face))
        return frames, tuple(Track(id=i, faces=tuple(found[i])) for i in sorted(found))


def _followed(frames: Iterable[FrameFaces]) -> Iterator[tuple[FrameFaces, list[int]]]:
    """Yield each picture with the id of the track that each of its faces belongs to."""
    latest: dict[int, tuple[float, Box]] = {}  # of each track that may go on: when and where
    count = 0
    for frame in frames:
        latest = {i: t for i, t in latest.items() if frame.seconds - t[0] <= LONGEST_GAP_S}
        pairs = [
            (_overlap(box, face.box), -k, i)
            for i, (_, box) in latest.items()
            for k, face in enumerate(frame.faces)
        ]
        joined: dict[int, int] = {}
        for overlap, k, i in sorted(pairs, reverse=True):
            if overlap >= LEAST_OVERLAP and -k not in joined and i not in joined.values():
                joined[-k] = i
        ids = []
        for k, face in enumerate(frame.faces):
            ids.append(joined.get(k, count))
            count = max(count, ids[-1] + 1)
            latest[ids[-1]] = (frame.seconds, face.box)
        yield frame, ids


def choose(
    tracks: Sequence[Track], span: Span, *, sound_energy: SoundEnergy | None
) -> tuple[Track, FaceChoice] | None:
    """Choose the face of an utterance: the one that speaks, else the largest; None without any.

    `lips` if the movement of a mouth clearly follows the sound, and more than any other mouth;
    `size` if not: the largest mean area times pictures seen.
    """
    seen = [_within(t, span) for t in tracks]
    candidates = [(t, s) for t, s in zip(tracks, seen, strict=True) if s.faces]
    if not candidates:
        return None
    speaking = _speaking([s for _, s in candidates], sound_energy) if sound_energy else None
    if speaking is not None:
        chosen, inside = candidates[speaking]
        return chosen, FaceChoice(chosen.id, "lips", _median_box(inside), _path(inside))
    chosen, inside = max(candidates, key=lambda c: sum(f.box[2] * f.box[3] for _, f in c[1].faces))
    return chosen, FaceChoice(chosen.id, "size", _median_box(inside), _path(inside))


def _within(whole: Track, span: Span) -> Track:
    inside = (pair for pair in whole.faces if span.start_s <= pair[0] < span.end_s)
    return Track(id=whole.id, faces=tuple(inside))


def _speaking(candidates: Sequence[Track], sound_energy: SoundEnergy) -> int | None:
    """Return which candidate speaks, None where that is not clear.

    The rank correlation of movement and loudness is weighed by the movement itself: the mouth of
    a listener is nearly still, and what is left follows anything by chance.
    """
    follows = np.zeros(len(candidates))
    moves = np.zeros(len(candidates))
    needed = np.ones(len(candidates))
    for i, candidate in enumerate(candidates):
        times, movement, real = _mouth_movement(candidate)
        loud = _loudness(sound_energy, times + SOUND_LATER_S)
        real &= np.isfinite(loud)
        if real.sum() >= LEAST_PICTURES:
            follows[i] = _rank_correlation(movement[real], loud[real])
            moves[i] = movement[real].mean()
            needed[i] = max(LEAST_RANK_CORRELATION, 2 / np.sqrt(real.sum()))  # two deviations
    weighed = follows * moves / max(1e-12, moves.max())
    order = np.argsort(-weighed, kind="stable")
    best = int(order[0])
    others = weighed[order[1]] if len(order) > 1 else -1.0
    clear = follows[best] >= needed[best] and weighed[best] - max(0.0, others) >= CLEARLY_BETTER
    return best if clear else None


def _mouth_movement(candidate: Track) -> tuple[Times, Times, Bool[np.ndarray, " times"]]:
    """Return when the face was seen, how its mouth moved just then, and where that is known."""
    times = np.array([seconds for seconds, _ in candidate.faces], dtype=np.float64)
    shapes = np.array([face.blendshapes[MOUTH] for _, face in candidate.faces], dtype=np.float64)
    near = np.diff(times) <= LONGEST_STEP_S
    step = np.where(near, np.linalg.norm(np.diff(shapes, axis=0), axis=1), 0.0)
    known = np.concatenate([[0], near]) + np.concatenate([near, [0]])
    total = np.concatenate([[0.0], step]) + np.concatenate([step, [0.0]])
    return times, total / np.maximum(known, 1), known > 0


def _loudness(sound_energy: SoundEnergy, times: Times) -> Times:
    """Return the mean energy around each time, NaN where the sound says nothing."""
    heard, energy = sound_energy
    total = np.concatenate([[0.0], np.cumsum(energy, dtype=np.float64)])
    first = np.searchsorted(heard, times - SOUND_WINDOW_S)
    last = np.searchsorted(heard, times + SOUND_WINDOW_S)
    mean = (total[last] - total[first]) / np.maximum(last - first, 1)
    return np.where(last > first, mean, np.nan)


def _rank_correlation(a: Times, b: Times) -> float:
    """Return Spearman's correlation, 0 for something constant."""
    a, b = _ranks(a), _ranks(b)
    scale = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / scale if scale > 0 else 0.0


def _ranks(values: Times) -> Times:
    """Return the rank of each value; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]


def _median_box(inside: Track) -> Box:
    """Return the median box, cut to the frame."""
    left, top, wide, high = np.median([face.box for _, face in inside.faces], axis=0)
    x, y = min(1.0, max(0.0, left)), min(1.0, max(0.0, top))
    right, bottom = min(1.0, max(0.0, left + wide)), min(1.0, max(0.0, top + high))
    return float(x), float(y), float(right - x), float(bottom - y)


def _path(inside: Track) -> FacePath:
    """Return when the face was where."""
    return np.array([(seconds, *face.box) for seconds, face in inside.faces], np.float32)


def _overlap(a: Box, b: Box) -> float:
    """Return intersection over union."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(0.0, wide) * max(0.0, high)
    return both / max(1e-12, a[2] * a[3] + b[2] * b[3] - both)
