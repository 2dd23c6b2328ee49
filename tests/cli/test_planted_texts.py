"""One set of hard texts through the command in every format, read by independent readers."""

import io
import json
from collections.abc import Callable
from html import unescape
from pathlib import Path

import html5lib
import pandas as pd
import pysrt
import pytest
import webvtt
from jsonschema import Draft202012Validator

from dashfusion_cli.commands.schema import Schema, schema_bytes
from dashfusion_cli.render.csv import COLUMNS, csv_bytes, segment_rows
from dashfusion_cli.render.folder import SUMMARY_COLUMNS, summary_row
from dashfusion_models.folder.jobs import Job, failed

from .conftest import FakeRoad, Result, analysis, segment

Command = Callable[..., Result]
SAID = (
    "<script>alert('no')</script> & <b>bold</b>",
    "He said \"no\", 'never' --> and left; 00:00:01,000 --> 00:00:02,000",
    "1\n\n2\n\n<!-- {\\an8} -->",
    "Gar nicht 👩‍👩‍👧 gut 😀, e\u0301 nicht é.",
    "שלום, \u202eמה\u202c שלומך היום?",
    "مرحبا، كيف حالك؟",
    "我不喜欢这部电影，但是演员很好。",  # noqa: RUF001
    "NOTE nan",
    "nan",
    "WEBVTT\u2028\u2029STYLE",
)
HARMLESS = tuple(" ".join(text.split()) for text in SAID)  # what subtitles keep of white space


def in_json(out: str) -> list[str]:
    record = json.loads(out)
    Draft202012Validator(json.loads(schema_bytes(Schema.analysis))).validate(record)
    return [s["text"] for s in record["segments"]]


def in_csv(out: str) -> list[str]:
    return list(pd.read_csv(io.StringIO(out, newline=""), keep_default_na=False).text)


def in_page(out: str) -> list[str]:
    page = html5lib.HTMLParser(strict=True).parse(out)
    space = "{http://www.w3.org/1999/xhtml}"
    (inside,) = (s.text for s in page.iter(f"{space}script") if s.get("id") == "analysis")
    shown = ["".join(p.itertext()) for p in page.iter(f"{space}p") if p.get("class") == "words"]
    assert [" ".join(text.split()) for text in shown] == list(HARMLESS)
    return in_json(str(inside))


def in_srt(out: str) -> list[str]:
    read = pysrt.from_string(out, error_handling=pysrt.SubRipFile.ERROR_RAISE)
    return joined((i.start.ordinal, i.text) for i in read)


def in_vtt(out: str) -> list[str]:
    read = webvtt.WebVTT.from_buffer(io.StringIO(out), format="vtt")
    return joined((c.start_in_seconds * 1000, unescape(c.text)) for c in read.captions)


def joined(captions) -> list[str]:  # type: ignore[no-untyped-def]
    """The captions of each segment, which take ten seconds, after one another."""
    found = [""] * len(SAID)
    for start_ms, text in captions:
        number = int(start_ms) // 10_000
        found[number] = f"{found[number]} {' '.join(text.split())}".strip()
    return found


@pytest.mark.parametrize(
    ("form", "read", "wanted"),
    [
        ("json", in_json, SAID),
        ("csv", in_csv, SAID),
        ("html", in_page, SAID),
        ("srt", in_srt, HARMLESS),
        ("vtt", in_vtt, HARMLESS),
    ],
)
def test_every_text_comes_through(
    command: Command,
    road: FakeRoad,
    tmp_path: Path,
    form: str,
    read: Callable[[str], list[str]],
    wanted: tuple[str, ...],
) -> None:
    clip, out = tmp_path / "clip & <i>.mp4", tmp_path / f"out.{form}"
    clip.write_bytes(b"x")
    spoken = [segment(text, start_s=10.0 * k, end_s=10.0 * k + 9.0) for k, text in enumerate(SAID)]
    road.answer = lambda path: analysis(str(path), *spoken)
    done = command("analyze", clip, "--format", form, "--output", out)
    assert done.code == 0, done.err
    assert read(out.read_bytes().decode("utf-8")) == list(wanted)


def test_the_tables_of_a_folder_keep_texts_and_guard_cells() -> None:
    found = [
        analysis(f"{text}.mp4", segment(text, -1.5), warnings=(text,)).to_dict() for text in SAID
    ]
    formula = '=HYPERLINK("http://example.org")'
    broken = json.loads(failed(Job(formula, formula, 1), "media", f"{formula}: broken").line)
    rows = csv_bytes([SUMMARY_COLUMNS, *map(summary_row, [*found, broken])])
    summary = pd.read_csv(io.BytesIO(rows), keep_default_na=False)
    paths = [str(record["media"]["path"]) for record in found]
    assert list(summary.path) == [*paths, f"'{formula}"]
    assert list(summary.warnings[:-1]) == list(SAID)
    assert summary.error.iloc[-1] == f"'{formula}: broken"
    assert {float(score) for score in summary.score[:-1]} == {0.84}
    rows = csv_bytes([COLUMNS, *(row for record in found for row in segment_rows(record))])
    segments = pd.read_csv(io.BytesIO(rows), keep_default_na=False)
    assert list(segments.text) == list(SAID)
    assert list(segments.score) == [-1.5] * len(SAID)  # numbers stay numbers
