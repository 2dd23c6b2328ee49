"""A network whose score is known on paper, and stores of texts, voices and faces for it."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence as Several
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch, Sequence
from dashfusion_models.records import Features, FeatureSequence, Streams
from dashfusion_models.store import Row, Store, StoreWriter
from tests.models.network.tiny import tiny_config
from tests.training.tiny import AUDIO, VISION, WORDS
from tests.training.untrained import untrained

CLASSES = {"happy": 2.0, "neutral": 0.0, "calm": 0.0, "surprised": 0.0, "sad": -1.5, "angry": -2.0}


SAYS = {"bad": -2.0, "poor": -1.0, "fair": 0.0, "good": 1.0, "superb": 2.0}


class Sum(DashFusion):
    """Score = `text` * word + `audio` * loudness + `vision` * smile; an absent one counts 0.

    A word says what SAYS says; loudness and smile are the first feature of the first step.
    """

    def __init__(self, *, text: float, audio: float, vision: float) -> None:
        super().__init__(tiny_config(audio_dims=AUDIO.dims, vision_dims=VISION.dims))
        self.weight = Streams(text=text, audio=audio, vision=vision)
        self.says = torch.tensor([SAYS.get(word, 0.0) for word in WORDS])

    def encode(self, batch: Batch) -> Streams[Sequence]:
        said = self.says[batch.text.ids].unsqueeze(-1)
        return Streams(
            text=Sequence(values=said, real=batch.text.real), audio=batch.audio, vision=batch.vision
        )

    def align(self, encoded: Streams[Sequence], present: Streams[torch.Tensor]) -> torch.Tensor:
        def of(x: Sequence, here: torch.Tensor) -> torch.Tensor:
            return (x.values * x.real.unsqueeze(-1)).sum(1)[:, 0] * here

        w = self.weight
        return (
            w.text * of(encoded.text, present.text)
            + w.audio * of(encoded.audio, present.audio)
            + w.vision * of(encoded.vision, present.vision)
        )

    def fuse(self, aligned: torch.Tensor) -> torch.Tensor:
        return aligned

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.align(self.encode(batch), batch.present)


def checkpoint_of(
    encoder: Path, network: DashFusion, classes: Mapping[str, float] = CLASSES
) -> Checkpoint:
    known = untrained(encoder, training={"config": {"classes": classes}})
    return dataclasses.replace(known, network=network)


def frames(dims: int, value: float, steps: int = 1) -> FeatureSequence:
    values = np.zeros((steps, dims), np.float32)
    values[0, 0] = value
    return FeatureSequence(values=values, real=np.ones(steps, np.bool_))


def row(name: str, label: float | str, features: Features, **more: str) -> tuple[Row, Features]:
    return (
        Row(
            id=name,
            label=label,
            split=more.pop("split", "test"),
            text=features.text,
            audio=features.audio is not None,
            vision=features.vision is not None,
            **more,
        ),
        features,
    )


def text_row(name: str, word: str, label: float, **more: str) -> tuple[Row, Features]:
    return row(name, label, Features(text=f"the {word} film", audio=None, vision=None), **more)


def voice_row(name: str, emotion: str, **more: str) -> tuple[Row, Features]:
    """The loudness is the class's score; the number of steps differs from voice to voice."""
    steps = 1 + sum(map(ord, name)) % 5
    voice = frames(AUDIO.dims, CLASSES[emotion], steps)
    return row(name, emotion, Features(text=None, audio=voice, vision=None), **more)


def face_row(name: str, emotion: str, **more: str) -> tuple[Row, Features]:
    face = frames(VISION.dims, CLASSES[emotion])
    return row(name, emotion, Features(text=None, audio=None, vision=face), **more)


def store_of(folder: Path, rows: Several[tuple[Row, Features]]) -> Store:
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for one in rows:
            writer.add(*one)
    return Store(folder)
