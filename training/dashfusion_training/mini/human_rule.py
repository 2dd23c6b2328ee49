"""How people weigh words, voice and face: a linear rule and its spread, fitted to judgements.

    python -m dashfusion_training.mini.human_rule --data DATA --output human_rule.json

CH-SIMS was labelled four times: by its words alone, its voice alone, its face alone, and whole. The
rule says what people make of the three together. `human_rule.json` beside this module holds the fit
with its intervals, the table of cells, and how the rule does on CREMA-D and EmotionTalk, to which
it was not fitted. Scores are on a scale from -1 to 1.

Source of the labels: Yu et al., CH-SIMS, ACL 2020; Cao et al., CREMA-D, IEEE TAC 2014; EmotionTalk,
2025.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dashfusion_models.records import MODALITIES, Modality, Streams
from dashfusion_training.commands import exit_code
from dashfusion_training.files import read_table, write_whole
from dashfusion_training.mini.tables import markdown
from dashfusion_training.people import NEUTRAL, RULE_FILE, HumanRule, count_together

__all__ = ["HumanRule", "Judged", "cells", "fit_report", "main", "read_rule"]

BESIDE_WORDS: tuple[tuple[Modality, Modality], ...] = (("text", "audio"), ("text", "vision"))
DRAWS = 2000
FOLDS = 10
SEED = 1111
# Emotions by their sign; surprise may be either and counts as neutral.
VALENCE = {
    "happy": 1.0, "neutral": 0.0, "surprised": 0.0,
    "angry": -1.0, "disgusted": -1.0, "fearful": -1.0, "sad": -1.0,
}  # fmt: skip
SIGN_NAMES = {-1: "-", 0: "0", 1: "+"}


@dataclass(frozen=True)
class Judged:
    """Judgements of `n` clips: by words, voice and face alone (a column each), and as a whole."""

    alone: Float[np.ndarray, "n 3"]
    whole: Float[np.ndarray, " n"]
    group: tuple[str, ...]  # the video, actor or dialogue: clips that are not independent

    def rows_of_groups(self) -> list[Int[np.ndarray, " g"]]:
        """Return the rows of each group."""
        names = np.array(self.group)
        return [np.flatnonzero(names == name) for name in dict.fromkeys(self.group)]

    def kept(self, rows: Int[np.ndarray, " k"]) -> Judged:
        """Return some of the rows."""
        return Judged(self.alone[rows], self.whole[rows], tuple(self.group[r] for r in rows))


def read_rule(path: Path = RULE_FILE) -> HumanRule:
    """Read the fitted rule."""
    found = json.loads(path.read_text("utf-8"))["rule"]
    return HumanRule(**{**found, "weights": Streams(**found["weights"])})


def fit(judged: Judged, reads: Sequence[Modality] = MODALITIES) -> HumanRule:
    """Fit the rule: least squares for the mean, then for the size of what it leaves.

    A rule that `reads` less than all says what people make of the whole as far as these tell. The
    mean size of a normal deviate is sqrt(2 / pi) of its standard deviation.
    """
    alone = judged.alone[:, [MODALITIES.index(m) for m in reads]]
    intercept, *weights = _least_squares(alone, judged.whole)
    left = np.abs(judged.whole - intercept - alone @ np.array(weights))
    conflict = np.ptp(alone, axis=1)[:, None]
    least, more = np.sqrt(np.pi / 2) * _least_squares(conflict, left)
    return HumanRule(
        intercept=float(intercept),
        weights=Streams(
            **{m: 0.0 for m in MODALITIES} | dict(zip(reads, map(float, weights), strict=True))
        ),
        spread_least=float(least),
        spread_per_conflict=float(more),
    )


def cells(judged: Judged, rule: HumanRule) -> list[dict[str, Any]]:
    """Return a row for each combination of signs: people's mean, its interval, spread; the rule's.

    The interval is the 95 % interval of the mean when whole videos are drawn anew.
    """
    sign = np.where(np.abs(judged.alone) <= NEUTRAL, 0, np.sign(judged.alone)).astype(int)
    found: list[dict[str, Any]] = []
    for signs in itertools.product((-1, 0, 1), repeat=3):
        rows = np.flatnonzero((sign == signs).all(axis=1))
        if len(rows) == 0:
            continue
        here = judged.kept(rows)
        expected = [rule.mean(Streams(*map(float, alone))) for alone in here.alone]
        means = _drawn_anew(here, lambda one: one.whole.mean(keepdims=True))
        found.append(
            {
                **{m: SIGN_NAMES[s] for m, s in zip(MODALITIES, signs, strict=True)},
                "n": len(rows),
                "videos": len(set(here.group)),
                "mean": _rounded(here.whole.mean()),
                "interval": [_rounded(edge) for edge in np.percentile(means, [2.5, 97.5])],
                "spread": _rounded(here.whole.std()),
                "rule": _rounded(np.mean(expected)),
            }
        )
    return found


def fit_report(data: Path) -> dict[str, Any]:
    """Fit the rule to CH-SIMS and try it on the other two.

    Raises:
        DataError: a file of judgements is missing or cannot be read.
    """
    sims = read_sims(data / "human_fusion" / "sims_v1.csv")
    rule = fit(sims)
    others = {
        "CREMA-D": read_crema(data / "human_fusion" / "crema_d.csv"),
        "EmotionTalk": read_emotiontalk(data / "human_fusion" / "emotiontalk.csv"),
    }
    return {
        "rule": asdict(rule),
        "rules_of_two": {"+".join(pair): asdict(fit(sims, pair)) for pair in BESIDE_WORDS},
        "fitted_to": {"source": "CH-SIMS v1", **_fit_facts(sims), **_left_out(sims)},
        "correlations": _correlations(sims),
        "together": count_together(sims.alone).tolist(),
        "cells": cells(sims, rule),
        "tried_on": [
            {"source": name, **_tried(judged, rule), "own_fit": _fit_facts(judged)}
            for name, judged in others.items()
        ],
    }


def read_sims(path: Path) -> Judged:
    """Read CH-SIMS's four labels of each clip, by video."""
    rows = read_table(path)
    alone = np.array([[float(row[key]) for key in ("T", "A", "V")] for row in rows])
    whole = np.array([float(row["M"]) for row in rows])
    return Judged(alone, whole, tuple(row["video_id"] for row in rows))


