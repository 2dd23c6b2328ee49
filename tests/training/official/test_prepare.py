"""Official files become stores that hold what a plain reading of them gives."""

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashfusion_models.collate import Normalisation, _pad
from dashfusion_models.errors import DataError
from dashfusion_models.store import SHARD_SAMPLES, Store
from dashfusion_training.benchmarks import BENCHMARKS, benchmark
from dashfusion_training.official.prepare import Prepared, prepare
from tests.training.official.form import Kind, write_official_file
from tests.training.official.small import MOSI, Data, make, prepared, quiet

COUNTS = {"train": SHARD_SAMPLES + 6, "valid": 9, "test": 8}


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
    assert_counted(found, data, lengths=lengths)


def assert_counted(found: Prepared, data: Data, *, lengths: bool) -> None:
    for split, part in data.items():
        for modality in ("audio", "vision"):
            facts = found.frames[split][modality]
            wanted = [expected_frames(part, modality, k) for k in range(COUNTS[split])]
            assert facts.nan == np.isnan(part[modality]).sum()
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
