"""The child process that finds faces: answers, a second look, crashes, hangs and its end."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import dashfusion_models
from dashfusion_models.errors import FaceError
from dashfusion_models.features import face_process as module
from dashfusion_models.features.face_process import FaceProcess
from dashfusion_models.records import Frame, FrameFaces

MODEL = Path(dashfusion_models.__file__).parent / "vendor" / "mediapipe" / "face_landmarker.task"
DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
needs_demo = pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")


@pytest.fixture(scope="module")
def child() -> Iterator[FaceProcess]:
    with FaceProcess(MODEL) as process:
        yield process


@pytest.fixture(scope="module")
def demo() -> list[Frame]:
    from dashfusion_models.media import FrameReader

    frames = []
    for frame in FrameReader(DEMO, end_s=1.5):
        full = frame.full()
        frames.append(Frame(frame.seconds, frame.pixels, lambda full=full: full))
    return frames


def blank(seconds: float) -> Frame:
    pixels = np.full((90, 160, 3), 80, np.uint8)
    return Frame(seconds, pixels, lambda: pixels)


def look(process: FaceProcess, frames: list[Frame]) -> tuple[FrameFaces, ...]:
    process.start()
    for frame in frames:
        process.submit(frame)
    return tuple(process.finish())


@needs_demo
def test_every_picture_gets_its_faces_in_order(child: FaceProcess, demo: list[Frame]) -> None:
    found = look(child, demo)
    assert [f.seconds for f in found] == [f.seconds for f in demo]
    assert all(len(f.faces) == 1 for f in found)
    assert child.warnings == ()


@needs_demo
def test_the_same_file_again_gives_the_same_numbers(child: FaceProcess, demo: list[Frame]) -> None:
    first, pid = look(child, demo), child.pid
    again = look(child, demo)
    assert child.pid == pid
    for a, b in zip(first, again, strict=True):
        assert a.faces[0].box == b.faces[0].box
        assert (a.faces[0].blendshapes == b.faces[0].blendshapes).all()
        assert (a.faces[0].pose == b.faces[0].pose).all()


@needs_demo
def test_a_wide_shot_is_searched_and_its_face_followed(
    child: FaceProcess, demo: list[Frame]
) -> None:
    small = demo[0].full()[::2, ::2]
    scene = np.full((1080, 1920, 3), 90, np.uint8)
    scene[500 : 500 + small.shape[0], 1400 : 1400 + small.shape[1]] = small
    asked = []

    def wide(seconds: float) -> Frame:
        def full() -> np.ndarray:
            asked.append(seconds)
            return scene

        return Frame(seconds, np.ascontiguousarray(scene[::4, ::4]), full)

    found = look(child, [wide(i / 10) for i in range(12)])
    seen = [f.seconds for f in found if f.faces]
    assert len(seen) >= 8
    assert seen[-1] == found[-1].seconds
    assert set(seen) <= set(asked)


def test_a_picture_without_a_face_is_searched_only_now_and_then(child: FaceProcess) -> None:
    asked = []
    pixels = np.full((270, 480, 3), 80, np.uint8)

    def frame(seconds: float) -> Frame:
        def full() -> np.ndarray:
            asked.append(seconds)
            return np.full((360, 640, 3), 80, np.uint8)

        return Frame(seconds, pixels, full)

    found = look(child, [frame(i / 10) for i in range(45)])
    assert not any(f.faces for f in found)
    assert 1 <= len(asked) <= 3
    assert all(b - a >= 2.0 for a, b in itertools.pairwise(asked))


def test_no_pictures_are_no_faces(child: FaceProcess) -> None:
    assert look(child, []) == ()


def test_a_killed_child_costs_one_picture() -> None:
    with FaceProcess(MODEL) as process:
        for i in range(4):
            process.submit(blank(i / 10))
        while len(process._answers) < 4:
            time.sleep(0.01)
        assert process.pid is not None
        first = psutil.Process(process.pid)
        first.kill()
        for i in range(4, 8):
            process.submit(blank(i / 10))
        found = process.finish()
        assert [f.seconds for f in found] == pytest.approx([i / 10 for i in range(8)])
        assert len(process.warnings) == 1
        assert "started again" in process.warnings[0]
        assert process.pid != first.pid
        assert not first.is_running()


def test_a_child_that_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.face_child, "__name__", "dashfusion_models.no_such_module")
    with FaceProcess(MODEL) as process:
        for i in range(6):
            process.submit(blank(i / 10))
        assert len(process.finish()) == 3
        assert len(process.warnings) == 3
        assert "no faces from there on" in process.warnings[-1]


def test_a_child_that_hangs_is_replaced() -> None:
    with FaceProcess(MODEL, answer_s=1.0) as process:
        process.submit(blank(0.0))
        while not process._answers:
            time.sleep(0.01)
        assert process.pid is not None
        psutil.Process(process.pid).suspend()
        process.submit(blank(0.1))
        process.submit(blank(0.2))
        assert len(process.finish()) == 3
        assert len(process.warnings) == 1


def test_a_missing_model_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    with FaceProcess(tmp_path / "none.task") as process:
        process.submit(blank(0.0))
        with pytest.raises(FaceError, match="there is no face model"):
            process.finish()


def test_closing_leaves_no_process_behind() -> None:
    before = {p.pid for p in psutil.Process().children()}
    process = FaceProcess(MODEL)
    process.start()
    process.submit(blank(0.0))
    process.close()
    process.close()
    assert {p.pid for p in psutil.Process().children()} <= before


def test_the_child_has_no_way_to_the_web(child: FaceProcess) -> None:
    look(child, [blank(0.0)])
    assert child.pid is not None
    inside = psutil.Process(child.pid)
    if not hasattr(inside, "environ"):
        pytest.skip("this system does not tell")
    environment = inside.environ()
    assert environment["https_proxy"] == "http://127.0.0.1:9"
    assert "no_proxy" not in environment
    assert inside.net_connections() == []
