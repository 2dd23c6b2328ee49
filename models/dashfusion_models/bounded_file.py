"""Small files that describe something: read up to a bound, and parsed unless they nest too deep."""

import errno
import json
import os
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["parsed_json", "read_bytes", "read_json", "read_toml"]

_MOST_BYTES = 64 << 20


def read_bytes(path: Path, *, most: int = _MOST_BYTES) -> bytes:
    """Return the content of a file, which may be a pipe.

    Raises:
        OSError: it cannot be read, or goes on for more than `most` bytes, as /dev/zero does.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: it cannot be read, or is too large.
        ValueError: it is no JSON in UTF-8, or nests absurdly deep.
    """
    return parsed_json(read_bytes(path).decode("utf-8"))


def parsed_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none, or nests absurdly deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        OSError: it cannot be read, or is too large.
        ValueError: it is no TOML in UTF-8, or nests absurdly deep.
    """
    text = read_bytes(path).decode("utf-8").replace("\r\n", "\n")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
