"""The work list: which files there are, which are done, and where their records stand.

SQLite, and nothing but a memory aid: every fact that matters is in `results.jsonl`, from which the
list is made again where it is lost, damaged, or tells of another file of results. What it adds is
speed: a file of the same size and times is taken to be the same without reading it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashfusion_models.errors import FolderError
from dashfusion_models.folder.jobs import Outcome
from dashfusion_models.folder.results import ResultsFile
from dashfusion_models.folder.worklist_file import (
    State,
    catch_up,
    enter,
    keep_fact,
    keep_mark,
    key,
    made_anew,
    opened,
    path_of,
    read_records,
)

__all__ = ["Known", "State", "WorkList"]


@dataclass(frozen=True)
class Known:
    """What is known of one file. `stamp` is size and times when its content was last read.

    `sha256` and `stamp` are those of its transcript too, where it has one.
    """

    path: str
    state: State
    kind: str | None
    sha256: str | None
    stamp: str
    size: int
    duration_s: float | None
    surveyed: bool


_COLUMNS = "path, state, kind, sha256, stamp, size, duration_s, surveyed"


class WorkList:
    """The list beside one file of results; opening it makes both agree."""

    def __init__(self, path: Path, results: ResultsFile) -> None:
        """Open the list, or make it from the results.

        Raises:
            FolderError: it cannot be written.
        """
        self._path = path
        self._results = results
        self._is_together = False
        with self._honest():
            self._db = opened(path, results) or made_anew(path)
            catch_up(self._db, results)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- what there is --

    def list_files(self, found: Iterable[tuple[str, int]]) -> None:
        """Take in the files of this run, as (path, bytes), in place of those of the last."""
        with self._writing():
            self._db.execute("UPDATE files SET listed = 0, again = 0 WHERE listed OR again")
            # Without a stamp a look holds for one run.
            self._db.execute("UPDATE files SET surveyed = 0 WHERE surveyed AND stamp = ''")
            self._db.executemany(
                "INSERT INTO files (path, size, listed) VALUES (?, ?, 1) "
                "ON CONFLICT (path) DO UPDATE SET listed = 1, size = excluded.size",
                ((key(path), size) for path, size in found),
            )

    def known(self, *states: State) -> Iterator[Known]:
        """Yield the files of this run in the order of their paths; changes meanwhile are seen."""
        marks = ", ".join("?" * len(states))
        after = b""
        while True:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM files WHERE path > ? AND listed AND state IN ({marks}) "
                "ORDER BY path LIMIT 200",
                (after, *states),
            ).fetchall()
            if not rows:
                return
            for row in rows:
                yield _known(row)
            after = rows[-1][0]

    def find(self, path: str) -> Known | None:
        """Return what is known of one file."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM files WHERE path = ?", (key(path),)
        ).fetchone()
        return _known(row) if row else None

    def twin(self, sha256: str, suffix: str) -> int | None:
        """Where the record of an analysed file with this content and this ending begins."""
        rows = self._db.execute(
            "SELECT path, place FROM files WHERE sha256 = ? AND state = 'done' AND NOT again",
            (sha256,),
        )
        for path, place in rows:
            if path_of(path).lower().endswith(suffix.lower()):
                return int(place)
        return None

    def count(self, state: State, *, all_runs: bool = False) -> int:
        """How many files of this run, or of all, are in a state."""
        where = "state = ?" if all_runs else "state = ? AND listed"
        return int(
            self._db.execute(f"SELECT count(*) FROM files WHERE {where}", (state,)).fetchone()[0]
        )

    def places(self) -> Iterator[int]:
        """Where the records of all runs begin, in the order of their paths."""
        after = b""
        while True:
            rows = self._db.execute(
                "SELECT path, place FROM files WHERE path > ? AND place IS NOT NULL "
                "ORDER BY path LIMIT 1000",
                (after,),
            ).fetchall()
            if not rows:
                return
            yield from (int(place) for _, place in rows)
            after = rows[-1][0]

    # -- what is learned --

    def surveyed(
        self, path: str, *, sha256: str | None, stamp: str, duration_s: float | None
    ) -> None:
        """Note what a look at a file told."""
        with self._writing():
            self._db.execute(
                "UPDATE files SET sha256 = ?, stamp = ?, duration_s = ?, surveyed = 1 "
                "WHERE path = ?",
                (sha256, stamp, duration_s, key(path)),
            )

    def unchanged(self, path: str, stamp: str) -> None:
        """Note that a file with another time has the content that it had."""
        with self._writing():
            self._db.execute("UPDATE files SET stamp = ? WHERE path = ?", (stamp, key(path)))

    def note(self, outcome: Outcome, place: int) -> None:
        """Note the outcome of a file, whose record begins at `place`."""
        with self._writing():
            state: State = "failed" if outcome.kind else "done"
            enter(self._db, key(outcome.path), state, outcome.kind, outcome.sha256, place)
            keep_mark(self._db, self._results.mark())

    def again(self, path: str) -> None:
        """Have a file done once more; `forget` takes its record out."""
        with self._writing():
            self._db.execute("UPDATE files SET again = 1 WHERE path = ?", (key(path),))

    def forget(self) -> int:
        """Take the records of what is done again out of the results; return how many.

        They leave the file before the work is done anew, so that no file ever has two.
        """
        with self._honest():
            (count,) = self._db.execute("SELECT count(*) FROM files WHERE again").fetchone()
            if count:
                self._results.keep(lambda record: not self._is_again(record["media"]["path"]))
                with self._db:
                    self._db.execute(
                        "UPDATE files SET state = 'new', kind = NULL, place = NULL, sha256 = NULL, "
                        "stamp = '', surveyed = 0, again = 0 WHERE again"
                    )
                    read_records(self._db, self._results, 0)
        return int(count)

    # -- facts --

    def fact(self, name: str) -> Any:
        """Return a number or text that was kept under a name, or None."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def keep_fact(self, name: str, value: float | int | str) -> None:
        """Keep a number or text under a name."""
        with self._writing():
            keep_fact(self._db, name, value)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Have all that is noted within reach the disk at once: many times faster."""
        with self._writing():
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False

    # -- inside --

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Have what is written within reach the disk, or be taken back after an error."""
        with self._honest():
            if self._is_together:
                yield
                return
            with self._db:
                yield

    def _is_again(self, path: str) -> bool:
        row = self._db.execute("SELECT again FROM files WHERE path = ?", (key(path),)).fetchone()
        return bool(row and row[0])

    @contextlib.contextmanager
    def _honest(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise FolderError(
                f"{self._path}: cannot be written ({error}); make room or choose another place, "
                "and run again: it goes on where it stopped"
            ) from error


def _known(row: tuple[Any, ...]) -> Known:
    path, state, kind, sha256, stamp, size, duration_s, surveyed = row
    return Known(path_of(path), state, kind, sha256, stamp, size, duration_s, bool(surveyed))
