"""The composed test set: texts with lent voices and faces that are neutral, agree, or oppose.

    python -m dashfusion_training.mini.composed --checkpoint FILE --texts STORE --voices STORE
        --faces STORE [--limit N] [--seed N] [--json] [--output FILE]

No data set at hand has words, voices and faces of one moment, in number, from people that the
network never saw. So texts of a test split are lent voices and faces of other test splits. What
should come out: neutral ones change nothing, agreeing ones make the sign clearer, opposing ones do
not turn it, and are noticed. Source: ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.records import MODALITIES, Progress
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code
from dashfusion_training.datasets import Sample
from dashfusion_training.evaluate import modalities_of, open_tasks, who_of
from dashfusion_training.files import write_whole
from dashfusion_training.metrics import area_under_curve, correlation, paired_bootstrap
from dashfusion_training.mini.lent import Lent, score_lent
from dashfusion_training.mini.pairs import (
    KINDS,
    Kind,
    Pair,
    is_signed,
    lenders_of,
    pair,
    sampled,
)
from dashfusion_training.mini.tables import interval_text, markdown, number_text

__all__ = ["Composed", "Part", "compose", "main", "measure", "measure_stores"]

SCHEMA = "dashfusion/composed/1"
SEED = 1111


@dataclass(frozen=True, kw_only=True)
class Part:
    """Texts with voices and faces of one kind, against the same `n` texts alone.

    `metric` is corr, or auc of positive against negative labels; `gain` its 95 % interval of
    composed less text alone, over the texts' videos. `disagree` is the share of the composed in
    which the modalities pull apart (the reason `modalities_disagree`).
    """

    kind: Kind
    n: int
    metric: str
    text_alone: float | None
    composed: float | None
    gain: tuple[float, float] | None
    disagree: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {**vars(self), "gain": list(self.gain) if self.gain else None}


@dataclass(frozen=True, kw_only=True)
class Composed:
    """The composed test set as a checkpoint scores it (schema dashfusion/composed/1)."""

    checkpoint: str
    seed: int
    n: int
    parts: tuple[Part, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "checkpoint": self.checkpoint,
            "seed": self.seed,
            "n": self.n,
            "parts": [part.to_dict() for part in self.parts],
        }

    def to_markdown(self) -> str:
        """Return a table of the parts."""
        head = ("voice and face", "n", "metric", "text alone", "composed", "gain", "disagree")
        rows = [
            (
                part.kind,
                f"{part.n:,}",
                part.metric,
                number_text(part.text_alone),
                number_text(part.composed),
                interval_text(part.gain),
                number_text(part.disagree),
            )
            for part in self.parts
        ]
        return markdown(head, rows)


def compose(
    texts: Sequence[Sample], voices: Sequence[Sample], faces: Sequence[Sample], seed: int
) -> dict[Kind, list[Pair | None]]:
    """What each text is lent, kind by kind; None where its label has no clear sign to follow.

    Raises:
        DataError: the voices or the faces lack a positive, a negative or a neutral class.
    """
    heard, seen = lenders_of(voices, "voices"), lenders_of(faces, "faces")
    return {
        kind: [
            pair(text, kind, heard, seen, seed)
            if kind == "neutral" or is_signed(text.label)
            else None
            for text in texts
        ]
        for kind in KINDS
    }


def measure(
    label: Float[np.ndarray, " n"],
    who: Sequence[str],
    alone: Float[np.ndarray, " n"],
    lent: Mapping[Kind, Lent],
) -> tuple[Part, ...]:
    """Compare each kind with the same texts alone; `who` are their videos."""
    return tuple(_part(kind, label, np.asarray(who), alone, lent[kind]) for kind in KINDS)


def _part(
    kind: Kind,
    label: Float[np.ndarray, " n"],
    who: np.ndarray,
    alone: Float[np.ndarray, " n"],
    lent: Lent,
) -> Part:
    metric: Callable[..., float | None] = correlation if kind == "neutral" else _auc
    here = np.isfinite(lent.scores)
    truth, before, after = label[here], alone[here], lent.scores[here]
    return Part(
        kind=kind,
        n=int(here.sum()),
        metric="corr" if kind == "neutral" else "auc",
        text_alone=metric(truth, before),
        composed=metric(truth, after),
        gain=paired_bootstrap(metric, truth, after, before, list(who[here]))
        if here.any()
        else None,
        disagree=float(lent.disagree[here].mean()) if here.any() else None,
    )


def _auc(label: Float[np.ndarray, " n"], score: Float[np.ndarray, " n"]) -> float | None:
    return area_under_curve(label > 0, score)


def measure_stores(
    path: Path,
    *,
    texts: Store,
    voices: Store,
    faces: Store,
    seed: int = SEED,
    limit: int | None = None,
    device: torch.device,
    report: Callable[[Progress], None] = lambda event: None,
) -> Composed:
    """Compose the test splits of three stores and score them with the checkpoint at `path`.

    `limit` is the number of texts to take, drawn by the seed; all if None.

    Raises:
        CheckpointError: it was made for other features than a store's.
        ConfigError: it was not trained with all three modalities.
        DataError: a store has no test split, or lacks a class that is needed.
    """
    loaded = load_checkpoint(path)
    loaded.network.to(device)
    modalities_of(loaded, path, MODALITIES)
    stores = {"texts": texts, "voices": voices, "faces": faces}
    tasks = open_tasks(loaded, path, stores, split="test", modalities=MODALITIES, classes=None)
    found = {task.dataset: task.samples for task in tasks}
    chosen = sampled([s for s in found["texts"] if s.has("text")], limit, seed)
    heard = [s for s in found["voices"] if s.has("audio")]
    seen = [s for s in found["faces"] if s.has("vision")]
    pairs = compose(chosen, heard, seen, seed)
    alone, lent = score_lent(loaded, chosen, heard, seen, pairs, device=device, report=report)
    label = np.array([sample.label for sample in chosen])
    parts = measure(label, who_of(chosen), alone, lent)
    return Composed(checkpoint=loaded.name, seed=seed, n=len(chosen), parts=parts)


def main() -> int:
    """Measure the composed test set and print it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("checkpoint", "texts", "voices", "faces"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="so many texts; all if not given")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--output", type=Path, help="write the JSON here too")
    return exit_code(lambda: _run(parser.parse_args()))


def _run(given: argparse.Namespace) -> None:
    found = measure_stores(
        given.checkpoint,
        texts=Store(given.texts),
        voices=Store(given.voices),
        faces=Store(given.faces),
        seed=given.seed,
        limit=given.limit,
        device=torch.device("cpu"),
    )
    as_json = json.dumps(found.to_dict(), indent=1)
    print(as_json if given.json else found.to_markdown())
    if given.output:
        write_whole(given.output, as_json + "\n")


if __name__ == "__main__":
    sys.exit(main())
