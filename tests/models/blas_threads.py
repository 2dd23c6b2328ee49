"""What a program prints with another number of BLAS threads."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["printed_with"]

ROOT = Path(__file__).parents[2]


def printed_with(threads: str, program: str) -> str:
    """Run `program` in a fresh process in which NumPy's OpenBLAS has so many threads."""
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "models", "training"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": roots, "OPENBLAS_NUM_THREADS": threads},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
