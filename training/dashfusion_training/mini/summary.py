"""What cross-validation found, as tables.

    python -m dashfusion_training.mini.summary FOLDER --stores FOLDER [--output FILE]

FOLDER is the output of `crossval`. A metric is taken over all clips that were left out in turn,
seed by seed, and averaged over the seeds; 95 % bootstrap intervals are drawn over videos or actors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dashfusion_models.errors import DataError
from dashfusion_models.store import Store
from dashfusion_training.calibration.held_out import Predictions, join, read_predictions
from dashfusion_training.calibration.shown import crossfitted
from dashfusion_training.commands import exit_code
from dashfusion_training.files import write_whole
from dashfusion_training.metrics import area_under_curve, bootstrap_interval, correlation
from dashfusion_training.mini.crossval import WAYS
from dashfusion_training.mini.tables import markdown, number_text

__all__ = ["LeftOut", "main", "read_left_out", "read_shown", "summary_table"]

SUBSETS = (
    "text", "audio", "vision", "text+audio", "text+vision", "audio+vision", "text+audio+vision",
)  # fmt: skip
HAPPY, ACTED = "happy", ("sad", "angry", "fear")
RANGE = (-3.0, 3.0)

Metric = Callable[[np.ndarray, np.ndarray], float | None]


@dataclass(frozen=True)
class LeftOut:
    """Scores of `n` samples by `s` seeds from one combination of modalities."""

    id: tuple[str, ...]
    label: Float[np.ndarray, " n"]
    scores: Float[np.ndarray, "s n"]

    def mean(self, metric: Metric, who: Mapping[str, str]) -> tuple[float, tuple[float, float]]:
        """A metric averaged over the seeds, and its interval when the groups are drawn anew.

        `who` says which video or person each id belongs to.
        """
        return _drawn(lambda rows: _averaged(metric, self, rows), [who[name] for name in self.id])

    def gain(
        self, other: LeftOut, metric: Metric, who: Mapping[str, str]
    ) -> tuple[float, tuple[float, float]]:
        """The metric less that of `other` on the same samples, drawn in pairs."""
        place = {name: row for row, name in enumerate(other.id)}
        same = np.array([place[name] for name in self.id])

        def less(rows: np.ndarray) -> float:
            return _averaged(metric, self, rows) - _averaged(metric, other, same[rows])

        return _drawn(less, [who[name] for name in self.id])

    def kept(self, names: Collection[str]) -> LeftOut:
        """Some of the samples."""
        rows = [row for row, name in enumerate(self.id) if name in names]
        return LeftOut(tuple(self.id[r] for r in rows), self.label[rows], self.scores[:, rows])


def read_left_out(folder: Path, way: str) -> dict[str, LeftOut]:
    """Collect the raw scores of the folds and seeds of one way, by the combination of modalities.

    Raises:
        DataError: a file cannot be read, or a seed lacks a fold.
    """
    return _collected(folder, way, [(found, found.raw) for found in _of_seeds(folder, way)])


def read_shown(folder: Path, way: str) -> dict[str, LeftOut]:
    """The same scores as a calibration on the other videos would show them.

    Raises:
        DataError: a file cannot be read, or a seed lacks a fold.
    """
    seeds = [(found, crossfitted(found, RANGE)) for found in _of_seeds(folder, way)]
    return _collected(folder, way, seeds)


def _of_seeds(folder: Path, way: str) -> list[Predictions]:
    paths = [sorted(seed.glob(f"fold-*/{way}.csv")) for seed in sorted(folder.glob("seed-*"))]
    if not paths or not paths[0]:
        raise DataError(f"{folder}: holds no {way}.csv; `crossval` writes them")
    if not all(paths):
        raise DataError(f"{folder}: some seed lacks a fold of {way}; let `crossval` finish")
    return [join([read_predictions(path, RANGE) for path in some]) for some in paths]


def _collected(
    folder: Path, way: str, seeds: Sequence[tuple[Predictions, Float[np.ndarray, " n"]]]
) -> dict[str, LeftOut]:
    tables: list[dict[str, dict[str, tuple[float, float]]]] = []
    for read, scores in seeds:
        found: dict[str, dict[str, tuple[float, float]]] = {}
        for name, label, score, present in zip(
            read.id, read.label, scores, read.present, strict=True
        ):
            found.setdefault(present, {})[name.rpartition("/")[2]] = (float(label), float(score))
        tables.append(found)
    combined = {}
    for present, first in tables[0].items():
        ids = tuple(first)
        if any(set(table.get(present, {})) != set(ids) for table in tables):
            raise DataError(f"{folder}: some seed lacks a fold of {way}; let `crossval` finish")
        values = np.array([[table[present][i][1] for i in ids] for table in tables])
        combined[present] = LeftOut(ids, np.array([first[i][0] for i in ids]), values)
    return combined


def summary_table(folder: Path, clips: Store, javanese: Store) -> str:
    """The tables of the card that rest on cross-validation, as Markdown."""
    video = {row.id: row.video_id for row in clips.rows}
    ways = {way: read_left_out(folder, way) for way in WAYS}
    if missing := set(video) - set(ways["official"]["text"].id):
        raise DataError(f"{folder}: lacks {len(missing)} clips; let `crossval` finish")
    rows = []
    for way in WAYS:
        for present in ("text", "text+audio+vision"):
            value, ends = ways[way][present].mean(correlation, video)
            error, error_ends = ways[way][present].mean(_mae, video)
            rows.append((way, present, number_text(value, ends), number_text(error, error_ends)))
    parts = [markdown(("words", "from", "Corr", "MAE"), rows)]
    parts.append(_subsets(ways["recognised"], video))
    parts.append(_gains(ways, video))
    parts.append(_as_shown(read_shown(folder, "recognised"), video))
    parts.append(_acted(read_left_out(folder, "javanese"), javanese))
    return "\n\n".join(parts) + "\n"


def _subsets(found: Mapping[str, LeftOut], video: Mapping[str, str]) -> str:
    rows = []
    for present in SUBSETS:
        some = found[present]
        value, ends = some.mean(correlation, video)
        error, error_ends = some.mean(_mae, video)
        mean = float(np.abs(some.label - some.label.mean()).mean())
        n = f"{len(some.id)}"
        rows.append((present, n, number_text(value, ends), number_text(error, error_ends),
                     number_text(mean)))  # fmt: skip
    head = ("recognised, with context, from", "n", "Corr", "MAE", "MAE of the mean label")
    return markdown(head, rows)


def _gains(ways: Mapping[str, Mapping[str, LeftOut]], video: Mapping[str, str]) -> str:
    everything, words = "text+audio+vision", "text"
    pairs = {
        "voice and face, recognised words, with context": (
            ways["recognised"][everything], ways["recognised"][words]),
        "voice and face, official words, with context": (
            ways["official"][everything], ways["official"][words]),
        "context, recognised words alone": (
            ways["recognised"][words], ways["recognised-alone"][words]),
        "context, official words alone": (
            ways["official"][words], ways["official-alone"][words]),
        "recognised instead of official words, alone, with context": (
            ways["recognised"][words], ways["official"][words]),
        "recognised instead of official words, all three": (
            ways["recognised"][everything], ways["official"][everything]),
    }  # fmt: skip
    rows = []
    for what, (one, other) in pairs.items():
        same = set(one.id) & set(other.id)
        value, ends = one.kept(same).gain(other.kept(same), correlation, video)
        rows.append((what, f"{len(same)}", f"{value:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]"))
    return markdown(("gain of Corr by", "n", ""), rows)


def _as_shown(found: Mapping[str, LeftOut], video: Mapping[str, str]) -> str:
    """The same as a user would see it, straightened and cautious by what other videos taught."""
    words, rows = found["text"], []
    for present in (name for name in SUBSETS if name.startswith("text")):
        some = found[present]
        value, ends = some.mean(correlation, video)
        error, error_ends = some.mean(_mae, video)
        gain, low_high = some.gain(words, correlation, video)
        rows.append((present, number_text(value, ends), number_text(error, error_ends),
                     f"{gain:+.3f} [{low_high[0]:+.3f}, {low_high[1]:+.3f}]"))  # fmt: skip
    return markdown(("recognised, as shown, from", "Corr", "MAE", "gain of Corr"), rows)


def _acted(found: Mapping[str, LeftOut], javanese: Store) -> str:
    """Javanese clips, happy against sad, angry and fear, actors left out."""
    actor = {row.id: row.person for row in javanese.rows}
    classes = {row.id: str(row.label) for row in javanese.rows}
    wanted = {name for name, label in classes.items() if label in (HAPPY, *ACTED)}
    everything = found["audio+vision"]
    rows = []
    for present in ("audio", "vision", "audio+vision"):
        some = found[present].kept(wanted & set(everything.id))
        value, ends = some.mean(_auc, actor)
        rows.append((present, f"{len(some.id)}", number_text(value, ends)))
    return markdown(("Javanese clips, actors left out, from", "n", "AUC"), rows)


def _averaged(metric: Metric, some: LeftOut, rows: np.ndarray) -> float:
    values = [metric(some.label[rows], scores[rows]) for scores in some.scores]
    return float(np.mean([np.nan if value is None else value for value in values]))


def _drawn(
    value_of: Callable[[np.ndarray], float], who: Sequence[str]
) -> tuple[float, tuple[float, float]]:
    """A value of all rows, and its interval over groups of rows that are drawn anew."""
    rows = np.arange(len(who), dtype=np.float64)

    def value(_: np.ndarray, places: np.ndarray) -> float | None:
        found = value_of(places.astype(np.int64))
        return None if np.isnan(found) else found

    ends = bootstrap_interval(value, rows, rows, who)
    return value_of(np.arange(len(who))), ends or (np.nan, np.nan)


def _mae(label: np.ndarray, score: np.ndarray) -> float:
    return float(np.abs(label - np.clip(score, *RANGE)).mean())


def _auc(label: np.ndarray, score: np.ndarray) -> float | None:
    return area_under_curve(label > 0, score)


def main() -> int:
    """Print the tables, or write them; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stores", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    return exit_code(lambda: _run(parser.parse_args()))


def _run(asked: argparse.Namespace) -> None:
    stores = (Store(asked.stores / name) for name in ("mosi_clips", "javanese"))
    table = summary_table(asked.folder, *stores)
    print(table)
    if asked.output:
        write_whole(asked.output, table)


if __name__ == "__main__":
    sys.exit(main())
