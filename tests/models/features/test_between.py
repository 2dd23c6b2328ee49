"""A face that is alone is looked at in every other picture; between them stands their mean."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dashfusion_models
from dashfusion_models.features.between import between
from dashfusion_models.features.face_process import STEADY, FaceProcess
from dashfusion_models.features.seen import Answer
from dashfusion_models.records import Face, Frame

MODEL = Path(dashfusion_models.__file__).parent / "vendor" / "mediapipe" / "face_landmarker.task"
BLANK = np.zeros((90, 160, 3), np.uint8)
DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"


def face(left: float, shape: float) -> Face:
    return Face(
        box=(left, 0.2, 0.3, 0.4),
        blendshapes=np.full(52, shape, np.float32),
        pose=np.full(6, 2 * shape, np.float32),
    )


def test_a_picture_between_two_is_as_near_to_each_as_its_time() -> None:
    found = between(1.2, Answer(1.0, (face(0.1, 0.0),)), Answer(1.8, (face(0.3, 0.8),)))
    (only,) = found.faces
    assert found.seconds == 1.2
    assert only.box == pytest.approx((0.15, 0.2, 0.3, 0.4))
    np.testing.assert_allclose(only.blendshapes, 0.2, atol=1e-6)
    np.testing.assert_allclose(only.pose, 0.4, atol=1e-6)


@pytest.mark.parametrize(
    "after",
    [
        None,
        Answer(1.4, ()),
        Answer(1.4, (face(0.1, 0.8), face(0.6, 0.1))),
        Answer(1.4, (face(0.6, 0.8),)),  # somewhere else: another face
    ],
)
def test_a_face_that_does_not_go_on_stays_as_it_was(after: Answer | None) -> None:
    before = Answer(1.0, (face(0.1, 0.5),))
    assert between(1.2, before, after) == Answer(1.2, before.faces)


@pytest.fixture(scope="module")
def demo() -> list[Frame]:
    from dashfusion_models.media import FrameReader

    return [Frame(f.seconds, f.pixels, lambda: BLANK) for f in FrameReader(DEMO, end_s=3.0)]


@pytest.fixture
def process() -> Iterator[FaceProcess]:
    with FaceProcess(MODEL) as made:
        yield made


def seen(process: FaceProcess, frames: list[Frame], looked_at: list[float]) -> list[Answer]:
    ask = process._ask

    def counted(seconds: float, message: bytes) -> Answer:
        looked_at.append(seconds)
        return ask(seconds, message)

    process._ask = counted  # type: ignore[method-assign]
    process.start()
    for frame in frames:
        process.submit(frame)
    return list(process.finish())


@pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")
def test_every_other_picture_of_a_face_that_is_alone(
    process: FaceProcess, demo: list[Frame]
) -> None:
    looked_at: list[float] = []
    found = seen(process, demo, looked_at)
    assert [one.seconds for one in found] == [frame.seconds for frame in demo]
    assert all(len(one.faces) == 1 for one in found)
    assert len(demo) / 2 <= len(looked_at) <= len(demo) / 2 + STEADY
    left_out = [k for k, one in enumerate(found) if one.seconds not in looked_at]
    assert left_out[0] >= STEADY
    for k in left_out[:-1]:
        expected = between(found[k].seconds, found[k - 1], found[k + 1])
        np.testing.assert_array_equal(found[k].faces[0].blendshapes, expected.faces[0].blendshapes)


@pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")
def test_every_picture_where_there_are_two_faces(process: FaceProcess, demo: list[Frame]) -> None:
    two = [
        Frame(f.seconds, np.concatenate([f.pixels, f.pixels], axis=1), lambda: BLANK) for f in demo
    ]
    looked_at: list[float] = []
    found = seen(process, two, looked_at)
    assert sum(len(one.faces) == 2 for one in found) > 0.8 * len(two)
    assert looked_at == [frame.seconds for frame in two]
