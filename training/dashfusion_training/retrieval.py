"""The neighbours of every training sample, looked for anew now and then while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.folder import Stop
from dashfusion_models.records import MODALITIES
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset
from dashfusion_training.interruption import Interruption
from dashfusion_training.neighbours import (
    Neighbours,
    classes_of,
    find_neighbours_of_groups,
)
from dashfusion_training.predict import in_batches, scoring
from dashfusion_training.processes import Team

__all__ = ["Retrieval", "embed"]


class Retrieval:
    """Holds the neighbours that companions are drawn from; None where none are drawn."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        samples: Dataset,
        config: TrainConfig,
        *,
        device: torch.device,
        team: Team,
        interruption: Interruption | None = None,
    ) -> None:
        """Look at `samples` with the network of `checkpoint`, on `device`."""
        self.neighbours: Neighbours | None = None
        self._checkpoint, self._samples, self._config = checkpoint, samples, config
        self._device, self._team = device, team
        self._interruption = interruption or Interruption(Stop(), team)
        labels = np.array([sample.label for sample in samples])
        self._classes = classes_of(labels, config.retrieval_classes)
        with_frames = config.companions_of == "heard-or-seen"
        self._compared = np.array(
            [
                i
                for i, s in enumerate(samples)
                if not with_frames or s.has("audio") or s.has("vision")
            ],
            np.int64,
        )

    def refresh(self, epoch: int) -> None:
        """Search with the network as it is now, before epochs 1, 3, 5, … (code).

        A sample's neighbours have the modalities that it has (ours): what one of them lacks could
        not be compared.

        Raises:
            Interrupted: the training is to stop; the neighbours are those of the last search.
        """
        if not self._config.draws_companions or (epoch - 1) % self._config.retrieve_every:
            return
        compared = [self._samples[int(i)] for i in self._compared]
        if not compared:
            return
        part = self._team.part(compared)
        check = self._interruption.check
        with self._interruption.leaving_together():
            vectors = embed(self._checkpoint, part, device=self._device, check=check)
        everyone = torch.from_numpy(self._team.gather(vectors, len(compared))).to(self._device)
        self.neighbours = find_neighbours_of_groups(
            everyone,
            self._classes[self._compared],
            [tuple(m for m in MODALITIES if s.has(m)) for s in compared],
        ).placed(self._compared, len(self._samples))

    def state(self) -> dict[str, Any]:
        """Everything that going on later needs."""
        if self.neighbours is None:
            return {}
        return {k: torch.from_numpy(v).int() for k, v in vars(self.neighbours).items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        kept = {k: v.long().numpy() for k, v in state.items()}
        self.neighbours = Neighbours(**kept) if kept else None


def embed(
    checkpoint: Checkpoint,
    samples: Dataset,
    *,
    device: torch.device,
    check: Callable[[], None] = lambda: None,
) -> Float32[np.ndarray, "n three_d"]:
    """X̄_t, X̄_a, X̄_v of each sample side by side, 0 where a modality is absent (paper III-D).

    In evaluation mode; the network is left in the mode that it was in. `check` is called before
    each batch.
    """
    network = checkpoint.network
    vectors = np.zeros((len(samples), 3 * network.config.width), np.float32)
    with scoring(network):
        for chosen, on_cpu in in_batches(checkpoint.collate, samples):
            check()
            batch = on_cpu.to(device)
            means = network.align(network.encode(batch), batch.present).means
            parts = [x * batch.present[m].unsqueeze(-1) for m, x in means.items()]
            vectors[chosen] = torch.cat(parts, dim=1).float().cpu().numpy()
    return vectors
