"""NumPy's threads in `analyze`: one, unless somebody wishes otherwise."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from dashfusion_cli import asked
assert "numpy" not in sys.modules
try:
    asked.load_analyzer({"checkpoint": "none.safetensors", "device": "cpu", "asr": None})
except Exception:
    pass
from threadpoolctl import threadpool_info
import numpy
found = [one["num_threads"] for one in threadpool_info() if one["internal_api"] == "openblas"]
print(max(found, default=0))
"""


@pytest.mark.parametrize(("wish", "threads"), [(None, 1), ("2", min(2, os.cpu_count() or 1))])
def test_numpy_leaves_the_cores_to_the_engines(wish: str | None, threads: int) -> None:
    known = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    known.pop("OMP_NUM_THREADS", None)
    wished = {} if wish is None else {"OPENBLAS_NUM_THREADS": wish}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**known, **wished}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    if not int(done.stdout):
        pytest.skip("NumPy has no OpenBLAS here")
    assert int(done.stdout) == threads
