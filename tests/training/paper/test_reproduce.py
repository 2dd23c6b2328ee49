"""All tables to the end on small planted files: trained once, found again, resumed, compared."""

import csv
import json
import shutil
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dashfusion_training.paper.comparison import Comparison, figures_of
from dashfusion_training.paper.plan import Request, plan_of
from dashfusion_training.paper.published import PAPER
from dashfusion_training.paper.reproduce import reproduce
from dashfusion_training.watch import Unwatched
from tests.training.paper.rehearsal import CPU, SEEDS, request_of

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

TRIALS = {"table1": 0, "table2": 2, "table3": 1, "table4": 6, "table5": 5, "fig4": 5}
DIFFERENT = 2 + 1 + 5 + 3 + 4  # full, ablations, further fusions, further p


class Names(Unwatched):
    """Remembers which trainings began."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, number: int, of: int, name: str) -> None:
        self.begun.append(name)


def to_train(request: Request) -> list[str]:
    """The trainings that are not done, as `reproduce` would name them."""
    return [
        f"{trial.name}, seed {seed}"
        for trial in plan_of(request).different_trials
        for seed in trial.unfinished(request.seeds)
    ]


@pytest.fixture(scope="module")
def tables(place: Path) -> dict[str, tuple[Comparison, list[str]]]:
    """Every table, and the trainings that it began, in the order of the paper."""
    found = {}
    for name in PAPER:
        watch = Names()
        found[name] = (reproduce(request_of(place, name), devices=[CPU], watch=watch), watch.begun)
    return found


Tables = Mapping[str, tuple[Comparison, list[str]]]


def test_every_table_is_complete_and_nothing_is_trained_twice(tables: Tables) -> None:
    assert all(comparison.complete for comparison, _ in tables.values())
    begun = [name for _, names in tables.values() for name in names]
    assert len(begun) == SEEDS * DIFFERENT
    assert len(tables["table3"][1]) == SEEDS
    assert not any("full" in name for name in tables["table4"][1])  # table III has trained it
    assert len(tables["table5"][1]) == SEEDS * 3  # concat and HBF are there
    assert len(tables["fig4"][1]) == SEEDS * 4
    trials = {name: len(folders) for name, folders in _trials_of(tables).items()}
    assert trials == TRIALS


def _trials_of(tables: Tables) -> dict[str, list[str]]:
    return {name: list(comparison.origin["runs"]) for name, (comparison, _) in tables.items()}


def test_means_and_deviations_are_those_of_the_runs(tables: Tables) -> None:
    comparison = tables["table4"][0]
    for row in comparison.rows:
        assert row.ours is not None
        assert row.ours.seeds["sims"] == (1111, 1112)
        reports = [
            json.loads((Path(folder) / f"seed-{seed}" / "report.json").read_text("utf-8"))
            for folder in comparison.origin["runs"]
            for seed in (1111, 1112)
        ]
        full = {
            "temporal_alignment": True,
            "semantic_alignment": True,
            "supervised_contrast": True,
            "fusion": "hbf",
        }
        wanted = full | dict(row.paper.changes or {})
        pair = [
            report["seeds"][0]["metrics"]["mae"]
            for report in reports
            if all(report["config"][key] == value for key, value in wanted.items())
        ]
        assert len(pair) == 2
        assert row.ours.mean["sims"]["mae"] == pytest.approx(statistics.fmean(pair))
        assert row.ours.std["sims"]["mae"] == pytest.approx(statistics.stdev(pair))


def test_one_network_has_one_figure_in_every_table(tables: Tables) -> None:
    def ours(table: str, method: str) -> object:
        rows = tables[table][0].rows
        (row,) = [row for row in rows if row.paper.method == method and row.ours]
        assert row.ours is not None
        return row.ours.mean["sims"]["mae"], row.ours.std["sims"]["mae"]

    full = ours("table3", "DashFusion")
    assert full == ours("table4", "full") == ours("table5", "HBF") == ours("fig4", "p = 8")
    assert ours("table4", "without HBF") == ours("table5", "concat") != full


def test_the_files_say_what_the_record_says(tables: Tables, place: Path) -> None:
    for name, (comparison, _) in tables.items():
        for ending in ("csv", "json", "md", "tex"):
            assert (place / "out" / f"{name}.{ending}").is_file()
        with (place / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        figures = [
            figure
            for row in comparison.rows
            for number, column in enumerate(comparison.table.columns)
            for figure in figures_of(row, number, column)
        ]
        for line, figure in zip(lines, figures, strict=True):
            expected = "" if figure.mean is None else f"{figure.mean:.4f}"
            assert (f"{float(line['ours_mean']):.4f}" if line["ours_mean"] else "") == expected
    assert (place / "out" / "fig4.svg").read_text("utf-8").startswith("<?xml")


def test_table_1_counts_the_stores(tables: Tables) -> None:
    rows = tables["table1"][0].rows
    counts = [row.ours.mean["mosei"]["samples"] for row in rows if row.ours]
    assert counts == [24, 8, 12, 44]


def test_planted_data_are_not_taken_for_the_published_ones(tables: Tables, place: Path) -> None:
    data, settings = tables["table3"][0].departures
    assert "is not the published file" in data
    assert "epochs = 2" in settings
    for table in PAPER:
        text = (place / "out" / f"{table}.md").read_text("utf-8")
        assert "(not the paper's data or settings, see below)" in text
        assert "published file" in (place / "out" / f"{table}.csv").read_text("utf-8")
        assert r"not the paper's data" in (place / "out" / f"{table}.tex").read_text("utf-8")


def test_a_trial_has_a_report_and_curves_of_its_own(tables: Tables) -> None:
    (folder,) = tables["table3"][0].origin["runs"]
    assert not list(Path(folder).glob("*/last"))  # three times the checkpoint, and of no more use
    report = json.loads((Path(folder) / "report.json").read_text("utf-8"))
    assert [seed["seed"] for seed in report["seeds"]] == [1111, 1112]
    assert report["std"]["mae"] > 0
    assert (Path(folder) / "curves.svg").is_file()


def test_again_trains_nothing_and_writes_the_same(tables: Tables, place: Path) -> None:
    files = {path: path.read_bytes() for path in (place / "out").iterdir() if path.suffix}
    watch = Names()
    reproduce(request_of(place, "table4"), devices=[CPU], watch=watch)
    reproduce(request_of(place, "fig4"), devices=[CPU], watch=watch)
    assert watch.begun == []
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize(
    ("table", "setting", "trained"),
    [
        ("table2", {"temperature": "0.4"}, 2),
        ("table5", {"fusion_layers": "3"}, 4),  # concatenation has no layers
        ("table4", {"text_learning_rate": "1e-3"}, 0),  # as it was
        ("table4", {"text_learning_rate": "1e-4"}, 6),
        ("table5", {"norm_order": '"authors"'}, 2),  # only the bottleneck fusions have it
        ("table4", {"semantic_negatives": '"cross"'}, 4),  # two have no semantic pairs
        ("table4", {"contrastive_weight": "0.0"}, 3),  # then H and the fusion make the difference
        ("table4", {"lent_share": "0.9"}, 0),  # nothing is composed
    ],
)
def test_a_changed_key_trains_only_what_reads_it(
    tables: Tables, place: Path, table: str, setting: dict[str, str], trained: int
) -> None:
    assert len(to_train(request_of(place, table, settings=setting))) == SEEDS * trained


def test_another_number_of_seeds_trains_the_new_ones(tables: Tables, place: Path) -> None:
    names = to_train(request_of(place, "table3", seeds=3))
    assert names == ["CH-SIMS, DashFusion, seed 1113"]


class _Interrupted(Unwatched):
    """Ctrl-C in the middle of an epoch of the second training."""

    def __init__(self) -> None:
        self.number = 0

    def begin(self, number: int, of: int, name: str) -> None:
        self.number = number

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        if (self.number, epoch, batch) == (2, 2, 2):
            raise KeyboardInterrupt


def test_an_interrupted_table_goes_on_to_the_same_figures(tables: Tables, place: Path) -> None:
    request = request_of(place, "table3", output=place / "stopped")
    with pytest.raises(KeyboardInterrupt):
        reproduce(request, devices=[CPU], watch=_Interrupted())
    assert to_train(request) == ["CH-SIMS, DashFusion, seed 1112"]
    assert "ours, 1 seed" in (place / "stopped" / "table3.md").read_text("utf-8")
    reproduce(request, devices=[CPU])
    for ending in ("csv", "md", "tex"):
        ours = (place / "stopped" / f"table3.{ending}").read_text("utf-8")
        assert ours == (place / "out" / f"table3.{ending}").read_text("utf-8")


def copy_of(place: Path, folder: Path) -> Request:
    """Table III finished, in a folder of its own."""
    request = request_of(place, "table3")
    (trial,) = plan_of(request).different_trials
    shutil.copytree(trial.folder, folder / "runs" / trial.folder.name)
    return replace(request, output=folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": "dashfusion/training/1", "seeds": []}']
)
def test_a_damaged_report_is_made_again(
    tables: Tables, place: Path, tmp_path: Path, text: str
) -> None:
    request = copy_of(place, tmp_path)
    (trial,) = plan_of(request).different_trials
    (trial.run_folder(1112) / "report.json").write_text(text, "utf-8")
    assert to_train(request) == ["CH-SIMS, DashFusion, seed 1112"]
    if text == "{":
        comparison = reproduce(request, devices=[CPU])
        (row,) = [row for row in comparison.rows if row.ours]
        (before,) = [row for row in tables["table3"][0].rows if row.ours]
        assert row.ours is not None
        assert before.ours is not None
        assert comparison.complete
        assert row.ours.mean["sims"]["mae"] == pytest.approx(before.ours.mean["sims"]["mae"])


def test_a_metric_that_is_not_defined_is_a_problem(
    tables: Tables, place: Path, tmp_path: Path
) -> None:
    request = copy_of(place, tmp_path)
    (trial,) = plan_of(request).different_trials
    file = trial.run_folder(1112) / "report.json"
    report = json.loads(file.read_text("utf-8"))
    report["seeds"][0]["metrics"]["corr"] = None
    file.write_text(json.dumps(report), "utf-8")
    comparison = reproduce(request, devices=[CPU])
    assert not comparison.complete
    (problem,) = [p for row in comparison.rows if row.ours for p in row.ours.problems]
    assert problem == "CH-SIMS, seed 1112: corr is not defined for its scores"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_another_text_encoder_trains_anew(
    tables: Tables, place: Path, tmp_path: Path, name: str
) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(place / "encoder", encoder)
    settings = {"text_encoder": str(encoder)}
    before = plan_of(request_of(place, "table3", settings=settings)).different_trials
    values = json.loads((encoder / name).read_text("utf-8"))
    (encoder / name).write_text(json.dumps({**values, "hidden_dropout_prob": 0.9}), "utf-8")
    after = plan_of(request_of(place, "table3", settings=settings)).different_trials
    assert before[0].folder != after[0].folder


def test_one_encoder_is_one_by_whichever_path(
    tables: Tables, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert to_train(request_of(place, "table3", settings={"text_encoder": "encoder"})) == []


def test_the_authors_presets_have_files_of_their_own(place: Path, tmp_path: Path) -> None:
    request = request_of(
        place, "table5", preset_suffix="-authors", data_root=tmp_path, output=tmp_path
    )
    comparison = reproduce(request, devices=[CPU])
    assert (tmp_path / "table5-authors.csv").is_file()
    assert not (tmp_path / "table5.csv").exists()
    (settings,) = comparison.departures
    assert "norm_order = authors" in settings
