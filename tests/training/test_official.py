"""Official files become stores that hold what a plain reading of them gives, or nothing at all."""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashfusion_models.collate import Normalisation, _pad
from dashfusion_models.errors import DataError
from dashfusion_models.records import Progress
from dashfusion_models.store import SHARD_SAMPLES, Store
from dashfusion_training.benchmarks import BENCHMARKS, Benchmark, benchmark
from dashfusion_training.official import Prepared, prepare
from dashfusion_training.store_facts import describe, verify, verify_file, verify_store
from tests.training.official_form import Kind, official_split, write_official_file

COUNTS = {"train": SHARD_SAMPLES + 6, "valid": 9, "test": 8}
MOSI = benchmark("mosi")
Data = dict[str, dict[str, Any]]


def quiet(event: Progress) -> None: ...


def make(path: Path, change: Callable[[Data], object] = lambda data: None) -> Path:
    """A small file of MOSI's form, changed."""
    data = {
        split: official_split(MOSI, split, 4, seed=1, kind="sum")
        for split in ("train", "valid", "test")
    }
    change(data)
    path.write_bytes(pickle.dumps(data, 4))
    return path


def prepared(path: Path, change: Callable[[Data], object] = lambda data: None) -> Prepared:
    return prepare(MOSI, make(path / "file.pkl", change), path / "store", quiet)


def expected_frames(part: dict[str, Any], modality: str, k: int) -> tuple[np.ndarray, list[bool]]:
    """METHOD.md section 1 read aloud, for one sample."""
    frames = np.array(part[modality][k], np.float32)
    frames[~np.isfinite(frames)] = 0
    held = [bool((frame != 0).any()) for frame in frames]
    if f"{modality}_lengths" in part:
        length = int(part[f"{modality}_lengths"][k])
    else:
        length = max((t + 1 for t, there in enumerate(held) if there), default=0)
    valid = [there and t < length for t, there in enumerate(held)]
    steps = max((t + 1 for t, there in enumerate(valid) if there), default=0)
    return frames[:steps], valid[:steps]


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize(
    ("name", "kind", "protocol"),
    [("mosi", "sum", 4), ("mosei", "agreement", 5), ("sims", "sum", 3), ("mosi", "sum", 2)],
)
def test_a_store_holds_what_the_file_says(
    name: str, kind: Kind, protocol: int, lengths: bool, tmp_path: Path
) -> None:
    file = write_official_file(
        tmp_path / "file.pkl",
        name,
        COUNTS,
        seed=5,
        kind=kind,
        lengths=lengths,
        protocol=protocol,
        text_features=name == "mosi",
    )
    found = prepare(benchmark(name), file, tmp_path / "store", quiet)
    store = Store(tmp_path / "store")
    data = pickle.loads(file.read_bytes())
    assert len(store) == sum(COUNTS.values())
    assert store.audio.dims == data["train"]["audio"].shape[2]
    assert store.vision.extractor == f"{name} official vision"
    samples = [(split, k) for split in data for k in range(len(data[split]["id"]))]
    assert len(samples) == len(store)
    for (split, k), (row, features) in zip(samples, store, strict=True):
        part = data[split]
        assert (row.id, row.split, row.text) == (part["id"][k], split, part["raw_text"][k])
        assert row.label == round(float(part["regression_labels"][k]), 1)
        assert f"{row.video_id}$_${row.clip_id}" == row.id
        assert row.audio and row.vision
        for modality in ("audio", "vision"):
            values, real = expected_frames(part, modality, k)
            sequence = getattr(features, modality)
            assert sequence.values.dtype == np.float32
            np.testing.assert_array_equal(sequence.values, values)
            assert sequence.real.tolist() == real
    assert found.counts == COUNTS
    for split, part in data.items():
        for modality in ("audio", "vision"):
            facts = found.frames[split][modality]
            wanted = [expected_frames(part, modality, k) for k in range(COUNTS[split])]
            assert facts.nan == np.isnan(part[modality]).sum() + 0
            assert facts.infinite == np.isinf(part[modality]).sum()
            assert facts.kept == sum(sum(real) for _, real in wanted)
            assert facts.max_steps == max(len(real) for _, real in wanted)
            assert facts.mean_steps == pytest.approx(np.mean([len(real) for _, real in wanted]))
            if lengths:
                assert facts.dropped == sum(part[f"{modality}_lengths"]) - facts.kept
    assert sum(f.nan + f.infinite for by in found.frames.values() for f in by.values()) > 0


