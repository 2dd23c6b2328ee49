"""All tables of the paper to the end on planted files: `python -m tests.benchmarks.rehearsal DIR`.

The files have the official form and the second planted signal, agreement in time (see
`tests/training/official/form.py`); the text encoder is tiny. What is printed is a rehearsal of the
road, not a result on the benchmarks. Stopped, it goes on when it is started again.
"""

import argparse
import time
from pathlib import Path

from dashfusion_cli.app import run
from dashfusion_training.paper.published import PAPER
from tests.training.paper.rehearsal import write_rehearsal

COUNTS = {"train": 1200, "valid": 150, "test": 300}
# The labels of CH-SIMS reach to 1: the contrastive terms of the paper's weight drown the squared
# error on planted data, and the moment that counts is not found. Dropout hides it too.
SETTINGS = (
    "epochs=9", "warmup_epochs=1", "learning_rate=5e-4", "contrastive_weight=0.02",
    "encoder_layers=1", "encoder_dropout=0", "position_dropout=0",
)  # fmt: skip


def main() -> int:
    """Write the files, reproduce every table and say how long that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where everything is written")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    asked = parser.parse_args()
    began = time.monotonic()
    data = write_rehearsal(asked.folder, COUNTS, kind="agreement")
    options = ["--data-root", data, "--output", asked.folder / "reproduced", "--jobs", asked.jobs]
    options += ["--seeds", asked.seeds, "--text-encoder", asked.folder / "encoder"]
    for setting in SETTINGS:
        options += ["--set", setting]
    code = run(["reproduce", *PAPER, *map(str, options)])
    print(f"\nexit code {code}, {(time.monotonic() - began) / 60:.0f} minutes")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
