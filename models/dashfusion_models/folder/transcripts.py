"""Transcripts that lie beside the media files of a folder, and the content that both are together.

A file that has a transcript is another content than the file alone: where the transcript comes,
changes or goes, the file is done again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashfusion_models.digest import readable_sha256

__all__ = [
    "SUFFIXES",
    "beside",
    "both_stamps",
    "content_of",
    "content_of_record",
    "name_of",
    "run_of",
]

# Those that speech/transcript_file.py reads, the ones that say most first; it would bring NumPy.
SUFFIXES = (".vtt", ".srt", ".txt")


def beside(file: str) -> str | None:
    """Return the transcript of a file: of the same name, as .vtt, .srt or .txt, in this order."""
    stem = os.path.splitext(file)[0]
    return next((stem + suffix for suffix in SUFFIXES if os.path.isfile(stem + suffix)), None)


def name_of(path: str, transcript: str) -> str:
    """Return how records call the transcript of the file that they call `path`."""
    return os.path.splitext(path)[0] + os.path.splitext(transcript)[1]


def content_of(sha256: str, transcript: str | None) -> str:
    """Return what a file and its transcript say together: the file's SHA-256, where it has none."""
    return _together(sha256, transcript, readable_sha256(Path(transcript)) if transcript else None)


def content_of_record(record: Mapping[str, Any]) -> str | None:
    """Return what a record was made of, as `content_of` would say it; None where nobody knows."""
    sha256, run = record["media"].get("sha256"), record.get("run") or {}
    if sha256 is None:
        return None
    return _together(sha256, run.get("transcript"), run.get("transcript_sha256"))


def both_stamps(stamp: str, its_stamp: str | None) -> str:
    """Return the stamp of a file and its transcript; empty where one of them is too young."""
    return stamp if its_stamp is None else f"{stamp} {its_stamp}" if stamp and its_stamp else ""


def run_of(path: str, transcript: str) -> dict[str, str | None]:
    """Return what the record of a failure says of the transcript."""
    return {
        "transcript": name_of(path, transcript),
        "transcript_sha256": readable_sha256(Path(transcript)),
    }


def _together(sha256: str, transcript: str | None, its_sha256: str | None) -> str:
    if transcript is None:
        return sha256
    return f"{sha256} {os.path.splitext(transcript)[1]} {its_sha256 or 'unreadable'}"
