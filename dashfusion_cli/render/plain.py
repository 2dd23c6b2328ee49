"""What the tables share: the look of the place that shows them, and plain columns."""

import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import ASCII2, SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["Cell", "ColorSystem", "Look", "columns", "drawn", "new_table", "safe"]

ColorSystem = Literal["auto", "standard", "256", "truecolor", "windows"]
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
    """Return rows under the names of their columns; the last column wraps."""
    table = new_table(look)
    for number, name in enumerate(names, start=1):
        table.add_column(name, no_wrap=number < len(names), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell, look) for cell in row))
    return drawn(look, table)


def _cell(cell: Cell, look: Look) -> Text:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text("\n".join(safe(line, look) for line in text.split("\n")), style=style)
