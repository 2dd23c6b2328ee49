"""What befalls a picture is as much as it says."""

import numpy as np
import pytest

from dashfusion_training.mini.rough_faces import CHANCES, rolled, rough_face, shrunk


def gradient(height: int, width: int) -> np.ndarray:
    across = np.linspace(0, 255, width)
    rows = np.broadcast_to(across, (height, width))
    return np.stack([rows, rows, rows], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "longer", "expected"),
    [((200, 100), 50, (50, 25)), ((90, 180), 60, (30, 60)), ((30, 20), 50, (30, 20))],
)
def test_a_picture_shrinks_to_its_longer_side_and_is_never_enlarged(
    size: tuple[int, int], longer: int, expected: tuple[int, int]
) -> None:
    assert shrunk(gradient(*size), longer).shape == (*expected, 3)


def test_a_picture_turns_counter_clockwise_within_its_size() -> None:
    pixels = np.zeros((101, 101, 3), np.uint8)
    pixels[48:53, 88:93] = 255  # 40 to the right of the middle
    turned = rolled(pixels, 15.0)
    assert turned.shape == pixels.shape
    y, x = np.argwhere(turned[..., 0] > 127).mean(axis=0)
    angle = np.radians(15.0)
    assert (x - 50, 50 - y) == pytest.approx((40 * np.cos(angle), 40 * np.sin(angle)), abs=0.7)


@pytest.mark.parametrize("kind", CHANCES)
def test_each_kind_changes_a_picture(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 200, 3), dtype=np.uint8)
    for seed in range(8):
        seen, quality = rough_face(pixels, [kind], np.random.default_rng(seed))
        assert seen.dtype == np.uint8
        if kind == "small":
            assert 40 <= max(seen.shape) <= 110
        else:
            assert seen.shape == pixels.shape
            assert bool((seen != pixels).any()) is (kind != "jpeg")
        assert (15 <= quality <= 45) is (kind == "jpeg")


def test_blur_keeps_the_light_and_loses_the_detail() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    seen, _ = rough_face(pixels, ["blur"], np.random.default_rng(0))
    assert seen.mean() == pytest.approx(pixels.mean(), abs=1.5)
    assert seen.std() < 0.7 * pixels.std()
