"""Tracks of planted boxes, and planted mouths that follow the sound or do not."""

import numpy as np
import pytest

from dashfusion_models.features.tracks import Track, Tracks, choose
from dashfusion_models.features.vision import BLENDSHAPES
from dashfusion_models.records import Face, FrameFaces, Span

Box = tuple[float, float, float, float]
SPAN = Span(0.0, 5.0)


def face(box: Box, jaw: float = 0.0) -> Face:
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPES.index("jawOpen")] = jaw
    return Face(box=box, blendshapes=shapes, pose=np.zeros(6, np.float32))


def frames(boxes: list[list[Box]]) -> list[FrameFaces]:
    return [FrameFaces(i / 10, tuple(face(b) for b in row)) for i, row in enumerate(boxes)]


def track(seen: list[FrameFaces]) -> tuple[Track, ...]:
    """All tracks of a file, whole."""
    return Tracks(seen).within(Span(0.0, 1000.0))[1]


def loudness(seed: int, seconds: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Syllables of random length and level, every 10 ms."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * 100)) / 100
    level = np.repeat(rng.uniform(-40, -10, 100), rng.integers(15, 40, 100))
    return times, level[: len(times)]


def speaker(
    number: int, sound: tuple[np.ndarray, np.ndarray] | None, box: Box, amount: float = 0.4
) -> Track:
    """A mouth that opens and shuts as far as the sound is loud; without sound it is still."""
    rows = []
    for i in range(50):
        jaw = 0.0
        if sound is not None:
            level = float(np.interp(i / 10 + 0.1, *sound))
            jaw = amount * (level + 45) / 40 * (i % 2)
        rows.append((i / 10, face(box, jaw)))
    return Track(id=number, faces=tuple(rows))


LEFT: Box = (0.1, 0.2, 0.2, 0.3)
RIGHT: Box = (0.6, 0.2, 0.2, 0.3)
LARGE: Box = (0.5, 0.1, 0.4, 0.6)


def test_two_people_are_two_tracks_whatever_their_order() -> None:
    rows = [[LEFT, RIGHT] if i % 2 else [RIGHT, LEFT] for i in range(10)]
    found = track(frames(rows))
    assert len(found) == 2
    for one in found:
        assert len(one.faces) == 10
        assert len({f.box for _, f in one.faces}) == 1


def test_a_face_that_moves_stays_one_track() -> None:
    found = track(frames([[(0.1 + 0.02 * i, 0.2, 0.2, 0.3)] for i in range(20)]))
    assert [len(t.faces) for t in found] == [20]


def test_a_cut_begins_another_track() -> None:
    found = track(frames([[LEFT]] * 5 + [[RIGHT]] * 5))
    assert [len(t.faces) for t in found] == [5, 5]
    assert [t.id for t in found] == [0, 1]


@pytest.mark.parametrize(("gap", "tracks"), [(3, 1), (9, 1), (11, 2)])
def test_a_short_gap_does_not_end_a_track(gap: int, tracks: int) -> None:
    empty: list[list[Box]] = [[] for _ in range(gap)]
    assert len(track(frames([[LEFT]] * 5 + empty + [[LEFT]] * 5))) == tracks


def test_the_better_overlap_wins() -> None:
    near, nearer = (0.15, 0.2, 0.2, 0.3), (0.11, 0.2, 0.2, 0.3)
    found = track(frames([[LEFT], [near, nearer]]))
    assert found[0].faces[1][1].box == nearer
    assert found[1].faces[0][1].box == near


def test_nothing_seen_is_no_track_and_no_choice() -> None:
    assert track([]) == ()
    assert track(frames([[], []])) == ()
    assert choose((), SPAN, sound_energy=None) is None
    assert choose([speaker(0, None, LEFT)], Span(7.0, 8.0), sound_energy=None) is None


def test_the_mouth_that_follows_the_sound_is_chosen_though_it_is_smaller() -> None:
    sound = loudness(1)
    chosen = choose([speaker(0, None, LARGE), speaker(1, sound, LEFT)], SPAN, sound_energy=sound)
    assert chosen is not None
    assert (chosen[0].id, chosen[1].track, chosen[1].chosen_by) == (1, 1, "lips")
    assert chosen[1].box == pytest.approx(LEFT)


def test_a_mouth_that_moves_to_another_sound_is_not_the_speaker() -> None:
    sound, other = loudness(2), loudness(3)
    chosen = choose([speaker(0, other, LARGE), speaker(1, sound, LEFT)], SPAN, sound_energy=sound)
    assert chosen is not None
    assert (chosen[0].id, chosen[1].chosen_by) == (1, "lips")


def test_without_a_clear_speaker_the_largest_is_chosen() -> None:
    sound = loudness(4)
    still = [speaker(0, None, LEFT), speaker(1, None, LARGE)]
    for energy in (sound, None):
        chosen = choose(still, SPAN, sound_energy=energy)
        assert chosen is not None
        assert (chosen[0].id, chosen[1].chosen_by) == (1, "size")
    both = [speaker(0, sound, LEFT), speaker(1, sound, LARGE)]
    chosen = choose(both, SPAN, sound_energy=sound)
    assert chosen is not None
    assert (chosen[0].id, chosen[1].chosen_by) == (1, "size")


def test_a_face_that_is_alone_is_lips_only_if_its_mouth_follows() -> None:
    sound, other = loudness(5), loudness(6)
    reasons = []
    for moved in (sound, other, None):
        chosen = choose([speaker(0, moved, LEFT)], SPAN, sound_energy=sound)
        assert chosen is not None
        reasons.append(chosen[1].chosen_by)
    assert reasons == ["lips", "size", "size"]


def test_a_brief_large_face_does_not_beat_a_lasting_one() -> None:
    brief = Track(id=1, faces=speaker(1, None, LARGE).faces[:3])
    chosen = choose([speaker(0, None, LEFT), brief], SPAN, sound_energy=None)
    assert chosen is not None
    assert chosen[0].id == 0


def test_sound_elsewhere_tells_nothing() -> None:
    sound = loudness(8)
    elsewhere = (sound[0] + 100.0, sound[1])
    chosen = choose([speaker(0, sound, LEFT)], SPAN, sound_energy=elsewhere)
    assert chosen is not None
    assert chosen[1].chosen_by == "size"


def test_a_box_is_inside_the_frame() -> None:
    chosen = choose([speaker(0, None, (-0.1, 0.5, 0.3, 0.7))], SPAN, sound_energy=None)
    assert chosen is not None
    assert chosen[1].box == pytest.approx((0.0, 0.5, 0.2, 0.5))


def test_the_chosen_face_says_when_it_was_where() -> None:
    rows = [[(0.1 + 0.02 * i, 0.2, 0.2, 0.3), RIGHT] for i in range(20)]
    (mover, _) = track(frames(rows))
    chosen = choose([mover], Span(0.5, 1.0), sound_energy=None)
    assert chosen is not None
    path = chosen[1].path
    assert path[:, 0] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert path[:, 1] == pytest.approx([0.2, 0.22, 0.24, 0.26, 0.28])
    assert path[0, 2:] == pytest.approx([0.2, 0.2, 0.3])
