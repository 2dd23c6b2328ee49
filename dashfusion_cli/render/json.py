"""An analysis as JSON, in the schema dashfusion/analysis/1."""

from dashfusion_models.analysis import Analysis
from dashfusion_models.plain_json import json_bytes

__all__ = ["json_bytes", "render_json", "render_json_line"]


def render_json(analysis: Analysis) -> bytes:
    """Return one analysis as JSON to be read by people too."""
    return json_bytes(analysis.to_dict(), indent=2)


def render_json_line(analysis: Analysis) -> bytes:
    """Return one analysis as a line of JSON Lines."""
    return json_bytes(analysis.to_dict(), indent=None)
