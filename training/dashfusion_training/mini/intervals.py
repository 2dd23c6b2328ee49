"""How often the intervals of a calibrated checkpoint hold the labels of test splits.

    python -m dashfusion_training.mini.intervals --checkpoint FILE --stores FOLDER

Each sample is scored from all that it has. A share is compared with 80 % by its standard error,
which counts the sizes of calibration and test.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.errors import CheckpointError, DataError
from dashfusion_models.store import Store
from dashfusion_training.calibration.coverage import Coverage, coverage_of, overall_coverage_of
from dashfusion_training.calibration.held_out import predictions_of
from dashfusion_training.commands import exit_code
from dashfusion_training.evaluate import open_tasks
from dashfusion_training.mini.tables import markdown

__all__ = ["SOURCES", "main", "measured"]

SOURCES = ("mosi_text", "mosei_text", "ravdess", "faces", "javanese")
Row = tuple[str, Coverage]


def measured(checkpoint: Path, stores: Sequence[Store]) -> Iterator[Row]:
    """Yield the coverage over the test split of each store, then over its whole files.

    Raises:
        CheckpointError: it is not calibrated, or was made for other features.
    """
    loaded = load_checkpoint(checkpoint)
    if loaded.calibration is None:
        raise CheckpointError(f"{checkpoint}: is not calibrated; calibrate it first")
    named = {store.folder.name: store for store in stores}
    for task in open_tasks(
        loaded, checkpoint, named, split="test", modalities=loaded.modalities, classes=None
    ):
        found = predictions_of(loaded, task.samples, device=torch.device("cpu"))
        found = found.rows(found.fullest())
        yield task.dataset, coverage_of(loaded.calibration, found)
        files = overall_coverage_of(loaded.calibration, found)
        if files is not None:
            yield f"{task.dataset}, whole files", files


def _table(rows: Iterator[Row]) -> str:
    return markdown(
        ("", "n", "coverage", "deviations from 80 %", "mean width"),
        [
            (
                name,
                f"{one.n:,}",
                f"{one.share:.3f} ± {one.std_error:.3f}",
                f"{(one.share - one.level) / one.std_error:+.1f}",
                f"{one.mean_width:.2f}",
            )
            for name, one in rows
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--stores", type=Path, required=True)
    asked = parser.parse_args(arguments)
    return exit_code(lambda: _run(asked))


def _run(asked: argparse.Namespace) -> None:
    here = [asked.stores / name for name in SOURCES if (asked.stores / name).is_dir()]
    if not here:
        raise DataError(f"{asked.stores}: holds none of {', '.join(SOURCES)}; give their folder")
    print(_table(measured(asked.checkpoint, [Store(folder) for folder in here])))


if __name__ == "__main__":
    sys.exit(main())
