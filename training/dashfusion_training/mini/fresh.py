"""A start that knows words and nothing else: a checkpoint's text encoder below fresh weights.

    python -m dashfusion_training.mini.fresh --checkpoint FILE --stores FOLDER --output FILE
        [--preset mini-words] [--set KEY=VALUE ...]

Where a checkpoint's text encoder never saw some videos and the rest of it did, a training that
begins with the file written here knows nothing of them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dashfusion_models.errors import CheckpointError
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code, preset_with
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import load_dataset
from dashfusion_training.mini.fold_training import untrained

__all__ = ["TEXTS", "fresh_above", "main"]

TEXTS = ("mosi_text", "mosei_text")


def fresh_above(learned: Checkpoint, config: TrainConfig, stores: dict[str, Store]) -> Checkpoint:
    """A new network as `config` says, drawn from its seed, with the text encoder of `learned`.

    Raises:
        CheckpointError: the text encoder that `config` names has another shape.
        WeightsError: the text encoder that `config` names is missing.
    """
    made = untrained(stores, load_dataset(stores, "train", config), config)
    try:
        made.network.text_encoder.load_state_dict(learned.network.text_encoder.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"{config.text_encoder}: is not the text encoder of {learned.name}; name that one"
        ) from error
    return replace(made, learned=learned.learned)  # what is fresh learned from nothing


def main() -> int:
    """Write the start; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("checkpoint", "stores", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--preset", default="mini-words")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return exit_code(lambda: _run(parser.parse_args()))


def _run(asked: argparse.Namespace) -> None:
    config = preset_with(asked.preset, asked.set)
    stores = {name: Store(asked.stores / name) for name in TEXTS}
    made = fresh_above(load_checkpoint(asked.checkpoint), config, stores)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(made, asked.output)


if __name__ == "__main__":
    sys.exit(main())
