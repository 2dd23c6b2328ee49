"""fit(): the training loop on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.folder import Stop
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset, Lesson, count_batches, epoch_batches
from dashfusion_training.encoded_texts import EncodedTexts
from dashfusion_training.evaluate import predict, report_of
from dashfusion_training.heap import keep_freed_memory
from dashfusion_training.interruption import Interrupted, Interruption
from dashfusion_training.processes import Team
from dashfusion_training.retrieval import Retrieval
from dashfusion_training.run import Position, Run, SourceMetrics
from dashfusion_training.step import Step

__all__ = ["Splits", "fit"]


@dataclass(frozen=True)
class Splits:
    """What is trained on, and, per source, what the best checkpoint is chosen by."""

    train: Dataset
    valid: Mapping[str, Dataset]


def fit(
    checkpoint: Checkpoint,
    splits: Splits,
    config: TrainConfig,
    run: Run,
    *,
    device: torch.device,
    team: Team,
    texts: EncodedTexts | None = None,
    stop: Stop | None = None,
) -> Position:
    """Train, going on where `run` stopped; the best network is in the run's best.safetensors.

    `texts` may be shared by trainings that leave the same text encoder as it is. Once `stop` is
    asked the step under way is finished; a search for neighbours or a validation is given up.

    Raises:
        Interrupted: `stop` was asked; all that was learned is saved.
        TrainingError: the loss is no longer a number; the best checkpoint so far stays.
    """
    if device.type == "cpu":
        keep_freed_memory()
    train, batches = splits.train, count_batches(splits.train, config)
    interruption = Interruption(stop or Stop(), team)
    step = Step(checkpoint, config, batches=batches, device=device, team=team, texts=texts)
    retrieval = Retrieval(
        checkpoint, train, config, device=device, team=team, interruption=interruption
    )
    at = run.resume(step=step, retrieval=retrieval)
    try:
        if at == Position() and config.first_kept_epoch == 0:  # what it goes on from is a candidate
            metrics = validate(checkpoint, splits, config, device=device, interruption=interruption)
            at = run.end_epoch(replace(at, epoch=0), metrics, checkpoint, config)
        for epoch in range(at.epoch, config.epochs + 1):
            interruption.check_all()
            if at.batch == 0:
                retrieval.refresh(epoch)
            lessons = epoch_batches(
                train, config, epoch, neighbours=retrieval.neighbours, team=team, start=at.batch
            )
            for lesson in read_ahead(lessons):
                at = run.end_step(at, step(lesson), config, batches)
                interruption.check_all()
                run.save_now_and_then(at, step=step, retrieval=retrieval)
            learned = replace(checkpoint, network=step.learned)
            metrics = validate(learned, splits, config, device=device, interruption=interruption)
            at = run.end_epoch(at, metrics, learned, config)
            run.save(at, step=step, retrieval=retrieval)
    except Interrupted:
        run.save(at, step=step, retrieval=retrieval)
        team.wait()  # whoever leaves first may take the others down before the state is whole
        place = f"epoch {at.epoch} of {config.epochs}, step {at.batch} of {batches}"
        raise Interrupted(f"saved at {place}") from None
    return at


def validate(
    checkpoint: Checkpoint,
    splits: Splits,
    config: TrainConfig,
    *,
    device: torch.device,
    interruption: Interruption,
) -> SourceMetrics:
    """The validation metrics of each source; each process scores its part.

    Raises:
        Interrupted: the training is to stop.
    """
    found: SourceMetrics = {}
    team = interruption.team
    for source, samples in splits.valid.items():
        part, scores = team.part(samples), np.zeros(0)
        with interruption.leaving_together():
            if part:
                scores = predict(
                    checkpoint.network,
                    checkpoint.collate,
                    part,
                    device=device,
                    report=lambda event: interruption.check(),
                )
        everyone = team.gather(scores, len(samples))
        found[source] = report_of(samples, everyone, label_range=config.label_range)
    return found


def read_ahead(lessons: Iterator[Lesson]) -> Iterator[Lesson]:
    """Yield the lessons, reading the next one from disk while this one is learned."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        upcoming = reader.submit(next, lessons, None)
        while (lesson := upcoming.result()) is not None:
            upcoming = reader.submit(next, lessons, None)
            yield lesson
