"""Help and tables as a terminal of 80 columns shows them: nothing cut, nothing of Python's."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from dashfusion_cli import checks, parts
from dashfusion_cli.checks import Check, State
from dashfusion_cli.parts import Part
from dashfusion_cli.render.plain import Look, columns
from dashfusion_cli.render.report import report_table
from dashfusion_models.store import StoreWriter
from dashfusion_models.weights import lookup
from dashfusion_training.evaluate import Report
from dashfusion_training.missing import MissingReport, MissingRow
from tests.tools.command_reference import commands
from tests.training.tiny import AUDIO, VISION, planted_sample, write_tiny_encoder
from tests.training.untrained import write_untrained

from .conftest import Result

Command = Callable[..., Result]
NAMES = ["", "data", "weights", *(one.name.partition(" ")[2] for one in commands())]
MOSI = ("mae", "corr", "acc7", "acc5", "acc2_nn", "f1_nn", "acc2_np", "f1_np")
CLASSES = ("auc", "balanced_accuracy")
SIMS = ("acc2", "f1", "acc3", "acc5", "mae", "corr")


@pytest.fixture(autouse=True)
def of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")


@pytest.mark.parametrize("name", NAMES)
def test_help_names_values_as_users_do(command: Command, name: str) -> None:
    text = command(*name.split(), "--help").out
    assert max(map(cell_len, text.splitlines())) <= 80
    assert not re.findall(r"<(?:bool|str|int|float|path|list)\b[^>]*>", text)
    for choices in re.findall(r"<([^>]*)>", text):
        assert not re.search(r"\s", choices), f"{choices} is folded"


def test_a_flag_is_still_a_flag(command: Command) -> None:
    shown = next(line for line in command("batch", "--help").out.splitlines() if "--html" in line)
    assert re.fullmatch(r"│ +--html +Also write index.html .*│", shown)


def test_columns_cut_nothing() -> None:
    rows = [
        ("a-name-without-spaces", ("ok", "green"), "/a/folder/of/some/depth" * 4 + "/file.bin"),
        ("two words", "warn", "short\n-> " + "mend it " * 12),
        ("x" * 30, "fail", "y" * 100),
    ]
    for width in (40, 60, 80, 120):
        text = columns(("check", "", "found"), rows, Look(width=width))
        assert max(map(cell_len, text.splitlines())) <= width
        cells = [cell if isinstance(cell, str) else cell[0] for row in rows for cell in row]
        for letter in set("".join(cells)) - set(" \n"):
            assert text.count(letter) >= "".join(cells).count(letter), letter
    wide = columns(("check", "", "found"), rows, Look(width=80))
    assert re.search(r"a-name-without-spaces +ok", wide)


def test_a_long_path_breaks_after_a_slash() -> None:
    path = "/home/someone/a-long-name/of-a-folder/that/holds/many-others/weights/model.safetensors"
    text = columns(("check", "found"), [("model", f"sound: {path}")], Look(width=60))
    shown = [line.strip().removeprefix("model").strip() for line in text.splitlines()[3:] if line]
    assert "".join(shown).replace(" ", "") == f"sound:{path}"
    assert all(line.endswith(("/", ":", ".safetensors")) for line in shown)


def test_tables_of_commands_fit(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fact = "sound, SHA-256 verified: /a/path/that/is/longer/than/a/terminal/is/wide/model.bin"
    checked = [Check("default model", State.warn, fact, "make room, or choose another folder")]
    monkeypatch.setattr(checks, "all_checks", lambda *, offline: iter(checked))
    licensed = [
        Part("library-with-a-long-name", "2026.10.19.post1", "library", "MIT " * 30, "note"),
        Part("openai-whisper-large-v3", "", "weights", "MIT", "speech (openai-whisper); not here"),
    ]
    monkeypatch.setattr(parts, "all_parts", lambda: iter(licensed))
    texts = {
        ("weights", "list"): [*lookup.WEIGHTS],
        ("doctor",): ["default model", "model.bin"],
        ("licenses",): ["openai-whisper-large-v3", "library-with-a-long-name"],
    }
    for asked, whole in texts.items():
        text = command(*asked).out
        assert max(map(cell_len, text.splitlines())) <= 80
        assert [name for name in whole if name not in text] == []


def report_with(metrics: tuple[str, ...]) -> Report:
    values = {name: 0.1234 * (1 + k) for k, name in enumerate(metrics)}
    return Report(
        dataset="clips", split="test", checkpoint="dashfusion-mini", n=20, metrics=values,
        modalities=("text", "audio", "vision"), classes={}, predictions=(),
        intervals={name: (value - 0.05, value + 0.05) for name, value in values.items()},
    )  # fmt: skip


@pytest.mark.parametrize("metrics", [MOSI, MOSI + CLASSES, SIMS])
def test_every_metric_is_explained_under_its_table(metrics: tuple[str, ...]) -> None:
    text = report_table(report_with(metrics), legend=True).decode()
    assert max(map(len, text.splitlines())) <= 80
    head, *values = text.partition("\n\n")[0].splitlines()
    assert head == "clips, test: 20 samples, dashfusion-mini, from text, audio, vision"
    assert values[0].split() == ["metric", "value", "95", "%", "interval"]
    assert [line.split()[0] for line in values[1:]] == list(metrics)
    assert all(re.search(r"\d\.\d{4}  -?\d\.\d{3} to \d\.\d{3}$", line) for line in values[1:])
    legend = text.partition("\n\n")[2].splitlines()
    assert [line.split()[0] for line in legend] == list(metrics)
    assert all(len(line.split()) > 2 for line in legend)
    if "acc2_nn" in metrics:
        assert "  acc2_nn  accuracy, negative against non-negative" in " ".join(legend).replace(
            "acc2_nn" + " " * 12, "acc2_nn  "
        )
    assert "\n\n" not in report_table(report_with(metrics), legend=False).decode()


@pytest.mark.parametrize("protocol", ["random", "subsets"])
@pytest.mark.parametrize("metrics", [MOSI, MOSI + CLASSES, SIMS])
def test_missing_data_fit_80_columns(metrics: tuple[str, ...], protocol: str) -> None:
    values = {name: -0.1234 if name == "corr" else 0.1234 for name in metrics}
    of_case = {"rate": 0.5} if protocol == "random" else {"modalities": ("text", "audio", "vision")}
    text = report_table(
        MissingReport(
            dataset="clips", split="test", checkpoint="dashfusion-mini", n=20, protocol=protocol,  # type: ignore[arg-type]
            mask_seeds=(1111, 1112, 1113), rows=(MissingRow(metrics=values, **of_case),),  # type: ignore[arg-type]
            metrics=values, modalities=("text", "audio", "vision"), classes={},
        ),
        legend=True,
    ).decode()  # fmt: skip
    assert max(map(len, text.splitlines())) <= 80
    row = "0.5" if protocol == "random" else "text+audio+vision"
    lines = [line.split() for line in text.splitlines()]
    assert sum(len(line) - 1 for line in lines if line[:1] == [row]) == len(metrics)
    assert sum(len(line) - 1 for line in lines if line[:1] == ["mean"] and "0.1234" in line) == len(
        metrics
    )


def test_eval_gives_every_metric_its_interval(command: Command, tmp_path: Path) -> None:
    store = tmp_path / "planted"
    with StoreWriter(store, audio=AUDIO, vision=VISION) as writer:
        for k in range(30):
            writer.add(*planted_sample(k, "test"))
    (tmp_path / "encoder").mkdir()
    checkpoint = write_untrained(tmp_path, write_tiny_encoder(tmp_path / "encoder"))
    asked = ("eval", "--checkpoint", checkpoint, "--dataset", store, "--device", "cpu")
    lines = command(*asked).out.partition("\n\n")[0].splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(MOSI)
    for line in lines:
        _, value, low, _, high = line.split()
        assert float(low) <= float(value) + 5e-4
        assert float(high) >= float(value) - 5e-4