def read_crema(path: Path) -> Judged:
    """Read CREMA-D's shares of votes, by actor; its sentences are neutral, so words say 0."""
    rows = read_table(path)
    alone = np.array([[0.0, float(row["voice"]), float(row["face"])] for row in rows])
    whole = np.array([float(row["both"]) for row in rows])
    return Judged(alone, whole, tuple(row["actor"] for row in rows))


def read_emotiontalk(path: Path) -> Judged:
    """Read the signs of EmotionTalk's emotions, by dialogue."""
    rows = read_table(path)
    alone = np.array([[VALENCE[row[key]] for key in ("T", "A", "V")] for row in rows])
    whole = np.array([VALENCE[row["M"]] for row in rows])
    return Judged(alone, whole, tuple(row["dialogue"] for row in rows))


def _fit_facts(judged: Judged) -> dict[str, Any]:
    """A fit of its own with intervals over groups; a column that never changes has weight null."""
    varies = judged.alone.std(axis=0) > 0

    def fitted(one: Judged) -> np.ndarray:
        return _least_squares(one.alone[:, varies], one.whole)

    values = fitted(judged)
    low, high = np.percentile(_drawn_anew(judged, fitted), [2.5, 97.5], axis=0)
    names = ["intercept", *itertools.compress(MODALITIES, varies)]
    expected = values[0] + judged.alone[:, varies] @ values[1:]
    return {
        "n": len(judged.whole),
        "groups": len(set(judged.group)),
        "weights": {
            name: {"value": _rounded(v), "interval": [_rounded(a), _rounded(b)]}
            for name, v, a, b in zip(names, values, low, high, strict=True)
        },
        "r2": _rounded(_explained(judged.whole, expected)),
    }


