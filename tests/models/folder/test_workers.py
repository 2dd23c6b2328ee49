"""Worker processes that die, hang, or lose their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dashfusion_models.folder import LocalEngine, Outcome, Stop, Surveyor, TimeLimit
from dashfusion_models.folder.jobs import Job
from dashfusion_models.folder.task import _Decoded
from dashfusion_models.records import Progress
from dashfusion_models.resources import THREAD_VARIABLES

from .conftest import House

ROOT = Path(__file__).parents[3]


def workers_of(pid: int) -> list[psutil.Process]:
    """Return the processes below one that are still at work."""
    return [p for p in psutil.Process(pid).children(recursive=True) if not _has_ended(p)]


def _has_ended(process: psutil.Process) -> bool:
    """Whether it is gone, or only waits for its parent to hear of it."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def gone(pid: int, *, within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_a_worker_that_dies_is_replaced_and_its_file_tried_once_more(house: House) -> None:
    house.plant(a="once die", b="die", c="ok", d="ok")
    assert house.run() == (3, 1, 0)
    assert house.starts() == {"a": 2, "b": 2, "c": 1, "d": 1}
    assert house.kinds() == {"a": None, "b": "killed", "c": None, "d": None}
    error = house.records()["b"]["error"]["message"]
    assert error.startswith(f"{house.folder / 'b.mp4'}: the worker was ended by SIGKILL, 2 times;")
    house.plant(e="ok")
    house.run()  # a failure of the machine: tried again
    assert house.starts()["b"] == 4


def test_a_worker_that_hangs_is_replaced_and_its_file_tried_once_more(house: House) -> None:
    house.plant(a="once hang", b="hang", c="ok")
    assert house.run(house.engine(workers=2, least_s=2.0)) == (2, 1, 0)
    assert house.starts() == {"a": 2, "b": 2, "c": 1}
    assert house.kinds()["b"] == "timeout"
    assert "took more than 2 s" in house.records()["b"]["error"]["message"]


def test_what_a_hanging_worker_started_goes_with_it(house: House) -> None:
    house.plant(a="once child")
    assert house.run(house.engine(workers=1, least_s=2.0)) == (1, 0, 0)
    child = int((house.folder / ".a.mp4.child").read_text())
    assert gone(child)


def test_a_worker_killed_from_outside_costs_nothing(house: House) -> None:
    house.plant(**{f"f{n:02}": "slow 0.1" for n in range(12)})
    killed: list[int] = []

    def kill_one(outcome: Outcome) -> None:
        workers = workers_of(os.getpid())
        if len(killed) < 3 and workers:
            killed.append(workers[0].pid)
            workers[0].kill()

    assert house.run(each=kill_one) == (12, 0, 0)
    assert len(killed) == 3
    assert set(house.kinds().values()) == {None}


def test_no_worker_outlives_a_run(house: House) -> None:
    house.plant(a="ok", b="slow 0.1")
    house.run()
    assert workers_of(os.getpid()) == []


