"""Several trainings at a time, in processes of their own."""

import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.paper.side_by_side import Job, devices_for, run_here, run_side_by_side
from dashfusion_training.report import read_report
from dashfusion_training.watch import UNWATCHED

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

CPU = torch.device("cpu")


def job_of(config: TrainConfig, store: Path, output: Path) -> Job:
    return Job(
        name=output.name,
        benchmark="small",
        config=config,
        store=store,
        output=output,
        offline=True,
    )


@pytest.fixture
def jobs(tiny_config: TrainConfig, small_store: Store, tmp_path: Path) -> list[Job]:
    short = changed(tiny_config, {"epochs": 1})
    folder = small_store.folder
    return [
        job_of(changed(short, {"seed": 1111}), folder, tmp_path / "one"),
        job_of(short, tmp_path / "nothing", tmp_path / "two"),
    ]


def test_every_job_ends_as_it_does_alone(jobs: list[Job], tmp_path: Path) -> None:
    ended: dict[str, str | None] = {}
    run_side_by_side(jobs, [CPU, CPU], lambda job, failure: ended.update({job.name: failure}))
    assert ended["one"] is None
    assert "is not a store" in (ended["two"] or "")
    alone = Job(**{**vars(jobs[0]), "output": tmp_path / "alone"})
    assert run_here(alone, CPU, UNWATCHED) is None
    reports = [read_report(tmp_path / name) for name in ("one", "alone")]
    maes = [report["seeds"][0]["metrics"]["mae"] for report in reports if report]
    # Shares of the cores differ, and with them the order of sums.
    assert maes[0] == pytest.approx(maes[1], abs=1e-4)


def test_a_process_that_is_killed_fails_its_job_and_no_other(
    tiny_config: TrainConfig, small_store: Store, tmp_path: Path
) -> None:
    long = job_of(changed(tiny_config, {"epochs": 5000}), small_store.folder, tmp_path / "long")
    short = job_of(changed(tiny_config, {"epochs": 1}), small_store.folder, tmp_path / "short")
    ended: dict[str, str | None] = {}

    def kill() -> None:
        until = time.monotonic() + 120
        while not (tmp_path / "long" / "config.toml").exists() and time.monotonic() < until:
            time.sleep(0.1)
        for child in psutil.Process().children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    run_side_by_side([long, short], [CPU], lambda job, failure: ended.update({job.name: failure}))
    killer.join()
    assert "ended with code" in (ended["long"] or "")
    assert ended["short"] is None


def test_stopping_early_leaves_no_training_behind(
    tiny_config: TrainConfig, small_store: Store, tmp_path: Path
) -> None:
    long = job_of(changed(tiny_config, {"epochs": 5000}), small_store.folder, tmp_path / "long")
    quick = job_of(changed(tiny_config, {"epochs": 1}), small_store.folder, tmp_path / "quick")

    def stop(job: Job, failure: str | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([quick, long], [CPU, CPU], stop)
    children = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not any("spawn_main" in line for line in children)


def test_there_is_room_for_one_training_on_eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(20), raising=False)
    assert devices_for(CPU) == [CPU, CPU]
    assert devices_for(CPU, 3) == [CPU] * 3
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(2), raising=False)
    assert devices_for(CPU) == [CPU]


def test_there_is_room_for_one_training_on_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert [device.index for device in devices_for(torch.device("cuda"))] == [0, 1, 2]
    assert [device.index for device in devices_for(torch.device("cuda"), 4)] == [0, 1, 2, 0]
    assert devices_for(torch.device("cuda", 1)) == [torch.device("cuda", 1)]
