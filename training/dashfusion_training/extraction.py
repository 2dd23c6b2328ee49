"""A manifest to a store by worker processes: the engine of `batch` with other work.

Each sample becomes a store of one beside the growing one, in whatever order they come; the store is
filled from them in the order of the manifest, so that it is the same for any number of workers and
wherever a run was stopped.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashfusion_models.errors import DataError
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.features.vision import VISION_SPEC
from dashfusion_models.folder import Engine, Job, Stop, Work
from dashfusion_models.records import Features, Progress
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.manifest import ManifestRow, extract_row, text_alone

__all__ = ["ExtractTask", "extract_with"]

PARTS = "parts"  # the folder in the store's, while it grows


@dataclass(frozen=True, kw_only=True)
class ExtractTask:
    """Loads the engines in a worker; `rows` are those of the manifest by their ids.

    `engines` are the arguments of `Engines`, `parts` is where samples are left.
    """

    rows: Mapping[str, ManifestRow]
    parts: Path
    engines: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Work:
        """Return what extracts the row of a job and writes its sample."""
        from dashfusion_models.engines import Engines

        engines = Engines(**self.engines)

        def work(job: Job) -> Mapping[str, Any]:
            row, features, notes = extract_row(self.rows[job.path], engines)
            _write_part(self.parts, row, features)
            return {"media": {"sha256": row.sha256}, "warnings": list(notes)}

        return work


def extract_with(
    make_engine: Callable[[ExtractTask], Engine],
    rows: Sequence[ManifestRow],
    output: Path,
    *,
    stop: Stop,
    report: Callable[[Progress], None],
    engines: Mapping[str, Any] | None = None,
) -> tuple[Store, list[str]]:
    """Extract every row that the store at `output` does not hold yet; return it and the warnings.

    A row whose file cannot be read, or is not done by any worker, is left out with a warning; the
    next run tries it again. Once `stop` is asked, the run ends with what is under way, and the
    store holds the rows up to the first that is missing; what came after it is kept beside it.

    Raises:
        DataError: `output` is another store, or not empty.
        DashfusionError: what would go wrong with every file.
    """
    writer = StoreWriter(output, audio=AUDIO_SPEC, vision=VISION_SPEC)
    parts = output / PARTS
    parts.mkdir(exist_ok=True)
    by_id = {row.id: row for row in rows}
    task = ExtractTask(rows=by_id, parts=parts, engines=engines or {})
    todo = [row for row in rows if row.id not in writer.done]
    filling = _Filling(writer, todo, parts)
    before = frozenset(filling.ahead)
    jobs = (_job(row) for row in todo if row.file is not None and row.id not in before)
    warnings: list[str] = []
    filling.go_on()
    for outcome in make_engine(task).run(jobs, stop):
        if outcome.kind is not None:
            warnings.append(f"left out: {outcome.message}")
            filling.left_out.add(outcome.path)
        else:
            filling.ahead.add(outcome.path)
        warnings += [f"{by_id[outcome.path].file}: {note}" for note in outcome.warnings]
        filling.go_on()
        report(Progress("extract", filling.known(), len(rows), "samples"))
    if not filling.waits:
        writer.flush()
        shutil.rmtree(parts)
    return Store(output), warnings


class _Filling:
    """Moves samples from where workers leave them to the store, in the order of the manifest."""

    def __init__(self, writer: StoreWriter, rows: Sequence[ManifestRow], parts: Path) -> None:
        self._writer, self._rows, self._parts = writer, list(rows), parts
        self._place = 0
        self._moved: list[ManifestRow] = []  # whose parts can go once they are in a shard
        self.left_out: set[str] = set()
        self.ahead = {row.id for row in rows if _is_whole(parts, row)}  # there, and not yet added

    @property
    def waits(self) -> bool:
        """Whether some row is missing still."""
        return self._place < len(self._rows)

    def known(self) -> int:
        """How many rows are done, in the store or beside it."""
        return len(self._writer.done) + len(self.left_out) + len(self.ahead)

    def go_on(self) -> None:
        """Add the rows that are there, up to the first that is not."""
        while self.waits:
            row = self._rows[self._place]
            if row.file is None:
                self._writer.add(*text_alone(row))
            elif row.id not in self.left_out:
                if row.id not in self.ahead:
                    return
                self.ahead.remove(row.id)
                part = Store(_part(self._parts, row.id))
                self._writer.add(part.rows[0], part[0])
                self._moved.append(row)
            self._place += 1
            if not self._writer.pending:
                for moved in self._moved:
                    shutil.rmtree(_part(self._parts, moved.id))
                self._moved.clear()


def _job(row: ManifestRow) -> Job:
    assert row.file is not None  # a text alone is no work
    length_s = None if row.end_s is None else row.end_s - row.start_s
    return Job(row.id, str(row.file), row.file.stat().st_size, length_s)


def _part(parts: Path, name: str) -> Path:
    """Where a sample lies; an id may hold what no file name may."""
    return parts / hashlib.sha256(name.encode()).hexdigest()[:32]


def _is_whole(parts: Path, row: ManifestRow) -> bool:
    try:
        return [one.id for one in Store(_part(parts, row.id)).rows] == [row.id]
    except DataError:
        return False


def _write_part(parts: Path, row: Row, features: Features) -> None:
    folder = _part(parts, row.id)
    shutil.rmtree(folder, ignore_errors=True)  # of a worker that died over it
    with StoreWriter(folder, audio=AUDIO_SPEC, vision=VISION_SPEC) as writer:
        writer.add(row, features)
