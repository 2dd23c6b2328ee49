"""How long `dashfusion --help` takes beyond the interpreter's own start, in turn, as medians.

`python tests/benchmarks/start_up.py`
"""

import platform
import statistics
import subprocess
import sys
import time

RUNS = 15


def seconds(*arguments: str) -> float:
    """Wall time of one run of this interpreter."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Time both in turn and print the medians."""
    bare, ours = [], []
    for _ in range(RUNS):
        bare.append(seconds("-c", "pass"))
        ours.append(seconds("-m", "dashfusion_cli", "--help"))
    print(f"Python {platform.python_version()}, {platform.platform()}, {RUNS} pairs, medians")
    print(f"interpreter {statistics.median(bare):.3f} s, --help {statistics.median(ours):.3f} s")
    beyond = statistics.median(o - b for o, b in zip(ours, bare, strict=True))
    print(f"beyond the interpreter's start: {beyond:.3f} s")


if __name__ == "__main__":
    main()