def test_whoever_drops_the_outcomes_ends_the_work(house: House) -> None:
    house.plant(a="ok", b="hang")

    def stop(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.run(each=stop)
    assert workers_of(os.getpid()) == []
    assert set(house.records()) == {"a"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_workers_end_when_their_parent_is_killed(house: House) -> None:
    house.plant(a="hang", b="hang")
    here = Path(__file__).parent
    program = f"""
import sys
from pathlib import Path
sys.path[:0] = {[str(here), *(str(ROOT / part) for part in (".", "models", "training"))]!r}
from planted_work import PlantedTask
from dashfusion_models.folder import Job, LocalEngine, Stop
jobs = (Job(str(p), str(p), 1) for p in sorted(Path({str(house.folder)!r}).iterdir()))
list(LocalEngine(PlantedTask({str(house.root / "log")!r}), workers=2).run(jobs, Stop()))
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        until = time.monotonic() + 30
        while sum(house.starts().values()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        workers = [p.pid for p in workers_of(parent.pid)]
        assert len(workers) == 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert all(gone(pid) for pid in workers)


def test_workers_share_the_cores(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashfusion_models.folder.limits.cores_here", lambda: 8)
    seen: list[dict[str, str]] = []
    house.plant(a="slow 0.5", b="slow 0.5", c="ok")

    def look(outcome: Outcome) -> None:
        if not seen:
            seen.extend(p.environ() for p in workers_of(os.getpid()))

    house.run(house.engine(workers=2), each=look)
    assert len(seen) == 2
    assert {environ[name] for environ in seen for name in THREAD_VARIABLES} == {"4"}


def test_a_file_may_take_time_in_proportion_to_its_length() -> None:
    limit = TimeLimit(least_s=10.0, per_second=3.0)
    assert limit.of(Job("a", "a", size=1, duration_s=100.0)) == 310.0
    assert limit.of(Job("a", "a", size=1, duration_s=0.0)) == 10.0
    assert 10.0 < limit.of(Job("a", "a", size=10_000_000)) < 1000.0
    assert TimeLimit.for_model("large-v3").of(Job("a", "a", 1, 60.0)) > TimeLimit().of(
        Job("a", "a", 1, 60.0)
    )


def test_a_length_that_a_header_declares_is_believed_as_far_as_it_can_be() -> None:
    day_s, limit = 86_400.0, TimeLimit(least_s=10.0, per_second=1.0)
    small = Job("a", "a", size=70_000, duration_s=19_461_571.0)  # one bit of a header of 1.2 s
    assert limit.of(small) == 10.0 + 3600.0
    assert limit.of(Job("a", "a", size=8_000_000, duration_s=36_000.0)) == 10.0 + 36_000.0
    assert limit.of(Job("a", "a", size=1 << 40, duration_s=1e9)) == 10.0 + 2 * day_s
    decoded = [limit.so_far(small, decoded_s) for decoded_s in (0.0, 100.0, 1e6)]
    assert decoded == pytest.approx([70.0, 170.0, 3610.0], abs=0.1)
    assert limit.quiet(small, 1.2) == pytest.approx(10.3, abs=0.1)


def test_a_worker_that_gives_no_sign_of_progress_is_replaced(house: House) -> None:
    """The file says that it is long, so that by its length it might take hours."""
    from planted_work import TellingTask

    house.plant(a="steady 4", b="hang")
    limit = TimeLimit(least_s=2.0, per_second=1.0, load_s=60.0)
    engine = LocalEngine(TellingTask(str(house.root / "log")), workers=1, limit=limit)
    jobs = [Job(str(p), str(p), 9, 1e8) for p in sorted(house.folder.glob("*.mp4"))]
    steady, hangs = engine.run(iter(jobs), Stop())
    assert steady.kind is None and steady.seconds > 3.9
    assert hangs.kind == "timeout"
    assert "gave no sign of progress for 2 s, 2 times; " in hangs.message


def test_what_was_decoded_is_told_whatever_the_times_in_the_file_are() -> None:
    told: list[float] = []
    hear = _Decoded(told.append)
    for progress in (
        Progress("vision", 0.0, 2e7),
        Progress("vision", 1e7, 2e7),
        Progress("decode", 60.0, None),
        Progress("score", 8, None, "utterances"),
    ):
        hear(progress)
    assert told == [0.1, 0.2, 60.0, 60.0]


def test_a_survey_tells_content_and_length(house: House) -> None:
    demo = ROOT / "assets" / "demo.mp4"
    house.plant(a="ok")
    with Surveyor() as survey:
        facts = survey(str(demo), demo.stat().st_size)
        assert facts.duration_s == pytest.approx(18.9, abs=0.2)
        assert facts.sha256 is not None and facts.stamp
        bad = survey(str(house.folder / "a.mp4"), 1)
        assert (bad.duration_s, bad.sha256 is not None) == (None, True)
        (worker,) = workers_of(os.getpid())
        worker.kill()  # as a file that crashes a decoder
        assert survey(str(demo), 1).sha256 is None
        assert survey(str(demo), 1) == facts
        assert survey("no such file", 1).sha256 is None
