"""A tiny text encoder on disk and samples with a planted signal."""

import csv
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.store import Row

AUDIO = FeatureSpec(extractor="planted", version=1, names=tuple(f"a{i}" for i in range(5)))
VISION = FeatureSpec(extractor="planted", version=1, names=tuple(f"v{i}" for i in range(4)))
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "bad", "poor", "fair", "good", "superb", "film", "the")
SCORE_OF = {"bad": -2.0, "poor": -1.0, "fair": 0.0, "good": 1.0, "superb": 2.0}


def write_tiny_encoder(folder: Path) -> Path:
    """A BERT of two thin layers with random weights and a tokenizer of eleven words."""
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
        max_position_embeddings=160,
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


def write_films(path: Path, *, train: int) -> Path:
    """A manifest of texts alone; the label is what the one word of judgement says."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("text", "file", "label", "split", "id"))
        for split, count in (("train", train), ("valid", 20), ("test", 20)):
            for k in range(count):
                word = list(SCORE_OF)[k % 5]
                table.writerow((f"the {word} film", "", SCORE_OF[word], split, f"{split}{k}"))
    return path
