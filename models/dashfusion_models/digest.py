"""The SHA-256 of a file, read in pieces."""

import hashlib
from collections.abc import Callable
from pathlib import Path

__all__ = ["readable_sha256", "sha256_of"]

_PIECE_BYTES = 1 << 22


def sha256_of(path: Path, told: Callable[[int], None] | None = None) -> str:
    """Return the hexadecimal SHA-256 of a file's content; `told` hears how many bytes are read."""
    with path.open("rb") as file:
        if told is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        whole, done = hashlib.sha256(), 0
        while piece := file.read(_PIECE_BYTES):
            whole.update(piece)
            done += len(piece)
            told(done)
        return whole.hexdigest()


def readable_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file's content; None where it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return None
