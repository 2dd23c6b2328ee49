"""Memory of a training step of MPNet's size: its whole text encoder learns, or adapters alone.

    python -m tests.benchmarks.adapter_memory [--rank 16] [--layers 0 8] [--steps 2] [--batch 32]

Each way is a process of its own, which builds the network with random weights (what a number weighs
does not depend on its value) and learns from made-up texts of a usual length with what was said
before. The preset is base-text; the running mean (`average`) is part of it.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time

import numpy as np
import psutil
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from dashfusion_models.checkpoint import Adapters, Checkpoint
from dashfusion_models.collate import Collator, Normalisation
from dashfusion_models.network.adapters import adapt
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import Features, FeatureSpec
from dashfusion_training.build import network_config
from dashfusion_training.config import TrainConfig, changed, read_preset
from dashfusion_training.datasets import Lesson
from dashfusion_training.step import Step

MEGA = 2**20
MPNET = {"model_type": "mpnet", "vocab_size": 30527, "max_position_embeddings": 514}
WORDS = ("<s>", "<pad>", "</s>", "[UNK]", *(f"word{k}" for k in range(200)))
TEXT_WORDS, CONTEXT_WORDS = 22, 48
NOTHING = FeatureSpec(extractor="none", version=1, names=("none",))


def built(config: TrainConfig) -> Checkpoint:
    """Build the network that `config` describes, with adapters where there are to be any."""
    torch.manual_seed(0)
    network = DashFusion(network_config(config, text_encoder=MPNET, audio_dims=1, vision_dims=1))
    adapters = None
    if config.adapter_rank:
        adapt(network.text_encoder.bert, config.adapter_rank, upper=config.adapter_layers)
        adapters = Adapters(text_encoder="mpnet", sha256="0" * 64)
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return Checkpoint(
        name="planted",
        network=network,
        collate=Collator(
            tokenizer=tokenizer,
            context_tokens=config.context_tokens,
            audio=Normalisation.identity(1),
            vision=Normalisation.identity(1),
        ),
        audio=NOTHING,
        vision=NOTHING,
        label_range=config.label_range,
        languages=("en",),
        license="none",
        adapters=adapters,
    )


def lesson_of(batch: int, number: int) -> Lesson:
    """Made-up texts with what was said before them."""
    draw = np.random.default_rng(number)

    def text(words: int) -> str:
        return " ".join(draw.choice(WORDS[4:], words))

    texts = [
        Features(text=text(TEXT_WORDS), context=text(CONTEXT_WORDS), audio=None, vision=None)
        for _ in range(batch)
    ]
    return Lesson(
        features=texts,
        anchors=np.arange(batch),
        companions=None,
        labels=draw.uniform(-3, 3, batch).astype(np.float32),
    )


def measure(rank: int, layers: int, steps: int, batch: int) -> None:
    """Learn for some steps in this process; print its memory before the first and at most."""
    config = changed(read_preset("base-text"), {"adapter_rank": rank, "adapter_layers": layers})
    checkpoint = built(config)
    before = psutil.Process(os.getpid()).memory_info().rss
    step = Step(checkpoint, config, batches=steps, device=torch.device("cpu"))
    began = time.perf_counter()
    for number in range(steps):
        step(lesson_of(batch, number))
    seconds = (time.perf_counter() - began) / steps
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    learned = sum(p.numel() for p in checkpoint.network.parameters() if p.requires_grad)
    print(json.dumps({"learned": learned, "before": before, "peak": most, "seconds": seconds}))


def main() -> None:
    """Measure each way in a process of its own and print them side by side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 8])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--one", action="store_true", help="one way, in this process")
    given = parser.parse_args()
    if given.one:
        measure(given.rank, given.layers[0], given.steps, given.batch)
        return
    print(f"Python {platform.python_version()}, {platform.platform()}, {psutil.cpu_count()} cores")
    ways = [("the whole text encoder", 0, 0)]
    ways += [
        (f"rank {given.rank}, {f'upper {n}' if n else 'all'} layers", given.rank, n)
        for n in given.layers
    ]
    for name, rank, layers in ways:
        command = [sys.executable, "-m", "tests.benchmarks.adapter_memory", "--one",
                   "--rank", str(rank), "--layers", str(layers), "--steps", str(given.steps),
                   "--batch", str(given.batch)]  # fmt: skip
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        print(
            f"{name}: {found['learned']:,} numbers learn, {found['before'] / MEGA:.0f} MB before "
            f"the first step, {found['peak'] / MEGA:.0f} MB at most, "
            f"{found['seconds']:.1f} s a step"
        )


if __name__ == "__main__":
    main()
