"""The manifests of dashfusion-mini keep apart what must be kept apart."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from dashfusion_training.config import read_preset
from dashfusion_training.mini.recipe import (
    FINAL_VIDEOS,
    GOEMOTIONS_SCORES,
    write_manifests,
)

DATA = Path(__file__).parents[4] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data sets")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    found = {}
    for path in write_manifests(DATA, tmp_path_factory.mktemp("manifests")):
        with path.open(newline="", encoding="utf-8") as file:
            found[path.stem] = list(csv.DictReader(file))
    return found


def test_nobody_is_in_two_splits(rows: dict[str, list[dict[str, str]]]) -> None:
    for source in ("ravdess", "javanese", "faces", "nemo", "emospeech_india", "korean"):
        split_of: dict[str, str] = {}
        for row in rows[source]:
            assert split_of.setdefault(row["person"], row["split"]) == row["split"]
        assert set(split_of.values()) == {"train", "valid", "test"}


def test_what_is_kept_for_the_final_check_is_in_none(
    rows: dict[str, list[dict[str, str]]],
) -> None:
    for source in rows.values():
        assert not {row["video_id"] for row in source} & FINAL_VIDEOS


def test_texts_know_nothing_of_the_clips(rows: dict[str, list[dict[str, str]]]) -> None:
    """Cross-validation leaves videos out: their texts must not have been learned before."""
    clips = {row["video_id"] for row in rows["mosi_clips"]}
    assert len(clips) == 11
    assert {row["split"] for row in rows["mosi_clips"]} == {"train"}
    for source in ("mosi_text", "mosei_text"):
        assert not clips & {row["video_id"] for row in rows[source]}


def test_what_is_heard_is_of_the_same_clips(rows: dict[str, list[dict[str, str]]]) -> None:
    assert [r["id"] for r in rows["mosi_heard"]] == [r["id"] for r in rows["mosi_clips"]]
    assert {r["text"] for r in rows["mosi_heard"]} == {""}
    assert {r["modalities"] for r in rows["mosi_heard"]} == {"text"}


def test_sizes_and_official_splits(rows: dict[str, list[dict[str, str]]]) -> None:
    assert {name: len(found) for name, found in rows.items()} == {
        "mosi_clips": 306, "mosi_heard": 306, "mosi_text": 1803, "mosei_text": 22856,
        "ravdess": 1194, "javanese": 192, "faces": 3503, "goemotions": 43410 + 1086 + 5427,
        "nemo": 2229, "emospeech_india": 1161, "korean": 300,
    }  # fmt: skip
    assert sum(r["split"] == "test" for r in rows["mosei_text"]) == 4659
    assert sum(r["split"] == "test" for r in rows["mosi_text"]) == 686
    assert {r["person"] for r in rows["ravdess"] if r["split"] == "test"} == {
        "17", "18", "19", "20",
    }  # fmt: skip


def test_no_indian_word_tells_the_emotion(rows: dict[str, list[dict[str, str]]]) -> None:
    """In every split each word is as often said well as badly, and as calmly."""
    with (DATA / "voices" / "emospeech_india.csv").open(newline="", encoding="utf-8") as file:
        about = {Path(row["file"]).stem: row for row in csv.DictReader(file)}
    counted: dict[tuple[str, str], Counter[str]] = {}
    for row in rows["emospeech_india"]:
        facts = about[row["id"]]
        signs = counted.setdefault((row["split"], facts["text"]), Counter())
        signs[facts["valence"]] += 1
    for signs in counted.values():
        assert signs["1"] == signs["0"] == signs["-1"] > 0
    assert len({row["id"] for row in rows["emospeech_india"]}) == len(rows["emospeech_india"])


def test_new_voices_have_known_classes_and_files(rows: dict[str, list[dict[str, str]]]) -> None:
    classes = read_preset("mini-fusion").classes
    for source in ("nemo", "emospeech_india", "korean"):
        for row in rows[source]:
            assert row["label"] in classes
            assert row["modalities"] == "audio" and row["text"] == ""
            assert (DATA / row["file"]).is_file()


def test_each_emotion_of_the_comments_has_a_score() -> None:
    names = (DATA / "goemotions" / "labels.txt").read_text("utf-8").split()
    assert set(names) == set(GOEMOTIONS_SCORES)
    assert all(-3 <= score <= 3 for score in GOEMOTIONS_SCORES.values())
    unclear = ("neutral", "confusion", "curiosity", "realization", "surprise")
    assert all(abs(GOEMOTIONS_SCORES[name]) < 0.5 for name in unclear)


def test_a_comment_has_the_mean_of_its_emotions(rows: dict[str, list[dict[str, str]]]) -> None:
    """Against the file itself, read by hand."""
    names = (DATA / "goemotions" / "labels.txt").read_text("utf-8").split()
    lines = (DATA / "goemotions" / "train.tsv").read_text("utf-8").splitlines()
    found = {row["id"]: row for row in rows["goemotions"] if row["split"] == "train"}
    several = 0
    for line in lines[:2000]:
        text, numbers, name = line.split("\t")
        emotions = [names[int(number)] for number in numbers.split(",")]
        mean = sum(GOEMOTIONS_SCORES[emotion] for emotion in emotions) / len(emotions)
        assert float(found[name]["label"]) == pytest.approx(mean, abs=1e-5)
        assert found[name]["text"] == text or "[NAME]" in text or "[RELIGION]" in text
        several += len(emotions) > 1
    assert several > 100
    assert not any("[NAME]" in row["text"] for row in found.values())
    assert not {row["video_id"] for row in found.values()} - {""}
