import pytest

from dashfusion_models.folder import Pace


def test_time_left_is_that_of_what_is_left_at_the_pace_so_far() -> None:
    pace = Pace(workers=2)
    for media_s in (1.0, 11.0):
        pace.add(media_s, seconds=(9.0 + media_s) / 5)  # five units of cost a second
    assert pace.left_s(files=10, media_s=100.0) == pytest.approx((10 * 9.0 + 100.0) / 5 / 2)
    # The last file has one worker, however many there are.
    assert pace.left_s(files=1, media_s=100.0) == pytest.approx((9.0 + 100.0) / 5)
    assert pace.left_s(files=1, media_s=100.0, loaded=False) > pace.left_s(1, 100.0)


def test_without_a_measurement_it_guesses() -> None:
    assert 10.0 < Pace(workers=2).left_s(files=60, media_s=300.0) < 600.0
