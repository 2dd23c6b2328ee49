"""Whether every node of a cluster sees the media and the results, and is of the same version.

A token is written beside the results; each node reads it, and looks for some of the media.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from dashfusion_models.errors import DashfusionError, FolderError
from dashfusion_models.folder.results import unwritable

__all__ = ["Sight", "check_nodes", "look_around", "token_in"]

_NAMES = 5  # of the media folder that every node has to see


@dataclass(frozen=True)
class Sight:
    """What one node sees: its version, the token if it is there, and what of the media is not."""

    version: str
    token: str | None
    missing: str | None


# Asks every node to call a function; (the node's name, what it returned or the error) of each.
AskAll = Callable[..., Iterable[tuple[str, Any]]]


def check_nodes(ask_all: AskAll, *, media: Path, results: Path) -> None:
    """See to it that every node sees both folders.

    Raises:
        FolderError: one does not, has another version or none, or does not answer.
    """
    folder = Path(os.path.abspath(media))
    with token_in(Path(os.path.abspath(results))) as (place, token):
        names = [str(folder / name) for name in _some_names(folder)]
        for node, sight in ask_all(look_around, str(place), [str(folder), *names]):
            _judge(node, sight, token=token, results=results)


def look_around(token: str, paths: Iterable[str]) -> Sight:
    """Tell what this node sees; called there."""
    try:
        seen = Path(token).read_text("ascii")
    except (OSError, ValueError):
        seen = None
    missing = next((path for path in paths if not os.path.lexists(path)), None)
    return Sight(metadata.version("dashfusion"), seen, missing)


@contextlib.contextmanager
def token_in(results: Path) -> Iterator[tuple[Path, str]]:
    """Keep a small file in a folder: its place, and what it says.

    Raises:
        FolderError: it cannot be written.
    """
    token = secrets.token_hex(16)
    place = results / f".seen-{token[:8]}"
    try:
        place.write_text(token, "ascii")
    except OSError as error:
        raise unwritable(place, error) from error
    try:
        yield place, token
    finally:
        place.unlink(missing_ok=True)


def _judge(node: str, sight: Sight | Exception, *, token: str, results: Path) -> None:
    if isinstance(sight, DashfusionError):
        raise sight
    if isinstance(sight, Exception):
        fact = " ".join(str(sight).split())
        raise FolderError(f"node {node}: cannot work ({fact}); install dashfusion there as here")
    version = metadata.version("dashfusion")
    if sight.version != version:
        raise FolderError(
            f"node {node}: has dashfusion {sight.version}, and this machine {version}; "
            "install the same on all"
        )
    unseen = str(results) if sight.token != token else sight.missing
    if unseen is not None:
        raise FolderError(
            f"node {node}: does not see {unseen}; "
            "keep media and results on storage that every node sees under the same path"
        )


def _some_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _NAMES)]
    except OSError as error:
        raise FolderError(
            f"{folder}: cannot be read ({error.strerror}); see to its permissions"
        ) from error
