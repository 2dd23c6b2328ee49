"""`dashfusion cache`: what lies in the user's cache folder, and its removal."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashfusion_cli import options as opt
from dashfusion_cli.output import Output
from dashfusion_cli.settings import setting

if TYPE_CHECKING:
    from dashfusion_models.weights.cached import CacheEntry

__all__ = ["register"]

_DAY_S = 24 * 3600.0
_Form = Annotated[opt.TableOrJson, setting("--format", help="Output format.")]
_Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Names of `cache list`, or of data sets (default: all features)."
    ),
]
_OlderThan = Annotated[
    float | None,
    setting("--older-than", metavar="DAYS", min=0, help="Only entries not used for DAYS days."),
]
_Weights = Annotated[bool, setting("--weights", help="Also remove cached weights.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    cache = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="List and clear what is kept: features of data sets, downloaded weights.",
        epilog=opt.example("dashfusion cache list"),
    )
    cache.command("list", epilog=opt.example("dashfusion cache list"))(list_cache)
    examples = (
        "dashfusion cache clear",
        "dashfusion cache clear clips",
        "dashfusion cache clear --weights --older-than 30",
    )
    cache.command("clear", epilog=opt.example(*examples))(clear)
    app.add_typer(cache, name="cache")


def list_cache(
    context: typer.Context,
    format: _Form = opt.TableOrJson.table,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """List what is in the cache: features of data sets and weights, size, and last use."""
    entries = _entries(weights=True)
    with Output(None) as out:
        if format is opt.TableOrJson.json:
            from dashfusion_cli.render.json import json_bytes

            out.write(json_bytes([_plain(entry) for entry in entries], indent=2))
        else:
            out.write(_table(entries, out).encode(out.encoding, "replace"))


def clear(
    context: typer.Context,
    names: _Names = None,
    older_than: _OlderThan = None,
    weights: _Weights = False,
    config: opt.Config = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Remove features of data sets from the cache; they are extracted again when needed.

    Entries in use are kept.
    """
    found = _chosen(names or (), weights=weights)
    if older_than is not None:
        before = time.time() - older_than * _DAY_S
        found = [entry for entry in found if entry.last_used < before]
    removed = 0
    with Output(None) as out:
        for entry in found:
            gone = _remove(entry)
            fact = f"removed, {_size(entry.size_bytes)}" if gone else "in use, left"
            out.write(f"{entry.name}: {fact}\n".encode("utf-8", "surrogateescape"))
            removed += entry.size_bytes if gone else 0
        total = f"{_size(removed)} removed" if found else "nothing to remove"
        out.write(f"{total}\n".encode())


def _entries(*, weights: bool) -> "list[CacheEntry]":
    from dashfusion_models.weights.cached import cached_weights
    from dashfusion_training.store_cache import cached_stores

    return [*cached_stores(), *(cached_weights() if weights else [])]


def _chosen(names: Sequence[str], *, weights: bool) -> "list[CacheEntry]":
    """Return what the names mean: a whole name, or that of the data set that stands before it.

    Raises:
        ConfigError: nothing of a name is in the cache, or it is weights that may stay.
    """
    from dashfusion_models.errors import ConfigError
    from dashfusion_models.near import hinted

    entries = _entries(weights=True)
    chosen = {entry.path: entry for entry in entries if not names}
    for name in names:
        meant = {
            entry.path: entry for entry in entries if name in (entry.name, _data_set_of(entry))
        }
        if not meant:
            there = {_data_set_of(entry) for entry in entries}
            way_out = hinted(name, there, before="there are:") if there else "it is empty"
            raise ConfigError(f"{name}: is not in the cache; {way_out}")
        if not weights and all(entry.kind == "weights" for entry in meant.values()):
            raise ConfigError(f"{name}: is a set of weights; add --weights to remove it")
        chosen |= meant
    return [entry for entry in chosen.values() if weights or entry.kind == "features"]


def _data_set_of(entry: "CacheEntry") -> str:
    """The name of the data set, before its key; weights have one name."""
    return entry.name.rpartition("-")[0] if entry.kind == "features" else entry.name


def _remove(entry: "CacheEntry") -> bool:
    from dashfusion_models.errors import DiskError
    from dashfusion_models.weights.cached import remove_weights
    from dashfusion_training.store_cache import remove_store

    try:
        if entry.kind == "features":
            return remove_store(entry)
        remove_weights(entry)
    except OSError as error:
        fact = f"cannot be removed ({error.strerror or error})"
        raise DiskError(f"{entry.path}: {fact}; check who may write there") from error
    return True


def _plain(entry: "CacheEntry") -> dict[str, Any]:
    used = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(entry.last_used))
    return {**asdict(entry), "path": str(entry.path), "last_used": used}


def _table(entries: "Sequence[CacheEntry]", out: Output) -> str:
    from dashfusion_cli.render.plain import columns, safe
    from dashfusion_models.cache import cache_folder

    look = out.look()
    rows = [
        (
            f"{entry.kind}, in use" if entry.in_use else entry.kind,
            _size(entry.size_bytes),
            time.strftime("%Y-%m-%d", time.localtime(entry.last_used)),
            entry.name,
        )
        for entry in entries
    ]
    total = _size(sum(entry.size_bytes for entry in entries))
    where = safe(f"{cache_folder()}: {total} in stores (features) and weights", look)
    if not rows:
        return f"{where}\n"
    return columns(("what", "size", "last used", "name"), rows, look) + f"{where}\n"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
