"""The manifests of dashfusion-mini and dashfusion-base, written from a folder of data sets.

    python -m dashfusion_training.mini.recipe --data DATA --output MANIFESTS

writes one CSV a source. Paths in them are relative to DATA, which `train` and `extract` take as
`--media-root`.

Who is kept out of training is decided here and nowhere else: by speaker, by person, by video.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["GOEMOTIONS_SCORES", "goemotions", "main", "write_manifests"]

COLUMNS = (
    "file", "text", "label", "split", "id", "person", "video_id", "clip_id", "modalities",
)  # fmt: skip
ManifestRow = dict[str, str]

RAVDESS_EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
}  # fmt: skip
JAVANESE_EMOTIONS = {
    "01": "neutral", "02": "sad", "03": "happy", "04": "surprised", "05": "fear", "06": "angry",
}  # fmt: skip

# Kept for the final check of a release; no shipped model learns from them.
FINAL_VIDEOS = frozenset({"03bSnISJMiM", "1DmNV9C1hbY", "8qrpnFRGt2A", "_dI--eQ6qVU"})
MISCUT = frozenset({("2WGyTLYerpo", "44")})  # 52 s of speech, labelled as three words
VALID_SPEAKERS, TEST_SPEAKERS = frozenset({"15", "16"}), frozenset({"17", "18", "19", "20"})
VALID_ACTORS, TEST_ACTORS = frozenset({"06"}), frozenset({"07", "08"})
VALID_PERSONS, TEST_PERSONS = 8, 20  # of 100 buckets

# Speakers of `voices`, of whom none is in two splits.
VALID_POLISH, TEST_POLISH = frozenset({"KS0"}), frozenset({"EB0", "TP0"})
VALID_KOREAN, TEST_KOREAN = frozenset({"emh", "neo"}), frozenset({"emb", "emg", "neb", "nel"})
VALID_INDIAN, TEST_INDIAN = 8, 20  # of 100 buckets

# GoEmotions: each emotion as a score on [-3, 3]. A comment with several has their mean. Those that
# say nothing of good or bad, or may say either, stand at 0 or near it.
GOEMOTIONS_SCORES = {
    "admiration": 2.0, "amusement": 1.5, "anger": -2.0, "annoyance": -1.5, "approval": 1.0,
    "caring": 1.0, "confusion": -0.25, "curiosity": 0.0, "desire": 0.5, "disappointment": -1.5,
    "disapproval": -1.25, "disgust": -2.25, "embarrassment": -1.0, "excitement": 2.0,
    "fear": -1.5, "gratitude": 2.0, "grief": -2.0, "joy": 2.25, "love": 2.5,
    "nervousness": -0.75, "optimism": 1.25, "pride": 1.75, "realization": 0.0, "relief": 1.25,
    "remorse": -1.25, "sadness": -1.75, "surprise": 0.0, "neutral": 0.0,
}  # fmt: skip
GOEMOTIONS_FILES = {"train": "train", "valid": "dev", "test": "test"}
# Names were taken out of the comments; words stand in their place, as people would have written.
GOEMOTIONS_NAMES = {"[NAME]": "Alex", "[RELIGION]": "religion"}
# What shows how a training goes must not cost as much as it; every fifth comment will do.
GOEMOTIONS_VALID_EVERY = 5


def write_manifests(data: Path, output: Path) -> list[Path]:
    """Write the manifest of each source whose folder lies in `data`; return their paths."""
    output.mkdir(parents=True, exist_ok=True)
    sources = {
        "mosi_clips": _mosi_clips,
        "mosi_heard": _mosi_heard,
        "mosi_text": lambda d: _benchmark_text(d, "mosi"),
        "mosei_text": lambda d: _benchmark_text(d, "mosei"),
        "ravdess": _ravdess,
        "javanese": _javanese,
        "faces": _faces,
        "goemotions": _goemotions,
        "nemo": _nemo,
        "emospeech_india": _emospeech_india,
        "korean": _korean,
    }
    written = []
    for name, rows in sources.items():
        path = output / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, restval="")
            table.writeheader()
            table.writerows(rows(data))
        written.append(path)
    return written


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _mosi_clips(data: Path) -> Iterator[ManifestRow]:
    """Words, voice and face of one moment with a label.

    All of them train, as in the official split; what they tell of unseen videos is measured by
    cross-validation, which leaves whole videos out.
    """
    for row in _read(data / "mosi_clips" / "labels.csv"):
        if (row["video_id"], row["clip_id"]) in MISCUT:
            continue
        yield {
            "file": f"mosi_clips/{row['file']}",
            "text": row["text"],
            "label": row["label"],
            "split": row["mode"],
            "id": f"{row['video_id']}${row['clip_id']}",
            "person": row["video_id"],
            "video_id": row["video_id"],
            "clip_id": row["clip_id"],
            "modalities": "text,audio,vision",
        }


def _mosi_heard(data: Path) -> Iterator[ManifestRow]:
    """What the recogniser writes of the clips; voice and face are those of `mosi_clips`."""
    for row in _mosi_clips(data):
        yield {**row, "text": "", "modalities": "text"}


def _benchmark_text(data: Path, name: str) -> Iterator[ManifestRow]:
    """Official texts and splits, without the videos that are kept out and those seen as clips."""
    clips = {(r["video_id"]) for r in _read(data / "mosi_clips" / "labels.csv")}
    for row in _read(data / "labels" / f"{name}.csv"):
        if row["video_id"] in FINAL_VIDEOS or (name == "mosi" and row["video_id"] in clips):
            continue
        yield {
            "text": row["text"],
            "label": row["label"],
            "split": row["mode"],
            "id": f"{row['video_id']}${row['clip_id']}",
            "video_id": row["video_id"],
            "clip_id": row["clip_id"],
            "modalities": "text",
        }


def _ravdess(data: Path) -> Iterator[ManifestRow]:
    """Acted speech: the words are two neutral sentences, so only the voice is taken."""
    for path in _files(data / "ravdess", "*.ogg"):
        _, _, emotion, *_, actor = path.stem.split("-")
        yield _media(data, path, RAVDESS_EMOTIONS[emotion], "audio", actor, _speaker(actor))


def _javanese(data: Path) -> Iterator[ManifestRow]:
    """Acted talking clips in Javanese: voice and face."""
    for path in _files(data / "javanese", "*.mp4"):
        actor, _, emotion = path.stem.split("_")[0].split("-")
        split = _split(actor, VALID_ACTORS, TEST_ACTORS)
        yield _media(data, path, JAVANESE_EMOTIONS[emotion], "audio,vision", actor, split)


def _faces(data: Path) -> Iterator[ManifestRow]:
    """Still pictures, split by person."""
    for row in _read(data / "faces" / "labels.csv"):
        path = data / "faces" / row["file"]
        split = _split_by_digest(row["person"], TEST_PERSONS, VALID_PERSONS)
        yield _media(data, path, row["emotion"], "vision", row["person"], split)


def _goemotions(data: Path) -> Iterator[ManifestRow]:
    """Comments of everyday life, most of which say little; no video, and nothing before them."""
    for split in GOEMOTIONS_FILES:
        comments = list(goemotions(data, split))
        for name, text, emotions in comments[:: GOEMOTIONS_VALID_EVERY if split == "valid" else 1]:
            scores = [GOEMOTIONS_SCORES[emotion] for emotion in emotions]
            for taken_out, word in GOEMOTIONS_NAMES.items():
                text = text.replace(taken_out, word)
            yield {
                "text": text,
                "label": f"{sum(scores) / len(scores):g}",
                "split": split,
                "id": name,
                "modalities": "text",
            }


def goemotions(data: Path, split: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield id, text and emotions of each comment of a split, as the data set has them."""
    folder = data / "goemotions"
    names = (folder / "labels.txt").read_text("utf-8").split()
    lines = (folder / f"{GOEMOTIONS_FILES[split]}.tsv").read_text("utf-8").splitlines()
    for line in lines:
        text, numbers, name = line.split("\t")
        yield name, text, tuple(names[int(number)] for number in numbers.split(","))