def test_the_benchmarks_are_those_of_the_paper() -> None:
    assert {name: sum(row.counts.values()) for name, row in BENCHMARKS.items()} == {
        "mosi": 2199,
        "mosei": 22856,
        "sims": 2281,
    }
    assert all(len(row.sha256) == 64 for row in BENCHMARKS.values())
    with pytest.raises(DataError, match="iemocap: is no benchmark; known are mosi, mosei, sims"):
        benchmark("iemocap")


def test_what_was_prepared_is_recorded(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    source = json.loads((tmp_path / "store" / "source.json").read_text("utf-8"))
    content = (tmp_path / "file.pkl").read_bytes()
    assert source["sha256"] == hashlib.sha256(content).hexdigest() == found.sha256
    assert (source["benchmark"], source["file_name"]) == ("mosi", "file.pkl")
    assert source["sha256_known"] is False
    assert source["counts"] == {"train": 4, "valid": 4, "test": 4}
    assert source["expected"] == {"train": 1284, "valid": 229, "test": 686}
    assert source["frames"]["train"]["audio"]["infinite"] == 2
    assert list(source["shards"]) == ["shard-00000.safetensors"]
    assert str(tmp_path) not in json.dumps(source)
    assert [w for w in found.warnings if "table I" in w] == [
        "train has 4 samples, table I has 1284",
        "valid has 4 samples, table I has 229",
        "test has 4 samples, table I has 686",
    ]


def test_a_known_file_of_the_right_size_has_no_warnings(tmp_path: Path) -> None:
    file = make(tmp_path / "file.pkl")
    known = hashlib.sha256(file.read_bytes()).hexdigest()
    row = replace(MOSI, sha256=known, counts={"train": 4, "valid": 4, "test": 4})
    found = prepare(row, file, tmp_path / "store", quiet)
    assert found.sha256_known
    assert found.warnings == ()


def test_a_silent_sample_stays_present(tmp_path: Path) -> None:
    def silence(data: Data) -> None:
        data["train"]["audio"][2] = 0
        data["train"]["vision"][1] = np.nan

    found = prepared(tmp_path, silence)
    store = Store(tmp_path / "store")
    assert store.rows[2].audio
    silent = store[2].audio
    assert silent is not None
    assert silent.values.shape == (0, 5)
    assert found.frames["train"]["audio"].silent == 1
    assert found.frames["train"]["vision"].silent == 1
    batch = _pad([store[2].audio, store[3].audio], Normalisation.identity(5))
    assert not batch.real[0].any()
    assert batch.real[1].any()


def test_frames_beyond_the_stated_length_are_not_used(tmp_path: Path) -> None:
    def shorten(data: Data) -> None:
        data["valid"]["audio_lengths"][1] = 2
        data["valid"]["vision_lengths"][0] = 501

    found = prepared(tmp_path, shorten)
    frames = Store(tmp_path / "store")[5].audio
    assert frames is not None
    assert len(frames.real) <= 2
    assert any("audio lie beyond" in w for w in found.warnings)
    assert "valid: 1 of vision_lengths exceed the 500 steps that there are; cut to them" in (
        found.warnings
    )


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        (np.float32([0.4, -2.8, 1 / 3, -0.0]), [0.4, -2.8, 0.33333334, 0.0]),
        (np.float64([0.4, 0.1, 1 / 3, 3.0]), [0.4, 0.1, 1 / 3, 3.0]),
        ([np.float32(0.2), 1, 0.7, -3], [0.2, 1.0, 0.7, -3.0]),
        (np.float32([[0.4], [1], [2], [3]]), [0.4, 1.0, 2.0, 3.0]),
    ],
)
def test_labels_are_the_shortest_decimals(label: Any, stored: list[float], tmp_path: Path) -> None:
    prepared(tmp_path, lambda data: data["train"].update(regression_labels=label))
    rows = Store(tmp_path / "store").rows[:4]
    assert [row.label for row in rows] == stored
    assert not any(np.signbit(row.label) and row.label == 0 for row in rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "texts",
    [["one", "two", "", "四"], np.array(["one", "two", "", "四"], object)],
)
def test_texts_may_be_a_list_or_an_array_of_objects(texts: Any, tmp_path: Path) -> None:
    prepared(tmp_path, lambda data: data["train"].update(raw_text=texts))
    assert [row.text for row in Store(tmp_path / "store").rows[:4]] == ["one", "two", "", "四"]


