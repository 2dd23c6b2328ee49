"""Faces of the demo clip, where they are planted by moving the picture; sequences by hand."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dashfusion_models
from dashfusion_models.errors import FaceError
from dashfusion_models.features.contract import MAX_STEPS
from dashfusion_models.features.face_engine import CUT_OFF, cut_off
from dashfusion_models.features.mirror import mirrored, mirrored_box
from dashfusion_models.features.regions import SMALL_PX, Region, around, tiles, with_margin
from dashfusion_models.features.vision import BLENDSHAPES, VISION_SPEC, FaceFinder, sequence
from dashfusion_models.records import Face, Frame, Span

MODEL = Path(dashfusion_models.__file__).parent / "vendor" / "mediapipe" / "face_landmarker.task"
DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
needs_demo = pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")


@pytest.fixture(scope="module", autouse=True)
def same_environment_afterwards() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder(MODEL, video=False) as still:
        yield still


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    from dashfusion_models.media import FrameReader

    return next(iter(FrameReader(DEMO))).full()


def smaller(pixels: np.ndarray, longer: int) -> np.ndarray:
    step = max(1, round(max(pixels.shape[:2]) / longer))
    return np.ascontiguousarray(pixels[::step, ::step])


def test_the_spec_names_58_features() -> None:
    assert VISION_SPEC.dims == len(set(VISION_SPEC.names)) == 58
    assert len(BLENDSHAPES) == 52
    assert BLENDSHAPES[0] == "_neutral"
    assert VISION_SPEC.names[52:] == ("pitch", "yaw", "roll", "x", "y", "z")


@needs_demo
def test_the_names_are_the_engines_own(finder: FaceFinder, picture: np.ndarray) -> None:
    import mediapipe

    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture.copy())
    shapes = finder._main.detect(image).face_blendshapes[0]
    assert tuple(shape.category_name for shape in shapes) == BLENDSHAPES


@needs_demo
def test_a_moved_picture_moves_the_face(finder: FaceFinder, picture: np.ndarray) -> None:
    (here,) = finder.find(picture, 0.0)
    height, width = picture.shape[:2]
    moved = Region(-width // 4, -height // 8, width, height).cut(picture)
    (there,) = finder.find(moved, 0.0)
    assert there.box[0] - here.box[0] == pytest.approx(0.25, abs=0.02)
    assert there.box[1] - here.box[1] == pytest.approx(0.125, abs=0.03)
    assert there.pose[3] > here.pose[3]  # to the right
    assert there.pose[4] < here.pose[4]  # and down


@needs_demo
def test_strides_do_not_matter(finder: FaceFinder, picture: np.ndarray) -> None:
    wide = np.concatenate([picture, picture], axis=1)[:, : picture.shape[1]]
    assert not wide.flags.c_contiguous
    (a,), (b,) = finder.find(picture, 0.0), finder.find(wide, 0.0)
    assert a.box == b.box


@needs_demo
def test_a_mirrored_head_turns_the_other_way(finder: FaceFinder, picture: np.ndarray) -> None:
    (a,), (b,) = finder.find(picture, 0.0), finder.find(picture[:, ::-1].copy(), 0.0)
    assert b.pose[1] == pytest.approx(-a.pose[1], abs=0.12)
    assert b.pose[2] == pytest.approx(-a.pose[2], abs=0.12)
    assert b.pose[3] == pytest.approx(-a.pose[3], abs=1.0)


@needs_demo
def test_a_small_tight_picture_is_found_in_its_own_shares(
    finder: FaceFinder, picture: np.ndarray
) -> None:
    (whole,) = finder.find(picture, 0.0)
    height, width = picture.shape[:2]
    x, y, wide, high = whole.box
    left, top = max(0, round(x * width)), max(0, round(y * height))
    crop = picture[top : round((y + high) * height), left : round((x + wide) * width)]
    tight = smaller(crop, 120)
    assert max(tight.shape[:2]) < SMALL_PX
    (face,) = finder.find(tight, 0.0)
    assert face.box == pytest.approx((0.0, 0.0, 1.0, 1.0), abs=0.12)


@needs_demo
def test_a_second_look_finds_the_small_face_of_a_wide_shot(
    finder: FaceFinder, picture: np.ndarray
) -> None:
    (whole,) = finder.find(picture, 0.0)
    small = smaller(picture, 320)
    height, width = small.shape[:2]
    scene = np.full((1080, 1920, 3), 90, np.uint8)
    scene[500 : 500 + height, 1400 : 1400 + width] = small
    assert finder.find(scene, 0.0) == ()
    (found,) = finder.look_again(scene)
    x, y, wide, high = whole.box
    expected = ((1400 + x * width) / 1920, (500 + y * height) / 1080)
    assert found.box[:2] == pytest.approx(expected, abs=0.01)
    assert found.box[2:] == pytest.approx((wide * width / 1920, high * height / 1080), rel=0.2)
    (near,) = finder.look_again(scene, near=[found.box])
    assert near.box == pytest.approx(found.box, abs=0.01)
    assert near.pose[3:] == pytest.approx(found.pose[3:], rel=0.1)
    assert finder.look_again(scene, near=[(0.1, 0.1, 0.05, 0.1)]) == ()


@needs_demo
def test_a_video_follows_the_face_though_its_times_stand_still(picture: np.ndarray) -> None:
    with FaceFinder(MODEL, video=True) as video:
        found = [video.find(picture, seconds) for seconds in (0.0, 0.1, 0.1, 0.05)]
    assert all(len(faces) == 1 for faces in found)


def test_nothing_is_found_in_noise(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (360, 480, 3), dtype=np.uint8)
    assert finder.find(noise, 0.0) == ()
    assert finder.look_again(noise) == ()


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.task"
    with pytest.raises(FaceError, match="there is no face model"):
        FaceFinder(broken, video=False)
    broken.write_bytes(b"nonsense")
    with pytest.raises(FaceError) as caught:
        FaceFinder(broken, video=False)
    assert "\n" not in str(caught.value)


def test_a_missing_system_library_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mediapipe.tasks.python import vision

    def fail(*_: object) -> None:
        raise OSError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(vision.FaceLandmarker, "create_from_options", fail)
    with pytest.raises(FaceError, match=r"libEGL\.so\.1.*apt-get install libegl1"):
        FaceFinder(MODEL, video=False)


def test_the_engine_is_cut_off_from_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    cut_off()
    assert {name: os.environ[name] for name in CUT_OFF} == CUT_OFF
    assert "no_proxy" not in os.environ


def test_tiles_cover_the_picture_with_squares() -> None:
    seen = np.zeros((270, 480), int)
    for tile in tiles(480, 270):
        assert tile.width == tile.height == 135
        seen[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert seen.min() >= 1
    assert seen[100:170, 100:380].min() >= 4


def test_regions_reach_beyond_the_picture_in_black() -> None:
    pixels = np.full((300, 400, 3), 200, np.uint8)
    cut = with_margin(400, 300).cut(pixels)
    assert cut.shape == (450, 600, 3)
    assert (cut[75:375, 100:500] == 200).all()
    assert cut.sum() == pixels.sum()
    region = around((0.9, 0.9, 0.1, 0.1), 400, 300)
    assert region.width == region.height == 120
    assert (region.left + 60, region.top + 60) == (380, 285)


def test_a_small_region_is_enlarged_smoothly() -> None:
    ramp = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], 16, axis=0)
    cut = Region(0, 0, 20, 16).cut(np.repeat(ramp, 3, axis=2))
    assert cut.shape == (32, 40, 3)
    np.testing.assert_allclose(cut[5, 1:-1, 0], np.arange(1, 39) * 5 - 2.5, atol=0.51)


def face(value: float) -> Face:
    return Face(
        box=(0.1, 0.1, 0.2, 0.2),
        blendshapes=np.full(52, value, np.float32),
        pose=np.full(6, 10 * value, np.float32),
    )


def test_a_sequence_has_a_step_a_picture_and_zeros_where_no_face_is() -> None:
    pairs = [(0.0, face(9.0)), (1.0, face(0.1)), (1.1, None), (1.2, face(0.3)), (2.0, face(9.0))]
    found = sequence(pairs, Span(1.0, 2.0))
    assert found.real.tolist() == [True, False, True]
    assert found.values.shape == (3, 58)
    assert found.values[0, :52] == pytest.approx(0.1)
    assert found.values[2, 52:] == pytest.approx(3.0)
    assert not found.values[1].any()
    assert found.share == pytest.approx(2 / 3)


def test_a_long_sequence_is_averaged_over_the_pictures_with_a_face() -> None:
    pairs = [(i / 10, face(0.5) if i % 3 else None) for i in range(1200)]
    found = sequence(pairs, Span(0.0, 1000.0))
    assert len(found.real) == 400 <= MAX_STEPS
    assert found.real.all()
    assert found.values[:, 0] == pytest.approx(0.5)


def test_a_sequence_outside_the_pictures_has_no_steps() -> None:
    assert sequence([(0.0, face(1.0))], Span(5.0, 6.0)).values.shape == (0, 58)
    assert sequence([], Span(0.0, 1.0)).values.shape == (0, 58)


def test_a_frame_can_be_looked_at(finder: FaceFinder) -> None:
    blank = np.zeros((90, 160, 3), np.uint8)
    frame = Frame(0.0, blank, lambda: blank)
    assert finder.find(frame.pixels, frame.seconds) == ()


def _lopsided(picture: np.ndarray) -> np.ndarray:
    """The picture with its left half darker: neither its face nor its light is symmetrical."""
    dark = picture.copy()
    dark[:, : picture.shape[1] // 2] //= 2
    return dark


@needs_demo
def test_the_mirrored_picture_gives_the_mirrored_face(
    finder: FaceFinder, picture: np.ndarray
) -> None:
    uneven = _lopsided(picture)
    (here,) = finder.find(uneven, 0.0)
    (there,) = finder.find(uneven[:, ::-1].copy(), 0.0)
    assert not np.allclose(here.blendshapes, mirrored(here).blendshapes, atol=0.01)
    assert there.box == pytest.approx(mirrored_box(here.box), abs=1e-6)
    np.testing.assert_allclose(there.blendshapes, mirrored(here).blendshapes, atol=1e-5)
    np.testing.assert_allclose(there.pose, mirrored(here).pose, atol=1e-3)


@needs_demo
def test_a_still_is_the_mean_of_two_looks_and_a_video_one(
    finder: FaceFinder, picture: np.ndarray
) -> None:
    uneven = _lopsided(picture)
    (plain,) = finder._find(uneven, 0.0)
    (twin,) = finder._find(uneven[:, ::-1], 0.0)
    (both,) = finder.find(uneven, 0.0)
    smile_left, smile_right = (BLENDSHAPES.index(f"mouthSmile{side}") for side in ("Left", "Right"))
    expected = (plain.blendshapes[smile_left] + twin.blendshapes[smile_right]) / 2
    assert both.blendshapes[smile_left] == pytest.approx(expected)
    assert both.pose[1] == pytest.approx((plain.pose[1] - twin.pose[1]) / 2, abs=1e-6)
    with FaceFinder(MODEL, video=True) as video:
        looks: list[object] = []
        look = video._look
        video._look = lambda *call: looks.append(call) or look(*call)  # type: ignore[method-assign,func-returns-value]
        video.find(uneven, 0.0)
        video.look_again(uneven, near=[plain.box])
    assert len(looks) == 2
