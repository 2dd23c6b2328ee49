"""One training step at the preset `mosi`: ours, the authors' arrangement, and BERT alone.

`python -m tests.benchmarks.training_step [--rounds N]` runs each in a process of its own, in turns,
with two threads, and prints seconds a step, samples a second, peak memory and the losses. The
authors' arrangement is written plainly: the anchors in one batch and their six companions in a
second, texts padded to that batch's longest, audio and vision to 375 and 500 steps, attention with
its whole matrix in memory, nothing shared. `bert` is the floor: forward and backward of the text
encoder alone over the same real tokens. `returning` is ours with a C library that gives freed
memory back to the system, as it does unless it is told.
"""

import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertModel

from dashfusion_models.network import attention, encoder
from dashfusion_models.network.bert import Bert
from dashfusion_models.network.sequence import Batch, Sequence
from dashfusion_models.records import MODALITIES, Streams
from dashfusion_training.config import read_preset
from dashfusion_training.datasets import Lesson
from dashfusion_training.heap import keep_freed_memory
from dashfusion_training.objective import (
    Companions,
    Compared,
    ContrastiveConfig,
    contrastive_loss,
)
from dashfusion_training.step import Step
from tests.benchmarks.official_shapes import (
    AUDIO_STEPS,
    VISION_STEPS,
    bert_base,
    lessons,
)

THREADS = 2
TOKENS_A_ROW = 16  # about MOSI's mean; rows of one length hold not one padded token
STEPS = 3  # a process: one to warm up, the others are timed
CPU = torch.device("cpu")


class Plain:
    """The authors' arrangement of the same step."""

    def __init__(self, *, dropout: bool) -> None:
        checkpoint = bert_base(dropout=dropout)
        self.network, self.collate = checkpoint.network.train(), checkpoint.collate
        self.network.text_encoder.bert = _eager(self.network.text_encoder.bert)
        self.network.text_encoder.packs = False
        encoder.FEWEST_STEPS = 10**9  # never cut into groups of like length
        attention.F = _PlainAttention()  # type: ignore[assignment]
        ours = Step(checkpoint, read_preset("mosi"), batches=81, device=CPU)
        self.optimizer, self.schedule = ours._optimizer, ours._schedule  # the same updates
        self.companions = ContrastiveConfig()

    def __call__(self, lesson: Lesson) -> float:
        assert lesson.companions is not None
        network, b = self.network, len(lesson.anchors)
        ours = self._padded([lesson.features[i] for i in lesson.anchors])
        theirs = self._padded([lesson.features[i] for i in lesson.companions.ravel()])
        first = network.align(network.encode(ours), ours.present)
        second = network.align(network.encode(theirs), theirs.present)
        scores = network.fuse(first)
        rows = b + torch.arange(6 * b).view(b, 6)
        places = Companions(torch.arange(b), positives=rows[:, :2], negatives=rows[:, 2:])
        both = torch.arange(7 * b)
        present = Streams(
            **{m: torch.cat([ours.present[m], theirs.present[m]]) for m in MODALITIES}
        )
        compared = Compared.of([first, second], both, present)
        contrastive = contrastive_loss(compared, places, self.companions)
        loss = F.mse_loss(scores, torch.from_numpy(lesson.labels)) + 0.2 * contrastive
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())

    def _padded(self, features: list) -> Batch:
        batch = self.collate(features)
        return Batch(
            text=batch.text,
            audio=_longer(batch.audio, AUDIO_STEPS),
            vision=_longer(batch.vision, VISION_STEPS),
            present=batch.present,
        )


class _PlainAttention:
    """torch.nn.functional with an attention that keeps its whole matrix."""

    def __getattr__(self, name: str) -> object:
        return getattr(F, name)

    @staticmethod
    def scaled_dot_product_attention(
        q: Tensor, k: Tensor, v: Tensor, *, attn_mask: Tensor
    ) -> Tensor:
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return torch.softmax(scores.masked_fill(~attn_mask, -1e9), dim=-1) @ v


def _eager(bert: Bert) -> BertModel:
    """The same encoder by transformers, with plain products of matrices for its attention."""
    config = BertConfig(**dataclasses.asdict(bert.config), attn_implementation="eager")
    eager = BertModel(config, add_pooling_layer=False).train()
    eager.load_state_dict(bert.state_dict())
    return eager


class Floor:
    """Forward and backward of BERT alone over as many tokens as are real in a lesson."""

    def __init__(self, *, dropout: bool) -> None:
        checkpoint = bert_base(dropout=dropout)
        self.bert, self.collate = checkpoint.network.text_encoder.bert.train(), checkpoint.collate

    def __call__(self, lesson: Lesson) -> float:
        tokens = self.collate(lesson.features).text
        real = tokens.ids[tokens.real]
        rows = real[: len(real) // TOKENS_A_ROW * TOKENS_A_ROW].view(-1, TOKENS_A_ROW)
        self.bert.zero_grad()
        loss = self.bert(input_ids=rows).last_hidden_state.mean()
        loss.backward()
        return float(loss.detach())


def _longer(x: Sequence, steps: int) -> Sequence:
    more = steps - x.values.shape[1]
    return Sequence(values=F.pad(x.values, (0, 0, 0, more)), real=F.pad(x.real, (0, more)))


def _make(what: str, *, dropout: bool) -> object:
    match what:
        case "ours" | "returning":
            return Step(bert_base(dropout=dropout), read_preset("mosi"), batches=81, device=CPU)
        case "plain":
            return Plain(dropout=dropout)
        case _:
            return Floor(dropout=dropout)


def measure(what: str, *, dropout: bool) -> dict[str, object]:
    """Time one kind in this process."""
    torch.set_num_threads(THREADS)
    if what in ("ours", "bert"):
        keep_freed_memory()
    step = _make(what, dropout=dropout)
    before_mb = _peak_mb()
    losses, seconds = [], []
    for lesson in lessons("mosi", STEPS):
        start = time.perf_counter()
        losses.append(step(lesson))  # type: ignore[operator]
        seconds.append(time.perf_counter() - start)
    return {
        "what": what,
        "losses": losses,
        "seconds": seconds[1:],
        "peak_mb": _peak_mb(),
        "before_mb": before_mb,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run every kind in turns and print what was found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--child", choices=("ours", "returning", "plain", "bert"))
    arguments.add_argument("--only", nargs="*", default=["ours", "plain", "bert"])
    arguments.add_argument("--no-dropout", action="store_true")
    asked = arguments.parse_args()
    if asked.child:
        print(json.dumps(measure(asked.child, dropout=not asked.no_dropout)))
        return
    found: dict[str, list[dict]] = {what: [] for what in asked.only}
    for _ in range(asked.rounds):
        for what in asked.only:
            command = [sys.executable, "-m", "tests.benchmarks.training_step", "--child", what]
            command += ["--no-dropout"] if asked.no_dropout else []
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[what].append(json.loads(done.stdout))
    for what, runs in found.items():
        seconds = statistics.median(s for run in runs for s in run["seconds"])
        samples = 112 / seconds  # anchors and companions, however they are encoded
        print(
            f"{what:9} {seconds:7.2f} s a step, {samples:6.1f} samples/s, "
            f"peak {max(run['peak_mb'] for run in runs):7.0f} MB "
            f"({runs[0]['before_mb']:.0f} before the first step), "
            f"losses {[round(x, 6) for x in runs[0]['losses']]}"
        )


if __name__ == "__main__":
    main()
