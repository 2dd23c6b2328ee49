"""Figure 4 as a picture: every metric over p, the tokens of the first bottleneck.

Ours alone: the paper prints curves without figures. SVG; the same figures give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dashfusion_training.files import writing
from dashfusion_training.paper.comparison import Comparison, Figure, Metrics, figures_of, shown
from dashfusion_training.paper.lines import benchmark_name
from dashfusion_training.pictures import BLUE, GREEN, GREY, ORANGE, write_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

__all__ = ["Seeds", "write_bottleneck_curves"]

ACROSS = 3  # panels beside each other
INCHES = (2.4, 2.05)  # of one panel
LEGEND_INCHES = 0.35

# p -> benchmark -> seed -> metrics, accuracies as fractions
Seeds = Mapping[int, Mapping[str, Mapping[int, Metrics]]]


@dataclass(frozen=True)
class _Point:
    """The figures at one p; `seeds` are those of single seeds, in the unit of the column."""

    p: int
    figure: Figure
    mean: float
    seeds: tuple[float, ...]

    @property
    def bar(self) -> tuple[float, float] | None:
        """One deviation to each side, where no single seeds are shown."""
        std = self.figure.std
        return None if self.seeds or std is None else (self.mean - std, self.mean + std)


def write_bottleneck_curves(
    comparison: Comparison, output: Path, seeds: Seeds | None = None
) -> None:
    """Draw a panel for each metric: the mean as a line, over p on a scale of doublings.

    Single seeds are points where `seeds` has them; elsewhere the mean has a bar of one standard
    deviation. The file is written whole or not at all; nothing is written before there is a figure.

    Raises:
        TrainingError: the file cannot be written.
    """
    panels = _panels(comparison, seeds or {})
    if not panels:
        with writing(output):
            output.unlink(missing_ok=True)  # it would show what the table no longer says
        return
    several = len(comparison.table.benchmarks) > 1
    ticks = sorted({point.p for points in panels for point in points})
    rows = math.ceil(len(panels) / ACROSS)
    across = min(ACROSS, len(panels))

    def draw(picture: Picture) -> None:
        grid = picture.subplots(rows, across, squeeze=False, sharex=True)
        places = [place for line in grid for place in line]
        for place, points in zip(places, panels, strict=False):
            _draw(place, points, ticks, several=several)
        for place in places[len(panels) :]:
            place.remove()
        for place in places[max(0, len(panels) - across) : len(panels)]:
            place.set_xlabel("p, bottleneck tokens")
            place.tick_params(labelbottom=True)
        _legend(picture, panels)

    write_picture(output, (INCHES[0] * across, INCHES[1] * rows + LEGEND_INCHES), draw)


def _panels(comparison: Comparison, seeds: Seeds) -> list[list[_Point]]:
    """The points of each metric that has any, by p."""
    found: dict[tuple[int, str], list[_Point]] = {}
    for row in comparison.rows:
        p = (row.paper.changes or {}).get("bottleneck")
        for k, column in enumerate(comparison.table.columns):
            for figure in figures_of(row, k, column):
                if p is not None and figure.mean is not None:
                    point = _point(p, figure, figure.mean, seeds)
                    found.setdefault((k, figure.metric), []).append(point)
    panels = [found[key] for key in sorted(found, key=lambda key: key[0])]
    return [sorted(points, key=lambda point: point.p) for points in panels]


def _point(p: int, figure: Figure, mean: float, seeds: Seeds) -> _Point:
    single = seeds.get(p, {}).get(figure.column.benchmark, {})
    values = [single[seed].get(figure.metric) for seed in sorted(single)]
    return _Point(p, figure, mean, tuple(shown(figure.column, v) for v in values if v is not None))


def _draw(panel: Axes, points: Sequence[_Point], ticks: Sequence[int], *, several: bool) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    figure, ps = points[0].figure, [point.p for point in points]
    name, color = _name(figure, several=several), _color(figure)
    gid = f"{figure.column.benchmark}_{figure.metric}"
    means = [point.mean for point in points]
    panel.plot(ps, means, color=color, marker="o", markersize=4, linewidth=1.5, gid=gid)
    bars = [(point.p, *point.bar) for point in points if point.bar]
    if bars:
        x, low, high = zip(*bars, strict=True)
        panel.vlines(x, low, high, color=color, linewidth=1.2, alpha=0.6, gid=f"{gid}_std")
    dots = [(point.p, value) for point in points for value in point.seeds]
    if dots:
        at, values = zip(*dots, strict=True)
        panel.plot(
            at, values, ".", color=color, alpha=0.45, markersize=5, zorder=1, gid=f"{gid}_seeds"
        )
    panel.set_title(name, fontsize=9.0, loc="left")
    panel.set_xscale("log", base=2)
    panel.set_xticks(ticks, [str(p) for p in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(MaxNLocator(nbins=5))
    panel.ticklabel_format(axis="y", useOffset=False, style="plain")
    panel.margins(x=0.08, y=0.12)


def _name(figure: Figure, *, several: bool) -> str:
    """What a panel shows: the column, its unit, and which way is better."""
    column = figure.column
    where = f"{benchmark_name(column.benchmark)} " if several else ""
    which = f" ({figure.metric})" if len(column.metrics) > 1 else ""
    unit = {"percent": ", %", "millions": ", millions", "": ""}[column.unit]
    way = {None: "", True: " (lower is better)", False: ""}[figure.lower_is_better]
    return f"{where}{column.name}{which}{unit}{way}"


def _color(figure: Figure) -> str:
    return {"mae": ORANGE, "corr": GREEN}.get(figure.metric, BLUE)


def _legend(picture: Picture, panels: Sequence[Sequence[_Point]]) -> None:
    from matplotlib.lines import Line2D

    points = [point for panel in panels for point in panel]
    counts = sorted({len(point.figure.seeds) for point in points} - {0})
    number = " to ".join(map(str, counts[:1] + counts[1:][-1:]))
    of = f" of {number} seed{'s' if counts[-1:] != [1] else ''}" if counts else ""
    entries = [Line2D([], [], color=GREY, marker="o", markersize=4, linewidth=1.5)]
    names = [f"mean{of}"]
    if any(point.seeds for point in points):
        entries.append(Line2D([], [], color=GREY, marker=".", linestyle="", alpha=0.45))
        names.append("one seed")
    if any(point.bar for point in points):
        entries.append(Line2D([], [], color=GREY, marker="|", markersize=9, linestyle=""))
        names.append("± one standard deviation")
    picture.legend(entries, names, loc="outside lower center", ncols=len(entries))
