"""A font that has the letters of a text: one that came with matplotlib, else one of the system's.

Reading the character map of a font is quick; which fonts a system has is asked only for letters
that the usual font lacks.
"""

import functools
import importlib.util
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from PIL import ImageFont, features

__all__ = ["Fonts", "lays_out"]

_USUAL = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
# For letters that the usual font lacks; tried in this order before all other fonts.
_FAVOURED = (
    "NotoSansCJK-Regular", "NotoSansCJKsc-Regular", "SourceHanSans", "PingFang", "Hiragino", "msyh",
    "YuGothR", "meiryo", "malgun", "AppleSDGothicNeo", "wqy-microhei", "wqy-zenhei",
    "DroidSansFallback", "NotoSans-Regular", "Arial Unicode", "FreeSans", "Nirmala", "LeelawUI",
)  # fmt: skip
_RIGHT_TO_LEFT = {"R", "AL"}


class Fonts:
    """The font for a text, in any size; `missing` gathers the letters that no font here has."""

    def __init__(self) -> None:
        """Begin with nothing missing."""
        self.missing: set[str] = set()
        self._chosen: dict[frozenset[str], Path] = {}

    def words(self, text: str, size: int) -> ImageFont.FreeTypeFont:
        """Return a font for what is said."""
        letters = frozenset(text)
        if letters not in self._chosen:
            self._chosen[letters], lacks = _chosen(letters)
            self.missing |= lacks
        return _sized(self._chosen[letters], size)

    def bold(self, size: int) -> ImageFont.FreeTypeFont:
        """Return the font for numbers and labels."""
        return _sized(_usual(bold=True), size)


def lays_out(text: str) -> bool:
    """Whether letters can be set as they are read: right to left needs FriBiDi beside Pillow."""
    needs = any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in text)
    return not needs or bool(features.check("raqm"))


@functools.cache
def _sized(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def _chosen(letters: frozenset[str]) -> tuple[Path, set[str]]:
    """Return the first font that has all letters, else the one that has most, and what it lacks."""
    needed = {c for c in letters if not c.isspace() and unicodedata.category(c)[0] != "C"}
    best, lacks = _usual(bold=False), needed
    for path in _candidates():
        left = needed - _letters_of(path)
        if len(left) < len(lacks):
            best, lacks = path, left
        if not lacks:
            break
    return best, lacks


def _candidates() -> Iterator[Path]:
    """Yield the usual font, those that are known to have many letters, then all others."""
    yield _usual(bold=False)
    found = _system_fonts()
    for name in _FAVOURED:
        yield from (path for path in found if path.stem.startswith(name))
    yield from found


@functools.cache
def _system_fonts() -> tuple[Path, ...]:
    from matplotlib.font_manager import findSystemFonts

    return tuple(Path(name) for name in sorted(findSystemFonts()))


@functools.cache
def _letters_of(path: Path) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(chr(code) for code in FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):  # no font after all, or a kind that FreeType does not read
        return frozenset()


def _usual(*, bold: bool) -> Path:
    """Return DejaVu Sans, which comes with matplotlib (no need to import that for its path)."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None and found.origin is not None  # a dependency
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / _USUAL[bold]
