"""A network over samples: their scores, from what each has or from less."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.collate import Collator
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import MODALITIES, Modality, Progress
from dashfusion_training.datasets import Dataset, Sample

__all__ = ["Change", "in_batches", "predict", "predict_each", "scoring"]

BATCH = 64

# A batch and the ids of its samples -> what the network is given instead.
Change = Callable[[Batch, Sequence[str]], Batch]


def predict(
    network: DashFusion,
    collate: Collator,
    samples: Dataset,
    *,
    device: torch.device,
    modalities: Iterable[Modality] = MODALITIES,
    report: Callable[[Progress], None] = lambda event: None,
) -> Float[np.ndarray, " n"]:
    """Score every sample from the given modalities, in the order of `samples`.

    Like lengths are scored together, which changes no score. The network is left in the mode that
    it was in.
    """
    each = predict_each(
        network, collate, samples, [_as_it_is], device=device, modalities=modalities, report=report
    )
    scores: Float[np.ndarray, " n"] = each[0]
    return scores


def predict_each(
    network: DashFusion,
    collate: Collator,
    samples: Dataset,
    changes: Sequence[Change],
    *,
    device: torch.device,
    modalities: Iterable[Modality] = MODALITIES,
    report: Callable[[Progress], None] = lambda event: None,
) -> Float[np.ndarray, "changes n"]:
    """Score every sample as `predict` does, once for each of `changes`; data are read once."""
    scores = np.zeros((len(changes), len(samples)))
    done = 0
    with scoring(network):
        for chunk, batch in in_batches(collate, samples, modalities):
            ids = [samples[i].row.id for i in chunk]
            for place, change in enumerate(changes):
                changed = change(batch, ids).to(device)
                scores[place, chunk] = network(changed).float().cpu().numpy()
                done += len(chunk)
                report(Progress("evaluate", done, scores.size, "samples"))
    return scores


@contextlib.contextmanager
def scoring(network: DashFusion) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards the mode that the network was in."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        yield
    network.train(was_training)


def in_batches(
    collate: Collator, samples: Dataset, modalities: Iterable[Modality] = MODALITIES
) -> Iterator[tuple[list[int], Batch]]:
    """Yield the numbers of some samples of like length, and these samples as a batch."""
    kept = set(modalities)
    gone = {m: None for m in MODALITIES if m not in kept}
    order = sorted(range(len(samples)), key=lambda i: _length(samples[i]))
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        yield chunk, collate([replace(samples[i].features(), **gone) for i in chunk])


def _as_it_is(batch: Batch, ids: Sequence[str]) -> Batch:
    return batch


def _length(sample: Sample) -> tuple[int, int]:
    row = sample.row
    return len(row.text or ""), 2 * row.audio + row.vision
