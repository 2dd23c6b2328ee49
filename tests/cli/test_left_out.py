"""What was left out of an analysis, and which part of the file it is of, in every form."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pytest

from dashfusion_cli.render.csv import render_csv
from dashfusion_cli.render.folder import face_share, summary_row
from dashfusion_cli.render.html import render_html
from dashfusion_cli.render.html_index import index_row, render_index
from dashfusion_cli.render.overlay_fonts import Fonts
from dashfusion_cli.render.overlay_look import Overlay
from dashfusion_cli.render.page_view import gaps_of
from dashfusion_cli.render.plain import Look
from dashfusion_cli.render.subtitles import render_srt, render_vtt
from dashfusion_cli.render.table import render_table
from dashfusion_cli.render.wording import part_of
from dashfusion_models.analysis import Analysis, Run, Segment
from dashfusion_models.records import MediaInfo, Span, Streams

from .conftest import analysis, segment
from .test_schemas import validator

NONE = Streams[float | None](text=None, audio=None, vision=None)


def unscored(text: str | None, **other: Any) -> Segment:
    values = {"interval": None, "contributions": NONE, "present": Streams(0.0, 0.0, 0.0)}
    return replace(segment(text, 0.0, **{**values, **other}), score=None, label=None)


def of(run: Run, *segments: Segment) -> Analysis:
    return analysis("clip.mp4", *segments, run=run)


def wordless() -> Analysis:
    """Words were left out: one utterance has a voice, one has nothing else, and one is silent."""
    voice = Streams[float | None](text=None, audio=0.4, vision=None)
    return of(
        Run(without=("text",)),
        segment("I really liked it.", 0.4, contributions=voice),
        unscored("And then.", start_s=3.5, end_s=5.0),
        segment(None, -0.6, contributions=voice, start_s=6.0, end_s=9.0, reasons=("no_speech",)),
    )


def faceless() -> Analysis:
    """Faces were left out: one utterance has words, and one is silent."""
    return of(
        Run(without=("vision",)),
        segment("I really liked it.", 1.6),
        unscored(None, start_s=4.0, end_s=9.0, reasons=("no_speech",)),
    )


def page_of(found: Analysis) -> str:
    page = render_html(found.to_dict(), link="./clip.mp4").decode("utf-8")
    html5lib.HTMLParser(strict=True).parse(page)
    return page


def seen_in(page: str) -> str:
    """What a reader sees, without styles and scripts."""
    body = html5lib.parse(page, namespaceHTMLElements=False)
    for parent in body.iter():
        for child in [c for c in parent if c.tag in ("script", "style")]:
            parent.remove(child)
    return " ".join("".join(body.itertext()).split())


@pytest.mark.parametrize("found", [wordless(), faceless()])
def test_the_json_is_valid(found: Analysis) -> None:
    validator("analysis").validate(found.to_dict())


def test_a_table_says_it() -> None:
    table = render_table(wordless(), Look())
    assert "dashfusion-mini · words left out" in table
    said, bare, silent = (table.index(x) for x in ("I really", "And then", "(nobody speaks)"))
    assert "(words left out)" in table[said:bare] and "not scored" not in table[said:bare]
    assert "(words left out)" in table[bare:silent] and "not scored" in table[bare:silent]
    assert "words left out" not in table[silent:]
    table = render_table(faceless(), Look(ascii_only=True))
    assert "dashfusion-mini - face left out" in table
    assert "no face" not in table and "not scored" in table
    no_words = render_table(of(Run(without=("text",)), segment(None, 0.4)), Look())
    assert "nobody" not in no_words and "(words left out)" in no_words


def test_a_page_says_it() -> None:
    page = seen_in(page_of(wordless()))
    assert "dashfusion-mini · words left out" in page
    assert page.count("words left out") == 3  # in the facts, and beside both utterances
    assert page.count("(nobody speaks)") == 2  # as a strong moment, and in the transcript
    assert "– not scored" in page  # noqa: RUF001
    assert "– left out" in page and "absent or left out" in page  # noqa: RUF001
    page = seen_in(page_of(faceless()))
    assert "face left out" in page and "no face" not in page
    no_words = seen_in(page_of(of(Run(without=("text",)), segment(None, 0.4))))
    assert "nobody" not in no_words and "(words left out)" in no_words


def test_what_has_no_score_is_told_as_not_scored() -> None:
    assert [(g.time, g.until) for g in gaps_of(faceless().to_dict())["not scored"]] == [
        ("0:03.2", "0:12.4")
    ]


def test_a_row_of_csv_says_it() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(faceless(), header=True).decode("utf-8"))))
    assert [row["without"] for row in rows] == ["vision", "vision"]
    assert [row["score"] for row in rows] == ["1.6", ""]
    assert [row["label"] for row in rows] == ["positive", ""]
    (row,) = csv.DictReader(io.StringIO(render_csv(analysis(), header=True).decode("utf-8")))
    assert row["without"] == ""


def test_the_tables_of_a_folder_say_it() -> None:
    found = faceless().to_dict()
    assert face_share(found) is None
    assert summary_row(found)[9] == ""
    row = index_row(found, path="clip.mp4", report="clip.html")
    assert row["face"] is None and row["warnings"] == ["face left out"]
    assert row["curve"] == [[0.0, 3.2, 1.6, 1]]
    index = render_index([row], name="clips", model="mini", version="0").decode("utf-8")
    assert '"face":' not in index.replace("face left out", "")
    half = Streams(text=0.0, audio=0.0, vision=0.5)
    seen = of(Run(), segment("So.", present=half), unscored("Not read."))
    assert face_share(seen.to_dict()) == 0.5


def test_records_of_before_are_read() -> None:
    found = analysis().to_dict()
    del found["run"]
    assert index_row(found, path="clip.mp4", report=None)["face"] == 0.0
    assert "The whole clip" in render_html(found, link="./clip.mp4").decode("utf-8")


def test_captions_say_it() -> None:
    vtt = render_vtt(wordless(), scores=True).decode("utf-8")
    assert "NOTE dashfusion 0.1.0, dashfusion-mini (CC BY-NC-SA 4.0), words left out\n" in vtt
    assert "[+0.4] I really liked it.</c>" in vtt
    assert "\nAnd then.\n" in vtt
    assert "\nAnd then.\n" in render_srt(wordless(), scores=True).decode("utf-8")


def test_an_overlay_draws_no_score_where_there_is_none() -> None:
    black = np.zeros((240, 320, 3), np.uint8)
    found = replace(wordless(), segments=wordless().segments[1:2])
    overlay = Overlay(found, width=320, height=240, window=Span(0.0, 12.0), fonts=Fonts())
    panel = (slice(0, 60), slice(0, 320))
    np.testing.assert_array_equal(overlay.draw(black, 4.0)[panel], overlay.draw(black, 1.0)[panel])


@pytest.mark.parametrize(
    ("start_s", "end_s", "part"),
    [
        (0.0, None, None),
        (0.0, 12.4, None),
        (0.0, 99.0, None),
        (0.0, 12.38, None),
        (2.0, None, "0:02.0 to 0:12.4"),
        (2.0, 99.0, "0:02.0 to 0:12.4"),
        (0.0, 10.0, "0:00.0 to 0:10.0"),
        (2.0, 10.0, "0:02.0 to 0:10.0"),
    ],
)
def test_a_part_is_named_by_its_times(start_s: float, end_s: float | None, part: str) -> None:
    assert part_of(start_s, end_s, 12.4) == part
    found = of(Run(start_s=start_s, end_s=end_s), segment("So.", start_s=3.0, end_s=9.5))
    last = next(line for line in render_table(found, Look()).splitlines() if "all " in line)
    page = seen_in(page_of(found))
    vtt = render_vtt(found).decode("utf-8")
    row = index_row(found.to_dict(), path="clip.mp4", report=None)
    if part is None:
        assert "the whole clip" in last and "The whole clip" in page and " to " not in vtt
        assert "clip.mp4 · 0:12.4 · en" in render_table(found, Look())
        assert row["warnings"] == []
        return
    assert f"{part} of the clip" in last and f"clip.mp4 · {part} of 0:12.4 · en" in (
        render_table(found, Look())
    )
    assert f"{part} of the clip" in page and "whole clip" not in page
    assert f"{part} of 0:12.4" in page
    assert f", {part}\n" in vtt
    assert row["warnings"] == [f"{part} of the clip"]


def test_what_lies_outside_the_part_is_not_missing() -> None:
    found = of(Run(start_s=2.0, end_s=10.0), segment("So.", start_s=3.0, end_s=9.5))
    assert gaps_of(found.to_dict()) == {}
    found = of(Run(start_s=2.0, end_s=99.0), segment("So.", start_s=4.5, end_s=9.5))
    gaps = [(g.time, g.until) for g in gaps_of(found.to_dict())["not scored"]]
    assert gaps == [("0:02.0", "0:04.5"), ("0:09.5", "0:12.4")]


def test_a_picture_stays_a_picture() -> None:
    media = MediaInfo(Path("a.jpg"), "0" * 64, 0.0, False, True, True, 64, 64, None)
    found = replace(analysis("a.jpg", segment(None, 0.4, start_s=0.0, end_s=0.0)), media=media)
    assert "the picture" in render_table(found, Look())
    assert "The picture" in page_of(found)


def test_a_picture_has_no_part() -> None:
    assert part_of(0.0, None, 0.0) is None
    assert part_of(2.0, 5.0, 0.0) is None
