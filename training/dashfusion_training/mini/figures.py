"""The figures of the model card, from a checkpoint and a folder of stores.

    python -m dashfusion_training.mini.figures --checkpoint FILE --stores FOLDER
        [--manifests FOLDER] [--json] [--output FOLDER]

The stores are named as the manifests of `recipe`; what is missing is left out and named. All is
measured on test splits. Intervals are 95 % bootstrap intervals over speakers, persons or videos.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.errors import DataError
from dashfusion_models.records import MODALITIES, Modality
from dashfusion_training.commands import exit_code
from dashfusion_training.evaluate import who_of
from dashfusion_training.files import write_whole
from dashfusion_training.metrics import correlation, mosi_metrics, paired_bootstrap
from dashfusion_training.mini.bench import Bench, Measured, class_auc, open_bench, rewritten
from dashfusion_training.mini.tables import measured_table
from dashfusion_training.mini.timing import Timing, time_scoring
from dashfusion_training.missing import subset_cases
from dashfusion_training.predict import predict_each
from dashfusion_training.samples import Sample
from dashfusion_training.texts import without_punctuation

__all__ = [
    "Figures",
    "acted",
    "faces",
    "main",
    "measure",
    "subsets",
    "voices",
    "words",
    "written_and_bare",
]

SCHEMA = "dashfusion/figures/1"
TEXTS = ("mosei_text", "mosi_text")
WORD_METRICS = ("mae", "corr", "acc2_np", "acc7")
SOURCES = (*TEXTS, "mosi_clips", "mosi_heard", "ravdess", "faces", "javanese")

# Positive and negative classes; one that is in neither, such as surprise, is left out.
Classes = tuple[frozenset[str], frozenset[str]]
VOICES: dict[str, Classes] = {
    "happy against angry, sad, fearful, disgust": (
        frozenset({"happy"}),
        frozenset({"angry", "sad", "fearful", "disgust"}),
    ),
    "happy against angry": (frozenset({"happy"}), frozenset({"angry"})),
}
FACES: Classes = (
    frozenset({"happiness"}),
    frozenset({"anger", "disgust", "fear", "sadness", "contempt"}),
)
ACTED: Classes = (frozenset({"happy"}), frozenset({"sad", "angry", "fear"}))
ACTED_BY: tuple[tuple[Modality, ...], ...] = (("audio",), ("vision",), ("audio", "vision"))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The tables of the card by their titles (schema dashfusion/figures/1)."""

    checkpoint: str
    sha256: str
    tables: Mapping[str, tuple[Measured, ...]]
    timing: Timing
    left_out: tuple[str, ...]  # sources that are not in the folder of stores

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "checkpoint": self.checkpoint,
            "sha256": self.sha256,
            "tables": {title: [r.to_dict() for r in rows] for title, rows in self.tables.items()},
            "timing": self.timing.to_dict(),
            "left_out": list(self.left_out),
        }

    def to_markdown(self) -> str:
        """Return the tables, each under its title."""
        parts = [f"{title}:\n\n{measured_table(rows)}" for title, rows in self.tables.items()]
        parts.append(self.timing.sentence())
        if self.left_out:
            parts.append(f"Left out, because there is no store: {', '.join(self.left_out)}.")
        return "\n\n".join(parts)


def words(bench: Bench) -> Iterator[Measured]:
    """Words alone on the official test splits, as written and as a recogniser might write them."""
    for source in filter(bench.has, TEXTS):
        samples = bench.samples(source)
        yield from written_and_bare(bench, samples, bench.scores(samples, ("text",)))


def written_and_bare(
    bench: Bench, samples: Sequence[Sample], plain: Float[np.ndarray, " n"]
) -> Iterator[Measured]:
    """Yield the metrics of texts scored as they are written (`plain`), then without their signs.

    `corr_loss` is what the correlation loses without punctuation and capitals, its interval paired.
    """
    metrics = {name: _mosi(name) for name in WORD_METRICS}
    yield Measured.of("as written", samples, plain, metrics)
    bare = bench.scores(rewritten(samples, without_punctuation), ("text",))
    found = Measured.of("lower case, no punctuation", samples, bare, metrics)
    label = np.array([s.label for s in samples])
    before, after = correlation(label, plain), correlation(label, bare)
    loss = None if before is None or after is None else before - after
    ends = paired_bootstrap(correlation, label, plain, bare, who_of(samples))
    yield Measured(
        what=found.what,
        source=found.source,
        n=found.n,
        over=found.over,
        values={**found.values, "corr_loss": loss},
        intervals={**found.intervals, **({"corr_loss": ends} if ends else {})},
    )


def voices(bench: Bench) -> Iterator[Measured]:
    """Voices alone of speakers who were kept out."""
    if bench.has("ravdess"):
        samples = [s for s in bench.samples("ravdess") if s.has("audio")]
        predicted = bench.scores(samples, ("audio",))
        for what, classes in VOICES.items():
            yield class_auc(f"voice: {what}", samples, predicted, *classes)


