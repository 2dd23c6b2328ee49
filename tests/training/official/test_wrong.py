"""An official file that is wrong ends with one line, and nothing is left of its store."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.errors import DataError
from dashfusion_models.records import Progress
from dashfusion_training.official.prepare import prepare
from tests.training.official.small import MOSI, Data, make, prepared, quiet

WRONG: dict[str, tuple[Callable[[Data], object], str]] = {
    "no train": (lambda d: d.pop("train"), "has no split 'train'"),
    "no dictionary": (lambda d: d.update(test=[]), "test is no dictionary"),  # type: ignore[call-overload]
    "missing key": (lambda d: d["test"].pop("audio"), "test has no key audio"),
    "missing keys": (
        lambda d: [d["test"].pop(key) for key in ("id", "raw_text")],
        "no key raw_text, id",
    ),
    "a key of no sense": (lambda d: d["test"].update(id=7), "id is no array or list"),
    "unequal numbers": (lambda d: d["valid"].update(id=["a$_$1"]), "unequal numbers of samples"),
    "no samples": (
        lambda d: d.update(valid={key: value[:0] for key, value in d["valid"].items()}),
        "valid is empty",
    ),
    "two dimensions": (
        lambda d: d["train"].update(audio=d["train"]["audio"][:, :, 0]),
        "audio has shape (4, 375), not (samples, steps, 5)",
    ),
    "other features": (
        lambda d: d["train"].update(vision=d["train"]["vision"][:, :, :19]),
        "vision has shape (4, 500, 19), not (samples, steps, 20)",
    ),
    "too many steps": (
        lambda d: d["train"].update(audio=np.zeros((4, 376, 5), np.float32)),
        "audio has 376 steps, mosi has at most 375",
    ),
    "frames of words": (
        lambda d: d["train"].update(audio=np.full((4, 3, 5), "x")),
        "audio is no array of numbers",
    ),
    "frames in a list": (
        lambda d: d["train"].update(audio=d["train"]["audio"].tolist()),
        "audio is no array of numbers",
    ),
    "label outside": (
        lambda d: d["test"]["regression_labels"].__setitem__(2, 3.2),
        "test0000$_$2: label 3.2 is outside mosi's range [-3, 3]",
    ),
    "label of NaN": (
        lambda d: d["test"]["regression_labels"].__setitem__(1, np.nan),
        "test0000$_$1: label nan is outside",
    ),
    "label of words": (
        lambda d: d["test"].update(regression_labels=["good", 1, 1, 1]),
        "regression_labels of sample 0 is no number",
    ),
    "two labels a sample": (
        lambda d: d["test"].update(regression_labels=np.zeros((4, 2))),
        "8 numbers for 4 samples",
    ),
    "an endless label": (
        lambda d: d["test"].update(regression_labels=[2**400, 1, 1, 1]),
        "regression_labels of sample 0 is no number",
    ),
    "an id twice": (
        lambda d: d["test"]["id"].__setitem__(0, "train0000$_$1"),
        "test: id 'train0000$_$1' stands twice",
    ),
    "a text of bytes": (
        lambda d: d["test"].update(raw_text=np.array([b"a"] * 4)),
        "raw_text of sample 0 is no text",
    ),
    "half a character": (
        lambda d: d["test"].update(raw_text=np.array(["a", "b", "\ud800", "c"])),
        "raw_text of sample 2 is no text",
    ),
    "a number as text": (
        lambda d: d["test"].update(raw_text=["a", 2, "b", "c"]),
        "raw_text of sample 1 is no text",
    ),
    "half a length": (
        lambda d: d["test"]["audio_lengths"].__setitem__(3, 2.5),
        "test0000$_$3: 2.5 is no length",
    ),
    "a negative length": (
        lambda d: d["test"]["audio_lengths"].__setitem__(3, -1),
        "test0000$_$3: -1 is no length",
    ),
    "a missing length": (
        lambda d: d["test"]["vision_lengths"].pop(),
        "vision_lengths does not have a number for each sample",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_ends_with_one_line_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    change, said = WRONG[kind]
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, change)
    message = str(caught.value)
    assert said in message
    assert message.startswith(str(tmp_path / "file.pkl"))
    assert "; " in message
    assert "\n" not in message
    assert [path.name for path in tmp_path.iterdir()] == ["file.pkl"]


def test_a_pickle_of_something_else_is_told(tmp_path: Path) -> None:
    file = tmp_path / "list.pkl"
    file.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="no split 'train'"):
        prepare(MOSI, file, tmp_path / "store", quiet)


def test_a_missing_file_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file; mosi is at .*MMSA"):
        prepare(MOSI, tmp_path / "nowhere.pkl", tmp_path / "store", quiet)


def test_an_existing_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(DataError, match="store: exists already"):
        prepared(tmp_path)
    assert (tmp_path / "store" / "notes.txt").read_text("utf-8") == "mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_preparation_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    file = make(tmp_path / "file.pkl")

    def stop(event: Progress) -> None:
        if event.stage == "prepare" and event.done > 5:
            raise error

    with pytest.raises((KeyboardInterrupt, DataError)) as caught:
        prepare(MOSI, file, tmp_path / "store", stop)
    if isinstance(caught.value, DataError):
        assert "store: cannot be written (No space left on device)" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file.pkl"]
