"""Retrieval over a whole training set: seconds and peak memory as it grows.

`python -m tests.benchmarks.retrieval` searches the neighbours of 4,000, 8,000 and 16,326 (MOSEI)
vectors of 384 numbers with two threads, each in a process of its own. Labels are spread as MOSEI's.
"""

import resource
import subprocess
import sys
import time

import numpy as np
import torch

from dashfusion_training.neighbours import classes_of, find_neighbours

SIZES = (4000, 8000, 16326)
WIDTH = 384


def measure(count: int) -> None:
    """Search once and print what it took."""
    torch.set_num_threads(2)
    draw = np.random.default_rng(0)
    vectors = torch.from_numpy(draw.normal(size=(count, WIDTH)).astype(np.float32))
    labels = np.clip(draw.normal(0.3, 1.1, count), -3, 3)
    classes = classes_of(labels, "rounded")
    before = _peak_mb()
    start = time.perf_counter()
    find_neighbours(vectors, classes)
    seconds = time.perf_counter() - start
    print(f"{count:6} vectors {seconds:6.2f} s, peak {_peak_mb():4.0f} MB ({before:.0f} before)")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        for size in SIZES:
            subprocess.run([sys.executable, "-m", "tests.benchmarks.retrieval", str(size)])
