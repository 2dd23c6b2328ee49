import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pysrt
import pytest
import webvtt

from dashfusion_cli.output import check_place
from dashfusion_models.analysis import ScoredWord
from dashfusion_models.errors import ConfigError, MediaError, WeightsError
from dashfusion_models.records import Streams

from .conftest import FakeRoad, Result, analysis, segment

Command = Callable[..., Result]


def test_one_file_is_one_pretty_json(command: Command, road: FakeRoad, clip: Path) -> None:
    result = command("analyze", clip, "--format", "json")
    assert result.code == 0
    assert json.loads(result.out) == json.loads(json.dumps(analysis(str(clip)).to_dict()))
    assert result.out.startswith("{\n  ")
    assert "a library prints this" in result.err


def test_the_same_file_gives_the_same_bytes(command: Command, road: FakeRoad, clip: Path) -> None:
    first, second = (command("analyze", clip, "--format", "json").out for _ in range(2))
    assert first == second
    assert "timing_s" in json.loads(first)


def test_several_files_are_json_lines(command: Command, road: FakeRoad, tmp_path: Path) -> None:
    names = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for name in names:
        name.write_bytes(b"x")
    result = command("analyze", *names, "--format", "json")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["media"]["path"] for line in lines] == [str(name) for name in names]


def test_one_bad_file_of_several_is_reported_and_the_rest_goes_on(
    command: Command, road: FakeRoad, tmp_path: Path
) -> None:
    names = [tmp_path / name for name in ("a.mp4", "bad.mp4", "gone.mp4", "z.mp4")]
    for name in (names[0], names[3]):
        name.write_bytes(b"x")
    names[1].write_bytes(b"broken")
    result = command("analyze", *names, "--format", "json", "-o", tmp_path / "out.jsonl")
    assert result.code == 1
    written = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["media"]["path"]).name for line in written] == ["a.mp4", "z.mp4"]
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "bad.mp4: cannot be read" in errors[0]
    assert "gone.mp4: no such file" in errors[1]


def test_a_missing_file_is_failure_not_wrong_usage(command: Command, road: FakeRoad) -> None:
    result = command("analyze", "nope.mp4")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: nope.mp4: no such file; check the name\n"
    assert road.loaded == {}  # nothing was loaded for it


def test_a_name_steers_no_terminal_and_turns_no_letters(command: Command) -> None:
    result = command("analyze", "a\x1b[2J\u202egpj.mp4")
    assert result.err == r"error: a\x1b[2J\u202egpj.mp4: no such file; check the name" "\n"
    result = command("analyze", "--a\x1b[2J", "b.mp4")
    assert result.code == 2 and "\x1b[2J" not in result.err and r"\x1b[2J" in result.err


def test_the_input_is_never_replaced(command: Command, clip: Path) -> None:
    was = clip.read_bytes()
    result = command("analyze", clip, "--format", "json", "--output", clip, "--force")
    assert (result.code, result.out) == (1, "")
    assert result.err == f"error: {clip}: is read for this result; give --output another name\n"
    assert clip.read_bytes() == was


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "xml"],
        ["--asr", "kaldi"],
        ["--without", "smell"],
        ["--start", "soon"],
        ["--start", "3", "--end", "0:02"],
        ["--segments", "-1"],
        ["--no-such-option"],
        ["--caption-scores"],
        ["second.mp4", "--format", "srt"],
    ],
)
def test_wrong_usage_is_exit_code_2(
    command: Command, road: FakeRoad, clip: Path, arguments: list[str]
) -> None:
    result = command("analyze", clip, *arguments)
    assert (result.code, result.out) == (2, "")
    assert "Error: " in result.err