def _left_out(judged: Judged) -> dict[str, Any]:
    """Explained variance and error of whole groups by rules that were fitted to the others."""
    groups = judged.rows_of_groups()
    order = np.random.default_rng(SEED).permutation(len(groups))
    expected = np.zeros(len(judged.whole))
    for fold in range(FOLDS):
        out = np.concatenate([groups[g] for g in order[fold::FOLDS]])
        rule = fit(judged.kept(np.setdiff1d(np.arange(len(judged.whole)), out)))
        expected[out] = [rule.mean(Streams(*map(float, alone))) for alone in judged.alone[out]]
    error = np.abs(judged.whole - expected).mean()
    return {
        "r2_left_out": _rounded(_explained(judged.whole, expected)),
        "mae_left_out": _rounded(error),
    }


def _tried(judged: Judged, rule: HumanRule) -> dict[str, Any]:
    """How the rule, as it is, does on judgements that it was not fitted to."""
    expected = np.array([rule.mean(Streams(*map(float, alone))) for alone in judged.alone])
    return {
        "corr": _rounded(np.corrcoef(expected, judged.whole)[0, 1]),
        "mae": _rounded(np.abs(judged.whole - expected).mean()),
    }


def _correlations(judged: Judged) -> dict[str, float]:
    """How the three occur together."""
    found = np.corrcoef(judged.alone.T)
    pairs = itertools.combinations(range(len(MODALITIES)), 2)
    return {f"{MODALITIES[i]}-{MODALITIES[j]}": _rounded(found[i, j]) for i, j in pairs}


def _drawn_anew(judged: Judged, statistic: Any) -> Float[np.ndarray, "draws k"]:
    """Return a statistic of each of many draws of whole groups."""
    groups = judged.rows_of_groups()
    draw = np.random.default_rng(SEED)
    return np.array(
        [
            statistic(judged.kept(np.concatenate([groups[g] for g in chosen])))
            for chosen in draw.integers(len(groups), size=(DRAWS, len(groups)))
        ]
    )


def _least_squares(x: Float[np.ndarray, "n k"], y: Float[np.ndarray, " n"]) -> np.ndarray:
    """Return the intercept and the slopes."""
    found: np.ndarray = np.linalg.lstsq(np.c_[np.ones(len(x)), x], y, rcond=None)[0]
    return found


def _explained(label: np.ndarray, expected: np.ndarray) -> float:
    return float(1.0 - np.square(label - expected).sum() / np.square(label - label.mean()).sum())


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def table(report: Mapping[str, Any]) -> str:
    """Return the cells as a table."""
    head = ("words", "voice", "face", "n", "people", "interval", "spread", "rule")
    rows: Sequence[Sequence[str]] = [
        (
            *(cell[m] for m in MODALITIES),
            str(cell["n"]),
            f"{cell['mean']:+.2f}",
            "[{:+.2f}, {:+.2f}]".format(*cell["interval"]),
            f"{cell['spread']:.2f}",
            f"{cell['rule']:+.2f}",
        )
        for cell in report["cells"]
    ]
    return markdown(head, rows)


def main() -> int:
    """Fit, write the file and print the table of cells; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds human_fusion/")
    parser.add_argument("--output", type=Path, required=True)
    return exit_code(lambda: _run(parser.parse_args()))


def _run(arguments: argparse.Namespace) -> None:
    report = fit_report(arguments.data)
    write_whole(arguments.output, json.dumps(report, indent=1) + "\n")
    print(table(report))


if __name__ == "__main__":
    sys.exit(main())
