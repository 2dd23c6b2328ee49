"""Which weight files were verified, so that a start need not read hundreds of megabytes again."""

import contextlib
import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from dashfusion_models.bounded_file import read_json
from dashfusion_models.cache import cache_folder
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import WeightsError

__all__ = ["VerifiedFiles", "file_sha256"]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file of weights, read again only where size or time have changed.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return VerifiedFiles("text-encoders").sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); fetch it again") from error


@dataclass(frozen=True)
class _Stamp:
    """What a file was when it was read from end to end."""

    size: int
    mtime_ns: int
    sha256: str


class VerifiedFiles:
    """The stamps of one named set of weights, kept in one small file of the cache.

    Two processes may write at once: the file is replaced whole, and a lost stamp only means that
    a file is read once more.
    """

    def __init__(self, name: str) -> None:
        self._file = cache_folder() / "verified" / f"{name}.json"

    def sha256(self, path: Path, *, full: bool = False) -> str:
        """Return the SHA-256 of a file, from its stamp where size and time are unchanged.

        `full` reads the file whatever its stamp says.
        """
        was = path.stat()
        stamp = None if full else self._read().get(str(path.absolute()))
        if stamp and (stamp.size, stamp.mtime_ns) == (was.st_size, was.st_mtime_ns):
            return stamp.sha256
        sha256 = sha256_of(path)
        self.note(path, sha256, was=was)
        return sha256

    def recorded(self, path: Path) -> str | None:
        """Return the SHA-256 that the file had when it was first seen, None if it never was."""
        stamp = self._read().get(str(path.absolute()))
        return stamp.sha256 if stamp else None

    def is_fresh(self, path: Path) -> bool:
        """Tell whether the file is unchanged since it was verified, without reading it."""
        stamp = self._read().get(str(path.absolute()))
        now = path.stat()
        return stamp is not None and (stamp.size, stamp.mtime_ns) == (now.st_size, now.st_mtime_ns)

    def note(self, path: Path, sha256: str, *, was: os.stat_result | None = None) -> None:
        """Remember what a file holds; a cache that cannot be written costs only time."""
        stat = was or path.stat()
        stamps = self._read()
        stamps[str(path.absolute())] = _Stamp(stat.st_size, stat.st_mtime_ns, sha256)
        body = json.dumps({key: asdict(stamp) for key, stamp in stamps.items()}, indent=1)
        beside = self._file.with_name(f"{self._file.name}.{uuid.uuid4().hex}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(body, encoding="utf-8")
            beside.replace(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # as where the cache is a file
                beside.unlink(missing_ok=True)

    def forget(self, path: Path) -> None:
        """Drop the stamp of a file that is gone."""
        stamps = self._read()
        if stamps.pop(str(path.absolute()), None):
            self._file.unlink(missing_ok=True)
            for key, stamp in stamps.items():
                if Path(key).is_file():
                    self.note(Path(key), stamp.sha256)

    def _read(self) -> dict[str, _Stamp]:
        try:
            body = read_json(self._file)
            return {key: _Stamp(**stamp) for key, stamp in body.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
