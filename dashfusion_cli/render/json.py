"""An analysis as JSON, in the schema dashfusion/analysis/1."""

import json
from typing import Any

from dashfusion_models.analysis import Analysis

__all__ = ["json_bytes", "render_json", "render_json_line"]


def render_json(analysis: Analysis) -> bytes:
    """Return one analysis as JSON to be read by people too."""
    return json_bytes(analysis.to_dict(), indent=2)


def render_json_line(analysis: Analysis) -> bytes:
    """Return one analysis as a line of JSON Lines."""
    return json_bytes(analysis.to_dict(), indent=None)


def json_bytes(value: Any, *, indent: int | None) -> bytes:
    """Return JSON as UTF-8 with a line end; numbers that are not finite are refused.

    A file name that is no valid Unicode keeps its odd bytes as JSON escapes.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf-8", "backslashreplace") + b"\n"
