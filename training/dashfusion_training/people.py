"""How people weigh words, voice and face, as the composed training samples follow it.

The rules and counts come from `mini/human_rule.json`, which `mini/human_rule.py` fits to
judgements. Scores are on a scale from -1 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from dashfusion_models.records import MODALITIES, Modality, Streams

__all__ = [
    "NEUTRAL",
    "RULE_FILE",
    "HumanRule",
    "People",
    "count_together",
    "read_people",
    "sign_alone",
]

RULE_FILE = Path(__file__).parent / "mini" / "human_rule.json"
NEUTRAL = 0.1  # up to here a score has no sign (the metric's own edge for CH-SIMS)
CLEAR = 0.4  # a voice or a face that says this much has its full part in the whole
TEXT_EDGES = (-0.5, -NEUTRAL, NEUTRAL, 0.5)  # between words of five strengths
BESIDE_WORDS: tuple[Modality, ...] = ("audio", "vision")


def sign_alone(score: float) -> int:
    """Return -1, 0 or 1: the sign of what a modality says alone."""
    return 0 if abs(score) <= NEUTRAL else int(np.sign(score))


@dataclass(frozen=True, kw_only=True)
class HumanRule:
    """Mean and spread of what people say of the whole, from what each modality says alone.

    `spread_least` is the standard deviation where the modalities agree; it grows by
    `spread_per_conflict` for each unit between the highest and the lowest of them. A modality that
    the rule does not read has the weight 0 and says None.
    """

    intercept: float
    weights: Streams[float]
    spread_least: float
    spread_per_conflict: float

    def mean(self, alone: Streams[float | None]) -> float:
        """Return the mean judgement of the whole, in [-1, 1]."""
        value = self.intercept + sum(self.weights[m] * (alone[m] or 0.0) for m in MODALITIES)
        return min(1.0, max(-1.0, value))

    def spread(self, alone: Streams[float | None]) -> float:
        """Return the standard deviation of the judgements around their mean."""
        values = [said for _, said in alone.items() if said is not None]
        return self.spread_least + self.spread_per_conflict * (max(values) - min(values))


@dataclass(frozen=True)
class People:
    """What people make of words with a voice, a face or both, and how often these occur together.

    `rules` are by the modalities that are there, joined by "+". `together` counts clips by the
    strength of the words (TEXT_EDGES) and by the signs of voice and face (-1, 0, 1).
    """

    rules: Mapping[str, HumanRule]
    together: Int[np.ndarray, "5 3 3"]

    def mean(self, alone: Streams[float | None]) -> float:
        """Return what people would say of the whole, in [-1, 1]; there are words.

        Where voice and face say nothing it is what the words say: in films people give 0.45 of it,
        in reviews all, and reviews decide. From there to the rule, which holds where either says at
        least CLEAR, it changes in proportion. What nothing contradicts is not made weaker.
        """
        words = alone.text or 0.0
        share = self._share(alone)
        if not share:
            return words
        whole = share * self.rules[_named(alone)].mean(alone) + (1 - share) * words
        sign = sign_alone(words)
        contradicted = any(sign_alone(alone[m] or 0.0) == -sign for m in BESIDE_WORDS)
        if not sign or contradicted:
            return whole
        return sign * max(sign * words, sign * whole)

    def spread(self, alone: Streams[float | None]) -> float:
        """Return the standard deviation around that; none where the words' label stays."""
        share = self._share(alone)
        return share * self.rules[_named(alone)].spread(alone) if share else 0.0

    def draw_signs(self, words: float, draw: np.random.Generator) -> tuple[int, int]:
        """Draw the signs of a voice and a face as they occur beside such words."""
        counts = self.together[int(np.searchsorted(TEXT_EDGES, words))].ravel()
        place = int(np.searchsorted(np.cumsum(counts), draw.random() * counts.sum(), side="right"))
        return place // 3 - 1, place % 3 - 1

    def _share(self, alone: Streams[float | None]) -> float:
        """How much of their part in the whole voice and face have, from 0 to 1."""
        return min(1.0, max(abs(alone[m] or 0.0) for m in BESIDE_WORDS) / CLEAR)


def _named(alone: Streams[float | None]) -> str:
    return "+".join(m for m, said in alone.items() if said is not None)


def read_people(path: Path = RULE_FILE) -> People:
    """Read the fitted rules and counts."""
    found = json.loads(path.read_text("utf-8"))
    rules = {"+".join(MODALITIES): found["rule"], **found["rules_of_two"]}
    return People(
        rules={
            name: HumanRule(**{**rule, "weights": Streams(**rule["weights"])})
            for name, rule in rules.items()
        },
        together=np.array(found["together"], np.int64),
    )


def count_together(alone: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "5 3 3"]:
    """Count clips by the strength of their words and the signs of voice and face."""
    counts = np.zeros((len(TEXT_EDGES) + 1, 3, 3), np.int64)
    for words, voice, face in alone.tolist():
        place = int(np.searchsorted(TEXT_EDGES, words))
        counts[place, sign_alone(voice) + 1, sign_alone(face) + 1] += 1
    return counts