def test_options_reach_the_analyzer(command: Command, road: FakeRoad, clip: Path) -> None:
    words = clip.with_suffix(".srt")
    flags = "--language zh --translate --asr openai-whisper --asr-model small --segments 7.5"
    more = "--without text --without vision --start 1:02:03.5 --end 4000 --device cpu --offline"
    result = command("analyze", clip, *flags.split(), *more.split(), "--transcript", words)
    assert result.code == 0
    assert road.loaded == {
        "checkpoint": "dashfusion-mini",
        "device": "cpu",
        "asr": "openai-whisper",
        "asr_model": "small",
        "offline": True,
        "in_background": True,
    }
    assert road.options == {
        "language": "zh",
        "translate": True,
        "transcript": words,
        "segments": "7.5",
        "without": frozenset({"text", "vision"}),
        "start_s": 3723.5,
        "end_s": 4000.0,
    }


def test_errors_are_one_line_and_verbose_adds_the_traceback(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    def fail(path: Path) -> object:
        raise WeightsError("whisper-base: not found\nanywhere; pull it")

    road.answer = fail  # type: ignore[assignment]
    plain = command("analyze", clip, "-q")
    assert plain.code == 1
    assert plain.err.splitlines()[-1] == "error: whisper-base: not found anywhere; pull it"
    assert "Traceback" not in plain.err
    loud = command("analyze", clip, "-v")
    assert "Traceback" in loud.err
    assert loud.err.splitlines()[-1] == plain.err.splitlines()[-1]


def test_an_unexpected_exception_is_one_line_too(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    road.answer = lambda path: 1 / 0  # type: ignore[assignment,return-value]
    result = command("analyze", clip)
    assert result.code == 1
    line = "error: internal: ZeroDivisionError: division by zero; run again with -v"
    assert result.err.splitlines()[-1] == line


def test_interruption_is_130(command: Command, road: FakeRoad, clip: Path) -> None:
    def interrupt(path: Path) -> object:
        raise KeyboardInterrupt

    road.answer = interrupt  # type: ignore[assignment]
    result = command("analyze", clip, "-o", "out.txt")
    assert result.code == 130
    assert [p.name for p in clip.parent.iterdir() if "out" in p.name] == []


def test_warnings_go_to_stderr_unless_quiet(command: Command, road: FakeRoad, clip: Path) -> None:
    road.answer = lambda path: analysis(str(path), warnings=("it is short",))
    assert f"warning: {clip}: it is short\n" in command("analyze", clip).err
    assert "warning" not in command("analyze", clip, "--quiet").err


def test_csv_is_read_back_by_pandas(command: Command, road: FakeRoad, tmp_path: Path) -> None:
    said = 'She said "no",\nthen: 这部电影真的非常好看'
    words = tuple(ScoredWord(w, None, None, None, p) for w, p in (("no", -1.0), ("said", 0.25)))
    parts = (
        segment(said, -2.5, start_s=0.5, reasons=("short", "no_face"), speaker="A", words=words),
        segment(None, 0.0, interval=None, contributions=Streams(text=None, audio=None, vision=0.1)),
    )
    road.answer = lambda path: analysis(str(path), *parts)
    names = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for name in names:
        name.write_bytes(b"x")
    out = tmp_path / "out.csv"
    assert command("analyze", *names, "--format", "csv", "-o", out).code == 0
    table = pd.read_csv(out, dtype={"model_sha256": str})
    names_in_order = (
        "path,start_s,end_s,speaker,text,score,label,low,high,"
        "text_contribution,audio_contribution,vision_contribution,reasons,"
        "segment,speech_confidence,text_present,audio_present,vision_present,model,model_sha256,"
        "without,base,text_alone,audio_alone,vision_alone,strongest_words,context_contribution"
    )
    assert ",".join(table.columns) == names_in_order
    assert list(table.path) == [str(names[0])] * 2 + [str(names[1])] * 2
    assert table.text[0] == said
    assert list(table.score[:2]) == [-2.5, 0.0]
    assert list(table.loc[0, ["low", "high"]]) == [0.5, 2.6]
    assert table.reasons[0] == "short no_face"
    assert table.loc[1, ["text", "low", "text_contribution"]].isna().all()
    assert table.vision_contribution[1] == 0.1
    assert list(table.loc[0, ["base", "text_alone", "audio_alone"]]) == [0.4, 1.2, 0.3]
    assert table.strongest_words[0] == "no -1.0; said +0.2"
    assert table.loc[1, ["strongest_words", "context_contribution"]].isna().all()
    assert list(table.segment) == [1, 2, 1, 2]
    presence = ["speech_confidence", "text_present", "audio_present", "vision_present"]
    assert list(table.loc[0, presence]) == [0.91, 0.94, 0.97, 0.0]
    assert set(table.model) == {"dashfusion-mini"}
    assert set(table.model_sha256) == {"1" * 64}
    assert out.read_bytes().count(b"\r\n") == 5  # a line end in a cell is the cell's own


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_no_cell_of_text_starts_a_formula(
    command: Command, road: FakeRoad, clip: Path, start: str
) -> None:
    danger = f"{start}HYPERLINK(1)"
    road.answer = lambda path: analysis(danger, segment(danger, -1.5, speaker=danger))
    out = command("analyze", clip, "--format", "csv").out
    (row,) = list(csv.DictReader(io.StringIO(out, newline="")))
    assert [row[name] for name in ("path", "speaker", "text")] == [f"'{danger}"] * 3
    assert row["score"] == "-1.5"  # numbers stay numbers


@pytest.mark.parametrize("form", ["csv", "srt", "vtt", "table"])
def test_no_form_steers_a_terminal_and_no_table_turns_the_order_of_letters(
    command: Command, road: FakeRoad, clip: Path, form: str
) -> None:
    turning = [*map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C))]
    evil = "a" + "".join(f"{c}b" for c in ("\x1b[31m", "\x07", "\x9b", "\x7f", *turning)) + "c"
    road.answer = lambda path: analysis(evil, segment(evil, -1.5, speaker=evil))
    out = command("analyze", clip, "--format", form).out
    assert not {"\x1b", "\x07", "\x9b", "\x7f"} & set(out)
    if form == "table":
        assert "bbbbb" in "".join(out.split())
        assert not set(turning) & set(out)
    else:  # which Arabic and Hebrew are written with
        assert evil[-2 * len(turning) - 2 :] in out


