"""The table of cells: words, voices and faces of strangers, put together as people judged them.

    python -m dashfusion_training.mini.cells --texts STORE [STORE ...] --voices STORE [STORE ...]
        --faces STORE [STORE ...] [--checkpoint FILE] [--preset NAME] [--limit N] [--output FILE]

For each combination of signs of words, voice and face, test samples of these signs are put
together. Shown are people's own mean in that cell (`human_rule.json`), what the rule makes of the
three as strong as they are here (the label of a composed training sample), and the mean score of
the checkpoint. All on a scale from -1 to 1. Source: ours.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint, require_features
from dashfusion_models.device import pick_device
from dashfusion_models.errors import DataError
from dashfusion_models.records import MODALITIES, Features, Modality, Streams
from dashfusion_models.score import score
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code
from dashfusion_training.config import read_preset
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.evaluate import modalities_of
from dashfusion_training.files import write_whole
from dashfusion_training.mini.human_rule import SIGN_NAMES
from dashfusion_training.mini.tables import markdown, number_text
from dashfusion_training.people import RULE_FILE, read_people, sign_alone
from dashfusion_training.sources import feature_specs

__all__ = ["Cell", "Drawn", "cells_of", "distances", "draw_cells", "main"]

SCHEMA = "dashfusion/cells/1"
SEED = 1111
EACH = 200  # samples of a cell
NOT_NEUTRAL = frozenset({"surprised", "surprise"})  # their score is 0, but they are not neutral
# The two dozen cells in which voice or face says something.
GROUPS = {"voice and face": 2, "voice or face": 1}  # by how many of the two have a sign


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A sample put together: its features, and what each modality says alone, from -1 to 1."""

    signs: Streams[int]
    features: Features
    alone: Streams[float]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Means over the `n` samples of one combination of signs; `score` is None without a checkpoint.

    `people` is what people said of their own clips of these signs, None where there were none.
    """

    signs: Streams[int]
    n: int
    people: float | None
    label: float
    score: float | None


def draw_cells(
    samples: Mapping[Modality, Sequence[Sample]],
    label_range: tuple[float, float],
    *,
    each: int = EACH,
    seed: int = SEED,
) -> list[Drawn]:
    """Put `each` samples of every combination of signs together, drawn by the seed.

    Raises:
        DataError: there are no words, voices or faces of some sign.
    """
    middle, half = sum(label_range) / 2, (label_range[1] - label_range[0]) / 2
    pools: dict[tuple[Modality, int], list[tuple[Sample, float]]] = {}
    for modality, some in samples.items():
        for sample in sorted(some, key=lambda s: (s.source, s.row.id)):
            if sample.has(modality) and sample.row.label not in NOT_NEUTRAL:
                said = (sample.label - middle) / half
                pools.setdefault((modality, sign_alone(said)), []).append((sample, said))
    for modality, sign in itertools.product(MODALITIES, (-1, 0, 1)):
        if (modality, sign) not in pools:
            raise DataError(
                f"{modality}: no test sample has the sign {SIGN_NAMES[sign]}; give a store of all "
                "three"
            )
    draw = np.random.default_rng(seed)
    made = []
    for signs in itertools.product((-1, 0, 1), repeat=3):
        for _ in range(each):
            chosen = {}
            for modality, sign in zip(MODALITIES, signs, strict=True):
                pool = pools[modality, sign]
                chosen[modality] = pool[int(draw.integers(len(pool)))]
            words, voice, face = (chosen[m][0].features() for m in MODALITIES)
            made.append(
                Drawn(
                    signs=Streams(*signs),
                    features=replace(words, audio=voice.audio, vision=face.vision),
                    alone=Streams(**{m: said for m, (_, said) in chosen.items()}),
                )
            )
    return made


def cells_of(drawn: Sequence[Drawn], scores: Sequence[float] | None = None) -> list[Cell]:
    """Return the cells in the order of their signs; `scores` are from -1 to 1."""
    people, known = read_people(), _people_of_cells()
    found = []
    for signs in dict.fromkeys(one.signs for one in drawn):
        rows = [row for row, one in enumerate(drawn) if one.signs == signs]
        labels = [people.mean(Streams(**vars(drawn[row].alone))) for row in rows]
        found.append(
            Cell(
                signs=signs,
                n=len(rows),
                people=known.get(signs),
                label=float(np.mean(labels)),
                score=None if scores is None else float(np.mean([scores[row] for row in rows])),
            )
        )
    return found


def distances(cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """Mean and largest distance from people's means, of labels and of scores.

    Once over the twelve cells in which voice and face both have a sign, once over those in which
    one of them has.
    """
    found: dict[str, dict[str, float]] = {}
    for group, signed in GROUPS.items():
        some = [
            c for c in cells
            if c.people is not None and abs(c.signs.audio) + abs(c.signs.vision) == signed
        ]  # fmt: skip
        values = {"label": [c.label for c in some]}
        if all(c.score is not None for c in some):
            values["score"] = [c.score or 0.0 for c in some]
        told = np.array([c.people for c in some], np.float64)
        for name, those in values.items():
            apart = np.abs(np.array(those) - told)
            found.setdefault(group, {}).update(
                {f"{name}_mean": float(apart.mean()), f"{name}_most": float(apart.max())}
            )
    return found


def _people_of_cells() -> dict[Streams[int], float]:
    names = {name: sign for sign, name in SIGN_NAMES.items()}
    cells = json.loads(RULE_FILE.read_text("utf-8"))["cells"]
    return {Streams(**{m: names[cell[m]] for m in MODALITIES}): cell["mean"] for cell in cells}


def table(cells: Sequence[Cell]) -> str:
    """Return the cells as a table."""
    head = ("words", "voice", "face", "n", "people", "label", "score")
    rows = [
        (
            *(SIGN_NAMES[sign] for _, sign in cell.signs.items()),
            str(cell.n),
            *map(number_text, (cell.people, cell.label, cell.score)),
        )
        for cell in cells
    ]
    lines = [markdown(head, rows), ""]
    for group, values in distances(cells).items():
        told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in values.items())
        lines.append(f"{group} with a sign, distance from people: {told}")
    return "\n".join(lines)


def main() -> int:
    """Put the samples together, print the table and write the file; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("texts", "voices", "faces"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, metavar="STORE")
    parser.add_argument("--checkpoint", type=Path, help="also score them")
    parser.add_argument("--preset", default="mini-fusion", help="whose scores of classes to take")
    parser.add_argument("--limit", type=int, default=EACH, help="samples of a cell")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, help="write JSON here")
    return exit_code(lambda: _run(parser.parse_args()))


