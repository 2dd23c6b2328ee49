"""Colours and plates of what is drawn over a video."""

from PIL import Image, ImageColor

from dashfusion_cli.render.sign_colors import ON_DARK
from dashfusion_cli.render.wording import signed

__all__ = ["Rgb", "color_of", "ink_over", "minus_signed", "panel", "softened"]

Rgb = tuple[int, int, int]

_PLATE = (12, 12, 16, 200)  # so dark that coloured words can be read over a white picture


def color_of(label: str) -> Rgb:
    """Return the colour of a score with this label."""
    red, green, blue = ImageColor.getrgb(ON_DARK.of(label))[:3]
    return red, green, blue


def minus_signed(score: float, label_range: tuple[float, float]) -> str:
    """Write a score with its sign, a real minus where it is one."""
    return signed(score, label_range).replace("-", "\N{MINUS SIGN}")


def softened(color: Rgb) -> Rgb:
    """Return a darker shade, for what is less sure."""
    red, green, blue = (round(0.5 * part) for part in color)
    return red, green, blue


def panel(width: int, height: int) -> Image.Image:
    """Return a dark plate that lets the picture through."""
    return Image.new("RGBA", (max(1, width), max(1, height)), _PLATE)


def ink_over(picture: Image.Image, ink: Image.Image, place: tuple[int, int]) -> None:
    """Lay ink over a picture; what would stand out is cut off."""
    picture.paste(ink, place, ink)
