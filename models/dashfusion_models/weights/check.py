"""Compares weight files with the hashes they must have."""

from pathlib import Path

from dashfusion_models.errors import WeightsError
from dashfusion_models.weights.known import Weight
from dashfusion_models.weights.records import VerifiedFiles

__all__ = ["compare", "pinned"]


def compare(weight: Weight, path: Path, *, full: bool = False) -> str | None:
    """Return what is wrong with the files at `path`, None where nothing is."""
    verified = VerifiedFiles(weight.name)
    for file in weight.files:
        at = path if weight.single else path / file.name
        if not at.is_file():
            return f"{file.name} is missing"
        expected = pinned(weight, file.name) or verified.recorded(at)
        found = verified.sha256(at, full=full)
        if expected is not None and found != expected:
            verified.forget(at)
            return f"{file.name} has SHA-256 {found[:12]}… instead of {expected[:12]}…"
    return None


def pinned(weight: Weight, file: str) -> str | None:
    """Return the SHA-256 that a file must have, None where any is right.

    Raises:
        WeightsError: a shipped file has lost the file that holds its hash.
    """
    if weight.sha256_beside and weight.shipped is not None:
        beside = weight.shipped.with_suffix(".sha256")
        if not beside.is_file():
            raise WeightsError(f"{beside}: missing; install dashfusion again")
        return (beside.read_text(encoding="ascii").split() or [""])[0].lower()
    return next(f.sha256 for f in weight.files if f.name == file)