def _run(given: argparse.Namespace) -> None:
    config = read_preset(given.preset)
    stores = {
        "text": _opened(given.texts),
        "audio": _opened(given.voices),
        "vision": _opened(given.faces),
    }
    samples = {m: load_dataset(stores[m], "test", config) for m in MODALITIES}
    drawn = draw_cells(samples, config.label_range, each=given.limit, seed=given.seed)
    scores = None
    if given.checkpoint:
        loaded = load_checkpoint(given.checkpoint)
        modalities_of(loaded, given.checkpoint, MODALITIES)
        audio, vision = (feature_specs(stores[m], [m]) for m in ("audio", "vision"))
        require_features(loaded, str(given.checkpoint), audio=audio[0], vision=vision[1])
        scores = _scores(loaded, drawn, pick_device(given.device))
    found = cells_of(drawn, scores)
    print(table(found))
    if given.output:
        about = {
            "schema": SCHEMA,
            "checkpoint": str(given.checkpoint or ""),
            "seed": given.seed,
            "cells": [{**vars(cell), "signs": vars(cell.signs)} for cell in found],
            "distances": distances(found),
        }
        write_whole(given.output, json.dumps(about, indent=1) + "\n")


def _opened(folders: Sequence[Path]) -> dict[str, Store]:
    return {folder.name: Store(folder) for folder in folders}


def _scores(checkpoint: Checkpoint, drawn: Sequence[Drawn], device: torch.device) -> list[float]:
    """Scores as they are shown, from -1 to 1."""
    low, high = checkpoint.label_range
    checkpoint.network.to(device).eval()
    found = score(checkpoint, [one.features for one in drawn], device=device)
    return [2 * (one.score - low) / (high - low) - 1 for one in found]


if __name__ == "__main__":
    sys.exit(main())
