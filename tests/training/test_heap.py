"""Freed memory is used again instead of being fetched from the system, page by page."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from dashfusion_training.heap import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    print("cannot")
    sys.exit()
torch.set_num_threads(1)
numbers = torch.ones(12_000_000)  # 48 MB: above what the library keeps by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    twice = numbers * 2
    more = twice + 1
    positive = torch.relu(more)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="page faults are not counted there")
def test_large_tensors_again_and_again_fault_few_pages() -> None:
    kept = faults("keep")
    if kept == "cannot":
        pytest.skip("this C library cannot be told")
    given_back = int(faults("plain"))
    if given_back < 60 * 12_000_000 * 4 // 4096 // 2:
        pytest.skip("this system gives memory in huge pages")
    assert int(kept) < given_back / 3
