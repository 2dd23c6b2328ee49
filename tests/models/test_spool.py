"""Rows on disk read as an array's do, and a full disk is told in one line."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models import spool as module
from dashfusion_models.errors import DiskError
from dashfusion_models.spool import Spool

MODELS = Path(module.__file__).parents[1]
resource = pytest.importorskip("resource", reason="tells how large files may grow")
ROWS = np.arange(30, dtype=np.float32).reshape(10, 3)


@pytest.fixture(params=[1, 1 << 20], ids=["disk", "memory"])
def spool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(module, "MEMORY_BYTES", request.param)
    return Spool((np.float32, 3))


@contextmanager
def no_room(bytes_left: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "piece",
    [slice(None), slice(2, 5), slice(-3, None), slice(8, 99), slice(5, 2), slice(40, 50)],
)
def test_slices_are_those_of_an_array(spool: Spool, piece: slice) -> None:
    spool.append(ROWS[:4])
    spool.append(ROWS[4:])
    assert len(spool) == 10
    found = spool[piece]
    np.testing.assert_array_equal(found, ROWS[piece])
    assert found.dtype == np.float32
    assert found.flags.writeable  # torch warns of what is not


def test_what_is_skipped_is_zeros_and_what_is_written_again_is_the_later(spool: Spool) -> None:
    spool.write(5, ROWS[5:8])
    spool.write(6, ROWS[:1])
    assert len(spool) == 8
    assert not spool[:5].any()
    np.testing.assert_array_equal(spool[5:], ROWS[[5, 0, 7]])


def test_rows_may_have_named_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 1)
    rows = np.zeros(3, dtype=[("box", "f8", 4), ("shapes", "f4", 2)])
    rows["box"], rows["shapes"] = 1 / 3, 0.5
    named = Spool(rows.dtype)
    named.append(rows)
    assert (named[1:3] == rows[1:3]).all()


def test_long_rows_lie_in_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(module.tempfile, "tempdir", None)
    long = Spool(np.float32)
    long.append(np.ones(module.MEMORY_BYTES // 4 + 1, np.float32))
    assert long._file._rolled
    assert list(tmp_path.iterdir()) == []
    assert long[:].sum() == len(long)


def test_threads_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 1)
    shared = Spool(np.int64)
    shared.append(np.arange(1000))
    wrong: list[int] = []

    def read(start: int) -> None:
        for first in range(start, 900, 3):
            if (shared[first : first + 50] != np.arange(first, first + 50)).any():
                wrong.append(first)

    readers = [threading.Thread(target=read, args=(start,)) for start in range(3)]
    for reader in readers:
        reader.start()
    for first in range(1000, 3000, 100):
        shared.append(np.arange(first, first + 100))
    for reader in readers:
        reader.join()
    assert wrong == []
    np.testing.assert_array_equal(shared[:], np.arange(3000))


def test_a_full_disk_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 1)
    full = Spool(np.float32)
    with no_room(1000), pytest.raises(DiskError, match=r"cannot be written \(.+\); free") as told:
        full.append(np.zeros(1 << 20, np.float32))
    assert "\n" not in str(told.value)
    assert isinstance(told.value.__cause__, OSError)


def test_a_full_disk_is_told_once_and_not_again_at_the_end() -> None:
    code = (
        "import resource, numpy as np\n"
        "from dashfusion_models.spool import DiskError, Spool\n"
        "rows = Spool(np.float32)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: rows.append(np.zeros(1 << 21, np.float32))\n"
        "except DiskError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=MODELS
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1 and "cannot be written" in done.stdout


def test_a_file_that_was_cut_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 1)
    cut = Spool(np.float32)
    cut.append(np.ones(1000, np.float32))
    cut._file.truncate(100)
    with pytest.raises(DiskError, match="cut off"):
        cut[:]
