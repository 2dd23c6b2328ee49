"""A checkpoint knows which samples it learned from, by their content and not by their names."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint
from dashfusion_models.records import Features
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import load_dataset
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.missing import evaluate_missing
from dashfusion_training.sample_digests import count_learned, digests_of, joined, learned_from
from dashfusion_training.samples import Sample
from tests.training.tiny import AUDIO, VISION, planted_sample
from tests.training.untrained import untrained

CPU = torch.device("cpu")
CLIP = Row(
    id="1", label=1.0, split="test", text="good", audio=False, vision=False, sha256="ab",
    file="one.mp4", start_s=0.0, end_s=None,
)  # fmt: skip


def digest(row: Row, folder: Path) -> int:
    with StoreWriter(folder / f"{len(list(folder.iterdir()))}", audio=AUDIO, vision=VISION) as new:
        new.add(row, Features(text=row.text, audio=None, vision=None))
    store = Store(max(folder.iterdir(), key=lambda path: int(path.name)))
    return int(digests_of([Sample(store, 0, "x", 1.0)])[0])


def test_a_digest_is_of_what_the_sample_is(tmp_path: Path) -> None:
    """Other names, labels and recognised words are the same sample; other parts are not."""
    first = digest(CLIP, tmp_path)
    for same in ({"id": "2"}, {"label": -1.0}, {"file": "copy.mp4"}, {"text": "goods"}):
        assert digest(dataclasses.replace(CLIP, **same), tmp_path) == first
    for other in ({"sha256": "cd"}, {"start_s": 1.0}, {"end_s": 2.0}):
        assert digest(dataclasses.replace(CLIP, **other), tmp_path) != first
    text = dataclasses.replace(CLIP, sha256="", start_s=None, file="")
    assert digest(text, tmp_path) == digest(dataclasses.replace(text, id="2"), tmp_path)
    assert digest(text, tmp_path) != digest(dataclasses.replace(text, text="bad"), tmp_path)
    # Older stores do not know which part of a file a sample is: the words tell parts apart.
    old = dataclasses.replace(CLIP, start_s=None)
    assert digest(old, tmp_path) != digest(dataclasses.replace(old, text="bad"), tmp_path)


def test_samples_without_files_are_told_apart_by_their_lengths(planted_store: Store) -> None:
    samples = [Sample(planted_store, k, "x", 0.0) for k in range(len(planted_store))]
    contents = {
        (f.text, len(f.audio.real), len(f.vision.real))
        for _, f in planted_store
        if f.audio is not None and f.vision is not None
    }
    assert len(set(digests_of(samples).tolist())) == len(contents)


def test_eval_counts_what_the_checkpoint_learned_from(
    tiny_config: TrainConfig, tiny_encoder: Path, tmp_path: Path
) -> None:
    """Of 8 test samples 3 are training samples under other names."""
    with StoreWriter(tmp_path / "store", audio=AUDIO, vision=VISION) as store:
        learned = [planted_sample(k, "train") for k in range(10)]
        fresh = [planted_sample(k, "test") for k in range(5)]
        for row, features in learned + fresh:
            store.add(row, features)
        for k, (row, features) in enumerate(learned[:3]):
            store.add(dataclasses.replace(row, id=f"again{k}", split="test"), features)
    stores = {"planted": Store(tmp_path / "store")}
    samples = load_dataset(stores, "train", tiny_config)
    checkpoint = new_checkpoint(tiny_config, tiny_encoder, samples, audio=AUDIO, vision=VISION)
    file = tmp_path / "made.safetensors"
    save_checkpoint(checkpoint, file)
    (report,) = evaluate_stores(file, stores, split="test", classes=None, device=CPU)
    assert (report.n, report.trained_on) == (8, 3)
    assert report.to_dict()["trained_on"] == 3
    (missing,) = evaluate_missing(
        file, stores, protocol="subsets", split="test", classes=None, device=CPU
    )
    assert missing.to_dict()["trained_on"] == 3

    again = load_checkpoint(file)
    assert again.learned is not None and again.learned.nbytes == 8 * 10
    assert not any("good" in str(value) for value in again.training.values())
    # Going on from a checkpoint adds to what it learned from.
    config = dataclasses.replace(tiny_config, start=str(file))
    part = [s for s in load_dataset(stores, "test", config) if not s.row.id.startswith("again")]
    further = new_checkpoint(config, tiny_encoder, part, audio=AUDIO, vision=VISION)
    assert further.learned is not None and len(further.learned) == 15


def test_a_checkpoint_that_does_not_say_is_not_counted(
    small_store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "old.safetensors"
    save_checkpoint(untrained(tiny_encoder), file)
    (report,) = evaluate_stores(
        file, {"planted": small_store}, split="test", classes=None, device=CPU
    )
    assert report.trained_on is None and report.to_dict()["trained_on"] is None


@pytest.mark.parametrize("parts", [(), (None,), (np.array([3, 1]), None, np.array([1, 2]))])
def test_digests_are_joined_in_order(parts: tuple[np.ndarray | None, ...]) -> None:
    known = sorted({int(v) for part in parts if part is not None for v in part})
    unknown = any(part is None for part in parts)
    assert joined(*parts).tolist() == ([0] if unknown else []) + known
    assert count_learned([], joined(*parts)) == (None if unknown else 0)


def test_what_goes_on_from_the_unknown_does_not_claim_to_know_all(planted_store: Store) -> None:
    """One that was learned is counted; none is no answer."""
    samples = [Sample(planted_store, k, "x", 0.0) for k in range(6)]
    child = joined(learned_from(samples[:2]), None)
    grandchild = joined(learned_from(samples[2:3]), child)
    assert count_learned(samples, grandchild) == 3
    assert count_learned(samples[3:], grandchild) is None
    assert count_learned(samples[3:], learned_from(samples[:3])) == 0


def test_words_taken_alone_are_those_of_the_file(tmp_path: Path) -> None:
    """Either way round; two files with the same words are two samples."""
    words = dataclasses.replace(CLIP, sha256="", start_s=None)
    other = dataclasses.replace(CLIP, sha256="cd")
    folder = tmp_path / "store"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as new:
        for number, row in enumerate((CLIP, words, other)):
            features = Features(text=row.text, audio=None, vision=None)
            new.add(dataclasses.replace(row, id=str(number)), features)
    clip, alone, copy = ([Sample(Store(folder), k, "x", 1.0)] for k in range(3))
    assert count_learned(clip, learned_from(alone)) == 1
    assert count_learned(alone, learned_from(clip)) == 1
    assert count_learned(copy, learned_from(clip)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="maps are read there")
def test_a_checkpoint_that_is_loaded_can_be_written_anew(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    """Elsewhere a file that is mapped cannot be replaced."""
    samples = [Sample(planted_store, 0, "x", 0.0)]
    made = dataclasses.replace(untrained(tiny_encoder), learned=digests_of(samples))
    save_checkpoint(made, tmp_path / "made.safetensors")
    loaded = load_checkpoint(tmp_path / "made.safetensors")
    assert "made.safetensors" not in Path("/proc/self/maps").read_text("utf-8")
    assert loaded.learned is not None
