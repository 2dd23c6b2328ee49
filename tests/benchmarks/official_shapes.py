"""Samples of the benchmarks' official shapes over their real texts, and networks of their presets.

The texts and labels are read from `../shared/data/labels`. Audio and vision are noise of the
official number of features, as long as the text takes to say, at the frame rates of `_SPEECH`, cut
at the official number of steps; the feature files themselves are not at hand, so rates and paces
are assumptions. BERT-base has random weights. For English the tokenizer is that of the installed
weights `minilm`, whose vocabulary is bert-base-uncased's; for Chinese one is made from the texts:
a word piece for each character, as bert-base-chinese has it.
"""

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.collate import Collator, Normalisation, load_tokenizer
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec
from dashfusion_models.weights import locate
from dashfusion_training.benchmarks import BENCHMARKS, benchmark
from dashfusion_training.composer import OWN
from dashfusion_training.config import read_preset
from dashfusion_training.datasets import Lesson
from dashfusion_training.neighbours import classes_of, draw_companions, find_neighbours
from dashfusion_training.paper.operations import paper_network

LABELS = Path(__file__).parents[2].parent / "shared" / "data" / "labels"
AUDIO_STEPS = BENCHMARKS["mosi"].audio_steps
VISION_STEPS = BENCHMARKS["mosi"].vision_steps


@dataclass(frozen=True)
class _Speech:
    """Frames a second, and how fast is spoken: words a second, in Chinese characters."""

    audio_hz: float
    vision_hz: float
    pace_hz: float
    chinese: bool = False

    def seconds(self, text: str) -> float:
        """How long it takes to say `text`."""
        said = [c for c in text if c.isalnum()] if self.chinese else text.split()
        return len(said) / self.pace_hz


_SPEECH = {
    "mosi": _Speech(audio_hz=12, vision_hz=15, pace_hz=3.0),
    "mosei": _Speech(audio_hz=20, vision_hz=15, pace_hz=3.0),
    # 400 steps of audio at librosa's 43 frames a second and 55 of vision span the same 9.3 s.
    "sims": _Speech(audio_hz=43, vision_hz=6, pace_hz=4.0, chinese=True),
}


def samples(name: str, split: str = "train") -> tuple[list[Features], np.ndarray]:
    """Features and labels of a split of a benchmark."""
    data, speech = benchmark(name), _SPEECH[name]
    draw = np.random.default_rng(0)
    features, labels = [], []
    for row in _rows(name):
        if row["mode"] == split:
            seconds = speech.seconds(row["text"])
            heard = _noise(draw, seconds * speech.audio_hz, data.audio_steps, data.audio_dims)
            seen = _noise(draw, seconds * speech.vision_hz, data.vision_steps, data.vision_dims)
            features.append(Features(text=row["text"], audio=heard, vision=seen))
            labels.append(float(row["label"]))
    return features, np.array(labels, np.float32)


def lessons(name: str, count: int, *, anchors: int | None = None) -> list[Lesson]:
    """The first lessons of a training, by default with as many anchors as the preset has.

    Neighbours are found among random vectors, so that hardly a companion stands twice in a lesson.
    """
    config = read_preset(name)
    size = config.batch_size if anchors is None else anchors
    features, labels = samples(name)
    draw = np.random.default_rng(1)
    vectors = torch.from_numpy(draw.normal(size=(len(labels), 384)).astype(np.float32))
    classes = classes_of(labels.astype(float), config.retrieval_classes)
    neighbours = find_neighbours(vectors, classes)
    order = draw.permutation(len(labels))
    made = []
    for k in range(count):
        chosen = order[size * k : size * k + size]
        drawn = np.stack([draw_companions(neighbours, int(i), draw) for i in chosen])
        members = np.unique(np.concatenate([chosen, drawn.ravel()]))
        made.append(
            Lesson(
                features=[features[i] for i in members],
                moments=[OWN] * len(members),
                anchors=np.searchsorted(members, chosen),
                companions=np.searchsorted(members, drawn),
                labels=labels[chosen],
            )
        )
    return made


def bert_base(name: str = "mosi", *, dropout: bool) -> Checkpoint:
    """The network of a benchmark's preset with random weights."""
    torch.manual_seed(0)
    data = benchmark(name)
    config = paper_network(read_preset(name), data)
    if not dropout:
        none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        config = dataclasses.replace(
            config,
            text_encoder={**config.text_encoder, **none},
            position_dropout=0.0,
            encoder_dropout=0.0,
        )
    return Checkpoint(
        name="benchmark",
        network=DashFusion(config),
        collate=Collator(
            tokenizer=load_tokenizer(_tokenizer(name)),
            audio=Normalisation.identity(data.audio_dims),
            vision=Normalisation.identity(data.vision_dims),
        ),
        audio=_spec("audio", data.audio_dims),
        vision=_spec("vision", data.vision_dims),
        label_range=data.label_range,
        languages=("zh",) if _SPEECH[name].chinese else ("en",),
        license="none",
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (LABELS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _tokenizer(name: str) -> str:
    """A tokenizer.json."""
    if not _SPEECH[name].chinese:
        return (locate("minilm", offline=True) / "tokenizer.json").read_text("utf-8")
    # A word for each Chinese character, as the normaliser sets them apart, and for all between.
    normalise, split = BertNormalizer(handle_chinese_chars=True), BertPreTokenizer()
    words = {
        word
        for row in _rows(name)
        for word, _ in split.pre_tokenize_str(normalise.normalize_str(row["text"]))
    }
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate(special + sorted(words))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalise, split
    ends = [(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer.to_str()


def _spec(name: str, dims: int) -> FeatureSpec:
    return FeatureSpec(extractor=name, version=1, names=tuple(str(i) for i in range(dims)))


def _noise(draw: np.random.Generator, steps: float, most: int, dims: int) -> FeatureSequence:
    count = min(most, max(1, round(steps)))
    values = draw.normal(size=(count, dims)).astype(np.float32)
    return FeatureSequence(values=values, real=np.ones(count, np.bool_))
