"""What is drawn over each picture: caption, score, a box around the face, the curve of the score.

Everything that stays the same for a while is drawn once and laid over picture after picture.
"""

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from dashfusion_cli.render.captions import Caption, captions_of
from dashfusion_cli.render.overlay_curve import Curve
from dashfusion_cli.render.overlay_fonts import Fonts
from dashfusion_cli.render.overlay_ink import Rgb, color_of, ink_over, minus_signed, panel, softened
from dashfusion_cli.render.overlay_places import Room, caption_places
from dashfusion_cli.render.wording import NAMES, signed, strongest
from dashfusion_models.analysis import Analysis, Segment
from dashfusion_models.records import FacePath, Span

__all__ = ["Overlay", "face_at"]

Pixels = UInt8[np.ndarray, "height width 3"]
Box = tuple[float, float, float, float]

_RAIL = (140, 140, 140)
_WHITE = (255, 255, 255)
_HOLD_S = 0.2  # pictures were looked at each tenth of a second: a face stays so long...
_GLIDE_S = 0.35  # ...and moves evenly between two looks no farther apart than this


@dataclass(frozen=True)
class _Sizes:
    """Lengths in pixels for a picture of a size."""

    letter: int  # of captions
    margin: int
    score: int  # the height of the panel at the top
    curve: int  # the height of the strip at the bottom
    line: int

    @classmethod
    def of(cls, width: int, height: int) -> "_Sizes":
        letter = round(max(8.0, min(width / 27, height / 16, 72.0)))
        return cls(
            letter=letter,
            margin=max(2, letter // 2),
            score=round(3.5 * letter),
            curve=max(12, 3 * letter),
            line=max(2, round(letter / 9)),
        )


class Overlay:
    """Draws on pictures of one size; what is drawn hangs on the time in the file."""

    def __init__(
        self, analysis: Analysis, *, width: int, height: int, window: Span, fonts: Fonts
    ) -> None:
        """Prepare for pictures from `window`, which the curve spans."""
        self._width, self._height = width, height
        self._sizes = _Sizes.of(width, height)
        self._fonts = fonts
        self._range = analysis.model.label_range
        self._segments = analysis.segments
        self._starts = [segment.start_s for segment in analysis.segments]
        captions = [_named(captions_of(segment), segment.speaker) for segment in self._segments]
        self._captions = [caption for of_segment in captions for caption in of_segment]
        self._caption_starts = [caption.start_s for caption in self._captions]
        strip = (width, min(height, self._sizes.curve))
        self._curve = Curve(analysis.segments, self._range, window, strip, self._sizes.line)
        self._room = self._caption_room()
        sizes = [[self._caption_size(caption)[1] for caption in of] for of in captions]
        places = caption_places(analysis.segments, sizes, self._room)
        self._places = [place for place, of in zip(places, captions, strict=True) for _ in of]
        tinted = [_tints(segment, self._range) for segment in self._segments]
        self._tints = [of for of, these in zip(tinted, captions, strict=True) for _ in these]
        self._drawn_segment: tuple[int | None, Image.Image] | None = None
        self._drawn_caption: tuple[int, Image.Image] | None = None

    def draw(self, pixels: Pixels, seconds: float) -> Pixels:
        """Return a picture with what belongs to its time drawn over it."""
        picture = Image.fromarray(pixels)
        segment = _current(self._segments, self._starts, seconds)
        if segment is not None:
            self._face(picture, self._segments[segment], seconds)
        margin = self._sizes.margin
        ink_over(picture, self._score_panel(segment), (margin, margin))
        top = self._height - self._curve.height
        self._curve.draw(picture, top, seconds)
        caption = _current(self._captions, self._caption_starts, seconds)
        if caption is not None:
            drawn = self._caption(caption)
            ink_over(picture, drawn, self._room.corner(self._places[caption], drawn.size))
        return np.asarray(picture)

    def _face(self, picture: Image.Image, segment: Segment, seconds: float) -> None:
        face = segment.face
        box = None if face is None else face_at(face.path, face.box, seconds)
        if box is None or segment.label is None:
            return
        x, y, wide, high = box
        left, top = round(x * self._width), round(y * self._height)
        right, bottom = round((x + wide) * self._width), round((y + high) * self._height)
        if right - left < 4 or bottom - top < 4:
            return
        draw, line = ImageDraw.Draw(picture), self._sizes.line
        around = (left - 1, top - 1, right + 1, bottom + 1)
        draw.rounded_rectangle(around, radius=3 * line, outline=(0, 0, 0), width=line + 2)
        color = color_of(segment.label)
        draw.rounded_rectangle((left, top, right, bottom), 3 * line, outline=color, width=line)

    def _score_panel(self, index: int | None) -> Image.Image:
        if self._drawn_segment is None or self._drawn_segment[0] != index:
            segment = None if index is None else self._segments[index]
            self._drawn_segment = (index, self._draw_score(segment))
        return self._drawn_segment[1]

    def _draw_score(self, segment: Segment | None) -> Image.Image:
        """The bar from one end of the scale to the other, with the score and its label above."""
        letter, line = self._sizes.letter, self._sizes.line
        wide = min(self._width - 2 * self._sizes.margin, 13 * letter)
        image = panel(wide, self._sizes.score)
        draw = ImageDraw.Draw(image)
        left, right, middle = letter // 2, wide - letter // 2, round(2.0 * letter)
        low, high = self._range

        def place(score: float) -> int:
            return round(left + (right - left) * (min(high, max(low, score)) - low) / (high - low))

        draw.line((left, middle, right, middle), fill=_RAIL, width=line)
        if segment is not None and segment.score is not None and segment.label is not None:
            color: Rgb = color_of(segment.label)
            if segment.interval is not None:
                between = (place(segment.interval[0]), place(segment.interval[1]))
                box = (between[0], middle - 2 * line, between[1], middle + 2 * line)
                draw.rounded_rectangle(box, radius=line, fill=softened(color))
            x = place(segment.score)
            draw.rectangle(
                (min(x, place(0)), middle - line, max(x, place(0)), middle + line), color
            )
            draw.ellipse((x - 3 * line, middle - 3 * line, x + 3 * line, middle + 3 * line), color)
            text = f"{minus_signed(segment.score, self._range)}  {segment.label}"
            self._write_score(draw, text, color, right - left)
            self._write_parts(draw, segment, right - left)
        for tick in {low, min(high, max(low, 0.0)), high}:
            x = place(tick)
            draw.line((x, middle - 3 * line, x, middle + 3 * line), (230, 230, 230), 1)
        return image

    def _write_score(self, draw: ImageDraw.ImageDraw, text: str, color: Rgb, room: int) -> None:
        size = self._sizes.letter
        while size > 6 and self._fonts.bold(size).getlength(text) > room:
            size -= 1
        place = (self._sizes.letter // 2, round(0.8 * self._sizes.letter))
        draw.text(place, text, fill=color, font=self._fonts.bold(size), anchor="lm")

    def _write_parts(self, draw: ImageDraw.ImageDraw, segment: Segment, room: int) -> None:
        """What words, voice and face contributed, below the bar."""
        text = "  ".join(
            f"{NAMES[key]} {minus_signed(part, self._range)}"
            for key, part in segment.contributions.items()
            if part is not None
        )
        size = round(0.7 * self._sizes.letter)
        while size > 6 and self._fonts.words(text, size).getlength(text) > room:
            size -= 1
        place = (self._sizes.letter // 2, round(2.9 * self._sizes.letter))
        draw.text(place, text, fill=_WHITE, font=self._fonts.words(text, size), anchor="lm")

    def _caption(self, index: int) -> Image.Image:
        if self._drawn_caption is None or self._drawn_caption[0] != index:
            drawn = self._draw_caption(self._captions[index], self._tints[index])
            self._drawn_caption = (index, drawn)
        return self._drawn_caption[1]

    def _draw_caption(self, caption: Caption, tints: Mapping[str, Rgb]) -> Image.Image:
        """White letters on a dark plate, the lines in the middle, shrunk to what has room.

        Words that moved the score have the colour of the side to which they did.
        """
        size, box = self._caption_size(caption)
        font = self._fonts.words(caption.text, size)
        above, below = font.getmetrics()
        image = panel(*box)
        draw = ImageDraw.Draw(image)
        for i, line in enumerate(caption.lines):
            middle = (image.width / 2, size // 4 + i * (above + below) + above)
            draw.text(middle, line, fill=_WHITE, font=font, anchor="ms")
            left = image.width / 2 - font.getlength(line) / 2
            for word in re.finditer(r"\S+", line):
                if color := tints.get(word.group()):
                    x = left + font.getlength(line[: word.start()])
                    draw.text((x, middle[1]), word.group(), fill=color, font=font, anchor="ls")
        return image

    def _caption_size(self, caption: Caption) -> tuple[int, tuple[int, int]]:
        """Return the size of a caption's letters, and the width and height of its plate."""
        size, room = self._sizes.letter, self._width - 2 * self._sizes.margin
        while size > 6 and self._widest(caption, size) + size > room:
            size -= 1
        step = sum(self._fonts.words(caption.text, size).getmetrics())
        wide = min(room, self._widest(caption, size) + size)
        return size, (wide, step * len(caption.lines) + size // 2)

    def _caption_room(self) -> Room:
        """Return where captions stand: below the score, or above the curve."""
        margin = self._sizes.margin
        return Room(
            width=self._width,
            height=self._height,
            top=2 * margin + self._sizes.score,
            bottom=self._height - self._curve.height - margin,
        )

    def _widest(self, caption: Caption, size: int) -> int:
        font = self._fonts.words(caption.text, size)
        return max(round(font.getlength(line)) for line in caption.lines)


def _tints(segment: Segment, label_range: tuple[float, float]) -> dict[str, Rgb]:
    """Return the colours of the words that moved the score by a number that is not written as 0."""
    return {
        text: color_of("positive" if part > 0 else "negative")
        for text, part in strongest([(w.text, w.contribution) for w in segment.words])
        if float(signed(part, label_range))
    }


def _named(captions: tuple[Caption, ...], speaker: str | None) -> tuple[Caption, ...]:
    """Put who speaks before what is said, as subtitles do."""
    if not captions or not speaker:
        return captions
    first, *more = captions[0].lines
    lines = (f"{' '.join(speaker.split())}: {first}", *more)
    return (replace(captions[0], lines=lines), *captions[1:])


def face_at(path: FacePath, box: Box, seconds: float) -> Box | None:
    """Return where a face is at a time, None while it is unseen; `box` where no path is known."""
    if not len(path):
        return box
    after = int(np.searchsorted(path[:, 0], seconds))
    before = after - 1
    if before >= 0 and after < len(path) and path[after, 0] - path[before, 0] <= _GLIDE_S:
        share = (seconds - path[before, 0]) / max(1e-6, path[after, 0] - path[before, 0])
        row = path[before] + (path[after] - path[before]) * share
    else:
        near = [i for i in (before, after) if 0 <= i < len(path)]
        nearest = min(near, key=lambda i: abs(float(path[i, 0]) - seconds))
        if abs(float(path[nearest, 0]) - seconds) > _HOLD_S:
            return None
        row = path[nearest]
    x, y, wide, high = row[1:].tolist()
    return x, y, wide, high


def _current(
    spans: "tuple[Segment, ...] | list[Caption]", starts: list[float], now: float
) -> int | None:
    """Return the index of what covers a time: of several, what began last."""
    index = bisect.bisect_right(starts, now) - 1
    return index if index >= 0 and now < spans[index].end_s else None
