"""From what a user names as a data set to a store: a store itself, or a manifest to extract."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from dashfusion_models.engines import Engines
from dashfusion_models.errors import DataError
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.features.vision import VISION_SPEC
from dashfusion_models.records import Progress
from dashfusion_models.store import Store
from dashfusion_models.weights import cache_folder
from dashfusion_training.manifest import extract_manifest, read_manifest

__all__ = ["extract_to", "open_sources"]

Warn = Callable[[str], None]
Report = Callable[[Progress], None]


def open_sources(
    datasets: Sequence[Path],
    *,
    media_root: Path | None,
    engines: Engines,
    report: Report,
    warn: Warn,
) -> dict[str, Store]:
    """Open each data set under its own name, the file's or folder's.

    A manifest is extracted first, into the cache, where the same manifest finds it again.

    Raises:
        DataError: a data set is neither, two have one name, or their features differ.
    """
    stores: dict[str, Store] = {}
    for dataset in datasets:
        name = dataset.stem
        if name in stores:
            raise DataError(f"{dataset}: another data set is called {name} too; rename one")
        if (dataset / "store.json").is_file():
            stores[name] = Store(dataset)
        elif dataset.is_file():
            folder = cache_folder() / "stores" / f"{name}-{_key(dataset, media_root)}"
            stores[name] = extract_to(
                dataset, folder, media_root=media_root, engines=engines, report=report, warn=warn
            )
        else:
            raise DataError(f"{dataset}: is neither a store nor a manifest; see `extract --help`")
    first = next(iter(stores.values()))
    for name, store in stores.items():
        if (store.audio, store.vision) != (first.audio, first.vision):
            raise DataError(f"{name}: has other features than {next(iter(stores))}; extract again")
    return stores


def extract_to(
    manifest: Path,
    folder: Path,
    *,
    media_root: Path | None,
    engines: Engines,
    report: Report,
    warn: Warn,
    text_only: bool = False,
) -> Store:
    """Extract a manifest into a store; what the store holds already is not done again."""
    rows = read_manifest(manifest, media_root=media_root, text_only=text_only)
    store, warnings = extract_manifest(rows, folder, engines, report)
    for warning in warnings:
        warn(f"{manifest}: {warning}")
    return store


def _key(manifest: Path, media_root: Path | None) -> str:
    """Tell manifests apart by content, where their media lie, and what is extracted."""
    about = {
        "manifest": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "root": str((media_root or manifest.parent).resolve()),
        "features": [dataclasses.asdict(AUDIO_SPEC), dataclasses.asdict(VISION_SPEC)],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
