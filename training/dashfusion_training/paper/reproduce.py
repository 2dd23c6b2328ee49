"""The paper's tables again: what each needs is trained, then put beside what the paper prints.

Finished trainings are used again, stopped ones go on. What cannot run or fails is said in the table
and stops nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock
import torch

from dashfusion_models.errors import TrainingError
from dashfusion_models.records import Progress
from dashfusion_training.config import changed
from dashfusion_training.files import writing
from dashfusion_training.paper.bottleneck_curves import write_bottleneck_curves
from dashfusion_training.paper.compare import compare, single_seeds
from dashfusion_training.paper.comparison import Comparison
from dashfusion_training.paper.documents import write_all
from dashfusion_training.paper.plan import Plan, Request, plan_of
from dashfusion_training.paper.side_by_side import Job, Outcome, run_here, run_side_by_side
from dashfusion_training.watch import UNWATCHED, Watcher

__all__ = ["reproduce"]


def reproduce(
    request: Request,
    *,
    devices: Sequence[torch.device],
    watch: Watcher = UNWATCHED,
    report: Callable[[Progress], None] = lambda event: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Return the table beside the paper's, written into `request.output` in every form.

    Trainings run as many at a time as there are `devices`; `watch` follows them where there is one,
    `report` counts them where there are several, `warn` is told what fails. The files are written
    anew after each training, so that they show whatever is done.

    Raises:
        ConfigError: an unknown key, an impossible value, or a key that the rows differ in.
        TrainingError: the folder cannot be written, or another process works in it.
    """
    with _alone_in(request.output):
        plan = plan_of(request)
        failures: dict[Path, str] = {}

        def ended(job: Job, failure: str | None) -> None:
            if failure is not None:
                failures[job.output] = failure
                warn(f"{job.name}: {failure}")
            _write(plan, compare(plan, failures))

        _train_all(_unfinished(plan), devices, watch, report, ended)
        for trial in plan.different_trials:
            trial.sum_up()
        comparison = compare(plan, failures)
        _write(plan, comparison)
    return comparison


def _train_all(
    jobs: Sequence[Job],
    devices: Sequence[torch.device],
    watch: Watcher,
    report: Callable[[Progress], None],
    ended: Outcome,
) -> None:
    """Train everything, here or side by side."""
    if len(devices) == 1:
        for number, job in enumerate(jobs, start=1):
            watch.begin(number, len(jobs), job.name)
            ended(job, run_here(job, devices[0], watch))
        return
    done = 0

    def count(job: Job, failure: str | None) -> None:
        nonlocal done
        done += 1
        ended(job, failure)
        report(Progress("train", done, len(jobs), "trainings", note=job.name))

    report(Progress("train", 0, len(jobs), "trainings"))
    run_side_by_side(jobs, devices, count)


def _write(plan: Plan, comparison: Comparison) -> None:
    """Write the table in every form, and figure 4 as a picture."""
    folder, name = plan.request.output, plan.request.name
    write_all(comparison, folder, name)
    if plan.table.name == "fig4":
        write_bottleneck_curves(comparison, folder / f"{name}.svg", single_seeds(plan))


def _unfinished(plan: Plan) -> list[Job]:
    """The trainings of a plan that are not done."""
    return [
        Job(
            name=f"{trial.name}, seed {seed}",
            benchmark=trial.benchmark,
            config=changed(trial.config, {"seed": seed}),
            store=trial.store,
            output=trial.run_folder(seed),
            offline=plan.request.offline,
        )
        for trial in plan.different_trials
        for seed in trial.unfinished(plan.request.seeds)
    ]


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Refuse to work in a folder in which another process does.

    Raises:
        TrainingError: another one does, or the folder cannot be used.
    """
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise TrainingError(
                f"{folder}: another `reproduce` is at work in it; wait for it, or name another "
                "folder"
            ) from error
    try:
        yield
    finally:
        lock.release()
