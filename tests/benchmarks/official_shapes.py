"""Samples of MOSI's official shapes over its real texts, and a BERT-base with random weights.

The texts are read from `../shared/data/labels/mosi.csv`; audio and vision are noise: 5 features at
12 steps a second up to 375, 20 features at 15 steps a second up to 500, at three words a second.
The tokenizer is that of the installed weights `minilm`, whose vocabulary is bert-base-uncased's.
"""

import csv
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.collate import Collator, Normalisation, load_tokenizer
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.weights import locate

LABELS = Path(__file__).parents[2].parent / "shared" / "data" / "labels" / "mosi.csv"
AUDIO_DIMS, AUDIO_STEPS, AUDIO_RATE_HZ = 5, 375, 12
VISION_DIMS, VISION_STEPS, VISION_RATE_HZ = 20, 500, 15
WORDS_PER_S = 3.0


def mosi_samples(split: str = "train") -> tuple[list[Features], np.ndarray]:
    """Features and labels of a split."""
    with LABELS.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["mode"] == split]
    draw = np.random.default_rng(0)
    features = []
    for row in rows:
        seconds = len(row["text"].split()) / WORDS_PER_S
        heard = _noise(draw, seconds * AUDIO_RATE_HZ, AUDIO_STEPS, AUDIO_DIMS)
        seen = _noise(draw, seconds * VISION_RATE_HZ, VISION_STEPS, VISION_DIMS)
        features.append(Features(text=row["text"], audio=heard, vision=seen))
    return features, np.array([float(row["label"]) for row in rows], np.float32)


def bert_base(*, dropout: bool) -> Checkpoint:
    """The network of the preset `mosi` with random weights."""
    torch.manual_seed(0)
    rate = {} if dropout else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    network = DashFusion(
        NetworkConfig(
            text_encoder=BertConfig(**rate).to_dict(),
            audio_dims=AUDIO_DIMS,
            vision_dims=VISION_DIMS,
            audio_steps=AUDIO_STEPS,
            vision_steps=VISION_STEPS,
            position_dropout=0.1 if dropout else 0.0,
            encoder_dropout=0.5 if dropout else 0.0,
        )
    )
    tokenizer = (locate("minilm", offline=True) / "tokenizer.json").read_text("utf-8")
    return Checkpoint(
        name="benchmark",
        network=network,
        collate=Collator(
            tokenizer=load_tokenizer(tokenizer),
            audio=Normalisation.identity(AUDIO_DIMS),
            vision=Normalisation.identity(VISION_DIMS),
        ),
        audio=_spec("audio", AUDIO_DIMS),
        vision=_spec("vision", VISION_DIMS),
        label_range=(-3.0, 3.0),
        languages=("en",),
        license="none",
    )


def _spec(name: str, dims: int) -> FeatureSpec:
    return FeatureSpec(extractor=name, version=1, names=tuple(str(i) for i in range(dims)))


def _noise(draw: np.random.Generator, steps: float, most: int, dims: int) -> FeatureSequence:
    count = min(most, max(1, round(steps)))
    values = draw.normal(size=(count, dims)).astype(np.float32)
    return FeatureSequence(values=values, real=np.ones(count, np.bool_))
