"""The features of data sets in the user's cache: in use, bounded, removed.

A store that a process has open is marked by a locked file; the lock goes with the process, however
it ends. Marks are set and stores are removed under one lock, so that none is removed while somebody
opens it. The time of a store's folder is when it was last opened.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from dashfusion_models.cache import cache_folder
from dashfusion_models.store import Store
from dashfusion_models.weights.cached import CacheEntry, entry_of

__all__ = ["cached_stores", "keep_within", "opened_in_cache", "remove_store", "stores_folder"]

_log = logging.getLogger(__name__)
_MARKS, _LOCK, _REMOVED = ".in-use", ".lock", ".removed-"
MARK_S = 5.0  # to wait for a mark that somebody else looks at


def stores_folder() -> Path:
    """Where the features of data sets are kept."""
    return cache_folder() / "stores"


def opened_in_cache(folder: Path, make: Callable[[], Store]) -> Store:
    """Return the store that `make` makes or opens at `folder`; in use as long as it is referred to.

    Where the file system knows no locks, nothing is marked and nothing is removed either.
    """
    release = _mark(folder)
    try:
        store = make()
    except BaseException:
        release()
        raise
    with contextlib.suppress(OSError):  # a cache that is only read
        os.utime(folder)
    weakref.finalize(store, release)
    return store


def cached_stores() -> list[CacheEntry]:
    """Every store in the cache, the one that was used longest ago first."""
    folders = [
        folder
        for folder in stores_folder().glob("*")
        if folder.is_dir() and not folder.name.startswith(".")
    ]
    if not folders:
        return []
    used = _used(folders)
    entries: list[CacheEntry] = []
    for folder in folders:
        with contextlib.suppress(OSError):  # removed by another process meanwhile
            last_used = folder.stat().st_mtime
            entries.append(entry_of("features", folder, in_use=used[folder], last_used=last_used))
    return sorted(entries, key=lambda entry: (entry.last_used, entry.name))


def _used(folders: list[Path]) -> dict[Path, bool]:
    """Which stores are in use, told while nobody sets a mark: one that is not held yet would go."""
    with contextlib.ExitStack() as alone:
        with contextlib.suppress(OSError):  # a cache that is only read
            alone.enter_context(_alone(stores_folder()))
        return {folder: _is_used(folder) for folder in folders}


def keep_within(limit_bytes: float) -> list[CacheEntry]:
    """Remove the stores used longest ago until the rest take no more than `limit_bytes`.

    Returns:
        What was removed; never a store that is in use, even if more remains than the limit.
    """
    entries = cached_stores() if math.isfinite(limit_bytes) else []
    total = sum(entry.size_bytes for entry in entries)
    removed: list[CacheEntry] = []
    for entry in entries:
        if total <= limit_bytes:
            break
        with contextlib.suppress(OSError):  # a cache that is only read
            if remove_store(entry):
                _log.info("%s: removed from the cache, %d bytes", entry.name, entry.size_bytes)
                removed.append(entry)
                total -= entry.size_bytes
    return removed


def remove_store(entry: CacheEntry) -> bool:
    """Remove a store from the cache; return whether it is gone, which it is not while in use.

    Raises:
        OSError: it cannot be removed.
    """
    stores = entry.path.parent
    for left in stores.glob(f"{_REMOVED}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    aside = stores / f"{_REMOVED}{uuid.uuid4().hex}"
    with _alone(stores) as known:
        if not known or _is_used(entry.path):
            return False
        entry.path.rename(aside)
        shutil.rmtree(_marks(entry.path), ignore_errors=True)
    shutil.rmtree(aside)
    return True


def _mark(folder: Path) -> Callable[[], None]:
    """Mark a store as in use; return what takes the mark away."""
    # Released by whichever thread lets go of the store.
    mark = FileLock(_marks(folder) / uuid.uuid4().hex, thread_local=False)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent):
            _marks(folder).mkdir(parents=True, exist_ok=True)
            mark.acquire(timeout=MARK_S)
    except (OSError, NotImplementedError):  # a cache that is only read, or without locks
        return lambda: None

    def release() -> None:
        mark.release()
        with contextlib.suppress(OSError):
            Path(mark.lock_file).unlink(missing_ok=True)

    return release


def _is_used(folder: Path) -> bool:
    """Whether a process holds a mark on the store; marks of those that are gone are removed.

    Only while nobody sets one (`_alone`).
    """
    for path in _marks(folder).glob("*"):
        mark = FileLock(path, timeout=0)
        try:
            mark.acquire()
        except (Timeout, OSError, NotImplementedError):
            return True
        mark.release()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return False


def _marks(folder: Path) -> Path:
    return folder.parent / _MARKS / folder.name


@contextlib.contextmanager
def _alone(stores: Path) -> Iterator[bool]:
    """Keep others from marking and removing; yields False where there are no locks."""
    lock = FileLock(stores / _LOCK)
    try:
        lock.acquire()
    except NotImplementedError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
