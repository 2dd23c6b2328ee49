"""The places on this machine where named weights may lie; nothing here reads them."""

import importlib.util
import os
from pathlib import Path

from dashfusion_models.cache import cache_folder
from dashfusion_models.weights.known import Weight

__all__ = ["in_cache", "other_cache", "package_folder", "package_pieces", "peek"]


def in_cache(weight: Weight) -> Path:
    """Return the place of the weights in the cache, whether they are there or not."""
    folder = cache_folder() / "weights" / weight.name
    return folder / weight.files[0].name if weight.single else folder


def other_cache(weight: Weight) -> Path | None:
    """Return the file in the cache of the library that the weights are made for."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return next((root / p for p in weight.other_caches if (root / p).is_file()), None)


def package_pieces(weight: Weight) -> dict[str, list[Path]] | None:
    """Return the files that installed packages offer; the packages are not imported."""
    pieces: dict[str, list[Path]] = {}
    for file in weight.from_packages:
        found = [_piece(package, inside) for package, inside in file.pieces]
        if None in found:
            return None
        pieces[file.name] = [path for path in found if path is not None]
    return pieces or None


def _piece(package: str, inside: str) -> Path | None:
    # Most are installed under a name that can be imported; some are only data.
    spec = importlib.util.find_spec(package.replace("-", "_")) or importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / inside).is_file():
            return Path(folder) / inside
    return None


def package_folder(weight: Weight) -> Path | None:
    """Return the folder of a package that holds every file whole, under its own name."""
    pieces = package_pieces(weight) or {}
    folders = {path.parent for paths in pieces.values() for path in paths}
    whole = all([p.name for p in paths] == [name] for name, paths in pieces.items())
    return folders.pop() if whole and len(folders) == 1 else None


def peek(weight: Weight) -> tuple[Path | None, str | None]:
    """Return where the weights are and what kind of place that is, without reading them."""
    if weight.shipped is not None and weight.shipped.is_file():
        return weight.shipped, "shipped"
    if in_cache(weight).exists():
        return in_cache(weight), "cache"
    pieces = package_pieces(weight)
    if pieces is not None:
        return package_folder(weight) or next(iter(pieces.values()))[0].parent, "package"
    other = other_cache(weight)
    return (other, "other cache") if other is not None else (None, None)
