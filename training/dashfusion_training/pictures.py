"""What the pictures share: their style, and how they get into a file.

SVG with its text as text; the same drawing gives the same bytes, whatever the settings of
matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dashfusion_training.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "write_picture"]

# Okabe and Ito's palette: told apart with any colour vision, and in grey by their lightness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#595959"
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "dashfusion",  # names inside the file are the same every time
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.fancybox": False,
}


def write_picture(
    output: Path, inches: tuple[float, float], draw: Callable[[Figure], None]
) -> None:
    """Draw on an empty figure of that width and height and write it, whole or not at all.

    Raises:
        TrainingError: the file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    picture = io.BytesIO()
    with style.context(["default", STYLE]):  # a user's own matplotlibrc has no say
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure)
        FigureCanvasSVG(figure)
        # Neither the day nor the version of matplotlib is in the file.
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    write_whole(output, picture.getvalue())
