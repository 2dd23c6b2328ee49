"""The work list as it lies on the disk: opened, made anew, caught up with the results."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from dashfusion_models.folder.results import NOTHING, Mark, ResultsFile
from dashfusion_models.folder.transcripts import content_of_record

__all__ = [
    "State",
    "catch_up",
    "enter",
    "keep_fact",
    "keep_mark",
    "key",
    "made_anew",
    "opened",
    "path_of",
    "read_records",
]

State = Literal["new", "done", "failed"]

_VERSION = 1
_TABLES = """
CREATE TABLE files (
  path BLOB PRIMARY KEY,
  state TEXT NOT NULL DEFAULT 'new',
  kind TEXT,
  sha256 TEXT,
  place INTEGER,
  stamp TEXT NOT NULL DEFAULT '',
  size INTEGER NOT NULL DEFAULT 0,
  duration_s REAL,
  surveyed INTEGER NOT NULL DEFAULT 0,
  listed INTEGER NOT NULL DEFAULT 0,
  again INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX by_content ON files (sha256);
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


def opened(path: Path, results: ResultsFile) -> sqlite3.Connection | None:
    """The list that is there, unless it is damaged or tells of other results."""
    if not path.exists():
        return None
    db = sqlite3.connect(path)
    try:
        (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
        facts = dict(db.execute("SELECT name, value FROM facts").fetchall())
        mark = Mark(int(facts["size"]), str(facts["tail"]))
        if state == "ok" and facts["version"] == _VERSION and results.continues(mark):
            return db
    except (sqlite3.DatabaseError, KeyError, ValueError):
        pass
    db.close()
    return None


def made_anew(path: Path) -> sqlite3.Connection:
    """An empty list in place of what is there."""
    for leftover in (path, path.with_name(f"{path.name}-journal")):
        leftover.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.executescript(_TABLES)
    with db:
        keep_fact(db, "version", _VERSION)
        keep_mark(db, NOTHING)
    return db


def catch_up(db: sqlite3.Connection, results: ResultsFile) -> None:
    """Read the records that the list does not know yet."""
    (size,) = db.execute("SELECT value FROM facts WHERE name = 'size'").fetchone()
    if size != results.size:
        with db:
            read_records(db, results, size)


def read_records(db: sqlite3.Connection, results: ResultsFile, start: int) -> None:
    """Enter the records from a place on."""
    for line in results.lines(start):
        if line.record is None:
            continue
        media = line.record["media"]
        error = line.record.get("error")
        state: State = "failed" if error else "done"
        kind = str(error["kind"]) if error else None
        enter(db, key(media["path"]), state, kind, content_of_record(line.record), line.offset)
    keep_mark(db, results.mark())


def enter(
    db: sqlite3.Connection,
    path: bytes,
    state: State,
    kind: str | None,
    sha256: str | None,
    place: int,
) -> None:
    """Enter one record, which begins at `place`."""
    db.execute(
        "INSERT INTO files (path, state, kind, sha256, place) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (path) DO UPDATE SET state = excluded.state, kind = excluded.kind, "
        # A stamp speaks for the content that was surveyed, and for no other.
        "stamp = CASE WHEN sha256 IS excluded.sha256 THEN stamp ELSE '' END, "
        "sha256 = excluded.sha256, place = excluded.place",
        (path, state, kind, sha256, place),
    )


def keep_mark(db: sqlite3.Connection, mark: Mark) -> None:
    """Note how far the results are known."""
    keep_fact(db, "size", mark.size)
    keep_fact(db, "tail", mark.tail)


def keep_fact(db: sqlite3.Connection, name: str, value: float | int | str) -> None:
    """Keep a number or text under a name."""
    db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def key(path: str) -> bytes:
    """A path as the list holds it: SQLite's texts take no odd bytes."""
    return path.encode("utf-8", "surrogatepass")


def path_of(key: bytes) -> str:
    """The path of a key."""
    return key.decode("utf-8", "surrogatepass")
