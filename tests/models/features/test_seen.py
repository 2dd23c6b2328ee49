"""Faces that went to disk come back as they were, and tracks are those of a plain reference."""

from collections.abc import Sequence

import numpy as np
import pytest

from dashfusion_models import spool
from dashfusion_models.errors import DiskError
from dashfusion_models.features.seen import Answer, Seen
from dashfusion_models.features.tracks import LEAST_OVERLAP, LONGEST_GAP_S, Tracks, _overlap
from dashfusion_models.records import Face, FrameFaces, Span


def planted(pictures: int = 1500) -> list[Answer]:
    """Up to three faces that wander, vanish and come back; some pictures are missing."""
    draw = np.random.default_rng(4)
    places = draw.uniform(0.0, 0.7, (3, 2))
    found = []
    for i in range(pictures):
        places += draw.normal(0.0, 0.02, places.shape)
        faces = [
            Face(
                box=(float(x), float(y), 0.25, 0.3),
                blendshapes=draw.random(52, dtype=np.float32),
                pose=draw.random(6, dtype=np.float32),
            )
            for x, y in places[draw.permutation(3)]
            if draw.random() < 0.8
        ]
        if draw.random() < 0.95:
            away = i % 100 > 85
            found.append(Answer(i / 10, () if away else tuple(faces), bool(draw.random() < 0.5)))
    return found


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    return planted()


@pytest.fixture(params=[1, 1 << 30], ids=["disk", "memory"])
def seen(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, answers: list[Answer]
) -> Seen:
    monkeypatch.setattr(spool, "MEMORY_BYTES", request.param)
    kept = Seen()
    for answer in answers:
        kept.append(answer)
    return kept


def assert_same(found: Sequence[FrameFaces], expected: Sequence[FrameFaces]) -> None:
    assert [f.seconds for f in found] == [e.seconds for e in expected]
    for one, other in zip(found, expected, strict=True):
        assert [f.box for f in one.faces] == [f.box for f in other.faces]
        for a, b in zip(one.faces, other.faces, strict=True):
            np.testing.assert_array_equal(a.blendshapes, b.blendshapes)
            np.testing.assert_array_equal(a.pose, b.pose)


def test_what_was_seen_comes_back_as_it_was(seen: Seen, answers: list[Answer]) -> None:
    assert len(seen) == len(answers)
    assert_same(tuple(seen), answers)
    assert_same(seen[100:103], answers[100:103])
    assert_same([seen[-1], seen[7]], [answers[-1], answers[7]])
    assert [a.again for a in seen] == [a.again for a in answers]
    assert seen[5:2] == ()
    with pytest.raises(IndexError):
        seen[len(answers)]


def test_no_room_for_faces_is_told_by_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskError("full")

    kept = Seen()
    monkeypatch.setattr(kept._faces, "append", full)
    kept.append(Answer(0.0, ()))
    assert len(kept) == 1
    with pytest.raises(DiskError, match="full"):
        tuple(kept)


def followed(frames: Sequence[FrameFaces]) -> list[list[tuple[float, Face]]]:
    """The reference: every track with all its faces in memory."""
    tracks: list[list[tuple[float, Face]]] = []
    for frame in frames:
        recent = [i for i, t in enumerate(tracks) if frame.seconds - t[-1][0] <= LONGEST_GAP_S]
        pairs = [
            (_overlap(tracks[i][-1][1].box, face.box), -k, i)
            for i in recent
            for k, face in enumerate(frame.faces)
        ]
        joined: dict[int, int] = {}
        for overlap, k, i in sorted(pairs, reverse=True):
            if overlap >= LEAST_OVERLAP and -k not in joined and i not in joined.values():
                joined[-k] = i
        for k, face in enumerate(frame.faces):
            if k in joined:
                tracks[joined[k]].append((frame.seconds, face))
            else:
                tracks.append([(frame.seconds, face)])
    return tracks


@pytest.mark.parametrize(
    "span", [Span(0.0, 1e3), Span(12.34, 20.0), Span(8.5, 9.9), Span(-9.0, 0.0)]
)
def test_tracks_are_those_of_the_reference(seen: Seen, answers: list[Answer], span: Span) -> None:
    frames, tracks = Tracks(seen).within(span)
    inside = [a for a in answers if span.start_s <= a.seconds < span.end_s]
    assert_same(frames, inside)
    expected = {
        i: [(s, f.box) for s, f in one if span.start_s <= s < span.end_s]
        for i, one in enumerate(followed(answers))
    }
    expected = {i: one for i, one in expected.items() if one}
    assert {t.id: [(s, f.box) for s, f in t.faces] for t in tracks} == expected
    assert [t.id for t in tracks] == sorted(expected)


def test_pictures_with_a_face_are_known_without_reading(seen: Seen, answers: list[Answer]) -> None:
    tracks = Tracks(seen)
    assert tracks.times.tolist() == [a.seconds for a in answers]
    assert tracks.shown.tolist() == [bool(a.faces) for a in answers]
    nothing = Tracks(())
    assert nothing.times.size == nothing.shown.size == 0
    assert nothing.within(Span(0.0, 9.0)) == ((), ())
