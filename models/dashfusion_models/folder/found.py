"""The media files of a folder."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from dashfusion_models.errors import FolderError

__all__ = ["MEDIA_SUFFIXES", "find_files", "stamp_of"]

_VIDEO = "mp4 m4v mov mkv webm avi flv wmv mpg mpeg ts mts m2ts 3gp ogv vob"
_SOUND = "wav mp3 m4a aac flac ogg oga opus wma aiff aif amr ac3 mka"
_IMAGE = "jpg jpeg png webp bmp gif tif tiff"
MEDIA_SUFFIXES = frozenset(f".{name}" for name in f"{_VIDEO} {_SOUND} {_IMAGE}".split())
_YOUNG_S = 2.0


def find_files(
    folder: Path,
    *,
    recursive: bool = False,
    include: Sequence[str] = (),
    limit: int | None = None,
    leave_out: Path | None = None,
) -> Iterator[tuple[str, int]]:
    """Yield (path below the folder with forward slashes, bytes) in the order of the names.

    Without `include`, files that end like media; with it, those whose name fits a pattern, or whose
    path below the folder does where the pattern has a slash. Hidden files are passed over, links to
    folders are not followed, and nothing below `leave_out` is looked at.

    Raises:
        FolderError: there is no such folder.
    """
    if not folder.is_dir():
        fact = (
            "is a file; `dashfusion analyze` takes files" if folder.exists() else "no such folder"
        )
        raise FolderError(f"{folder}: {fact}; name a folder of media files")
    skipped = os.path.realpath(leave_out) if leave_out is not None else None
    fitting = (
        (path, size)
        for path, size in _walk(folder, "", recursive=recursive, skipped=skipped)
        if _fits(path, include)
    )
    yield from islice(fitting, limit)


def stamp_of(file: str) -> str:
    """Size and times of a file; the same stamp later means the same content.

    Empty where the file is so young that it could change within the tick of its clock.

    Raises:
        OSError: it is gone.
    """
    facts = os.stat(file)
    latest = max(facts.st_mtime, facts.st_ctime if os.name != "nt" else 0.0)
    if abs(time.time() - latest) < _YOUNG_S:
        return ""
    changed = facts.st_ctime_ns if os.name != "nt" else 0
    return f"{facts.st_size} {facts.st_mtime_ns} {changed}"


def _walk(
    folder: Path, below: str, *, recursive: bool, skipped: str | None
) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise FolderError(
            f"{folder}: cannot be read ({error.strerror}); see to its permissions"
        ) from error
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if recursive and os.path.realpath(entry.path) != skipped:
                yield from _walk(Path(entry.path), f"{path}/", recursive=recursive, skipped=skipped)
        elif entry.is_file():
            yield path, entry.stat().st_size


def _fits(path: str, include: Sequence[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    if not include:
        return os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES
    return any(fnmatch.fnmatchcase(path if "/" in p else name, p) for p in include)
