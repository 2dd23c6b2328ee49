"""Files of exactly the official form with a planted signal, and a tiny text encoder to read them.

`write_official_file` writes a pickle of protocol 4 with the keys, shapes and types of the
benchmark's own feature file: `id` ("video$_$clip"), `raw_text`, `text_bert` [N, 3, tokens], `audio`
[N, steps, dims] and `vision` [N, steps, dims] padded with zeros at the end, `audio_lengths`,
`vision_lengths` (lists), `annotations`, `classification_labels`, `regression_labels`, for CH-SIMS
the labels of single modalities too; `text` [N, tokens, 768] on request (nothing here reads it).

The signal stands in feature 0 of the frames; all else is noise of a tenth of its size, or less
where there are many features. In two thirds of the samples something is wrong with the frames, and
never with feature 0: a -inf in the audio (MOSI's own flaw), a NaN in the vision, a frame inside the
length that is all zero.

kind="sum"        A word, the level of the voice and the level of the face each say a number in
                  [-1, 1]; the label is their mean. All frames of a sample have one level (and
                  4 to 12 frames are real), so that each modality is needed and none suffices.
kind="agreement"  A text has four slots of one word each. One slot holds a marker word of polarity
                  +1 or -1, the others neutral words. Audio and vision have four slots of
                  `SLOT_FRAMES` frames; each slot of each has a level of +1 or -1 of its own, and
                  features 1 to 4 are a clock: one of them is 1, which one tells the slot. The
                  label is the mean of the marker's polarity, the level of the voice in the
                  marker's slot and the level of the face in the marker's slot: what counts is what
                  was heard and seen at the moment of the marker. The other slots are noise, so a
                  model that averages over time cannot exceed a correlation of about 0.71. No
                  frame is zeroed in this kind, for a slot must keep its place.
kind="moment"     As "agreement" without the clock: nothing but the place of a frame tells its slot,
                  so a voice or a face whose frames change places says something else.

The mean is stretched to the label range and rounded to a multiple of 0.2, the benchmarks' grid.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from dashfusion_training.benchmarks import Benchmark, benchmark

Kind = Literal["sum", "agreement", "moment"]

SAYS = {"awful": -1.0, "poor": -0.5, "fair": 0.0, "good": 0.5, "superb": 1.0}  # kind="sum"
MARKERS = {"terrible": -1.0, "bad": -1.0, "great": 1.0, "lovely": 1.0}  # kind="agreement"
NEUTRAL = ("the", "a", "film", "was", "scene", "actor")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
VOCABULARY = (*SPECIAL, *SAYS, *MARKERS, *NEUTRAL)
SLOTS = 4
SLOT_FRAMES = 3
NOISE = 0.1
NOISY_DIMS = 20  # of more features the noise of all together is that of so many
_CLIPS_PER_VIDEO = 7


def write_official_file(
    path: Path,
    name: str,
    counts: Mapping[str, int],
    *,
    seed: int,
    kind: Kind,
    text_features: bool = False,
    lengths: bool = True,
    protocol: int = 4,
) -> Path:
    """Write the official file of benchmark `name` with `counts` samples a split; see the module."""
    form = benchmark(name)
    data = {
        split: official_split(form, split, count, seed=seed, kind=kind)
        for split, count in counts.items()
    }
    for part in data.values():
        if text_features:
            part["text"] = np.zeros((len(part["id"]), _tokens(form), 768), np.float32)
        if not lengths:
            del part["audio_lengths"], part["vision_lengths"]
    with path.open("wb") as file:
        pickle.dump(data, file, protocol=protocol)
    return path


def official_split(
    form: Benchmark, split: str, count: int, *, seed: int, kind: Kind
) -> dict[str, Any]:
    """One split as the official files hold it."""
    draw = np.random.default_rng([seed, *split.encode()])
    texts: list[str] = []
    parts = np.zeros((count, 3))  # what text, audio and vision say
    audio_levels: list[np.ndarray] = []
    vision_levels: list[np.ndarray] = []
    for k in range(count):
        words, audio, vision, parts[k] = _sum(draw) if kind == "sum" else _agreement(draw)
        texts.append(" ".join(words))
        audio_levels.append(audio)
        vision_levels.append(vision)
    wide = np.float64 if form.name == "sims" else np.float32  # an official file may hold either
    form_of_frames = {"clock": kind == "agreement", "drops": kind == "sum"}
    labels = _on_grid(parts.mean(axis=1), form)
    data = {
        "id": [
            f"{split}{k // _CLIPS_PER_VIDEO:04d}$_${k % _CLIPS_PER_VIDEO}" for k in range(count)
        ],
        "raw_text": np.array(texts),
        "text_bert": _text_bert(texts, _tokens(form)),
        "audio": _frames(
            audio_levels, form.audio_steps, form.audio_dims, draw, -np.inf, **form_of_frames
        ).astype(wide),
        "vision": _frames(
            vision_levels, form.vision_steps, form.vision_dims, draw, np.nan, **form_of_frames
        ).astype(np.float32),
        "audio_lengths": [len(levels) for levels in audio_levels],
        "vision_lengths": [len(levels) for levels in vision_levels],
        "annotations": [_annotation(label) for label in labels],
        "classification_labels": np.sign(labels).astype(np.float32) + 1,
        "regression_labels": labels,
    }
    if form.name == "sims":
        for place, letter in enumerate("TAV"):
            data[f"regression_labels_{letter}"] = _on_grid(parts[:, place], form)
    return data


def write_encoder(folder: Path, *, hidden: int = 64) -> Path:
    """A BERT of two thin layers with random weights whose tokenizer knows VOCABULARY."""
    tokenizer = Tokenizer(WordPiece({w: i for i, w in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=128,
    )
    torch.manual_seed(0)
    weights = {f"bert.{k}": v.contiguous() for k, v in BertModel(config).state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()), "utf-8")
    return folder


Sample = tuple[list[str], np.ndarray, np.ndarray, tuple[float, float, float]]


def _sum(draw: np.random.Generator) -> Sample:
    """Words, one level per audio frame, one per vision frame, and what each modality says."""
    word = str(draw.choice(list(SAYS)))
    words = [str(w) for w in draw.choice(NEUTRAL, int(draw.integers(1, 5)))]
    words.insert(int(draw.integers(0, len(words) + 1)), word)
    loud, smile = draw.uniform(-1, 1, 2)
    audio = np.full(int(draw.integers(4, 13)), loud)
    vision = np.full(int(draw.integers(4, 13)), smile)
    return words, audio, vision, (SAYS[word], loud, smile)


def _agreement(draw: np.random.Generator) -> Sample:
    """As `_sum`; the voice and the face say what they do in the marker's slot."""
    marker = str(draw.choice(list(MARKERS)))
    words = [str(w) for w in draw.choice(NEUTRAL, SLOTS)]
    slot = int(draw.integers(0, SLOTS))
    words[slot] = marker
    voice, face = draw.choice([-1.0, 1.0], (2, SLOTS))
    said = (MARKERS[marker], float(voice[slot]), float(face[slot]))
    return words, np.repeat(voice, SLOT_FRAMES), np.repeat(face, SLOT_FRAMES), said


