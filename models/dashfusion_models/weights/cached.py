"""Weights that lie in the user's cache: which, how much room they take, and their removal."""

import contextlib
import shutil
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dashfusion_models.cache import cache_folder
from dashfusion_models.weights.records import VerifiedFiles

__all__ = ["CacheEntry", "cached_weights", "entry_of", "remove_weights"]

_REMOVED = ".removed"


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache; `last_used` is in seconds since 1970, as far as anybody knows."""

    kind: Literal["features", "weights"]
    name: str
    path: Path
    size_bytes: int
    last_used: float
    in_use: bool


def cached_weights() -> list[CacheEntry]:
    """Every set of weights in the cache, by name; damaged copies that were moved aside too.

    When they were last used is when a file was last read, where the file system notes that.
    """
    weights = cache_folder() / "weights"
    folders = sorted(f for f in weights.glob("*") if f.is_dir() and not f.name.startswith("."))
    return [entry_of("weights", folder, in_use=False) for folder in folders]


def remove_weights(entry: CacheEntry) -> None:
    """Remove a set of weights; who has it open keeps it until then.

    Raises:
        OSError: it cannot be removed.
    """
    _remove_left(entry.path.parent)
    aside = entry.path.with_name(f".{entry.name}.{uuid.uuid4().hex}{_REMOVED}")
    entry.path.rename(aside)  # so that nobody meets half of it
    verified = VerifiedFiles(entry.name)
    for file in aside.iterdir():
        verified.forget(entry.path / file.name)
    shutil.rmtree(aside)


def _remove_left(weights: Path) -> None:
    """Remove what an earlier removal could not, as far as it can be now."""
    for folder in weights.glob(f".*{_REMOVED}"):
        shutil.rmtree(folder, ignore_errors=True)


def entry_of(
    kind: Literal["features", "weights"],
    folder: Path,
    *,
    in_use: bool,
    last_used: float | None = None,
) -> CacheEntry:
    """Measure a folder; without `last_used`, that is when one of its files was last touched."""
    stats = []
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it is gone by now
            stats.append(file.stat())
    stats = [found for found in stats if stat.S_ISREG(found.st_mode)]
    read = max((max(found.st_atime, found.st_mtime) for found in stats), default=0.0)
    return CacheEntry(
        kind=kind,
        name=folder.name,
        path=folder,
        size_bytes=sum(found.st_size for found in stats),
        last_used=read if last_used is None else last_used,
        in_use=in_use,
    )
