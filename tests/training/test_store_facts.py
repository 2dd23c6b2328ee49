"""What a prepared store holds, and whether it or a file still is what it should be."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dashfusion_models.errors import DataError
from dashfusion_models.store import Store
from dashfusion_training.benchmarks import Benchmark, benchmark
from dashfusion_training.store_facts import describe, verify, verify_file, verify_store
from tests.training.official.small import make, prepared, quiet


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
