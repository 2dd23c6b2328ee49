"""The curve of the score over time, in a strip, with the playing position."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from dashfusion_cli.render.overlay_ink import color_of, ink_over, panel
from dashfusion_models.analysis import Segment
from dashfusion_models.records import Span

__all__ = ["Curve"]

_FINER = 3  # drawn so much larger and shrunk, for smooth edges
_TO_COME = 0.45  # how strongly what was not played yet is drawn
_WIDEST = 4096  # a large drawing is made once; beyond this it is not made finer


class Curve:
    """A step for each segment; what was played is bright."""

    def __init__(
        self,
        segments: Sequence[Segment],
        label_range: tuple[float, float],
        window: Span,
        size: tuple[int, int],
        line: int,
    ) -> None:
        """Draw the steps of the segments that lie in `window`, once."""
        self._window = window
        self._line = line
        self.height = size[1]
        self._edge = max(1, size[1] // 7)
        self._bright = self._steps(segments, label_range, size)
        self._dim = self._bright.copy()
        self._dim.putalpha(self._bright.getchannel("A").point(lambda a: round(_TO_COME * a)))
        self._plate = panel(*size)

    def draw(self, picture: Image.Image, top: int, seconds: float) -> None:
        """Lay the strip over a picture."""
        x = round(self._place(seconds, picture.width))
        ink_over(picture, self._plate, (0, top))
        ink_over(picture, self._dim, (0, top))
        ink_over(picture, self._bright.crop((0, 0, max(1, x), self.height)), (0, top))
        bottom = min(picture.height, top + self.height) - 1
        draw = ImageDraw.Draw(picture)
        draw.line((x, top, x, bottom), fill=(255, 255, 255), width=max(1, self._line // 2))

    def _place(self, seconds: float, width: int) -> float:
        share = (seconds - self._window.start_s) / max(1e-6, self._window.duration_s)
        return self._edge + (width - 2 * self._edge) * min(1.0, max(0.0, share))

    def _steps(
        self, segments: Sequence[Segment], label_range: tuple[float, float], size: tuple[int, int]
    ) -> Image.Image:
        finer = _FINER if size[0] * _FINER <= _WIDEST else 1
        width, height = size[0] * finer, size[1] * finer
        image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
        draw = ImageDraw.Draw(image)
        edge, line = self._edge * finer, self._line * finer
        low, high = label_range

        def level(score: float) -> int:
            share = (min(high, max(low, score)) - low) / (high - low)
            return round(height - edge - (height - 2 * edge) * share)

        zero = level(0.0)
        draw.line((edge, zero, width - edge, zero), fill=(255, 255, 255, 120), width=finer)
        for segment in segments:
            if segment.score is None or segment.label is None:
                continue
            color = color_of(segment.label)
            left, right = (
                round(finer * self._place(seconds, size[0]))
                for seconds in (segment.start_s, segment.end_s)
            )
            y, right = level(segment.score), max(left + line, right)
            draw.rectangle((left, min(y, zero), right, max(y, zero)), fill=(*color, 90))
            draw.rectangle((left, y - line // 2, right, y + line // 2), fill=(*color, 255))
        return image.resize(size, Image.Resampling.BOX) if finer > 1 else image
