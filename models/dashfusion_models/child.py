"""What a process of ours tells the Python programs that it starts."""

import os
import sys

__all__ = ["import_path"]


def import_path() -> str:
    """The PYTHONPATH with which a child imports what this process would."""
    return os.pathsep.join(place for place in sys.path if place)
