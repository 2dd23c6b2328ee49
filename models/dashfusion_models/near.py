"""What a person may have meant by a name that is not known."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["hinted", "meant", "meant_file"]

_LIKE = 0.6  # of difflib's ratio, as Python's own hints
_MOST_SEEN = 1000  # names of a folder that are compared


def meant(name: str, known: Iterable[str]) -> str:
    """Return `did you mean x?`, or nothing where no known name is like this one."""
    near = _nearest(name, known)
    return f"did you mean {near}?" if near else ""


def hinted(name: str, known: Iterable[str], *, before: str = "known are") -> str:
    """Return what may have been meant, and all that is known."""
    names = sorted(known)
    return f"{meant(name, names)} {before} {', '.join(names)}".lstrip()


def meant_file(path: Path) -> str:
    """Return which file beside a missing one may have been meant, or nothing."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST_SEEN), strict=False)]
    except OSError:
        return ""
    by_stem = {Path(name).stem: name for name in names}  # all names are alike that end in .mp4
    near = _nearest(path.stem, by_stem)
    return f"did you mean {path.with_name(by_stem[near])}?" if near else ""


def _nearest(name: str, known: Iterable[str]) -> str | None:
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=_LIKE)
    return lower[near[0]] if near else None
