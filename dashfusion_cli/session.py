"""What one run of the command knows: how much to say, and which settings file was read."""

from dataclasses import dataclass
from pathlib import Path

import typer

__all__ = ["Session", "session_of"]


@dataclass
class Session:
    """Filled while the command line is read; `app.run` makes one for each run."""

    quiet: bool = False
    verbose: bool = False
    settings_file: Path | None = None


def session_of(context: typer.Context) -> Session:
    """Return the session of a command, or a new one where none was started (completion)."""
    found = context.find_root().obj
    return found if isinstance(found, Session) else Session()
