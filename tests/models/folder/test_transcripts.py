"""Transcripts beside the files of a folder: found, recorded, and a reason to do a file again."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from dashfusion_models.folder import AnalyzeTask, Job, Recipe
from dashfusion_models.folder.transcripts import SUFFIXES, beside
from dashfusion_models.speech.transcript_file import read_transcript

from .conftest import RECIPE, House


@pytest.fixture
def heard(house: House) -> House:
    """A folder whose transcripts are wanted."""
    house.wanted["transcripts"] = True
    return house


def write(house: House, **words: str) -> None:
    """Transcripts by the names of the files: `a_srt` beside a.mp4."""
    for name, text in words.items():
        (house.folder / name.replace("_", ".")).write_text(text)


def runs(house: House) -> dict[str, Any]:
    """What each record says of its transcript: its name and the beginning of its digest."""
    found = {name: record.get("run") for name, record in house.records().items()}
    return {n: run and (run["transcript"], run["transcript_sha256"]) for n, run in found.items()}


def said(house: House, name: str, text: str) -> tuple[str, str]:
    return (str(house.folder / name), hashlib.sha256(text.encode()).hexdigest())


def test_the_first_of_vtt_srt_and_txt_is_taken(tmp_path: Path) -> None:
    clip = str(tmp_path / "clip.mp4")
    assert beside(clip) is None
    (tmp_path / "clip.mp4.txt").touch()
    (tmp_path / "other.vtt").touch()
    (tmp_path / "clip.vtt").mkdir()
    assert beside(clip) is None
    for suffix in (".txt", ".srt"):
        (tmp_path / f"clip{suffix}").touch()
        assert beside(clip) == str(tmp_path / f"clip{suffix}")
    (tmp_path / "clip.vtt").rmdir()
    (tmp_path / "clip.vtt").touch()
    assert beside(clip) == str(tmp_path / "clip.vtt")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_found_can_be_read(tmp_path: Path, suffix: str) -> None:
    cue = "1\n00:00:01.000 --> 00:00:02.000\nYes.\n"
    text = {".vtt": f"WEBVTT\n\n{cue}", ".srt": cue, ".txt": "Yes."}[suffix]
    path = tmp_path / f"clip{suffix}"
    path.write_text(text)
    assert [phrase.text for phrase in read_transcript(path).phrases] == ["Yes."]


def test_only_where_they_are_wanted(house: House) -> None:
    house.plant(a="ok")
    write(house, a_srt="yes")
    house.run()
    assert runs(house) == {"a": None}


def test_a_transcript_that_comes_changes_or_goes_has_its_file_done_again(heard: House) -> None:
    heard.plant(a="ok", b="ok", c="ok", d="ok")
    write(heard, a_srt="yes", b_vtt="no", c_txt="so")
    assert heard.run() == (4, 0, 0)
    expected = {
        "a": said(heard, "a.srt", "yes"),
        "b": said(heard, "b.vtt", "no"),
        "c": said(heard, "c.txt", "so"),
        "d": None,
    }
    assert runs(heard) == expected
    assert heard.run() == (4, 0, 0)
    os.utime(heard.folder / "a.srt", (1, 1))
    write(heard, b_vtt="yes", d_txt="and so")
    (heard.folder / "c.txt").unlink()
    assert heard.run() == (4, 0, 0)
    assert heard.starts() == {"a": 1, "b": 2, "c": 2, "d": 2}
    changed = {"b": said(heard, "b.vtt", "yes"), "c": None, "d": said(heard, "d.txt", "and so")}
    assert runs(heard) == expected | changed
    (heard.folder / "a.srt").rename(heard.folder / "a.vtt")  # is read otherwise
    heard.run()
    assert heard.starts()["a"] == 2


def test_neither_is_read_again_where_neither_changed(
    heard: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard.plant(a="ok", b="ok")
    write(heard, a_srt="yes")
    for path in heard.folder.iterdir():
        os.utime(path, (1, 1))
    real = time.time
    monkeypatch.setattr("dashfusion_models.folder.found.time.time", lambda: real() + 60)
    heard.run()

    def never(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("dashfusion_models.folder.batch.sha256_of", never)
    monkeypatch.setattr("dashfusion_models.folder.transcripts.readable_sha256", never)
    assert heard.run() == (2, 0, 0)
    assert heard.starts() == {"a": 1, "b": 1}


def test_a_broken_transcript_fails_its_file_until_it_is_mended(heard: House) -> None:
    heard.plant(a="ok", b="ok")
    write(heard, a_srt="broken")
    assert heard.run() == (1, 1, 0)
    record = heard.records()["a"]
    fact = f"{heard.folder / 'a.srt'}: no words in it; check that it is the right file"
    assert record["error"] == {"kind": "transcript", "message": fact}
    assert runs(heard)["a"] == said(heard, "a.srt", "broken")
    heard.run()
    assert heard.starts() == {"a": 1, "b": 1}
    write(heard, a_srt="yes")
    assert heard.run() == (2, 0, 0)
    assert runs(heard)["a"] == said(heard, "a.srt", "yes")


@pytest.mark.parametrize("damage", ["gone", "rubbish"])
def test_the_work_list_made_again_knows_the_transcripts(heard: House, damage: str) -> None:
    heard.plant(a="ok", b="ok")
    write(heard, a_srt="yes", b_txt="broken")
    heard.run()
    work = heard.results / "work.sqlite"
    work.unlink() if damage == "gone" else work.write_bytes(b"rubbish" * 1000)
    before = heard.lines.read_bytes()
    assert heard.run() == (1, 1, 0)
    assert heard.lines.read_bytes() == before
    assert heard.starts() == {"a": 1, "b": 1}


def test_the_same_content_with_other_words_is_done_for_itself(heard: House) -> None:
    heard.plant(a="ok")
    for name in "bcd":
        (heard.folder / f"{name}.mp4").write_bytes((heard.folder / "a.mp4").read_bytes())
    write(heard, a_srt="yes", b_srt="no")
    heard.run(heard.engine(workers=1))
    (heard.folder / "c.srt").write_text("yes")
    assert heard.run() == (4, 0, 0)
    assert heard.starts() == {"a": 1, "b": 1, "c": 1}
    assert runs(heard) == {
        "a": said(heard, "a.srt", "yes"),
        "b": said(heard, "b.srt", "no"),
        "c": said(heard, "c.srt", "yes"),  # told again of a.mp4
        "d": None,
    }


def test_results_of_before_there_were_transcripts_go_on(house: House) -> None:
    house.plant(a="ok", b="bad")
    write(house, a_srt="yes")
    house.run()
    for record in house.records().values():
        assert "run" not in record
    assert "transcripts" not in json.loads((house.results / "batch.json").read_text())["options"]
    house.plant(c="ok")
    house.wanted["transcripts"] = False
    assert house.run() == (2, 1, 0)
    assert house.starts() == {"a": 1, "b": 1, "c": 1}


def test_transcripts_are_an_option_that_is_compared() -> None:
    wanted = Recipe("mini", "1" * 64, {**RECIPE.options, "transcripts": True})
    assert wanted.differences(RECIPE) == ["--transcripts was not given and is on"]
    assert RECIPE.differences(wanted) == ["--transcripts was on and is not given"]


def test_the_work_of_a_job_takes_its_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Found:
        def to_dict(self) -> dict[str, Any]:
            return {}

    class Loaded:
        def analyze(self, path: str, options: Any, *, report: Any) -> Found:
            asked.append((path, options.transcript, options.segments))
            return Found()

    from dashfusion_models.analyzer import Analyzer

    monkeypatch.setattr(Analyzer, "load", lambda **_: Loaded())
    work = AnalyzeTask(options={"segments": "whole"})()
    work(Job("a.mp4", "x/a.mp4", 1, 1.0, "x/a.vtt"))
    work(Job("b.mp4", "x/b.mp4", 1, 1.0))
    assert asked == [("x/a.mp4", "x/a.vtt", "whole"), ("x/b.mp4", None, "whole")]
