"""What the commands of this package have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dashfusion_models.errors import DashfusionError

__all__ = ["exit_code"]


def exit_code(run: Callable[[], None]) -> int:
    """Run a command; its exit code comes back: 1 after an error, which is one line on stderr."""
    try:
        run()
    except DashfusionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
