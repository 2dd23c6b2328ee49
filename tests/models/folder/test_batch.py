"""A folder's run and the runs after it: what is done, what is done again, what never is."""

import json
import os
import sqlite3
import time
from pathlib import Path

import pytest

from dashfusion_models.errors import FolderError, WeightsError
from dashfusion_models.folder import Batch, LocalEngine, Recipe, Stop, Wanted

from .conftest import House, quick_look


def test_every_file_has_one_record_and_a_second_run_does_nothing(house: House) -> None:
    house.plant(a="ok", b="bad", c="ok", d="silent")
    assert house.run() == (2, 2, 0)
    assert house.kinds() == {"a": None, "b": "media", "c": None, "d": "nothing_to_score"}
    failure = house.records()["b"]
    assert failure["schema"] == "dashfusion/failure/1"
    path = str(house.folder / "b.mp4")
    assert failure["media"]["path"] == path
    assert failure["error"]["message"] == f"{path}: cannot be read; convert it"
    before = house.lines.read_bytes()
    assert house.run() == (2, 2, 0)
    assert house.lines.read_bytes() == before
    assert set(house.starts().values()) == {1}


def test_failures_of_the_machine_are_tried_again_and_those_of_files_when_asked(
    house: House,
) -> None:
    house.plant(a="memory", b="disk", c="bad", d="ok")
    assert house.run() == (1, 3, 0)
    assert house.kinds() == {"a": "memory", "b": "disk", "c": "media", "d": None}
    house.run()
    assert house.starts() == {"a": 2, "b": 2, "c": 1, "d": 1}
    house.wanted["retry_failed"] = True
    house.run()
    assert house.starts() == {"a": 3, "b": 3, "c": 2, "d": 1}
    assert len(house.records()) == 4


def test_a_changed_file_is_done_again_and_a_touched_one_is_not(house: House) -> None:
    house.plant(a="ok", b="ok", c="bad")
    house.run()
    os.utime(house.folder / "a.mp4", (1, 1))
    house.plant(b="slow 0.01", c="ok")
    assert house.run() == (3, 0, 0)
    assert house.starts() == {"a": 1, "b": 2, "c": 2}
    assert house.kinds() == {"a": None, "b": None, "c": None}


