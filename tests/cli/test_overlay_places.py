"""Captions leave the mouth free where there is room, and stay where they are while they can."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dashfusion_cli.render.overlay import write_overlay
from dashfusion_cli.render.overlay_fonts import Fonts
from dashfusion_cli.render.overlay_look import Overlay
from dashfusion_models.analysis import Segment
from dashfusion_models.media import FrameReader, probe
from dashfusion_models.records import FaceChoice, Span

from .conftest import analysis, segment
from .planted_video import plain, write_video

Box = tuple[float, float, float, float]

WIDTH, HEIGHT = 640, 360
GREY = 120
EACH_S = 2.0
LOW: Box = (0.3, 0.4, 0.3, 0.5)  # a mouth where captions usually are
HIGH: Box = (0.3, 0.05, 0.3, 0.4)
FILLING: Box = (0.05, 0.0, 0.9, 1.0)
ASIDE: Box = (0.0, 0.45, 0.1, 0.45)  # as low, but left of a short caption
LONG = "It goes on and on without an end in sight and says so many things one after another. " * 2


def face(*boxes: Box, start_s: float = 0.0, end_s: float = EACH_S) -> FaceChoice:
    """A face that is in one place after the other, looked at ten times a second."""
    times = np.arange(start_s, end_s, 0.1)
    rows = [(t, *boxes[int(i * len(boxes) / len(times))]) for i, t in enumerate(times)]
    return FaceChoice(0, "lips", boxes[0], np.array(rows, np.float32))


def said(*faces: tuple[Box, ...] | None, text: str | None = "so it was") -> list[Segment]:
    """An utterance for each face, one after the other."""
    return [
        segment(
            text, start_s=(start_s := i * EACH_S), end_s=start_s + EACH_S,
            face=None if boxes is None else face(*boxes, start_s=start_s, end_s=start_s + EACH_S),
        )
        for i, boxes in enumerate(faces)
    ]  # fmt: skip


def white_rows(pixels: np.ndarray) -> np.ndarray:
    """The lines that white letters are on, right of the score and above the curve."""
    letters = (pixels[: HEIGHT * 75 // 100, WIDTH * 2 // 10 : WIDTH * 8 // 10] > 225).all(axis=-1)
    letters[:70, : WIDTH * 3 // 10] = False  # the panel with the score
    return np.flatnonzero(letters.any(axis=1))


def places(segments: list[Segment]) -> list[str]:
    """Where captions are, ten times a second; a word for each run of the same."""
    overlay = Overlay(
        analysis("a.mp4", *segments), width=WIDTH, height=HEIGHT,
        window=Span(0.0, segments[-1].end_s), fonts=Fonts(),
    )  # fmt: skip
    found = []
    for seconds in np.arange(0.05, segments[-1].end_s, 0.1):
        drawn = overlay.draw(np.full((HEIGHT, WIDTH, 3), GREY, np.uint8), float(seconds))
        rows = white_rows(drawn)
        if not len(rows):
            continue
        found.append("top" if rows.mean() < HEIGHT / 2 else "bottom")
    return [place for i, place in enumerate(found) if i == 0 or place != found[i - 1]]


@pytest.mark.parametrize(
    ("box", "place"),
    [(None, "bottom"), (HIGH, "bottom"), (LOW, "top"), (FILLING, "top"), (ASIDE, "bottom")],
)
def test_a_caption_is_where_the_mouth_is_not(box: Box | None, place: str) -> None:
    assert places(said((box,) if box else None)) == [place]


@pytest.mark.parametrize("box", [LOW, HIGH, FILLING])
def test_a_mouth_stays_as_it_is(box: Box, tmp_path: Path) -> None:
    """In the video as it is written: nothing is drawn over the lower third of the face."""
    shots = [(i / 10, plain((GREY, GREY, GREY), WIDTH, HEIGHT)) for i in range(20)]
    path = write_video(tmp_path / "grey.mp4", shots, tick=Fraction(1, 10), rate=Fraction(10))
    found = replace(analysis(str(path), *said((box,), text=LONG[:60])), media=probe(path))
    write_overlay(found, tmp_path / "out.mp4")
    x, y, wide, high = box
    bottom = min(y + 0.9 * high, 0.76)  # without the line of its box and the curve's strip
    mouth = np.s_[
        round(HEIGHT * (y + 2 * high / 3)) : round(HEIGHT * bottom),
        round(WIDTH * (x + 0.1 * wide)) : round(WIDTH * (x + 0.9 * wide)),
    ]
    with FrameReader(tmp_path / "out.mp4", frames_per_second=None, longer_side=None) as frames:
        for frame in frames:
            assert np.abs(frame.pixels[mouth].astype(int) - GREY).max() < 12
            assert len(white_rows(frame.pixels))


def test_a_caption_stays_where_it_was_while_both_places_are_free() -> None:
    assert places(said((LOW,), (HIGH,), (ASIDE,), None)) == ["top", "bottom"]
    high = (0.3, 0.45, 0.3, 0.1)  # a small face in the middle, which neither place meets
    assert places(said((LOW,), (high,), None, (ASIDE,))) == ["top"]
    assert places(said((high,), None, (ASIDE,))) == ["bottom"]


def test_nothing_moves_within_an_utterance() -> None:
    """A face that falls through the picture, and four captions."""
    falling = tuple((0.3, y, 0.3, 0.45) for y in (0.0, 0.1, 0.2, 0.3, 0.4, 0.45))
    assert places(said(falling, text=LONG)) in (["top"], ["bottom"])
    jumping = (LOW, HIGH, LOW, HIGH, LOW)  # longer low than high
    assert places(said(jumping, text=LONG)) == ["top"]


def test_results_that_were_read_again_have_one_box() -> None:
    (one,) = said(None)
    assert places([replace(one, face=FaceChoice(0, "size", LOW))]) == ["top"]
