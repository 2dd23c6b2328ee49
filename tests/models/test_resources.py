from pathlib import Path

import pytest

from dashfusion_models import resources
from dashfusion_models.folder import limits
from dashfusion_models.folder.limits import thread_environment, worker_count
from dashfusion_models.resources import cores_here, free_bytes, threads_here

GB = 1 << 30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixteen cores; control groups are read from a planted folder."""
    monkeypatch.setattr(resources, "_GROUPS", tmp_path)
    monkeypatch.setattr(resources, "_own_groups", lambda: iter([tmp_path / "job", tmp_path]))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "job").mkdir()
    return tmp_path


def test_the_tightest_group_counts(machine: Path) -> None:
    assert cores_here() == 16
    (machine / "cpu.max").write_text("800000 100000\n")
    assert cores_here() == 8
    (machine / "job" / "cpu.max").write_text("250000 100000\n")
    assert cores_here() == 2
    (machine / "job" / "cpu.max").write_text("50000 100000\n")
    assert cores_here() == 1
    (machine / "job" / "cpu.max").write_text("max 100000\n")
    assert cores_here() == 8


def test_the_first_kind_of_groups(machine: Path) -> None:
    (machine / "cpu").mkdir()
    (machine / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (machine / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores_here() == 16
    (machine / "cpu" / "cpu.cfs_quota_us").write_text("400000\n")
    assert cores_here() == 4


def test_threads_as_they_were_asked_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_here() == 16
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_here() == 3


def test_a_groups_caches_can_be_given_up(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_machine_bytes", lambda: 64 * GB)
    assert free_bytes() == 64 * GB
    (machine / "job" / "memory.max").write_text(f"{8 * GB}\n")
    (machine / "job" / "memory.current").write_text(f"{6 * GB}\n")
    (machine / "job" / "memory.stat").write_text(f"anon 1\ninactive_file {1 * GB}\n")
    assert free_bytes() == 3 * GB


@pytest.mark.parametrize(
    ("cores", "free", "model", "workers"),
    [
        (16, 64 * GB, "base", 16),
        (16, 8 * GB, "base", 5),
        (16, 8 * GB, "small.en", 3),
        (16, 8 * GB, "large-v3", 1),
        (16, 1 * GB, "base", 1),
        (2, 64 * GB, "base", 2),
        (4, None, "base", 4),
    ],
)
def test_as_many_workers_as_cores_and_memory_carry(
    monkeypatch: pytest.MonkeyPatch, cores: int, free: int | None, model: str, workers: int
) -> None:
    monkeypatch.setattr(limits, "cores_here", lambda: cores)
    monkeypatch.setattr(limits, "free_bytes", lambda: free)
    assert worker_count(model, device="cpu") == workers
    assert worker_count(model, device="cuda:1") == min(workers, 4)


def test_no_worker_is_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "cores_here", lambda: 8)
    assert set(thread_environment(3).values()) == {"2"}
    assert set(thread_environment(20).values()) == {"1"}
