"""What waiting threads cost: a training step alone and beside other busy programs.

`python -m tests.benchmarks.beside_others`. Each child times steps of our Transformer layers, as
long as utterances are, with threads that spin while they wait (the default of OpenMP) and with ones
that sleep (OMP_WAIT_POLICY=PASSIVE), in turns; first alone, then beside one busy process a core.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

from dashfusion_models.resources import cores_here

SECONDS = 6.0
PAIRS = 3
CHILD = "from tests.benchmarks.beside_others import step_s; print(step_s())"
BUSY = "while True: pass"
WAYS = {"spinning": {}, "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"}}


def step_s() -> float:
    """Mean seconds of a step, forwards and backwards: two layers, 32 sequences of 80 tokens."""
    import torch

    from dashfusion_models.network.attention import TransformerLayer
    from dashfusion_models.network.sequence import Sequence

    torch.manual_seed(0)
    layers = torch.nn.ModuleList(TransformerLayer(128, 8) for _ in range(2))
    tokens = Sequence(values=torch.randn(32, 80, 128), real=torch.ones(32, 80, dtype=torch.bool))

    def step() -> None:
        layers.zero_grad()
        found = tokens
        for layer in layers:
            found = layer(found)
        found.values.sum().backward()

    step()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        step()
        count += 1
    return (time.perf_counter() - start) / count


@contextmanager
def _beside(count: int) -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Time both ways alone and beside others and print medians and ratios."""
    cores = cores_here()
    print(f"Python {platform.python_version()}, torch {metadata.version('torch')}, {cores} cores")
    for count in (0, cores):
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        with _beside(count):
            for _ in range(PAIRS):
                for way, more in WAYS.items():
                    done = subprocess.run(
                        [sys.executable, "-c", CHILD], env={**os.environ, **more},
                        capture_output=True, text=True, check=True,
                    )  # fmt: skip
                    found[way].append(float(done.stdout))
        spinning, sleeping = (statistics.median(found[way]) for way in WAYS)
        ratios = [b / a for a, b in zip(found["spinning"], found["sleeping"], strict=True)]
        print(
            f"beside {count} busy processes: {1000 * spinning:.0f} ms spinning, "
            f"{1000 * sleeping:.0f} ms sleeping, ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
