"""Scores and labels whose error is known, for the tests of everything that is fitted to them."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dashfusion_training.calibration.held_out import COLUMNS, Predictions

__all__ = ["ALL_THREE", "CPU", "RANGE", "by_group", "planted", "write_csv"]

CPU = torch.device("cpu")
RANGE = (-3.0, 3.0)
ALL_THREE = "text+audio+vision"


def planted(
    n: int, seed: int, half: Callable[[float, float], float], **more: object
) -> Predictions:
    """Labels even within `half(raw, words)` of the raw score: 0.8 times that holds four in five."""
    draw = np.random.default_rng(seed)
    raw = draw.uniform(-1.5, 1.5, n)
    words = draw.integers(1, 21, n).astype(np.float64)
    reach = np.array([half(float(r), float(w)) for r, w in zip(raw, words, strict=True)])
    values = {
        "id": tuple(f"{seed}-{k}" for k in range(n)),
        "label": raw + draw.uniform(-1.0, 1.0, n) * reach,
        "raw": raw,
        "below": np.full((n, 2), math.nan),
        "present": (ALL_THREE,) * n,
        "words": words,
        "video": ("",) * n,
        "confidence": np.full(n, math.nan),
        "duration_s": np.full(n, math.nan),
        "recognised": np.zeros(n, np.bool_),
    }
    return Predictions(**values | more)


def by_group(raw: float, words: float) -> float:
    """Long and weak 0.5, long and strong 0.8, short and weak 1.1, short and strong 1.4."""
    return (1.1 if words <= 10 else 0.5) + (0.3 if abs(raw) > 0.75 else 0.0)


def write_csv(path: Path, *lines: tuple[object, ...]) -> Path:
    """Write lines as `held_out` reads them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(lines)
    return path
