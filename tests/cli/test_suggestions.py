"""Mistyped options, choices, data sets, presets, files: what may have been meant is said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dashfusion_models.near import hinted, meant, meant_file

from .conftest import FakeRoad, Result

Command = Callable[..., Result]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("anlyze clip.mp4", 2, "Did you mean 'analyze'?"),
        ("analyze clip.mp4 --formt json", 2, "No such option: --formt. Did you mean --format?"),
        ("analyze clip.mp4 --format jsno", 2, "Did you mean json?"),
        ("analyze clip.mp4 --without visoin", 2, "Did you mean vision?"),
        ("analyze clpi.mp4", 1, "error: clpi.mp4: no such file; did you mean clip.mp4?"),
        ("data prepare moseii f.pkl --output s", 2, "Did you mean mosei?"),
        (
            "train --dataset mosii --output r",
            1,
            "error: mosii: no such data set; did you mean mosi?",
        ),
        ("train --dataset clpis.csv --output r", 1, "did you mean clips.csv?"),
        ("train --dataset mosi --preset moseii --output r", 1, "did you mean mosei?"),
        ("train --dataset mosi --set epoch=3 --output r", 1, "did you mean epochs?"),
        (
            "extract clpis.csv --output s",
            1,
            "error: clpis.csv: no such file; did you mean clips.csv?",
        ),
        ("weights path whisper-bsae", 1, "did you mean whisper-base?"),
        ("eval --dataset clips.csv --missing rnadom", 2, "Did you mean random?"),
        ("train --dataset mosi --modalities txt --output r", 2, "vision. Did you mean text?"),
        ("reproduce tabel4", 2, "Did you mean table4?"),
    ],
)
def test_what_may_have_been_meant(
    command: Command, clip: Path, line: str, code: int, said: str
) -> None:
    clip.with_name("clips.csv").write_text("file,label,split\n", "utf-8")
    done = command(*line.split())
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Value error" not in done.err  # only a programmer reads that


def test_what_is_like_nothing_lists_what_is_known(command: Command, road: FakeRoad) -> None:
    assert (
        "known presets: base-fusion, base-senses, base-text, base-words, finetune, mini, "
        in command("train", "--dataset", "mosi", "--preset", "xyzzy", "--output", "r").err
    )
    assert "name mosi, mosei, sims" in command("eval", "--dataset", "xyzzy").err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("analyze clip.mp4 --frobnicate", "Error: No such option: --frobnicate.\n"),
        ("analyze clip.mp4 --without text --without audio --without vision", "nothing to score"),
        ("batch clips --output r --workers 0", "'--workers': should be greater than or equal to 1"),
        ("train --dataset mosi --seed x --output r", "'--seed': should be a valid integer\n"),
        ("train --dataset mosi --classes a --output r", "'a' is not name=score"),
    ],
)
def test_wrong_usage_in_plain_words(command: Command, clip: Path, line: str, said: str) -> None:
    done = command(*line.split())
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_names_are_compared_without_their_case(tmp_path: Path) -> None:
    assert meant("MOSEI", ["mosi", "mosei"]) == "did you mean mosei?"
    assert meant("quite else", ["mosi", "mosei"]) == ""
    assert hinted("quite else", ["b", "a"]) == "known are a, b"
    assert hinted("mose", ["mosei", "a"]) == "did you mean mosei? known are a, mosei"
    (tmp_path / "Talk.MP4").write_bytes(b"")
    assert meant_file(tmp_path / "tlak.mp4") == f"did you mean {tmp_path / 'Talk.MP4'}?"
    assert meant_file(tmp_path / "gone" / "a.mp4") == ""
