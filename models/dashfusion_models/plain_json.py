"""JSON as every command writes it: UTF-8, finite numbers, one line end."""

import json
from typing import Any

__all__ = ["json_bytes"]


def json_bytes(value: Any, *, indent: int | None = None) -> bytes:
    """Return JSON as UTF-8 with a line end; numbers that are not finite are refused.

    A file name that is no valid Unicode keeps its odd bytes as JSON escapes.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf-8", "backslashreplace") + b"\n"
