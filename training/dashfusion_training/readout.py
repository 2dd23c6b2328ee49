"""Voices and faces reduced to what moves and two numbers that tell the score, by ridge regression.

A recogniser's states have hundreds of dimensions, and there are a few dozen voices with a label: a
network learns such voices by heart. On unseen RAVDESS speakers its area under the curve (happy
against negative) fell from 0.9 to below 0.75 within a few epochs; that of ridge regression on the
utterance's mean stays at 0.92, and a network that reads its number cannot do much worse. Of faces
it learns whose they are: on Javanese actors who were left out it had 0.89, the ridge 0.92.

A network that narrows what it reads may have all features beside the numbers (`frame_bottleneck`,
`readout_beside`): only then there is enough in a voice and a face to be aligned with words.

One number is learned from all classes, the other from those with a sign only: it tells positive
from negative better (validation: 0.96 against 0.93 for voices, 0.94 against 0.92 for faces).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64

from dashfusion_models.collate import Normalisation
from dashfusion_models.errors import ConfigError
from dashfusion_models.records import FeatureSpec, Modality
from dashfusion_training.samples import Dataset, sign_of

__all__ = ["KEPT", "with_readout"]

# What the network reads of every step. Of a voice: how loud, how voiced, how high for this speaker.
# Of a face nothing: its rest tells whose it is, and so which video of the few that have labels.
KEPT: Mapping[Modality, tuple[str, ...]] = {
    "audio": ("voicing", "energy", "relative_log_f0", "deviation_energy",
              "deviation_relative_log_f0"),
    "vision": (),
}  # fmt: skip
NAMES: Mapping[Modality, str] = {"audio": "voice_readout", "vision": "face_readout"}


def with_readout(
    measured: Normalisation,
    spec: FeatureSpec,
    samples: Dataset,
    strength: float,
    modality: Modality = "audio",
    *,
    beside: bool = False,
) -> Normalisation:
    """Return `measured` with a projection to KEPT and two numbers that tell the score.

    With `beside` all features are kept, in front of the two numbers.

    They are learned from the samples that have the modality and the name of a class as their
    label, from the mean of each: the first from all of them, the second from those whose label has
    a sign. All sources weigh the same, however many samples they have. `strength` is the penalty on
    the squared weights of standardised features (Hoerl & Kennard, 1970). Each number has a
    deviation of 1 over the samples that it is learned from.

    Raises:
        ConfigError: the features lack one of KEPT, or no sample with a sign has a class.
    """
    acted = [s for s in samples if s.has(modality) and isinstance(s.row.label, str)]
    score = np.array([sample.label for sample in acted])
    signed = np.array([sign_of(sample.label) != 0 for sample in acted], np.bool_)
    kept = spec.names if beside else KEPT[modality]
    missing = [name for name in kept if name not in spec.names]
    if missing or not signed.any():
        fact = f"{spec.extractor} has no {missing[0]}" if missing else "no sample names a class"
        raise ConfigError(f"{NAMES[modality]}: {fact}; set it to 0")
    project = np.zeros((spec.dims, len(kept) + 2), np.float32)
    places = range(spec.dims) if beside else [spec.names.index(name) for name in kept]
    project[places, np.arange(len(kept))] = 1.0
    means = _means(acted, measured, modality)
    sources = np.array([sample.source for sample in acted])
    for place, some in ((-2, np.ones_like(signed)), (-1, signed)):
        weight = _source_weights(sources[some].tolist())
        project[:, place] = _ridge(means[some], score[some], weight, strength)
    return replace(measured, project=project)


def _source_weights(sources: list[str]) -> Float64[np.ndarray, " n"]:
    """A weight a sample, 1 on average: each source has the same sum."""
    counts = Counter(sources)
    return np.array([len(sources) / (len(counts) * counts[source]) for source in sources])


def _means(
    samples: Dataset, measured: Normalisation, modality: Modality
) -> Float64[np.ndarray, "n dims"]:
    """The mean over the real steps of each sample, standardised."""
    rows = []
    for sample in samples:
        sequence = getattr(sample.features(), modality)
        rows.append(measured(sequence)[sequence.real].mean(axis=0))
    return np.stack(rows).astype(np.float64)


def _ridge(
    x: Float64[np.ndarray, "n dims"],
    y: Float64[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
    strength: float,
) -> Float32[np.ndarray, " dims"]:
    """Weights of ridge regression, scaled to predictions of deviation 1."""
    x = x - np.average(x, axis=0, weights=weight)
    y = y - np.average(y, weights=weight)
    weighted = x.T * weight
    found = np.linalg.solve(weighted @ x + strength * np.eye(x.shape[1]), weighted @ y)
    told = x @ found
    scaled = found / max(1e-9, float(np.sqrt(np.average(told**2, weights=weight))))
    return np.asarray(scaled, np.float32)
