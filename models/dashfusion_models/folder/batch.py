"""A folder of media files to a folder of results, a record a file, however often it is stopped."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashfusion_models.closing import Closing
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import FolderError
from dashfusion_models.folder.engine import Engine
from dashfusion_models.folder.found import find_files, stamp_of
from dashfusion_models.folder.jobs import MACHINE_KINDS, Job, Outcome, Stop
from dashfusion_models.folder.opening import RECIPE, RESULTS, WORK_LIST, agreed, locked
from dashfusion_models.folder.pace import Pace
from dashfusion_models.folder.recipe import Recipe, write_recipe
from dashfusion_models.folder.results import ResultsFile
from dashfusion_models.folder.survey import Survey
from dashfusion_models.folder.transcripts import beside, both_stamps, content_of, name_of
from dashfusion_models.folder.worklist import Known, WorkList
from dashfusion_models.plain_json import json_bytes

__all__ = ["Batch", "Plan", "Wanted"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which files of a folder are to be done.

    `folder` is looked through, the folders in it too with `recursive`. `include` has patterns of
    names, as "*.mp4"; without any, what ends like a media file is taken. `limit`: only the first so
    many, by name. `retry_failed`: those that failed by themselves too. With `transcripts`, one that
    lies beside a file (of its name, as .vtt, .srt or .txt) takes the place of recognition.
    """

    folder: Path
    recursive: bool = False
    include: Sequence[str] = ()
    limit: int | None = None
    retry_failed: bool = False
    transcripts: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run has before it.

    `files` there are, `to_do` of them in this run. Those have `media_s` seconds of media, which
    `is_guess` where not all were looked at.
    """

    files: int
    to_do: int
    media_s: float
    is_guess: bool


class Batch(Closing):
    """An open folder of results; nobody else has it open."""

    def __init__(
        self, folder: Path, recipe: Recipe, *, survey: Survey, force: bool = False
    ) -> None:
        """Open or create `folder`; results of another recipe are refused, or replaced by force.

        `survey` looks at files before they are done.

        Raises:
            FolderError: it is in use, is something else, cannot be written, or holds results of
                another model or of other options.
        """
        self._folder = folder
        self._root, self._place = "", Path()
        self._has_transcripts = False
        self._survey = survey
        self._copied: deque[Outcome] = deque()
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.callback(locked(folder).release)
            self._roots = agreed(folder, recipe, force=force)
            self._results = stack.enter_context(ResultsFile(folder / RESULTS))
            self._list = WorkList(folder / WORK_LIST, self._results)
            stack.callback(self._list.close)
            self._recipe = recipe
            self._stack = stack.pop_all()

    # -- before the work --

    def plan(
        self,
        wanted: Wanted,
        *,
        patience_s: float = 20.0,
        report: Callable[[int, int], None] = lambda seen, of: None,
    ) -> Plan:
        """List the files, find out which are to be done, and look at these for a while.

        `report` hears how many files were looked at, of how many.

        Raises:
            FolderError: no such folder, no files in it, or the results cannot be written.
        """
        known = len(self._roots.names)
        self._root = self._roots.name_of(wanted.folder)
        self._place = wanted.folder
        self._has_transcripts = wanted.transcripts
        if len(self._roots.names) > known:
            write_recipe(self._folder / RECIPE, self._recipe, self._roots)
        found = find_files(
            wanted.folder,
            recursive=wanted.recursive,
            include=wanted.include,
            limit=wanted.limit,
            leave_out=self._folder,
        )
        self._list.list_files((self._called(below), size) for below, size in found)
        if sum(self.counts()) == 0:
            raise FolderError(f"{wanted.folder}: {_nothing_found(wanted)}")
        done, failed, new = self.counts()
        with self._list.together():
            for seen, file in enumerate(self._list.known("done", "failed")):
                report(seen, done + failed + new)
                if self._is_to_be_done_again(file, retry_failed=wanted.retry_failed):
                    self._list.again(file.path)
        self._list.forget()
        return self._planned(patience_s, report)

    def _planned(self, patience_s: float, report: Callable[[int, int], None]) -> Plan:
        done, failed, to_do = self.counts()
        files = done + failed + to_do
        until_s = time.monotonic() + patience_s
        seen, media_s = 0, 0.0
        with self._list.together():
            for file in self._list.known("new"):
                if time.monotonic() > until_s:
                    break
                seen, media_s = seen + 1, media_s + (self._surveyed(file).duration_s or 0.0)
                report(done + failed + seen, files)
        return Plan(files, to_do, media_s * to_do / max(1, seen), is_guess=seen < to_do)

    def _is_to_be_done_again(self, file: Known, *, retry_failed: bool) -> bool:
        """Whether a file has changed, or failed in a way that may pass."""
        if file.state == "failed" and (retry_failed or file.kind in MACHINE_KINDS):
            return True
        try:
            stamp = self._stamp(file.path)
            if stamp and stamp == file.stamp:
                return False
            sha256 = sha256_of(Path(self._file(file.path)))
            if content_of(sha256, self._transcript(file.path)) != file.sha256:
                return True
        except OSError:
            return file.sha256 is not None
        self._list.unchanged(file.path, stamp)
        return False

    # -- the work --

    def pace(self, workers: int) -> Pace:
        """The pace of former runs, to guess by."""
        cost, seconds = self._list.fact("cost"), self._list.fact("seconds")
        return Pace(workers, float(cost or 0.0), float(seconds or 0.0))

    def run(self, engine: Engine, stop: Stop) -> Generator[tuple[Outcome, float], None, None]:
        """Do what is planned; yield each outcome once its record is safe, with the media's seconds.

        Raises:
            FolderError: the disk is full or fails, or no worker starts. What was done is kept.
        """
        pace = Pace(engine.workers)
        with closing(engine.run(self._jobs(stop), stop)) as outcomes:
            for outcome in outcomes:
                self._list.note(outcome, self._results.append(outcome.line))
                media_s = self._length(outcome.path)
                if outcome.kind is None:
                    pace.add(media_s, outcome.seconds)
                yield outcome, media_s
                yield from self._copies()
            yield from self._copies()
        if pace.seconds:
            self._list.keep_fact("cost", pace.cost)
            self._list.keep_fact("seconds", pace.seconds)

    def _jobs(self, stop: Stop) -> Iterator[Job]:
        """The files that are to be done; one whose twin is done is done by that."""
        for file in self._list.known("new"):
            if stop.asked:
                return
            seen = self._surveyed(file)
            copy = self._copy(seen)
            if copy is not None:
                self._list.note(copy, self._results.append(copy.line))
                self._copied.append(copy)
                continue
            its_file, words = self._file(seen.path), self._transcript(seen.path)
            yield Job(seen.path, its_file, seen.size, seen.duration_s, words)

    def _copies(self) -> Iterator[tuple[Outcome, float]]:
        while self._copied:
            outcome = self._copied.popleft()
            yield outcome, self._length(outcome.path)

    def _length(self, path: str) -> float:
        file = self._list.find(path)
        return (file.duration_s if file else None) or 0.0

    def _copy(self, file: Known) -> Outcome | None:
        """The record of another file with the same content, under this one's name."""
        if file.sha256 is None:
            return None
        place = self._list.twin(file.sha256, os.path.splitext(file.path)[1])
        if place is None:
            return None
        record = self._results.at(place)
        record["media"]["path"] = file.path
        if words := self._transcript(file.path):
            record["run"]["transcript"] = name_of(file.path, words)
        warnings = tuple(record.get("warnings", ()))
        return Outcome(file.path, json_bytes(record), file.sha256, warnings=warnings)

    def _surveyed(self, file: Known) -> Known:
        """What is known of a file, after a look at it if it was not looked at, or has changed."""
        if not file.surveyed or (file.stamp and file.stamp != self._stamp_now(file.path)):
            words = self._transcript(file.path)
            its_stamp = _stamp(words) if words else None  # before it is read, as the file's
            facts = self._survey(self._file(file.path), file.size)
            self._list.surveyed(
                file.path,
                sha256=content_of(facts.sha256, words) if facts.sha256 else None,
                stamp=both_stamps(facts.stamp, its_stamp),
                duration_s=facts.duration_s,
            )
        return self._list.find(file.path) or file

    # -- after it --

    def counts(self) -> tuple[int, int, int]:
        """How many files of this run are analysed, failed, and still to do."""
        return self._list.count("done"), self._list.count("failed"), self._list.count("new")

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records of all runs, one by one, in the order of their paths."""
        for place in self._list.places():
            yield self._results.at(place)

    def close(self) -> None:
        """Let go of the folder."""
        self._stack.close()

    def _called(self, below: str) -> str:
        """How a file below the folder is called: as `analyze` would call it."""
        return str(Path(self._root, *below.split("/")))

    def _file(self, path: str) -> str:
        """Where a file is opened from here."""
        return str(self._place / Path(path).relative_to(self._root))

    def _transcript(self, path: str) -> str | None:
        """Where the transcript of a file is opened from here, if those are wanted."""
        return beside(self._file(path)) if self._has_transcripts else None

    def _stamp(self, path: str) -> str:
        """The stamp of a file and its transcript; OSError where one is gone."""
        words = self._transcript(path)
        return both_stamps(stamp_of(self._file(path)), stamp_of(words) if words else None)

    def _stamp_now(self, path: str) -> str:
        try:
            return self._stamp(path)
        except OSError:
            return ""


def _nothing_found(wanted: Wanted) -> str:
    if wanted.include:
        return f"no file fits {' or '.join(wanted.include)}; give other patterns by --include"
    if wanted.recursive:
        return "no media files in it; give their names by --include"
    return "no media files in it; --recursive looks into its folders too"


def _stamp(file: str) -> str:
    try:
        return stamp_of(file)
    except OSError:
        return ""
