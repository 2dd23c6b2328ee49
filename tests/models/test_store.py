"""What goes into a store comes out of it, also when it was interrupted."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dashfusion_models import store as store_module
from dashfusion_models.atomic_write import rename_finished
from dashfusion_models.errors import DataError
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.store import SHARD_SAMPLES, Row, Store, StoreWriter

AUDIO = FeatureSpec(extractor="planted", version=1, names=("a", "b", "c"))
VISION = FeatureSpec(extractor="planted", version=2, names=("x", "y"))


def sample(k: int) -> tuple[Row, Features]:
    """Every third lacks a voice, every fifth a face, every seventh words; one has no steps."""
    draw = np.random.default_rng(k)

    def frames(dims: int) -> FeatureSequence:
        steps = int(draw.integers(0, 9))
        values = draw.normal(size=(steps, dims)).astype(np.float32)
        return FeatureSequence(values=values, real=draw.random(steps) > 0.2)

    features = Features(
        text=f"words {k}" if k % 7 else None,
        audio=frames(3) if k % 3 else None,
        vision=frames(2) if k % 5 else None,
    )
    row = Row(
        id=f"s{k}",
        label=float(k) if k % 2 else "happy",
        split="train",
        text=features.text,
        audio=features.audio is not None,
        vision=features.vision is not None,
    )
    return row, features


def assert_same(found: Features, expected: Features) -> None:
    assert found.text == expected.text
    for one, other in ((found.audio, expected.audio), (found.vision, expected.vision)):
        if other is None:
            assert one is None
        else:
            assert one is not None
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.real, other.real)


def test_round_trip_over_several_shards(tmp_path: Path) -> None:
    count = 2 * SHARD_SAMPLES + 5
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        for k in range(count):
            writer.add(*sample(k))
    store = Store(tmp_path / "store")
    assert len(store) == count
    assert (store.audio, store.vision) == (AUDIO, VISION)
    for k, (row, features) in enumerate(store):
        expected_row, expected = sample(k)
        assert row == expected_row
        assert_same(features, expected)


def test_a_store_of_before_files_and_times_were_kept_opens(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        writer.add(*sample(1))
    (path,) = (tmp_path / "store").glob("shard-*")
    (row,) = json.loads(safe_open(path, framework="numpy").metadata()["rows"])
    for name in ("file", "start_s", "end_s"):
        del row[name]
    save_file(load_file(path), path, {"rows": json.dumps([row])})
    assert Store(tmp_path / "store").rows == [sample(1)[0]]


def test_an_interrupted_store_goes_on_with_what_was_flushed(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION)
    for k in range(SHARD_SAMPLES + 3):  # the last three are pending when the power goes
        writer.add(*sample(k))
    again = StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION)
    assert again.done == {f"s{k}" for k in range(SHARD_SAMPLES)}
    with again:
        for k in range(SHARD_SAMPLES, SHARD_SAMPLES + 3):
            again.add(*sample(k))
    assert [row.id for row in Store(tmp_path / "store").rows] == [
        f"s{k}" for k in range(SHARD_SAMPLES + 3)
    ]


def test_other_features_are_refused(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        writer.add(*sample(1))
    newer = FeatureSpec(extractor="planted", version=2, names=AUDIO.names)
    with pytest.raises(DataError, match="other features"):
        StoreWriter(tmp_path / "store", audio=newer, vision=VISION)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a store"):
        Store(tmp_path)
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(DataError, match="not empty"):
        StoreWriter(tmp_path, audio=AUDIO, vision=VISION)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        writer.add(*sample(1))
    shard = next((tmp_path / "store").glob("shard-*"))
    shard.write_bytes(shard.read_bytes()[:20])
    with pytest.raises(DataError, match=shard.name):
        Store(tmp_path / "store")


def test_a_new_shard_never_takes_the_name_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for k in range(2 * SHARD_SAMPLES):
            writer.add(*sample(k))
    (folder / "shard-00000.safetensors").unlink()  # it was damaged
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        writer.add(*sample(0))
    ids = {row.id for row in Store(folder).rows}
    assert ids == {"s0", *(f"s{k}" for k in range(SHARD_SAMPLES, 2 * SHARD_SAMPLES))}


def test_steps_are_known_without_reading(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        for k in range(SHARD_SAMPLES + 5):
            writer.add(*sample(k))
    steps = Store(tmp_path / "store").steps("audio")
    expected = [sample(k)[1].audio for k in range(SHARD_SAMPLES + 5)]
    assert steps.tolist() == [0 if frames is None else len(frames.real) for frames in expected]


def _filled(folder: Path, count: int) -> Store:
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for k in range(count):
            writer.add(*sample(k))
    return Store(folder)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    digest = _filled(tmp_path / "one", 5).digest()
    assert len(digest) == 64
    assert _filled(tmp_path / "same", 5).digest() == digest
    assert _filled(tmp_path / "more", 6).digest() != digest


def test_the_digest_believes_what_was_recorded(tmp_path: Path) -> None:
    store = _filled(tmp_path / "store", 3)
    read = store.digest()
    shard = next((tmp_path / "store").glob("shard-*"))
    record = tmp_path / "store" / "source.json"
    true = hashlib.sha256(shard.read_bytes()).hexdigest()
    for recorded, same in ((true, True), ("0" * 64, False)):
        record.write_text(json.dumps({"shards": {shard.name: recorded}}), "utf-8")
        assert (store.digest() == read) is same
    record.write_text("damaged", "utf-8")
    assert store.digest() == read


def test_of_many_shards_few_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of thousands of shards may neither run out of files nor hold them all in memory."""
    monkeypatch.setattr(store_module, "SHARD_SAMPLES", 1)
    monkeypatch.setattr(store_module, "OPEN_SHARDS", 3)
    closed: list[str] = []
    real = store_module.safe_open

    class Watched:
        def __init__(self, path: Path, framework: str) -> None:
            self.path, self.shard = path, real(path, framework=framework)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.shard, name)

        def __del__(self) -> None:
            closed.append(self.path.name)

    monkeypatch.setattr(store_module, "safe_open", Watched)
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as writer:
        for k in range(10):
            writer.add(*sample(k))
    store = Store(tmp_path / "store")
    assert len(closed) >= 7
    for order in (range(10), reversed(range(10)), [4, 4, 2, 9]):
        for k in order:
            assert_same(store[k], sample(k)[1])
    assert len(set(closed)) == 10


def test_rights_that_cannot_be_given_do_not_lose_a_finished_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    (tmp_path / "made.part").write_text("weights")
    rename_finished(tmp_path / "made.part", tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made").read_text() == "weights"