def test_a_formula_does_not_hide_behind_what_is_left_out(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    road.answer = lambda path: analysis("a.mp4", segment("\u202e=HYPERLINK(1)", -1.5))
    (row,) = csv.DictReader(io.StringIO(command("analyze", clip, "--format", "csv").out))
    assert row["text"] == "'\u202e=HYPERLINK(1)"


@pytest.mark.parametrize("columns", ["0", "1", "7"])
def test_a_width_of_nothing_is_not_believed(
    command: Command, road: FakeRoad, clip: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    expected = command("analyze", clip)
    monkeypatch.setenv("COLUMNS", columns)
    shown = command("analyze", clip)
    assert (shown.code, shown.out) == (0, expected.out) and "+1" in shown.out


BEGINNINGS = {
    "json": "{\n  ",
    "line": '{"schema"',
    "csv": "path,",
    "srt": "1\n00:",
    "vtt": "WEBVTT",
    "html": "<!doctype html>",
    "table": "clip.mp4",
}


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        (".json", "json"),
        (".JSON", "json"),
        (".jsonl", "line"),
        (".ndjson", "line"),
        (".csv", "csv"),
        (".srt", "srt"),
        (".vtt", "vtt"),
        (".html", "html"),
        (".htm", "html"),
        (".txt", "table"),
        ("", "table"),
    ],
)
def test_the_ending_of_the_file_chooses_the_form(
    command: Command, road: FakeRoad, clip: Path, ending: str, form: str
) -> None:
    out = clip.with_name(f"out{ending}")
    done = command("analyze", clip.name, "-o", out)
    assert (done.code, done.out) == (0, ""), done.err
    assert out.read_text("utf-8").lower().startswith(BEGINNINGS[form].lower())


