"""From the features of utterances to a padded batch: tokens, normalised frames, masks."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Several
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32
from tokenizers import Tokenizer

from dashfusion_models.network.sequence import MAX_WORD_PIECES, Batch, Sequence, Tokens
from dashfusion_models.records import Features, FeatureSequence, Streams

__all__ = ["MAX_WORD_PIECES", "Collator", "Normalisation", "load_tokenizer"]

LARGEST_DEVIATION = 6.0  # standard deviations; a broken frame must not rule an utterance


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each feature over the training data.

    `project`, where there is one, turns the standardised features into those that the network
    reads.
    """

    mean: Float32[np.ndarray, " dims"]
    std: Float32[np.ndarray, " dims"]
    project: Float32[np.ndarray, "dims read"] | None = None

    @property
    def read(self) -> int:
        """How many features a step the network reads."""
        return len(self.mean) if self.project is None else self.project.shape[1]

    @classmethod
    def identity(cls, dims: int) -> Normalisation:
        """Leave features as they are (the benchmarks' ready features)."""
        return cls(mean=np.zeros(dims, np.float32), std=np.ones(dims, np.float32))

    @classmethod
    def of(cls, sequences: Iterable[FeatureSequence], dims: int) -> Normalisation:
        """Measure over the real steps of `sequences`; a constant feature gets a deviation of 1."""
        total, squares, count = np.zeros(dims), np.zeros(dims), 0
        for sequence in sequences:
            observed = _finite(sequence.values[sequence.real]).astype(np.float64)
            total += observed.sum(axis=0)
            squares += (observed**2).sum(axis=0)
            count += len(observed)
        mean = total / max(count, 1)
        std = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0.0))
        std[std < 1e-6] = 1.0
        return cls(mean=mean.astype(np.float32), std=std.astype(np.float32))

    def __call__(self, sequence: FeatureSequence) -> Float32[np.ndarray, "steps read"]:
        """Return the normalised values: finite, bounded, zero where nothing was observed."""
        values = _finite(sequence.values)
        if self.mean.any() or (self.std != 1).any():  # ready features stay as they are
            deviation = (values - self.mean) / self.std
            values = np.clip(deviation, -LARGEST_DEVIATION, LARGEST_DEVIATION)
        placed = np.array(values, np.float32)
        placed[~sequence.real] = 0.0
        return placed if self.project is None else placed @ self.project


def _finite(values: Float32[np.ndarray, "steps dims"]) -> Float32[np.ndarray, "steps dims"]:
    """NaN and infinities become 0 (METHOD.md section 1)."""
    return np.asarray(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))


def load_tokenizer(serialized: str) -> Tokenizer:
    """Read a tokenizer.json; it cuts at 128 word pieces and never pads."""
    tokenizer = Tokenizer.from_str(serialized)
    tokenizer.enable_truncation(MAX_WORD_PIECES)
    tokenizer.no_padding()
    return tokenizer


@dataclass(frozen=True)
class Collator:
    """Turns features into what the network reads, always in the same way."""

    tokenizer: Tokenizer
    audio: Normalisation
    vision: Normalisation
    context_tokens: int = 0  # of what was said before: the last word pieces of it

    def __call__(self, features: Several[Features]) -> Batch:
        """Pad to the longest of the batch; absent modalities are padding and not present."""
        present = [f.present for f in features]
        return Batch(
            text=self._tokens(features),
            audio=_pad([f.audio for f in features], self.audio),
            vision=_pad([f.vision for f in features], self.vision),
            present=Streams(
                text=torch.tensor([p.text for p in present]),
                audio=torch.tensor([p.audio for p in present]),
                vision=torch.tensor([p.vision for p in present]),
            ),
        )

    def reads_all_of(self, text: str) -> bool:
        """Whether the network reads a text to its end."""
        return not self.tokenizer.encode(text).overflowing

    def _tokens(self, features: Several[Features]) -> Tokens:
        encoded = self.tokenizer.encode_batch([f.text or "" for f in features])
        own = _padded([e.ids for e in encoded])
        if not self.context_tokens:
            return own
        said = [(f.context or "") if f.text is not None else "" for f in features]
        # The last so many word pieces stand in the last so many words.
        last = [" ".join(text.split()[-self.context_tokens :]) for text in said]
        before = self._before.encode_batch(last, add_special_tokens=False)
        opening, end = self._around_second
        pieces = [opening + b.ids + end if b.ids else [] for b in before]
        return Tokens(ids=own.ids, real=own.real, before=_padded(pieces))

    @cached_property
    def _before(self) -> Tokenizer:
        """The tokenizer that cuts at the other end: what was said last stays."""
        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        tokenizer.enable_truncation(self.context_tokens, direction="left")
        return tokenizer

    @cached_property
    def _around_second(self) -> tuple[list[int], list[int]]:
        """Special pieces before and after the second of two texts.

        A BERT has [SEP] after it; an MPNet reads `<s> A </s></s> B </s>`.
        """
        one, two = self.tokenizer.encode("").ids, self.tokenizer.encode("", "").ids
        if len(two) > len(one) and two[: len(one)] == one:
            return two[len(one) : -1], two[-1:]
        return [], one[-1:]  # a tokenizer that knows no pairs


def _padded(texts: list[list[int]]) -> Tokens:
    longest = max([1, *(len(ids) for ids in texts)])
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    real = torch.zeros(len(texts), longest, dtype=torch.bool)
    for row, pieces in enumerate(texts):
        ids[row, : len(pieces)] = torch.tensor(pieces, dtype=torch.long)
        real[row, : len(pieces)] = True
    return Tokens(ids=ids, real=real)


def _pad(sequences: list[FeatureSequence | None], normalisation: Normalisation) -> Sequence:
    longest = max([1, *(len(s.real) for s in sequences if s is not None)])
    values = torch.zeros(len(sequences), longest, normalisation.read)
    real = torch.zeros(len(sequences), longest, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        if sequence is not None and len(sequence.real):
            steps = len(sequence.real)
            values[row, :steps] = torch.from_numpy(normalisation(sequence))
            real[row, :steps] = torch.from_numpy(sequence.real)
    return Sequence(values=values, real=real)
