"""What a visit makes of a sample: words disturbed, modalities taken away, others lent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int64

from dashfusion_models.records import MODALITIES, Features, Streams
from dashfusion_training.config import TrainConfig
from dashfusion_training.people import People, read_people, sign_alone
from dashfusion_training.samples import Dataset, Sample
from dashfusion_training.texts import misheard, without_punctuation

__all__ = ["OWN", "Composer", "Visit"]

MISHEARD_TEXTS = 0.5  # share of the visits that mishear anything
OWN = Streams(text=0, audio=0, vision=0)  # all streams of one moment


@dataclass(frozen=True)
class Visit:
    """What one visit reads of a sample, and its label.

    Streams with the same number in `moments` are of one person and moment; 0 is the sample's own.
    """

    features: Features
    label: float
    moments: Streams[int] = OWN


class Composer:
    """Gives a sample what it has, less what modality dropout takes, plus what is composed."""

    def __init__(self, samples: Dataset, config: TrainConfig) -> None:
        """Look up who can lend a voice or a face."""
        self._config = config
        self._lenders = _Lenders(samples, config) if config.compose else None

    def __call__(self, sample: Sample, draw: np.random.Generator) -> Visit:
        """Return what one visit of a sample reads; `draw` decides all that is random."""
        features = self._said(sample.features(), draw)
        present = features.present
        if self._lenders and present.text and not present.audio and not present.vision:
            return self._lenders.compose(features, sample.label, draw)
        return Visit(self._drop(features, draw), sample.label)

    def companion(self, sample: Sample, draw: np.random.Generator) -> Visit:
        """Return a sample with all that it has, to be compared with; only words are disturbed."""
        return Visit(self._said(sample.features(), draw), sample.label)

    def _said(self, features: Features, draw: np.random.Generator) -> Features:
        """The words as they may reach the network: out of context, unpunctuated, misheard."""
        config, text, context = self._config, features.text, features.context
        if text is None:
            return features
        if config.context_dropout and draw.random() < config.context_dropout:
            context = None
        if config.bare_text and draw.random() < config.bare_text:
            text = without_punctuation(text)
            context = without_punctuation(context) if context else None
        if config.misheard and draw.random() < MISHEARD_TEXTS:
            text = misheard(text, draw, config.misheard)
        return replace(features, text=text, context=context)

    def _drop(self, features: Features, draw: np.random.Generator) -> Features:
        """Take some modalities away, never all."""
        here = [m for m, there in features.present.items() if there]
        if len(here) < 2 or draw.random() >= self._config.modality_dropout:
            return features
        kept = set(draw.permutation(here)[: int(draw.integers(1, len(here) + 1))])
        gone = {m: None for m in MODALITIES if m not in kept}
        return replace(features, **gone)


class _Lenders:
    """Composes samples of words alone with voices and faces of others.

    A voice and a face are of the signs with which they occur beside such words among people, and
    the label is what people would say of the three (`people.py`). A voice that was filmed brings
    its own face where both are to be of one sign; to another voice goes a face without one. How
    often a source lends goes by how often an epoch visits it.
    """

    def __init__(self, samples: Dataset, config: TrainConfig) -> None:
        self._samples, self._config = samples, config
        self._people: People = read_people()
        low, high = config.label_range
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        said = [self._said_alone(sample) for sample in samples]
        often = [float(config.repeat.get(sample.source, 1)) for sample in samples]
        kinds: Mapping[str, Callable[[Sample], bool]] = {
            "voice": lambda s: s.has("audio"),
            "face": lambda s: s.has("vision"),
            "silent face": lambda s: s.has("vision") and not s.has("audio"),
        }
        self._pools = {
            (kind, sign): _Pool.of(
                [i for i, s in enumerate(samples) if fits(s) and sign_alone(said[i]) == sign],
                often,
            )
            for kind, fits in kinds.items()
            for sign in (-1, 0, 1)
        }

    def compose(self, features: Features, label: float, draw: np.random.Generator) -> Visit:
        """Lend a voice and a face, each with the chance `compose`."""
        words = self._on_one(label)
        heard, seen = self._people.draw_signs(words, draw)
        if draw.random() < self._config.compose_neutral:
            heard = seen = 0
        wants_voice, wants_face = (bool(draw.random() < self._config.compose) for _ in range(2))
        voice = self._pools["voice", heard].draw(draw) if wants_voice else None
        face = self._face(voice, heard, seen, draw) if wants_face else None
        if voice is None and face is None:
            return Visit(features, label)
        alone = Streams(words, *(self._alone(i) for i in (voice, face)))
        return Visit(
            replace(
                features,
                audio=None if voice is None else self._samples[voice].features().audio,
                vision=None if face is None else self._samples[face].features().vision,
            ),
            self._label(label, alone, draw) if self._config.compose_label == "people" else label,
            Streams(text=0, audio=1, vision=1 if face == voice else 2),
        )

    def _face(
        self, voice: int | None, heard: int, seen: int, draw: np.random.Generator
    ) -> int | None:
        if voice is None:
            return self._pools["face", seen].draw(draw)
        if heard == seen and self._samples[voice].has("vision"):
            return voice
        silent = self._pools["silent face", seen].draw(draw)
        return self._pools["face", seen].draw(draw) if silent is None else silent

    def _label(
        self, words: float, alone: Streams[float | None], draw: np.random.Generator
    ) -> float:
        """Draw what one of the people would say of the whole, on the range of the labels."""
        mean, spread = self._people.mean(alone), self._people.spread(alone)
        if not spread:  # voice and face say nothing
            return words
        one = min(1.0, max(-1.0, mean + spread * draw.standard_normal()))
        return self._middle + self._half * one

    def _alone(self, lender: int | None) -> float | None:
        return None if lender is None else self._said_alone(self._samples[lender])

    def _said_alone(self, sample: Sample) -> float:
        """What a voice or a face of a sample says alone, from -1 to 1.

        That is its label; where there are words too, people gave it to the whole, and voice and
        face alone say a share of it.
        """
        share = self._config.lent_share if sample.has("text") else 1.0
        return share * self._on_one(sample.label)

    def _on_one(self, label: float) -> float:
        return (label - self._middle) / self._half


@dataclass(frozen=True)
class _Pool:
    """Places of samples that are drawn in proportion to their weights."""

    places: Int64[np.ndarray, " n"]
    up_to: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, places: Sequence[int], weights: Sequence[float]) -> _Pool:
        """Gather `places`, each with its weight among those of all samples."""
        kept = [i for i in places if weights[i] > 0]
        return cls(np.array(kept, np.int64), np.cumsum([weights[i] for i in kept]))

    def draw(self, draw: np.random.Generator) -> int | None:
        """Draw a place; None where there is none."""
        if not len(self.places):
            return None
        point = draw.random() * self.up_to[-1]
        return int(self.places[int(np.searchsorted(self.up_to, point, side="right"))])