def test_a_file_that_did_not_change_is_not_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.plant(a="ok", b="ok")
    for path in house.folder.iterdir():
        os.utime(path, (1, 1))
    real = time.time
    monkeypatch.setattr("dashfusion_models.folder.found.time.time", lambda: real() + 60)
    house.run()

    def never(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("dashfusion_models.folder.batch.sha256_of", never)
    assert house.run() == (2, 0, 0)


def test_the_same_content_under_two_names_is_done_once_and_told_twice(house: House) -> None:
    house.plant(a="ok")
    house.run()
    (house.folder / "b.mp4").write_bytes((house.folder / "a.mp4").read_bytes())
    (house.folder / "c.wav").write_bytes((house.folder / "a.mp4").read_bytes())
    assert house.run() == (3, 0, 0)
    assert house.starts() == {"a": 1, "c": 1}  # another ending may be read otherwise
    found = house.records()
    assert found["b"]["media"].pop("path") == str(house.folder / "b.mp4")
    found["a"]["media"].pop("path")
    assert found["b"] == found["a"]


@pytest.mark.parametrize("damage", ["gone", "rubbish", "of other results", "behind"])
def test_the_work_list_is_made_again_from_the_results(house: House, damage: str) -> None:
    house.plant(a="ok", b="bad", c="ok")
    house.wanted["limit"] = 2
    house.run()
    work, early = house.results / "work.sqlite", house.root / "early"
    early.write_bytes(work.read_bytes())
    house.wanted.clear()
    house.run()
    match damage:
        case "gone":
            work.unlink()
        case "rubbish":
            work.write_bytes(b"rubbish" * 1000)
        case "of other results":
            with sqlite3.connect(work) as db:
                db.execute("UPDATE facts SET value = 'x' WHERE name = 'tail'")
            db.close()
        case "behind":
            work.write_bytes(early.read_bytes())
    before = house.lines.read_bytes()
    assert house.run() == (2, 1, 0)
    assert house.lines.read_bytes() == before
    assert set(house.starts().values()) == {1}


@pytest.mark.parametrize("torn", [b'{"schema": "dashfusion', b"\0" * 5000, b'{"half": 1}\n', b"\n"])
def test_a_torn_last_line_is_dropped(house: House, torn: bytes) -> None:
    house.plant(a="ok", b="ok")
    house.run()
    whole = house.lines.read_bytes()
    with house.lines.open("ab") as file:
        file.write(torn)
    assert house.run() == (2, 0, 0)
    assert house.lines.read_bytes() == whole


def test_a_line_that_was_cut_is_done_again(house: House) -> None:
    house.plant(a="ok", b="ok")
    house.run(house.engine(workers=1))
    whole = house.lines.read_bytes()
    house.lines.write_bytes(whole[:-20])
    assert house.run() == (2, 0, 0)
    assert house.starts() == {"a": 1, "b": 2}
    assert set(house.records()) == {"a", "b"}


@pytest.mark.parametrize("moment", ["keep_mark", "read_records"])
def test_killed_between_the_results_and_the_work_list(
    house: House, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """After a record is safe and before the list knows; after records are left out, likewise."""
    house.plant(a="ok", b="memory", c="ok", d="once memory")
    if moment == "read_records":
        house.run()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"dashfusion_models.folder.worklist.{moment}", killed)
        with pytest.raises(KeyboardInterrupt):
            house.run()
    assert len(house.records()) == (1 if moment == "keep_mark" else 2)
    assert house.run() == ((3, 1, 0) if moment == "read_records" else (2, 2, 0))
    house.run()
    assert house.kinds() == {"a": None, "b": "memory", "c": None, "d": None}
    assert max(house.starts()[name] for name in "ac") <= 2  # what was under way, once more


def test_other_options_or_another_model_are_refused_by_name(house: House) -> None:
    house.plant(a="ok")
    house.run()
    kept = house.lines.read_bytes()
    house.recipe = Recipe("mini", "1" * 64, {**house.recipe.options, "segments": "whole"})
    with pytest.raises(FolderError, match=r"--segments was sentence and is whole.*--force"):
        house.run()
    house.recipe = Recipe("maxi", "2" * 64, {**house.recipe.options, "segments": "sentence"})
    with pytest.raises(FolderError, match=r"the model was mini and is maxi"):
        house.run()
    assert house.lines.read_bytes() == kept
    assert house.run(force=True) == (1, 0, 0)
    assert house.starts() == {"a": 2}
    assert house.run() == (1, 0, 0)
    assert house.starts() == {"a": 2}


def test_two_runs_refuse_each_other(house: House) -> None:
    house.plant(a="ok")
    with (
        Batch(house.results, house.recipe, survey=quick_look),
        pytest.raises(FolderError, match="another run is at work there"),
    ):
        house.run()
    assert house.run() == (1, 0, 0)


def test_a_folder_of_something_else_is_refused(house: House) -> None:
    house.plant(a="ok")
    house.results.mkdir()
    (house.results / "thesis.doc").write_text("mine")
    with pytest.raises(FolderError, match="is not empty"):
        house.run()
    with pytest.raises(FolderError, match="is a file"):
        Batch(house.results / "thesis.doc", house.recipe, survey=quick_look)


def test_a_full_disk_stops_with_one_line_and_the_next_run_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.plant(**{f"f{n:02}": "ok" for n in range(8)})
    import io

    class Full(io.FileIO):
        room = 3000

        def write(self, data: bytes) -> int:  # type: ignore[override]
            if Full.room <= 0:
                raise OSError(28, "No space left on device")
            written = super().write(bytes(data)[: Full.room])
            Full.room -= written
            return written

    with monkeypatch.context() as patched:
        patched.setattr("dashfusion_models.folder.results.io.FileIO", Full)
        with pytest.raises(FolderError, match=r"results\.jsonl: cannot be written \(No space"):
            house.run()
    kept = house.records()
    assert 1 <= len(kept) < 8
    assert house.run() == (8, 0, 0)
    assert all(house.starts()[name] == 1 for name in kept)


def test_what_would_fail_with_every_file_stops_the_batch(house: House) -> None:
    house.plant(a="ok", b="setup", c="ok")
    with pytest.raises(WeightsError, match="whisper-base: not found"):
        house.run(house.engine(workers=1))
    assert house.kinds() == {"a": None}


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("setup", WeightsError, "whisper-base: not found"),
        ("memory", FolderError, "does not start .MemoryError"),
        ("die", FolderError, "was ended by SIGKILL 3 times while it was loading"),
    ],
)
def test_workers_that_cannot_load_stop_the_batch(
    house: House, how: str, error: type[Exception], words: str
) -> None:
    from planted_work import NeverLoads  # type: ignore[import-not-found]

    house.plant(a="ok")
    with pytest.raises(error, match=words):
        house.run(LocalEngine(NeverLoads(how), workers=1))
    assert house.records() == {}


