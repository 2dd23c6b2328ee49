"""One update of a tiny network, alone or as one of several processes that torchrun started.

`python -m tests.training.torchrun_child STORE ENCODER ANCHORS OUTPUT` writes the loss and all
gradients of one lesson of so many anchors with companions, dropout off.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.store import Store
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import epoch_batches, load_dataset
from dashfusion_training.processes import joined
from dashfusion_training.retrieval import Retrieval
from dashfusion_training.step import Step

CPU = torch.device("cpu")


def main(store: Path, encoder: Path, anchors: int, output: Path) -> None:
    torch.set_num_threads(1)
    config = TrainConfig(
        batch_size=anchors,
        text_encoder=str(encoder),
        encoder_dropout=0.0,
        position_dropout=0.0,
        contrastive_weight=0.2,
        modality_dropout=0.5,  # some samples lack something, so some parameters have no gradient
    )
    opened = Store(store)
    samples = load_dataset({"small": opened}, "train", config)
    with joined() as team:
        checkpoint = new_checkpoint(
            config, encoder, samples, audio=opened.audio, vision=opened.vision
        )
        step = Step(checkpoint, config, batches=10, device=CPU, team=team)
        retrieval = Retrieval(checkpoint, samples, config, device=CPU, team=team)
        retrieval.refresh(1)
        assert retrieval.neighbours is not None
        drawn = dataclasses.asdict(retrieval.neighbours)
        lessons = epoch_batches(samples, config, 1, neighbours=retrieval.neighbours, team=team)
        loss = step(next(lessons))
        if team.leads:
            gradients = {
                f"gradient.{name}": p.grad
                for name, p in checkpoint.network.named_parameters()
                if p.grad is not None
            }
            state = {"loss": torch.tensor(loss, dtype=torch.float64), **gradients}
            state |= {f"neighbours.{k}": torch.from_numpy(np.asarray(v)) for k, v in drawn.items()}
            torch.save(state, output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
