"""A folder of results is opened: by one run at a time, and for one recipe."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from dashfusion_models.errors import FolderError
from dashfusion_models.folder.recipe import Recipe, Roots, read_recipe, write_recipe
from dashfusion_models.folder.results import unwritable

__all__ = ["RECIPE", "RESULTS", "WORK_LIST", "agreed", "locked"]

RESULTS, WORK_LIST, RECIPE = "results.jsonl", "work.sqlite", "batch.json"
_LOCK = ".lock"


def locked(folder: Path) -> FileLock:
    """Lock a folder, which is created if need be; the lock goes with the process that holds it.

    Raises:
        FolderError: another run has it, it holds something else, or it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderError(f"{folder}: is a file; give --output a folder")
    if _is_something_else(folder):
        raise FolderError(f"{folder}: is not empty; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise FolderError(
            f"{folder}: another run is at work there; wait for its end, or name another folder"
        ) from error
    except OSError as error:
        raise unwritable(folder, error) from error
    except NotImplementedError as error:
        raise FolderError(
            f"{folder}: lies on a file system without locks; name a folder elsewhere"
        ) from error
    return lock


def _is_something_else(folder: Path) -> bool:
    """Whether a folder has files, and none of ours."""
    if not folder.exists() or (folder / RESULTS).exists() or (folder / RECIPE).exists():
        return False
    return any(not e.name.startswith(".") and e.name != "lost+found" for e in folder.iterdir())


def agreed(folder: Path, recipe: Recipe, *, force: bool) -> Roots:
    """Compare with what is there; return the folders that were looked through before.

    By force, results that were made otherwise go.

    Raises:
        FolderError: it holds results of another model or of other options.
    """
    path = folder / RECIPE
    former = read_recipe(path)
    has_results = (folder / RESULTS).exists()
    if former is None:
        differences = ["nobody knows what they were made with"] if has_results else []
    else:
        differences = recipe.differences(former[0])
    if differences and has_results:
        if not force:
            raise FolderError(
                f"{folder}: holds other results: {', '.join(differences)}; name another "
                "folder, or replace them by --force"
            )
        (folder / RESULTS).unlink()
    roots = Roots() if former is None else former[1]
    write_recipe(path, recipe, roots)
    return roots
