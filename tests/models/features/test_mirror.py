"""Faces turned back from a mirrored picture, and joined with those of the picture; by hand."""

import math

import numpy as np
import pytest

from dashfusion_models.features.mirror import joined, mirrored, mirrored_box
from dashfusion_models.features.regions import Box
from dashfusion_models.features.vision import BLENDSHAPES, FaceFinder
from dashfusion_models.records import Face


def face(box: Box, *, value: float = 0.0, **shapes: float) -> Face:
    scores = np.full(52, value, np.float32)
    for name, score in shapes.items():
        scores[BLENDSHAPES.index(name)] = score
    pose = np.array([0.1, 0.2, 0.3, 4.0, 5.0, -60.0], np.float32)
    return Face(box=box, blendshapes=scores, pose=pose)


LEFT, RIGHT = (0.1, 0.2, 0.2, 0.3), (0.6, 0.2, 0.2, 0.3)


def test_left_and_right_change_places() -> None:
    turned = mirrored(face(LEFT, mouthSmileLeft=0.9, jawRight=0.4, jawOpen=0.7, _neutral=0.1))
    expected = face(LEFT, mouthSmileRight=0.9, jawLeft=0.4, jawOpen=0.7, _neutral=0.1)
    np.testing.assert_array_equal(turned.blendshapes, expected.blendshapes)
    np.testing.assert_allclose(turned.pose, [0.1, -0.2, -0.3, -4.0, 5.0, -60.0])
    assert turned.box == pytest.approx((0.7, 0.2, 0.2, 0.3))
    assert mirrored_box(turned.box) == pytest.approx(LEFT)


def test_each_side_has_its_twin_and_all_else_stays() -> None:
    scores = np.arange(52, dtype=np.float32)
    turned = mirrored(Face(LEFT, scores, np.zeros(6, np.float32)))
    for name, score in zip(BLENDSHAPES, turned.blendshapes, strict=True):
        other = {"L": name.replace("Left", "Right"), "R": name.replace("Right", "Left")}
        side = "L" if "Left" in name else "R"
        assert BLENDSHAPES[int(score)] == other[side]
    np.testing.assert_array_equal(mirrored(turned).blendshapes, scores)


def test_a_face_and_its_twin_are_averaged() -> None:
    one = face(LEFT, mouthSmileLeft=0.2)
    two = Face((0.12, 0.2, 0.2, 0.3), face(LEFT, mouthSmileLeft=0.6).blendshapes, one.pose + 1)
    (both,) = joined([one], [two])
    assert both.box == pytest.approx((0.11, 0.2, 0.2, 0.3))
    assert both.blendshapes[BLENDSHAPES.index("mouthSmileLeft")] == pytest.approx(0.4)
    np.testing.assert_allclose(both.pose, one.pose + 0.5, rtol=1e-6)


def test_angles_are_averaged_by_the_shorter_way() -> None:
    one, two = face(LEFT), face(LEFT)
    one.pose[2], two.pose[2] = math.pi - 0.1, -math.pi + 0.2
    assert joined([one], [two])[0].pose[2] == pytest.approx(math.pi + 0.05, abs=1e-5)


def test_the_faces_of_a_group_find_their_own_twins() -> None:
    found = joined([face(LEFT, value=0.1), face(RIGHT, value=0.5)], [face(RIGHT, value=0.7)])
    assert [f.box for f in found] == [pytest.approx(LEFT), pytest.approx(RIGHT)]
    assert found[0].blendshapes == pytest.approx(0.1)
    assert found[1].blendshapes == pytest.approx(0.6)


def test_no_face_is_lost_and_none_has_two_twins() -> None:
    near = (0.14, 0.2, 0.2, 0.3)
    assert len(joined([], [face(LEFT)])) == len(joined([face(LEFT)], [])) == 1
    assert joined([], []) == []
    found = joined([face(LEFT, value=0.2)], [face(near, value=0.9), face(LEFT, value=0.4)])
    assert [f.blendshapes[0] for f in found] == pytest.approx([0.3, 0.9])


def test_a_face_that_only_the_mirrored_look_shows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted engine that sees a face where the picture's bright corner is on the right."""
    finder = object.__new__(FaceFinder)
    finder._video, finder._main, finder._still = False, None, object()

    def look(engine: object, pixels: np.ndarray, *where: object) -> list[Face]:
        return [face((0.7, 0.2, 0.2, 0.3), mouthSmileLeft=0.8)] if pixels[0, -1, 0] else []

    monkeypatch.setattr(finder, "_look", look)
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[0, 0] = 255
    for (found,) in (finder.find(picture, 0.0), finder.look_again(picture)):
        assert found.box == pytest.approx(LEFT)
        assert found.blendshapes[BLENDSHAPES.index("mouthSmileRight")] == pytest.approx(0.8)
        assert found.pose[1] == pytest.approx(-0.2)
