"""Where this program keeps what it can fetch or make again."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return where weights, stores and compiled functions are kept.

    DASHFUSION_CACHE names it; otherwise it is the user's cache folder.
    """
    named = os.environ.get("DASHFUSION_CACHE")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("dashfusion", appauthor=False))
