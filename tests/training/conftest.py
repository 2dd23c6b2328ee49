"""A tiny text encoder on disk and stores with a planted signal."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.config import TrainConfig

AUDIO = FeatureSpec(extractor="planted", version=1, names=tuple(f"a{i}" for i in range(5)))
VISION = FeatureSpec(extractor="planted", version=1, names=tuple(f"v{i}" for i in range(4)))
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "bad", "poor", "fair", "good", "superb", "film", "the")
SCORE_OF = {"bad": -2.0, "poor": -1.0, "fair": 0.0, "good": 1.0, "superb": 2.0}


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two thin layers with random weights and a tokenizer of eleven words."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = Tokenizer(WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    torch.manual_seed(0)
    model = BertModel(config)
    weights = {f"bert.{k}": v.contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()), "utf-8")
    return folder


def planted_sample(k: int, split: str) -> tuple[Row, Features]:
    """The label is the sum of what a word, a voice and a face say, half a point each at most."""
    draw = np.random.default_rng([k, len(split)])
    word = str(draw.choice(list(SCORE_OF)))
    loud, smile = draw.uniform(-0.5, 0.5, 2)

    def frames(dims: int, value: float) -> FeatureSequence:
        steps = int(draw.integers(4, 12))
        values = draw.normal(0, 0.1, (steps, dims)).astype(np.float32)
        values[:, 0] += value
        return FeatureSequence(values=values, real=np.ones(steps, np.bool_))

    features = Features(text=f"the {word} film", audio=frames(5, loud), vision=frames(4, smile))
    label = SCORE_OF[word] + float(loud + smile)
    row = Row(
        id=f"{split}{k}",
        label=round(label, 3),
        split=split,
        text=features.text,
        audio=True,
        vision=True,
    )
    return row, features


@pytest.fixture(scope="session")
def planted_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("stores") / "planted"
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for split, count in (("train", 240), ("valid", 60), ("test", 80)):
            for k in range(count):
                writer.add(*planted_sample(k, split))
    return Store(folder)


@pytest.fixture
def tiny_config(tiny_encoder: Path) -> TrainConfig:
    return TrainConfig(
        epochs=3,
        batch_size=16,
        learning_rate=2e-3,
        warmup_epochs=0.2,
        text_encoder=str(tiny_encoder),
        encoder_dropout=0.1,
        first_kept_epoch=1,
    )
