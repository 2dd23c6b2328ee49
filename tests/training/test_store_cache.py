"""Stores in the cache: never removed while in use, the one used longest ago first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock

from dashfusion_models.engines import Engines
from dashfusion_models.records import MODALITIES, Features, Modality
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training import store_cache
from dashfusion_training.sources import open_sources
from dashfusion_training.store_cache import (
    cached_stores,
    keep_within,
    opened_in_cache,
    remove_store,
    stores_folder,
)
from tests.training.test_processes import ROOT, environment
from tests.training.tiny import AUDIO, VISION, write_films

DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))


def write_store(name: str, *, days_ago: float = 0.0) -> Path:
    folder = stores_folder() / name
    row = Row(id="1", label=1.0, split="test", text="good", audio=False, vision=False)
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        writer.add(row, Features(text="good", audio=None, vision=None))
    then = folder.stat().st_mtime - days_ago * DAY_S
    os.utime(folder, (then, then))
    return folder


def names() -> list[str]:
    return [entry.name for entry in cached_stores()]


def test_they_are_listed_by_their_last_use_with_their_size() -> None:
    folders = [write_store("b-1", days_ago=1), write_store("a-2", days_ago=3), write_store("c-3")]
    entries = cached_stores()
    assert [entry.name for entry in entries] == ["a-2", "b-1", "c-3"]
    size = sum(file.stat().st_size for file in folders[0].iterdir())
    assert entries[1].size_bytes == size
    assert not any(entry.in_use for entry in entries)
    store = opened_in_cache(folders[1], lambda: Store(folders[1]))  # which is its last use
    assert names() == ["b-1", "c-3", "a-2"]
    assert len(store) == 1


def test_beyond_the_limit_the_oldest_go_but_none_that_is_in_use() -> None:
    folders = [write_store(f"films-{k}", days_ago=9 - k) for k in range(4)]
    one = cached_stores()[0].size_bytes
    used = opened_in_cache(folders[0], lambda: Store(folders[0]))
    then = folders[0].stat().st_mtime - 20 * DAY_S
    os.utime(folders[0], (then, then))  # the oldest nevertheless
    assert [entry.name for entry in keep_within(4.0 * one)] == []
    assert [entry.name for entry in keep_within(2.5 * one)] == ["films-1", "films-2"]
    assert names() == ["films-0", "films-3"]
    assert [entry.name for entry in keep_within(0.0)] == ["films-3"]
    assert cached_stores()[0].in_use
    assert not remove_store(cached_stores()[0])
    assert used[0].text == "good"
    del used
    assert [entry.name for entry in keep_within(0.0)] == ["films-0"]
    assert not list(stores_folder().glob("films*")) + list(stores_folder().glob(".removed*"))


def test_a_store_that_could_not_be_made_is_not_in_use() -> None:
    folder = write_store("films-1")

    def fails() -> Store:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened_in_cache(folder, fails)
    assert not cached_stores()[0].in_use


def test_a_mark_goes_with_the_process_that_holds_it() -> None:
    folder = write_store("films-1")
    code = (
        "import sys; from pathlib import Path; from dashfusion_models.store import Store; "
        "from dashfusion_training.store_cache import opened_in_cache; "
        f"folder = Path({str(folder)!r}); store = opened_in_cache(folder, lambda: Store(folder)); "
        "print('open', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "open\n"
    assert cached_stores()[0].in_use
    assert not remove_store(cached_stores()[0])
    child.kill()
    child.communicate(timeout=60)
    assert not cached_stores()[0].in_use
    assert remove_store(cached_stores()[0])
    assert not folder.exists()


def test_a_mark_that_is_being_set_is_left() -> None:
    """Whoever lists the stores waits until it is held."""
    folder = write_store("films-1")
    mark = stores_folder() / ".in-use" / folder.name / "mark"
    mark.parent.mkdir(parents=True)
    found: list[bool] = []
    listing = Thread(target=lambda: found.append(cached_stores()[0].in_use))
    held = FileLock(mark, thread_local=False)
    with FileLock(stores_folder() / ".lock"):
        mark.touch()
        listing.start()
        listing.join(timeout=0.3)
        assert mark.exists() and not found
        held.acquire(timeout=0)
    listing.join(timeout=60)
    held.release()
    assert found == [True]


def test_a_store_that_vanishes_meanwhile_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a-1", "b-2"):
        write_store(name)
    real = store_cache._is_used

    def removes(folder: Path) -> bool:
        if folder.name == "a-1":
            shutil.rmtree(folder)
        return real(folder)

    monkeypatch.setattr(store_cache, "_is_used", removes)
    assert names() == ["b-2"]


def test_a_training_stays_with_the_store_that_it_began_with(tmp_path: Path) -> None:
    """One of all modalities serves for any, unless there is one of these alone."""
    manifest = write_films(tmp_path / "films.csv", train=2)

    def opened(*modalities: Modality) -> Path:
        engines = Engines(device="cpu", offline=True)
        (store,) = open_sources(
            [manifest], media_root=None, engines=engines, report=lambda event: None,
            warn=lambda text: None, modalities=modalities,
        ).values()  # fmt: skip
        return store.folder

    text = opened("text")
    everything = opened(*MODALITIES)
    assert everything != text == opened("text")
    assert opened("audio") == everything
    (everything / "store.json").write_text("{", "utf-8")  # half of it is gone
    assert opened("audio", "text") != everything
