"""The tables of the paper as data: what it prints, and which configuration each of its rows is.

Source: Wen et al., DashFusion, IEEE TNNLS 36(10), 2025, doi 10.1109/TNNLS.2025.3578618, tables I to
V and figure 4; transcribed from METHOD.md, sections 6 and 9. Figures are kept as they are printed
("0.70" is not "0.7"). `changes` of a row are the keys of the preset that differ in it, none for the
full model; where they are None nothing is trained: a published baseline, or a count of table I.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from dashfusion_training.config import ABLATIONS

__all__ = ["PAPER", "PaperColumn", "PaperRow", "PaperTable"]


@dataclass(frozen=True)
class PaperColumn:
    """A column of a table: a metric on a benchmark, or a fact such as the number of samples.

    `metrics` are keys of a report's metrics (see `dashfusion_training.metrics`), or the facts
    "samples" and "multiply_adds"; two of them are printed in one cell, as "82.27/86.3" or "-/80.8".
    `unit` is how they are printed: shares in percent, multiply-adds in millions ("145M", but "0"),
    all else as it is.
    """

    benchmark: str  # "mosi", "mosei", "sims"
    name: str  # as printed: "Acc-2"
    metrics: tuple[str, ...]
    unit: Literal["", "percent", "millions"] = ""


@dataclass(frozen=True)
class PaperRow:
    """A row as printed: one cell for each column, "-" where nothing is printed."""

    method: str
    cells: tuple[str, ...]
    source: str = ""  # who published it, where that is not this paper: a key of PaperTable.sources
    changes: Mapping[str, Any] | None = None  # of the preset; None: nothing to train


@dataclass(frozen=True)
class PaperTable:
    """One table or figure of the paper; `sources` also has the marks in a method's name, "(A)"."""

    name: str  # "table2"
    title: str
    columns: tuple[PaperColumn, ...]
    rows: tuple[PaperRow, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a reader must know to compare

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The benchmarks whose data the table needs, in the order of the columns."""
        return tuple(dict.fromkeys(column.benchmark for column in self.columns))

    @property
    def needs_training(self) -> bool:
        """Whether any of its rows is one of ours to train."""
        return any(row.changes is not None for row in self.rows)


_SOURCES = {
    "a": "ConFEDE's paper",
    "b": "MMIM's paper",
    "c": "the MMSA project",
    "r": "the DashFusion authors' own rerun",
    "(A)": "on aligned data",
    "(U)": "trained on the labels of single modalities too",
}
_SEEDS = "The paper gives neither seeds nor deviations."
_TWO_MAES = (
    "For one model, DashFusion on CH-SIMS, table III prints MAE 0.416, tables IV and V 0.412; F1 "
    "and Acc-5 agree."
)
_ONE_RUN = (
    "Table IV's 'without HBF' and table V's 'concat' are one network and one run of ours. The "
    "paper prints 77.76, 42.67, 0.431 for the first and 77.46, 42.67, 0.43 for the second."
)


def _baselines(printed: str) -> tuple[PaperRow, ...]:
    """The rows of a text with a line each: method | source | cells."""
    rows = (line.split("|") for line in printed.strip().splitlines())
    return tuple(
        PaperRow(method.strip(), tuple(cells.split()), source.strip())
        for method, source, cells in rows
    )


def _run(method: str, cells: str, changes: Mapping[str, Any]) -> PaperRow:
    return PaperRow(method, tuple(cells.split()), changes=MappingProxyType(dict(changes)))


def _sources(*marks: str) -> Mapping[str, str]:
    return MappingProxyType({mark: _SOURCES[mark] for mark in marks})


def _of_mosi(benchmark: str) -> tuple[PaperColumn, ...]:
    return (
        PaperColumn(benchmark, "Acc-2", ("acc2_nn", "acc2_np"), "percent"),
        PaperColumn(benchmark, "F1", ("f1_nn", "f1_np"), "percent"),
        PaperColumn(benchmark, "Acc-7", ("acc7",), "percent"),
        PaperColumn(benchmark, "MAE", ("mae",)),
        PaperColumn(benchmark, "Corr", ("corr",)),
    )


_OF_SIMS = (
    PaperColumn("sims", "Acc-2", ("acc2",), "percent"),
    PaperColumn("sims", "F1", ("f1",), "percent"),
    PaperColumn("sims", "Acc-3", ("acc3",), "percent"),
    PaperColumn("sims", "Acc-5", ("acc5",), "percent"),
    PaperColumn("sims", "MAE", ("mae",)),
    PaperColumn("sims", "Corr", ("corr",)),
)
_F1_ACC5_MAE = tuple(column for column in _OF_SIMS if column.name in ("F1", "Acc-5", "MAE"))

_TABLE1 = PaperTable(
    name="table1",
    title="Samples of each split",
    columns=(
        PaperColumn("mosi", "MOSI", ("samples",)),
        PaperColumn("mosei", "MOSEI", ("samples",)),
        PaperColumn("sims", "CH-SIMS", ("samples",)),
    ),
    rows=(
        PaperRow("train", ("1284", "16326", "1368")),
        PaperRow("valid", ("229", "1871", "456")),
        PaperRow("test", ("686", "4659", "457")),
        PaperRow("all", ("2199", "22856", "2281")),
    ),
    notes=("Counts of samples: nothing is trained.",),
)

_TABLE2 = PaperTable(
    name="table2",
    title="MOSI and MOSEI",
    columns=(*_of_mosi("mosi"), *_of_mosi("mosei")),
    rows=(
        *_baselines("""
TFN       | a | -/80.8 -/80.7 34.9 0.901 0.698 -/82.5 -/82.1 50.2 0.593 0.700
LMF       | a | -/82.5 -/82.4 33.2 0.917 0.695 -/82.0 -/82.1 48.0 0.623 0.677
MulT (A)  | a | -/83.0 -/82.8 40.0 0.871 0.698 81.15/84.63 81.56/84.52 52.84 0.559 0.733
MISA (A)  | a | 81.8/83.4 81.7/83.6 42.3 0.783 0.761 83.6/85.5 83.8/85.3 52.2 0.555 0.756
MAG-BERT  | a | 82.13/83.54 81.12/83.58 41.43 0.790 0.766 79.86/83.86 80.47/83.88 50.41 0.583 0.741
Self-MM   | a | 83.44/85.46 83.36/85.43 46.67 0.708 0.796 83.76/85.15 83.82/84.90 53.87 0.531 0.765
ConFEDE   | a | 84.17/85.52 84.13/85.52 42.27 0.742 0.784 81.65/85.82 82.17/85.83 54.86 0.522 0.780
MMIM      | b | 84.14/86.06 84.0/85.98 46.65 0.70 0.800 82.24/85.97 82.66/85.94 54.24 0.526 0.772
ConFEDE   | r | 82.8/84.76 82.72/84.74 41.55 0.757 0.775 81.65/84.53 81.98/84.36 52.16 0.564 0.746
MMIM      | r | 83.46/85.11 83.4/85.24 46.2 0.714 0.794 81.64/85.24 81.84/85.19 53.23 0.538 0.763
"""),
        _run(
            "DashFusion",
            "84.26/85.82 84.17/85.78 45.63 0.709 0.796 82.27/86.3 82.7/86.24 53.12 0.524 0.784",
            {},
        ),
    ),
    sources=_sources("a", "b", "r", "(A)"),
    notes=(
        "Acc-2 and F1: negative against non-negative, then negative against positive without the "
        "samples labelled 0.",
        _SEEDS,
    ),
)

_TABLE3 = PaperTable(
    name="table3",
    title="CH-SIMS",
    columns=_OF_SIMS,
    rows=(
        *_baselines("""
TFN         | c | 78.38 78.62 65.12 39.30 0.432 0.591
LMF         | c | 77.77 77.88 64.48 40.53 0.441 0.576
MulT        | c | 78.56 79.66 64.77 37.94 0.453 0.561
MISA        | c | 76.54 76.59 -     -     0.447 0.563
MAG-BERT    | c | 74.44 71.75 -     -     0.492 0.399
Self-MM     | c | 80.04 80.44 65.47 41.53 0.425 0.595
ConFEDE (U) | a | 82.23 82.08 70.15 46.30 0.392 0.637
MulT        | r | 78.24 78.54 64.38 40.06 0.446 0.579
Self-MM     | r | 78.56 78.60 64.68 41.69 0.428 0.585
ConFEDE (U) | r | 81.1  80.95 68.93 45.43 0.387 0.643
"""),
        _run("DashFusion", "79.21 79.39 66.82 44.24 0.416 0.601", {}),
    ),
    sources=_sources("a", "c", "r", "(U)"),
    notes=(_TWO_MAES, _SEEDS),
)

_TABLE4 = PaperTable(
    name="table4",
    title="DashFusion without one of its parts, on CH-SIMS",
    columns=_F1_ACC5_MAE,
    rows=(
        _run("full", "79.39 44.24 0.412", {}),
        _run("without temporal alignment", "79.03 42.12 0.418", ABLATIONS["temporal-alignment"]),
        _run("without semantic alignment", "77.99 43.11 0.420", ABLATIONS["semantic-alignment"]),
        _run(
            "without dual-stream alignment",
            "76.37 42.01 0.436",
            ABLATIONS["dual-stream-alignment"],
        ),
        _run("without SCL", "78.65 41.79 0.424", ABLATIONS["scl"]),
        _run("without HBF", "77.76 42.67 0.431", ABLATIONS["hbf"]),
    ),
    notes=(
        "The authors' code holds the full model only; where the paper does not say what is left "
        "out, ours: without temporal alignment H is p learned tokens, the same for all samples, "
        "and no supervised pairs in H; without semantic alignment the two semantic pairs go; "
        "without SCL the eight supervised pairs go and the semantic pairs keep the retrieved "
        "negatives; without HBF the four first tokens after alignment go straight to the head.",
        "The gap of 'without SCL' may not return: the authors' code keeps a rank where a sample's "
        "index is meant, so that its companions are in effect arbitrary, and the printed figures "
        "were presumably made so. Ours are the similar and dissimilar samples the paper means.",
        _ONE_RUN,
        _TWO_MAES,
        _SEEDS,
    ),
)

_TABLE5 = PaperTable(
    name="table5",
    title="Ways to fuse, on CH-SIMS",
    columns=(*_F1_ACC5_MAE, PaperColumn("sims", "MAdds", ("multiply_adds",), "millions")),
    rows=(
        _run("concat", "77.46 42.67 0.43 0", {"fusion": "concat"}),
        _run("concat + self-attention", "79.52 44.08 0.424 324M", {"fusion": "concat-sa"}),
        _run("cross-attention", "78.53 39.95 0.456 73M", {"fusion": "ca"}),
        _run("bottleneck fusion", "78.56 42.89 0.433 162M", {"fusion": "bf"}),
        _run("HBF", "79.39 44.24 0.412 145M", {}),
    ),
    notes=(
        "MAdds are the multiply-adds of the fusion for one video. Ours count its linear maps and "
        "the two products of each attention, not biases, norms, softmax and head, nor anything "
        "before, at T_t = 50, T_a = 401, T_v = 56. The paper names neither a tool nor T_t, and no "
        "single convention gives all four of its figures above 0.",
        _ONE_RUN,
        _TWO_MAES,
        _SEEDS,
    ),
)

_FIG4 = PaperTable(
    name="fig4",
    title="Bottleneck tokens p of the first fusion layer, on CH-SIMS",
    columns=_OF_SIMS,
    rows=(
        _run("p = 4", "- - - - - -", {"bottleneck": 4}),
        _run("p = 8", "- - - - - -", {"bottleneck": 8}),
        _run("p = 16", "- - - - - -", {"bottleneck": 16}),
        _run("p = 32", "- - - - - -", {"bottleneck": 32}),
        _run("p = 64", "- - - - - -", {"bottleneck": 64}),
    ),
    notes=(
        "Printed as curves only, without figures. The paper's reading of them: p = 8 is in general "
        "the best on most metrics; results improve up to it and get slightly worse beyond.",
        "The data is our reading: CH-SIMS, as in tables IV and V.",
        _SEEDS,
    ),
)

PAPER: Mapping[str, PaperTable] = MappingProxyType(
    {table.name: table for table in (_TABLE1, _TABLE2, _TABLE3, _TABLE4, _TABLE5, _FIG4)}
)
