"""What a visit makes of a sample: words disturbed, modalities taken away, others lent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dashfusion_models.records import MODALITIES, Features, Modality
from dashfusion_training.config import TrainConfig
from dashfusion_training.samples import Dataset, Sample, sign_of
from dashfusion_training.texts import misheard, without_punctuation

__all__ = ["Composer"]

FRAMES: tuple[Modality, ...] = ("audio", "vision")
MISHEARD_TEXTS = 0.5  # share of the visits that mishear anything
ANY = 9  # stands for every sign


class Composer:
    """Gives a sample what it has, less what modality dropout takes, plus what is composed."""

    def __init__(self, samples: Dataset, config: TrainConfig) -> None:
        """Look up who can lend a voice or a face, by the sign of the label."""
        self._config = config
        self._samples = samples
        self._lenders: dict[tuple[str, int], list[int]] = {}
        if config.compose:
            for i, sample in enumerate(samples):
                for modality in FRAMES:
                    if sample.has(modality):
                        for sign in (sign_of(sample.label), ANY):
                            self._lenders.setdefault((modality, sign), []).append(i)

    def __call__(self, sample: Sample, draw: np.random.Generator) -> Features:
        """Return what one visit of a sample reads; `draw` decides all that is random."""
        features = self._said(sample.features(), draw)
        present = features.present
        if present.text and not present.audio and not present.vision:
            return self._compose(features, sign_of(sample.label), draw)
        return self._drop(features, draw)

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

    def _compose(self, features: Features, sign: int, draw: np.random.Generator) -> Features:
        """Lend a voice and a face, each with the chance `compose`; the words keep the label."""
        config = self._config
        face = config.agree if config.agree_face is None else config.agree_face
        for modality, agree in (("audio", config.agree), ("vision", face)):
            if draw.random() < config.compose:
                wanted = sign if draw.random() < agree else ANY
                lenders = self._lenders.get((modality, wanted))
                if lenders:
                    lender = self._samples[lenders[int(draw.integers(len(lenders)))]]
                    lent = getattr(lender.features(), modality)
                    features = replace(features, **{modality: lent})
        return features

    def _drop(self, features: Features, draw: np.random.Generator) -> Features:
        """Take some modalities away, never all."""
        here = [m for m, there in features.present.items() if there]
        if len(here) < 2 or draw.random() >= self._config.modality_dropout:
            return features
        kept = set(draw.permutation(here)[: int(draw.integers(1, len(here) + 1))])
        gone = {m: None for m in MODALITIES if m not in kept}
        return replace(features, **gone)