def test_format_comes_before_the_ending_and_the_ending_before_the_settings(
    command: Command, road: FakeRoad, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(name: str, *flags: str) -> str:
        done = command("analyze", clip.name, "-o", name, "--force", *flags)
        assert done.code == 0, done.err
        text = (clip.parent / name).read_text("utf-8")
        return next(form for form, begins in BEGINNINGS.items() if text.startswith(begins))

    assert written("out.json", "--format", "csv") == "csv"
    assert written("out.json", "--format", "table") == "table"
    assert written("out.report", "--format", "csv") == "csv"
    (clip.parent / "mine.toml").write_text('format = "vtt"\n')
    assert written("out.json", "--config", "mine.toml") == "json"
    assert written("out", "--config", "mine.toml") == "vtt"
    monkeypatch.setenv("DASHFUSION_FORMAT", "csv")
    assert written("out.json") == "json"
    assert written("out.txt") == "table"
    assert written("out.report") == "csv"


def test_an_ending_that_names_no_form_is_refused(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    done = command("analyze", clip, "-o", "out.xlsx")
    assert done.code == 2
    said = " ".join(done.err.replace("\u2502", " ").split())
    way_out = "give --format, or end the name in .txt, .json"
    assert f".xlsx: not a known output format; {way_out}" in said
    assert road.loaded == {} and not Path("out.xlsx").exists()


def test_captions_of_two_files_are_refused_by_the_ending_too(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    done = command("analyze", clip, clip, "-o", "out.srt")
    assert done.code == 2
    assert "one MEDIA" in done.err and "--format" not in done.err
    assert command("analyze", clip, "-o", "out.vtt", "--caption-scores").code == 0
    assert command("analyze", clip, "-o", "out.csv", "--caption-scores").code == 2


def test_a_missing_folder_is_told_with_the_command_that_makes_it(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    done = command("analyze", clip, "-o", "my results/today/out.json")
    fact = "my results/today: no such folder; create it first: mkdir -p 'my results/today'"
    assert (done.code, done.err) == (1, f"error: {fact}\n")
    assert not Path("my results").exists() and road.loaded == {}


def test_windows_gets_no_command_of_unix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "out.json"
    with monkeypatch.context() as windows, pytest.raises(ConfigError) as refused:
        windows.setattr("dashfusion_cli.output.os.name", "nt")
        check_place(folder, "--output", force=False)
    assert str(refused.value).endswith("no such folder; create it first")


def test_an_existing_file_needs_force(command: Command, road: FakeRoad, clip: Path) -> None:
    kept = clip.with_name("out.json")
    kept.write_text("mine")
    refused = command("analyze", clip, "--format", "json", "-o", kept)
    assert refused.code == 1
    assert refused.err == f"error: {kept}: exists already; use --force to replace it\n"
    assert kept.read_text() == "mine"
    assert command("analyze", clip, "--format", "json", "-o", kept, "--force").code == 0
    assert json.loads(kept.read_text())["schema"] == "dashfusion/analysis/1"


def test_a_failure_leaves_the_old_file_as_it_was(
    command: Command, road: FakeRoad, clip: Path
) -> None:
    kept = clip.with_name("out.json")
    kept.write_text("mine")

    def fail(path: Path) -> object:
        raise MediaError("no; no")

    road.answer = fail  # type: ignore[assignment]
    assert command("analyze", clip, "-o", kept, "--force").code == 1
    assert kept.read_text() == "mine"
    assert sorted(p.name for p in clip.parent.iterdir()) == ["clip.mp4", "out.json"]


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_of_a_file(command: Command, road: FakeRoad, tmp_path: Path, form: str) -> None:
    clip, out = tmp_path / "a.mp4", tmp_path / f"a.{form}"
    clip.write_bytes(b"x")
    done = command("analyze", clip, "--format", form, "--caption-scores", "-o", out)
    assert (done.code, done.out) == (0, "")
    (cue,) = (pysrt if form == "srt" else webvtt).from_string(out.read_text("utf-8"))
    assert cue.text == "[+1.6] I really liked it."