def _nemo(data: Path) -> Iterator[ManifestRow]:
    """Acted Polish speech; the same sentences whatever the emotion."""
    for row in _read(data / "voices" / "nemo.csv"):
        split = _split(row["speaker"], VALID_POLISH, TEST_POLISH)
        yield _voice(data, row, split)


def _korean(data: Path) -> Iterator[ManifestRow]:
    """Acted Korean speech: the voice alone, for some of the sentences give the emotion away."""
    for row in _read(data / "voices" / "korean.csv"):
        yield _voice(data, row, _split(row["speaker"], VALID_KOREAN, TEST_KOREAN))


def _emospeech_india(data: Path) -> Iterator[ManifestRow]:
    """Keywords that lay speakers said as they were prompted to, balanced over each word.

    Of each word a split has as many samples of each sign, so that no word tells the emotion: which
    ones is decided by the digest of their names. A word without one of the three is left out.
    """
    groups: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    for row in _read(data / "voices" / "emospeech_india.csv"):
        split = _split_by_digest(row["speaker"], TEST_INDIAN, VALID_INDIAN)
        of_word = groups.setdefault((split, row["text"]), {"-1": [], "0": [], "1": []})
        of_word[row["valence"]].append(row)
    for (split, _), by_sign in groups.items():
        least = min(map(len, by_sign.values()))
        for some in by_sign.values():
            for row in sorted(some, key=lambda r: _digest(r["file"]))[:least]:
                yield _voice(data, row, split)


def _voice(data: Path, row: dict[str, str], split: str) -> ManifestRow:
    """A row of a table of `voices`, whose files lie beside it."""
    path = data / "voices" / row["file"]
    return _media(data, path, row["emotion"], "audio", row["speaker"], split)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _media(
    data: Path, path: Path, label: str, modalities: str, person: str, split: str
) -> ManifestRow:
    return {
        "file": path.relative_to(data).as_posix(),
        "label": label,
        "split": split,
        "id": path.stem,
        "person": person,
        "modalities": modalities,
    }


def _files(folder: Path, pattern: str) -> Iterable[Path]:
    return sorted(folder.glob(pattern))


def _speaker(actor: str) -> str:
    return _split(actor, VALID_SPEAKERS, TEST_SPEAKERS)


def _split_by_digest(person: str, test: int, valid: int) -> str:
    """Return the split of a person: `test` and `valid` of each hundred, told by a digest."""
    bucket = int(_digest(person), 16) % 100
    return "test" if bucket < test else "valid" if bucket < test + valid else "train"


def _split(who: str, valid: frozenset[str], test: frozenset[str]) -> str:
    return "valid" if who in valid else "test" if who in test else "train"


def main() -> None:
    """Write the manifests and name them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for path in write_manifests(arguments.data, arguments.output):
        print(path)


if __name__ == "__main__":
    main()