def test_parts_are_enough_as_long_as_there_is_something_to_train_on(tmp_path: Path) -> None:
    found = prepared(tmp_path, lambda data: (data.pop("valid"), data.pop("test")))
    assert found.counts == {"train": 4}
    assert "there is no split test; table I has 686 samples in it" in found.warnings


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


# -- what a store holds, and whether it still does --


def test_a_store_is_described(tmp_path: Path) -> None:
    prepared(tmp_path)
    facts = describe(tmp_path / "store").to_dict()
    assert (facts["samples"], list(facts["splits"])) == (12, ["train", "valid", "test"])
    assert facts["splits"]["train"]["audio"] == 4
    assert facts["features"]["vision"]["dims"] == 20
    assert facts["source"]["benchmark"] == "mosi"
    assert facts["digest"] == Store(tmp_path / "store").digest()


def test_a_sound_store_is_verified_and_a_changed_shard_is_named(tmp_path: Path) -> None:
    prepared(tmp_path)
    found = verify(tmp_path / "store", quiet)
    assert (found.kind, found.benchmark, found.shards) == ("store", "mosi", 1)
    shard = tmp_path / "store" / "shard-00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"shard-00000\.safetensors: differs"):
        verify_store(tmp_path / "store", quiet)
    shard.rename(shard.with_name("shard-00001.safetensors"))
    with pytest.raises(DataError, match=r"shard-00001\.safetensors: was not there"):
        verify_store(tmp_path / "store", quiet)
    shard.with_name("shard-00001.safetensors").unlink()
    with pytest.raises(DataError, match=r"shard-00000\.safetensors: is missing"):
        verify_store(tmp_path / "store", quiet)


def test_changed_specifications_are_noticed(tmp_path: Path) -> None:
    prepared(tmp_path)
    head = tmp_path / "store" / "store.json"
    head.write_text(head.read_text("utf-8").replace("mosi official", "mosei official"), "utf-8")
    with pytest.raises(DataError, match=r"store\.json: differs"):
        verify_store(tmp_path / "store", quiet)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "dashfusion/source/1"}', "\x00"])
def test_a_damaged_record_is_told(content: str, tmp_path: Path) -> None:
    prepared(tmp_path)
    (tmp_path / "store" / "source.json").write_text(content, "utf-8")
    with pytest.raises(DataError, match=r"source\.json: "):
        verify_store(tmp_path / "store", quiet)


def test_a_record_never_leads_out_of_its_store(tmp_path: Path) -> None:
    prepared(tmp_path)
    path = tmp_path / "store" / "source.json"
    source = json.loads(path.read_text("utf-8"))
    source["shards"]["../../secret"] = "0" * 64
    path.write_text(json.dumps(source), "utf-8")
    with pytest.raises(DataError, match="has another form"):
        verify_store(tmp_path / "store", quiet)


def test_a_published_file_is_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(tmp_path / "renamed.pkl")
    with pytest.raises(DataError, match=r"renamed\.pkl: SHA-256 [0-9a-f]{64} is unknown"):
        verify_file(file, quiet)
    known: dict[str, Benchmark] = {
        "sims": replace(benchmark("sims"), sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    }
    monkeypatch.setattr("dashfusion_training.store_facts.BENCHMARKS", known)
    assert verify(file, quiet).benchmark == "sims"
