"""What the tables share: the look of the place that shows them, and plain columns."""

import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import ASCII2, SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dashfusion_cli.render.wording import without_turning

__all__ = ["Cell", "ColorSystem", "Look", "columns", "drawn", "new_table", "safe"]

ColorSystem = Literal["auto", "standard", "256", "truecolor", "windows"]
_GAP = 2  # columns of a terminal between two of a table
_LEAST, _ROOMY = 12, 18  # columns of a terminal that the last of a table needs; and better has
Cell = str | tuple[str, str]  # what it says, and its style


@dataclass(frozen=True)
class Look:
    """What the place that shows a table can show."""

    width: int = 80
    colors: ColorSystem | None = None
    ascii_only: bool = False


def drawn(look: Look, *things: RenderableType) -> str:
    """Return rich things as text, without spaces at the ends of lines."""
    text = io.StringIO()
    console = Console(
        file=text,
        width=look.width,
        color_system=look.colors,
        force_terminal=look.colors is not None,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
    )
    for thing in things:
        console.print(thing)
    shown = "\n".join(line.rstrip() for line in text.getvalue().split("\n"))
    return shown


def safe(text: str, look: Look) -> str:
    """Replace what would steer a terminal, or what it cannot show, before widths are measured."""
    plain = "".join(" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text)
    plain = without_turning(plain)
    return plain.encode("ascii", "replace").decode("ascii") if look.ascii_only else plain


def new_table(look: Look) -> Table:
    """Return an empty table with little ink."""
    return Table(
        box=ASCII2 if look.ascii_only else SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1) if look.ascii_only else (0, 1, 0, 0),
        header_style="dim",
        border_style="dim",
    )


def columns(names: Sequence[str], rows: Iterable[Sequence[Cell]], look: Look) -> str:
    """Return rows under the names of their columns, with nothing cut off.

    Where room is short columns wrap, the widest ones first, and paths break after slashes.
    """
    cells = [[_cell(cell, look) for cell in row] for row in rows]
    texts = [[name, *(row[k].plain for row in cells)] for k, name in enumerate(names)]
    frame = len(names) + 1 if look.ascii_only else 2
    *widths, room = _widths(texts, look.width - frame)
    table = new_table(look)
    for name, width in zip(names, [*widths, None], strict=True):
        table.add_column(name, width=width if room >= _LEAST else None, overflow="fold")
    for *row, last in cells:
        folded = _folded(last.plain, room) if room >= _LEAST else last.plain
        table.add_row(*row, Text(folded, style=last.style))
    return drawn(look, table)


def _widths(texts: Sequence[Sequence[str]], place: int) -> list[int]:
    """How wide columns get: no word of any but the last is broken; the last gets what is left."""
    wanted = [
        max(cell_len(line) for text in column for line in text.split("\n")) for column in texts
    ]
    least = [max(cell_len(word) for text in column for word in text.split(" ")) for column in texts]
    widths = wanted[:-1]

    def room() -> int:
        return place - sum(width + _GAP for width in widths)

    while room() < min(wanted[-1], _ROOMY):
        shrinkable = [k for k, width in enumerate(widths) if width > least[k]]
        if not shrinkable:
            break
        widths[max(shrinkable, key=lambda k: widths[k])] -= 1
    return [*widths, room()]


def _folded(text: str, room: int) -> str:
    """Break lines at spaces, and paths that are longer than a line after slashes."""
    lines = []
    for line in text.split("\n"):
        words = line.split(" ")
        pieces = [
            (piece, " " if number == 0 else "")
            for word in words
            for number, piece in enumerate(
                re.findall("/*[^/]+/*|/+", word) if cell_len(word) > room else [word]
            )
        ]
        built = pieces[0][0]
        for piece, between in pieces[1:]:
            if cell_len(built + between + piece) <= room:
                built += between + piece
            else:
                lines.append(built)
                built = piece
        lines.append(built)
    return "\n".join(lines)


def _cell(cell: Cell, look: Look) -> Text:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text("\n".join(safe(line, look) for line in text.split("\n")), style=style)
