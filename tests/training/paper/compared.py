"""Small comparisons whose every figure can be checked on paper."""

from dashfusion_training.paper.comparison import ComparedRow, Comparison, Ours
from dashfusion_training.paper.published import PaperColumn, PaperRow, PaperTable

SEEDS = (1111, 1112, 1113, 1114, 1115)
MISSING = (
    "mosei: no store of it; get unaligned_50.pkl (SHA-256 " + "ad8b23d5" * 8 + "), then run "
    "`dashfusion data prepare mosei FILE --output STORE`"
)


def columns_of(benchmark: str) -> tuple[PaperColumn, ...]:
    return (
        PaperColumn(benchmark, "Acc-2", ("acc2_nn", "acc2_np"), "percent"),
        PaperColumn(benchmark, "MAE", ("mae",)),
        PaperColumn(benchmark, "Corr", ("corr",)),
    )


TWO = PaperTable(
    name="table2",
    title="MOSI & MOSEI",
    columns=(*columns_of("mosi"), *columns_of("mosei")),
    rows=(
        PaperRow("MulT_1 (A)", ("-/80.8", "0.70", "0.698", "-", "-", "0.677"), "a"),
        PaperRow("Other", ("81.8/83.4", "0.783", "-", "83/84", "0.5", "0.6"), "r"),
        PaperRow(
            "DashFusion", ("84.26/85.82", "0.709", "0.796", "82.27/86.3", "0.524", "0.784"),
            changes={},
        ),
    ),
    sources={"a": "a paper with 100 %", "r": "a rerun", "(A)": "on aligned data"},
    notes=("Mean of λ·x, 5 > 3 | #1 $_{x}$.",),
)  # fmt: skip

MOSI = {"acc2_nn": 0.84375, "acc2_np": 0.8572, "mae": 0.7124, "corr": 0.7961}
MOSI_STD = {"acc2_nn": 0.003125, "acc2_np": 0.004, "mae": 0.0042, "corr": 0.00131}
MOSEI = {"acc2_nn": 0.8227, "acc2_np": 0.9, "mae": 0.5, "corr": None}
MOSEI_STD = {"acc2_nn": 0.01, "acc2_np": 0.02, "mae": 0.01, "corr": None}


def two(*, whole: bool = False) -> Comparison:
    """Trained on MOSI; on MOSEI too if `whole`, with a correlation that is not defined."""
    ours = Ours(
        seeds={"mosi": SEEDS, **({"mosei": SEEDS[:3]} if whole else {})},
        mean={"mosi": MOSI, **({"mosei": MOSEI} if whole else {})},
        std={"mosi": MOSI_STD, **({"mosei": MOSEI_STD} if whole else {})},
        problems=() if whole else (MISSING,),
    )
    first, second, run = TWO.rows
    rows = (ComparedRow(first, None), ComparedRow(second, None), ComparedRow(run, ours))
    return Comparison(table=TWO, rows=rows, facts=("112,059,777 parameters",))


WAYS = PaperTable(
    name="table5",
    title="Ways to fuse",
    columns=(
        PaperColumn("sims", "F1", ("f1",), "percent"),
        PaperColumn("sims", "MAdds", ("multiply_adds",), "millions"),
    ),
    rows=(
        PaperRow("concat", ("77.46", "0"), changes={"fusion": "concat"}),
        PaperRow("HBF", ("79.39", "145M"), changes={}),
        PaperRow("bf", ("78.56", "162M"), changes={"fusion": "bf"}),
    ),
)


def ways() -> Comparison:
    """One row with one seed, one only counted, one not run for a reason that is the table's."""
    concat = Ours(
        seeds={"sims": (1111,)},
        mean={"sims": {"f1": 0.7746, "multiply_adds": 0.0}},
        std={"sims": {"f1": None, "multiply_adds": None}},
        problems=("seed 1112 was stopped",),
    )
    hbf = Ours(seeds={}, mean={"sims": {"multiply_adds": 146_639_872.0}}, std={})
    rows = zip(WAYS.rows, (concat, hbf, None), strict=True)
    return Comparison(
        table=WAYS,
        rows=tuple(ComparedRow(paper, ours) for paper, ours in rows),
        problems=("CH-SIMS: no file",),
    )


COUNTS = PaperTable(
    name="table1",
    title="Samples",
    columns=(
        PaperColumn("mosi", "MOSI", ("samples",)),
        PaperColumn("mosei", "MOSEI", ("samples",)),
    ),
    rows=(PaperRow("train", ("1284", "16326")),),
)


def counts() -> Comparison:
    ours = Ours(seeds={}, mean={"mosi": {"samples": 1281.0}, "mosei": {"samples": 16326.0}}, std={})
    return Comparison(table=COUNTS, rows=(ComparedRow(COUNTS.rows[0], ours),))


CURVES = PaperTable(
    name="fig4",
    title="Bottleneck",
    columns=(
        PaperColumn("sims", "Acc-2", ("acc2",), "percent"),
        PaperColumn("sims", "MAE", ("mae",)),
    ),
    # not in order, to see that a picture puts them in order
    rows=tuple(PaperRow(f"p = {p}", ("-", "-"), changes={"bottleneck": p}) for p in (8, 4, 64)),
)
ACC2 = {4: 0.78, 8: 0.80, 64: 0.79}
MAE = {4: 0.44, 8: 0.41, 64: 0.42}


def curves(*, std: float | None = 0.01) -> Comparison:
    rows = []
    for row, p in zip(CURVES.rows, (8, 4, 64), strict=True):
        ours = Ours(
            seeds={"sims": SEEDS},
            mean={"sims": {"acc2": ACC2[p], "mae": MAE[p]}},
            std={"sims": {"acc2": std, "mae": std}},
        )
        rows.append(ComparedRow(row, ours))
    return Comparison(table=CURVES, rows=tuple(rows))
