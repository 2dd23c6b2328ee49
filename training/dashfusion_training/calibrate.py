"""A checkpoint with its calibration, fitted on the validation data of its training.

`python -m dashfusion_training.calibrate --checkpoint FILE --output FILE --dataset STORE ...
[--predictions CSV ...]` scores the split `valid` of each store from every combination of
modalities that its samples have, adds out-of-fold predictions, fits, and writes a new checkpoint.

Where the network was chosen by its error on `valid`, that error is a little too small there;
out-of-fold predictions are free of that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from dashfusion_models.calibration import (
    LEVEL,
    MINIMUM,
    Calibration,
    Line,
    Thresholds,
    Width,
    straightened,
)
from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint, storage_of
from dashfusion_models.checkpoint_about import checkpoint_head, modalities_of
from dashfusion_models.device import pick_device
from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.records import MODALITIES, Progress
from dashfusion_models.store import Store
from dashfusion_training.calibration.conformal import (
    CONFIDENCES,
    SECONDS,
    disagreement_above,
    fit_grouping,
    fit_overall,
    fit_widths,
    like_in_use,
    rise_below,
    whole_files,
    with_words,
)
from dashfusion_training.calibration.held_out import (
    Predictions,
    agreeing_scores,
    join,
    predictions_of,
    read_predictions,
)
from dashfusion_training.calibration.shown import crossfitted, fit_lines
from dashfusion_training.commands import exit_code
from dashfusion_training.evaluate import open_tasks, require_numbers
from dashfusion_training.files import writing
from dashfusion_training.samples import count_readable

__all__ = ["add_intervals", "calibrate", "fit_calibration", "has_enough", "main"]

Report = Callable[[Progress], None]
Agreeing = Float[np.ndarray, "k 3"]  # from the text, the voice and the face alone


def calibrate(
    checkpoint: Path,
    output: Path,
    *,
    stores: Mapping[str, Store],
    predictions: Sequence[Path] = (),
    device: torch.device,
    chose_epoch: bool = False,
    report: Report = lambda event: None,
) -> Calibration:
    """Write the checkpoint with its calibration to `output`, stored as the input is.

    Class names are scored as in the checkpoint's training. `predictions` must not repeat samples
    of the stores' `valid`: they would count twice. With `chose_epoch` the checkpoint remembers that
    its network was chosen by its error on them.

    Raises:
        CheckpointError: it was made for other features than a store's, or gives no numbers.
        DataError: no sample in `valid`, a label or a CSV that cannot be used, or too few in all.
        TrainingError: the file cannot be written.
    """
    loaded = load_checkpoint(checkpoint)
    parts = [read_predictions(path, loaded.label_range) for path in predictions]
    samples = []
    tasks = open_tasks(
        loaded, checkpoint, stores, split="valid", modalities=loaded.modalities, classes=None
    )
    for task in tasks:
        found = predictions_of(loaded, task.samples, device=device, report=report)
        require_numbers(found.raw, checkpoint, task)
        parts.append(found)
        samples += task.samples
    if not parts:
        raise DataError(f"{checkpoint}: nothing to calibrate it on; give a store or predictions")
    agreeing = agreeing_scores(loaded, samples, device=device, report=report)
    fitted = fit_calibration(join(parts), label_range=loaded.label_range, agreeing=agreeing)
    data: dict[str, object] = {
        "stores": sorted(stores),
        "predictions": sorted(path.name for path in predictions),
    }
    data |= {"chose_epoch": True} if chose_epoch else {}
    whole = replace(loaded, calibration=fitted, training={**loaded.training, "calibrated_on": data})
    with writing(output):
        save_checkpoint(whole, output, storage=storage_of(checkpoint))
    return fitted


def has_enough(stores: Mapping[str, Store], modalities: Collection[str]) -> bool:
    """Whether the validation splits have as many samples as a group needs to be believed.

    Only those count that have any of the modalities: the others are not scored.
    """
    return sum(count_readable(s, "valid", modalities) for s in stores.values()) >= MINIMUM


def add_intervals(
    best: Path,
    stores: Mapping[str, Store],
    *,
    device: torch.device,
    report: Report = lambda event: None,
) -> None:
    """Calibrate the best checkpoint of a training on its validation splits, where they are enough.

    They chose its epoch too, so its intervals may be a little too narrow. A calibration that it
    was started with gives way.

    Raises:
        As `calibrate`.
    """
    trained = checkpoint_head(best)["training"]
    used = modalities_of(trained)
    if not has_enough(stores, used) or "calibrated_on" in trained:
        return
    with_valid = {k: s for k, s in stores.items() if count_readable(s, "valid", used)}
    calibrate(best, best, stores=with_valid, device=device, chose_epoch=True, report=report)


def fit_calibration(
    found: Predictions,
    *,
    label_range: tuple[float, float],
    agreeing: Agreeing | None = None,
    level: float = LEVEL,
    minimum: int = MINIMUM,
) -> Calibration:
    """Fit all parts on held-out scores; `agreeing` are raw scores of samples composed to agree.

    The residuals are those of lines that were fitted on other videos.

    Raises:
        DataError: too few scores for an interval.
    """
    in_use = like_in_use(found, minimum)
    whole = found.fullest()[in_use]
    used = found.rows(in_use)
    every = crossfitted(found, label_range, in_use)
    score = every[in_use]
    lines = fit_lines(used)
    grouping = fit_grouping(used, score, label_range)
    widths = fit_widths(used, score, grouping, level)
    if not widths:
        raise DataError(f"{len(used)} held-out scores are too few for an interval; give more")
    one_each = used.rows(whole)
    return Calibration(
        label_range=label_range,
        grouping=grouping,
        widths=widths,
        lines=lines,
        overall={
            **_overall(found, every, in_use & found.fullest(), level, minimum, words=True),
            **_overall(found, every, in_use, level, minimum, words=False),
        },
        thresholds=_thresholds(
            one_each,
            one_each.label - score[whole],
            None if agreeing is None else _alone(agreeing, lines, label_range),
            minimum,
        ),
        level=level,
        minimum=minimum,
        base=float(one_each.label.mean()) if len(one_each) else 0.0,
    )


def _overall(
    found: Predictions,
    score: Float[np.ndarray, " n"],
    like_those_in_use: Bool[np.ndarray, " n"],
    level: float,
    minimum: int,
    *,
    words: bool,
) -> dict[str, Width]:
    """The widths for whole files whose words are scored, or for those whose words are not.

    Where too few are like those in use, all files give them.
    """
    of_kind = with_words(found) == words
    rows = of_kind & like_those_in_use
    files = whole_files(found.rows(rows), score[rows])
    if len(files) < minimum:
        files = whole_files(found.rows(of_kind), score[of_kind])
    return fit_overall(files, level, words=words)


def _thresholds(
    found: Predictions,
    residuals: Float[np.ndarray, " n"],
    alone: Float[np.ndarray, "k 3"] | None,
    minimum: int,
) -> Thresholds:
    """Those that the data show; the default where they show none."""
    spoken = np.array([name != "vision" for name in found.present], np.bool_)
    seconds = np.where(spoken, found.duration_s, np.nan)  # only speech can be too short
    learned = {
        "low_confidence": rise_below(found.confidence, residuals, CONFIDENCES, minimum),
        "short_s": rise_below(seconds, residuals, SECONDS, minimum),
        "opposed": None if alone is None else disagreement_above(alone, minimum),
    }
    return Thresholds(**{name: value for name, value in learned.items() if value is not None})


def _alone(
    agreeing: Agreeing, lines: Mapping[str, Line], label_range: tuple[float, float]
) -> Float[np.ndarray, "k 3"]:
    """The scores from text, audio and vision alone as they would be shown, as on [-3, 3]."""
    on_six = 6.0 / (label_range[1] - label_range[0])
    shown = [
        [
            straightened(float(raw), m, lines, label_range)
            for m, raw in zip(MODALITIES, row, strict=True)
        ]
        for row in agreeing
    ]
    return np.array(shown) * on_six


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--dataset", type=Path, action="extend", nargs="+", default=[], metavar="STORE"
    )
    parser.add_argument(
        "--predictions", type=Path, action="extend", nargs="+", default=[], metavar="CSV"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    asked = parser.parse_args(arguments)
    return exit_code(lambda: print(_said(_run(asked))))


def _run(asked: argparse.Namespace) -> Calibration:
    if asked.output.exists() and not asked.force:
        raise ConfigError(f"{asked.output}: exists; give another name or --force")
    names = [folder.name for folder in asked.dataset]
    if len(set(names)) < len(names):
        raise DataError(f"{', '.join(names)}: two stores have one name; rename one")
    return calibrate(
        asked.checkpoint,
        asked.output,
        stores={folder.name: Store(folder) for folder in asked.dataset},
        predictions=asked.predictions,
        device=pick_device(asked.device),
    )


def _said(fitted: Calibration) -> str:
    """The calibration as plain lines."""
    lines = [f"score {name}: {x.slope:.3f} * score {x.offset:+.3f} (n {x.n})"
             for name, x in fitted.lines.items()]  # fmt: skip
    for kind, widths in (("utterance", fitted.widths), ("file", fitted.overall)):
        lines += [f"{kind} {name}: +- {width.half:.3f} (n {width.n})"
                  for name, width in widths.items()]  # fmt: skip
    grouping, doubt = fitted.grouping, fitted.thresholds
    lines += [
        f"short: up to {grouping.short_words} words; weak: up to {grouping.weak:.2f}",
        f"reasons: confidence below {doubt.low_confidence:g}, shorter than {doubt.short_s:g} s, "
        f"opposed by {doubt.opposed:g}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
