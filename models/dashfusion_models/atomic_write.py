"""The last step of writing a file whole or not at all: it gets its name, and its usual rights."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["rename_finished"]


def rename_finished(beside: Path, path: Path) -> None:
    """Rename a finished file to `path`, with the rights that any new file in its folder has.

    safetensors makes its files for the owner alone; a renamed file would stay so, whatever the
    umask says. Before the rename the file is as private as whoever made it left it.

    Raises:
        OSError: the folder cannot be written.
    """
    # The umask itself can only be read by changing it, for all threads of the process.
    ordinary = beside.with_name(f"{beside.name}.mode")
    try:
        # Some mounts refuse it; a finished file is worth more than its rights.
        with contextlib.suppress(OSError):
            ordinary.touch()
            beside.chmod(ordinary.stat().st_mode & 0o777)
    finally:
        ordinary.unlink(missing_ok=True)
    beside.replace(path)