def faces(bench: Bench, manifests: Path | None) -> Iterator[Measured]:
    """Faces alone of persons who were kept out, and in how many pictures one was found."""
    if not bench.has("faces"):
        return
    samples = [s for s in bench.samples("faces") if s.has("vision")]
    predicted = bench.scores(samples, ("vision",))
    yield class_auc("face: happiness against negative classes", samples, predicted, *FACES)
    if manifests is not None:
        asked = _ids(manifests / "faces.csv", "test")
        found = asked & {sample.row.id for sample in samples}
        yield Measured(
            what="face: found in the picture",
            source="faces",
            n=len(asked),
            over=len(asked),
            values={"share": len(found) / len(asked) if asked else None},
        )


def acted(bench: Bench) -> Iterator[Measured]:
    """Acted clips of actors who were kept out: voice, face, and both, of the same clips."""
    if bench.has("javanese"):
        samples = [s for s in bench.samples("javanese") if s.has("audio") and s.has("vision")]
        for modalities in ACTED_BY:
            predicted = bench.scores(samples, modalities)
            what = f"{_spoken(modalities)}: happy against sad, angry, fear"
            yield class_auc(what, samples, predicted, *ACTED)


def subsets(bench: Bench) -> Iterator[Measured]:
    """Every combination of modalities against always saying the mean of the training's labels.

    On each source, over the samples that have all that the source has. `mae_of_mean` is that of
    the mean of the source's own training labels, None where it has none.
    """
    for source in filter(bench.has, SOURCES):
        samples = bench.samples(source)
        held = tuple(m for m in bench.checkpoint.modalities if any(s.has(m) for s in samples))
        whole = [s for s in samples if all(s.has(m) for m in held)]
        if not held or not whole:
            continue
        label = np.array([s.label for s in whole])
        cases = subset_cases(held)
        predicted = predict_each(
            bench.checkpoint.network,
            bench.checkpoint.collate,
            whole,
            [change for _, change in cases],
            device=bench.device,
            modalities=held,
        )
        constant = _mae_of_mean(bench, source, label)
        for (subset, _), scores in zip(cases, predicted, strict=True):
            yield Measured(
                what=_spoken(subset),
                source=source,
                n=len(whole),
                over=len(set(who_of(whole))),
                values={
                    "mae": float(np.abs(label - scores).mean()),
                    "mae_of_mean": constant,
                    "corr": correlation(label, scores),
                },
            )


def measure(bench: Bench, manifests: Path | None = None) -> Figures:
    """Measure all that the stores allow.

    Raises:
        CheckpointError: it was made for other features than a store's, or gives no numbers.
        DataError: none of the known sources has a test split, or a label cannot be used.
    """
    if not any(map(bench.has, SOURCES)):
        raise DataError(f"no store with a test split is called one of {', '.join(SOURCES)}")
    tables: dict[str, Callable[[], Iterator[Measured]]] = {
        "Words alone": lambda: words(bench),
        "Voice alone": lambda: voices(bench),
        "Face alone": lambda: faces(bench, manifests),
        "Acted clips": lambda: acted(bench),
        "Combinations of modalities": lambda: subsets(bench),
    }
    found = {title: tuple(rows()) for title, rows in tables.items()}
    return Figures(
        checkpoint=bench.checkpoint.name,
        sha256=bench.checkpoint.sha256,
        tables={title: rows for title, rows in found.items() if rows},
        timing=time_scoring(bench.checkpoint),
        left_out=tuple(s for s in SOURCES if not bench.has(s)),
    )


def _mosi(name: str) -> Callable[[np.ndarray, np.ndarray], float | None]:
    return lambda label, predicted: mosi_metrics(label, predicted)[name]


def _mae_of_mean(bench: Bench, source: str, label: np.ndarray) -> float | None:
    if not any(row.split == "train" for row in bench.stores[source].rows):
        return None
    taught = np.mean([s.label for s in bench.samples(source, "train")])
    return float(np.abs(label - taught).mean())


def _ids(manifest: Path, split: str) -> set[str]:
    """The ids that a manifest of the recipe lists for a split.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            return {row["id"] for row in csv.DictReader(file) if row["split"] == split}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{manifest}: cannot be read ({error}); `recipe` writes it") from error


def _spoken(modalities: tuple[Modality, ...]) -> str:
    names = {"text": "words", "audio": "voice", "vision": "face"}
    return " + ".join(names[m] for m in MODALITIES if m in modalities)


def main() -> int:
    """Measure the figures of the card and print them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--stores", type=Path, required=True, help="a folder of stores")
    parser.add_argument("--manifests", type=Path, help="their manifests, for faces not found")
    parser.add_argument("--json", action="store_true", help="print JSON, not tables")
    parser.add_argument("--output", type=Path, help="a folder for figures.json and figures.md")
    return exit_code(lambda: _run(parser.parse_args()))


def _run(given: argparse.Namespace) -> None:
    bench = open_bench(given.checkpoint, given.stores, torch.device("cpu"))
    found = measure(bench, given.manifests)
    as_json, tables = json.dumps(found.to_dict(), indent=1), found.to_markdown()
    print(as_json if given.json else tables)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        write_whole(given.output / "figures.json", as_json + "\n")
        write_whole(given.output / "figures.md", tables + "\n")


if __name__ == "__main__":
    sys.exit(main())