def _frames(
    levels: list[np.ndarray],
    steps: int,
    dims: int,
    draw: np.random.Generator,
    flaw: float,
    *,
    clock: bool,
    drops: bool,
) -> np.ndarray:
    """Noise around the levels, padded to `steps`; every third sample has a flaw.

    With a `clock` features 1 to 4 tell the slot; with `drops` every third sample loses a frame.
    """
    values = np.zeros((len(levels), steps, dims), np.float32)
    noise = NOISE * min(1.0, NOISY_DIMS / dims) ** 0.5
    for k, level in enumerate(levels):
        length = len(level)
        values[k, :length] = draw.normal(0, noise, (length, dims))
        values[k, :length, 0] += level
        if clock:
            slots = np.arange(length) // SLOT_FRAMES
            values[k, np.arange(length), 1 + slots] += 1.0
        if k % 3 == 0:
            values[k, int(draw.integers(0, length)), int(draw.integers(1, dims))] = flaw
        if k % 3 == 1 and drops:
            values[k, int(draw.integers(0, length - 1))] = 0.0
    return values


def _on_grid(means: np.ndarray, form: Benchmark) -> np.ndarray:
    return (np.round(means * form.label_range[1] * 5) / 5).astype(np.float32)


def _annotation(label: float) -> str:
    return "Positive" if label > 0 else "Negative" if label < 0 else "Neutral"


def _tokens(form: Benchmark) -> int:
    return 39 if form.name == "sims" else 50


def _text_bert(texts: list[str], tokens: int) -> np.ndarray:
    """Word piece numbers, mask and segment of every text, as the official files hold them."""
    placed = np.zeros((len(texts), 3, tokens), np.float32)
    for k, text in enumerate(texts):
        ids = [2, *(VOCABULARY.index(word) for word in text.split()), 3]
        placed[k, 0, : len(ids)] = ids
        placed[k, 1, : len(ids)] = 1
    return placed
