"""From what a user names as a data set to a store: a store itself, or a manifest to extract."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dashfusion_models.engines import Engines
from dashfusion_models.errors import DataError
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.features.vision import VISION_SPEC
from dashfusion_models.near import meant, meant_file
from dashfusion_models.records import MODALITIES, FeatureSpec, Modality, Progress
from dashfusion_models.store import Store
from dashfusion_training.benchmarks import BENCHMARKS
from dashfusion_training.files import read_table
from dashfusion_training.store_cache import keep_within, opened_in_cache, stores_folder

__all__ = ["extract_to", "feature_specs", "only_open", "open_sources"]

Warn = Callable[[str], None]
Report = Callable[[Progress], None]
Extract = Callable[..., Store]


def open_sources(
    datasets: Sequence[Path],
    *,
    media_root: Path | None,
    engines: Engines,
    report: Report,
    warn: Warn,
    data_root: Path = Path("data"),
    modalities: Collection[Modality] = MODALITIES,
    extract: Extract | None = None,
    cache_bytes: float = math.inf,
) -> dict[str, Store]:
    """Open each data set under its own name, the file's or folder's.

    The name of a benchmark stands for the store of that name under `data_root`. A manifest is
    extracted first, into the cache, where the same manifest finds it again; `extract` may be
    `only_open`, where another process has done so. Of a manifest only `modalities` are extracted:
    no words are recognised for a network that does not read them. Once all are open, the cache is
    brought down to `cache_bytes`: the stores used longest ago are removed, none that is in use.

    Raises:
        DataError: a data set is none of these, or two have one name.
    """
    stores: dict[str, Store] = {}
    for dataset in datasets:
        name = dataset.stem
        if name in stores:
            raise DataError(f"{dataset}: another data set is called {name} too; rename one")
        if str(dataset) in BENCHMARKS and not (dataset / "store.json").is_file():
            stores[name] = _prepared(name, data_root)
        elif (dataset / "store.json").is_file():
            stores[name] = Store(dataset)
        elif dataset.is_file():
            folder = _in_cache(dataset, media_root, modalities)
            make = partial(
                extract or extract_to,
                dataset,
                folder,
                media_root=media_root,
                modalities=modalities,
                engines=engines,
                report=report,
                warn=warn,
            )
            stores[name] = opened_in_cache(folder, make)
        else:
            raise DataError(f"{dataset}: {_why_not(dataset)}")
    keep_within(cache_bytes)
    return stores


def _why_not(dataset: Path) -> str:
    """Say what is wrong with a name that is no data set, and what may be meant."""
    if dataset.is_dir():
        return "is a folder and no store; `dashfusion extract` makes stores of labelled clips"
    near = (meant(str(dataset), BENCHMARKS) if dataset.name == str(dataset) else "") or (
        meant_file(dataset)
    )
    usual = f"name {', '.join(BENCHMARKS)}, the folder of a store, or a CSV of labelled clips"
    return f"no such data set; {near or usual}"


def feature_specs(
    stores: Mapping[str, Store], modalities: Collection[Modality]
) -> tuple[FeatureSpec, FeatureSpec]:
    """The audio and the vision features that a network for all of `stores` reads.

    A store without a sample of a modality, or a modality that is not used, has no say.

    Raises:
        DataError: two stores hold different features of one modality.
    """
    specs: list[FeatureSpec] = []
    frames: tuple[Modality, ...] = ("audio", "vision")
    for modality in frames:
        holders = {
            name: store
            for name, store in stores.items()
            if modality in modalities and any(getattr(row, modality) for row in store.rows)
        }
        first = next(iter(holders or stores))
        spec: FeatureSpec = getattr(stores[first], modality)
        for name, store in holders.items():
            if getattr(store, modality) != spec:
                raise DataError(
                    f"{name}: has other {modality} features than {first}; extract it again"
                )
        specs.append(spec)
    return specs[0], specs[1]


def extract_to(
    manifest: Path,
    folder: Path,
    *,
    media_root: Path | None,
    engines: Engines,
    report: Report,
    warn: Warn,
    text_only: bool = False,
    modalities: Collection[Modality] = MODALITIES,
) -> Store:
    """Extract a manifest into a store; what the store holds already is not done again."""
    # Here, for it opens media: a training on stores needs no media library.
    from dashfusion_training.manifest import extract_manifest, read_manifest

    rows = read_manifest(
        manifest, media_root=media_root, text_only=text_only, modalities=modalities
    )
    store, warnings = extract_manifest(rows, folder, engines, report)
    for warning in warnings:
        warn(f"{manifest}: {warning}")
    return store


def only_open(
    manifest: Path,
    folder: Path,
    *,
    media_root: Path | None,
    engines: Engines,
    report: Report,
    warn: Warn,
    modalities: Collection[Modality] = MODALITIES,
) -> Store:
    """Open the store that another process has made of a manifest."""
    return Store(folder)


def _prepared(name: str, data_root: Path) -> Store:
    """The store of a benchmark."""
    folder = data_root / name
    if not (folder / "store.json").is_file():
        raise DataError(
            f"{name}: no store at {folder}; make it with `dashfusion data prepare {name} FILE "
            f"--output {folder}`, or give --data-root"
        )
    return Store(folder)


def _in_cache(manifest: Path, media_root: Path | None, modalities: Collection[Modality]) -> Path:
    """The folder of a manifest's store.

    A store of some modalities has a folder of its own. Where there is none yet, one of all that is
    whole serves for any; once there is one, it stays with it, and so does a training that goes on.
    """
    stores = stores_folder()
    own = stores / f"{manifest.stem}-{_key(manifest, media_root, modalities)}"
    if set(modalities) == set(MODALITIES) or (own / "store.json").is_file():
        return own
    of_all = stores / f"{manifest.stem}-{_key(manifest, media_root, MODALITIES)}"
    return of_all if _is_whole(of_all, manifest) else own


def _is_whole(folder: Path, manifest: Path) -> bool:
    """Whether a store has a sample for each row of its manifest; not one that is being removed."""
    try:
        return len(Store(folder)) >= len(read_table(manifest))
    except (DataError, OSError):
        return False


def _key(manifest: Path, media_root: Path | None, modalities: Collection[Modality]) -> str:
    """Tell manifests apart by content, where their media lie, and what is extracted."""
    about: dict[str, Any] = {
        "manifest": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "root": str((media_root or manifest.parent).resolve()),
        "features": [dataclasses.asdict(AUDIO_SPEC), dataclasses.asdict(VISION_SPEC)],
    }
    if set(modalities) != set(MODALITIES):
        about["modalities"] = sorted(modalities)
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