def test_asked_to_stop_it_ends_with_what_is_under_way(house: House) -> None:
    house.plant(**{f"f{n}": "slow 0.2" for n in range(8)})
    stop = Stop()
    done, failed, left = house.run(stop=stop, each=lambda outcome: stop.ask())
    assert (failed, done + left) == (0, 8)
    assert 1 <= done <= 3
    assert sum(house.starts().values()) == done
    assert house.run() == (8, 0, 0)
    assert set(house.starts().values()) == {1}


def test_files_are_called_as_they_were_first_called(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.plant(a="ok", b="ok")
    monkeypatch.chdir(house.root)
    (house.root / "elsewhere").mkdir()
    wanted = {"limit": 1}
    for here, folder in (("elsewhere", "../clips"), (".", "clips"), (".", str(house.folder))):
        monkeypatch.chdir(house.root / here)
        with Batch(house.results, house.recipe, survey=quick_look) as batch:
            batch.plan(Wanted(folder=Path(folder), **wanted))  # type: ignore[arg-type]
            for _ in batch.run(house.engine(), Stop()):
                pass
        wanted = {}
    assert {r["media"]["path"] for r in house.records().values()} == {
        "../clips/a.mp4",
        "../clips/b.mp4",
    }
    assert set(house.starts().values()) == {1}


def test_a_plan_says_what_there_is(house: House) -> None:
    house.plant(a="ok", b="ok", c="bad")
    house.wanted["limit"] = 1
    house.run()
    house.wanted.clear()
    house.run()
    assert house.plan is not None
    assert (house.plan.files, house.plan.to_do) == (3, 2)


def test_records_come_in_the_order_of_their_paths(house: House) -> None:
    house.plant(a="slow 0.3", b="ok", c="ok")
    house.run()
    with Batch(house.results, house.recipe, survey=quick_look) as batch:
        paths = [record["media"]["path"] for record in batch.records()]
    assert paths == sorted(paths)
    assert len(paths) == 3


def test_odd_names_survive(house: House) -> None:
    house.plant(a="ok")
    odd = os.fsdecode(b"odd\xff\n'\".mp4")
    try:
        (house.folder / odd).write_text("ok odd")
    except OSError:
        pytest.skip("this file system has no such names")
    assert house.run() == (2, 0, 0)
    (house.results / "work.sqlite").unlink()
    assert house.run() == (2, 0, 0)
    assert sum(house.starts().values()) >= 2
    names = {json.loads(line)["media"]["path"] for line in house.lines.read_bytes().splitlines()}
    assert str(house.folder / odd) in names


def test_a_file_costs_no_more_among_many(house: House) -> None:
    """Looking for a twin reads an index and not the whole list."""
    house.plant(a="ok")
    house.run()
    query = "EXPLAIN QUERY PLAN SELECT path FROM files WHERE sha256 = 'x' AND state = 'done'"
    with sqlite3.connect(house.results / "work.sqlite") as db:
        assert "by_content" in str(db.execute(query).fetchall())
    db.close()
