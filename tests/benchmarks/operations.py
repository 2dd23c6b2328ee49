"""Floating point operations of the paper's trainings, counted from real steps, and hours from them.

`python -m tests.benchmarks.operations [--steps 4] [--tflops 10] [--anchors N]` runs steps of each
benchmark's preset, forward and backward of the objective with six companions for each anchor, over
the samples of `official_shapes.py`, one process for each benchmark. torch's FlopCounterMode counts
the matrix products, two operations for a multiply-add; attention is run as its two products, which
the counter sees. All else (norms, softmax, GELU, dropout, the optimizer) is not counted: it is few
operations, though its time is not nothing. What was counted is not computed: a product gives zeros,
which changes neither what is called nor its shapes, and saves most of the time.

A search for neighbours and a validation are counted on some batches of 64 spread evenly over the
lengths, scaled to the whole split. The test at the end, less than a thousandth, is left out, and
every variant of the network is counted as the full one: see the fusion's share. Prints Markdown.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import Features
from dashfusion_training.benchmarks import BENCHMARKS, benchmark
from dashfusion_training.config import changed, read_preset
from dashfusion_training.neighbours import classes_of, find_neighbours
from dashfusion_training.paper.operations import multiply_adds, paper_network
from dashfusion_training.paper.published import PAPER
from dashfusion_training.predict import BATCH, scoring
from dashfusion_training.step import Step
from tests.benchmarks.official_shapes import bert_base, lessons, samples

SEEDS = 5
BATCHES = 8  # of a split that are counted
TRAINED = {name: table for name, table in PAPER.items() if name != "table1"}  # which only counts
aten = torch.ops.aten


class _NoProducts(TorchDispatchMode):
    """Answers every matrix product with zeros of its shape."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        match func:
            case aten.mm.default | aten.bmm.default:
                left, right = args
            case aten.addmm.default:
                _, left, right = args
            case _:
                return func(*args, **(kwargs or {}))
        return left.new_zeros(*left.shape[:-1], right.shape[-1])


def operations(work: Callable[[], object]) -> int:
    """Floating point operations of the matrix products of `work`, which are not computed."""
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), _NoProducts(), counter:
        work()
    return int(counter.get_total_flops())


def count(name: str, steps: int, anchors: int | None) -> dict[str, object]:
    """What a benchmark's preset costs: an anchor of each of some steps, a search, a validation."""
    config, checkpoint = read_preset(name), bert_base(name, dropout=True)
    network, collate = checkpoint.network, checkpoint.collate
    features, labels = samples(name)
    lengths = _lengths(collate(features[:1000]))
    step = Step(checkpoint, config, batches=1, device=torch.device("cpu"))
    taken = lessons(name, steps, anchors=anchors)
    counted = np.array([operations(lambda lesson=lesson: step(lesson)) for lesson in taken])
    pieces = [int(collate(lesson.features).text.real.sum()) for lesson in taken]
    vectors = torch.zeros(len(labels), 3 * network.config.width)
    classes = classes_of(labels.astype(float), config.retrieval_classes)
    search = operations(lambda: find_neighbours(vectors, classes))
    with scoring(network):
        search += _whole(features, lambda b: network.align(network.encode(b), b.present), collate)
        valid = _whole(samples(name, "valid")[0], network, collate)
    fusion = multiply_adds(paper_network(config, benchmark(name)), **lengths)
    return {
        "lengths": lengths,
        "samples": [len(lesson.features) for lesson in taken],
        "anchor": (counted / [len(lesson.anchors) for lesson in taken]).tolist(),
        "piece": (counted / pieces).tolist(),
        "fusion": 6 * fusion,  # two operations each, and backward costs twice forward
        "search": search,
        "valid": valid,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def training(name: str, counted: dict) -> float:
    """Operations of one training: every sample an anchor once an epoch, searches, validations."""
    config = read_preset(name)
    steps = benchmark(name).counts["train"] * float(np.mean(counted["anchor"]))
    searches = math.ceil(config.epochs / config.retrieve_every)
    return config.epochs * (steps + counted["valid"]) + searches * counted["search"]


def trainings(tables: Sequence[str]) -> dict[str, int]:
    """How many trainings these tables need of each benchmark; what is alike is trained once."""
    runs = {
        (name, repr(changed(read_preset(name), row.changes)))
        for table in tables
        for name in TRAINED[table].benchmarks
        for row in TRAINED[table].rows
        if row.changes is not None
    }
    return {name: SEEDS * sum(run[0] == name for run in runs) for name in BENCHMARKS}


def _whole(
    features: list[Features],
    network: Callable[[Batch], object],
    collate: Callable[[list[Features]], Batch],
) -> int:
    """Operations of a forward pass over all samples, from some batches of like lengths."""
    total = seen = 0
    for batch in _spread(features, collate):
        total += operations(lambda batch=batch: network(batch))
        seen += len(batch)
    return round(total * len(features) / seen)


def _spread(
    features: list[Features], collate: Callable[[list[Features]], Batch]
) -> Iterator[Batch]:
    order = sorted(features, key=lambda sample: len(sample.text or ""))
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    taken = min(BATCHES, len(batches))
    for k in range(taken):
        yield collate(batches[int((k + 0.5) * len(batches) / taken)])


def _lengths(batch: Batch) -> dict[str, int]:
    """Mean lengths of the streams, [CLS] included."""

    def mean(real: Tensor) -> int:
        return round(float(real.sum(dim=1).float().mean()))

    return {
        "text": mean(batch.text.real),
        "audio": 1 + mean(batch.audio.real),
        "vision": 1 + mean(batch.vision.real),
    }


def _show(counted: dict[str, dict], tflops: float) -> None:
    each = {name: training(name, found) for name, found in counted.items()}
    print("| | a step | a search | a validation | one seed | five seeds | hours | fusion |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found in counted.items():
        anchor, five = float(np.mean(found["anchor"])), SEEDS * each[name]
        step = anchor * read_preset(name).batch_size
        print(
            f"| {name} | {step / 1e12:.2f} T | {found['search'] / 1e12:.1f} T "
            f"| {found['valid'] / 1e12:.2f} T | {each[name] / 1e15:.2f} P | {five / 1e15:.1f} P "
            f"| {_hours(five, tflops)} | {100 * found['fusion'] / anchor:.1f} % |"
        )
    print("\n| | trainings | operations | hours |\n|---|---|---|---|")
    rows = {name: [name] for name in TRAINED} | {"all, equal runs once": list(TRAINED)}
    for title, tables in rows.items():
        needed = {name: runs for name, runs in trainings(tables).items() if runs}
        total = sum(runs * each[name] for name, runs in needed.items())
        listed = ", ".join(f"{runs} {name}" for name, runs in needed.items())
        print(f"| {title} | {listed} | {total / 1e15:.1f} P | {_hours(total, tflops)} |")


def _hours(total: float, tflops: float) -> str:
    return f"{total / (tflops * 1e12) / 3600:.1f}"


def main() -> None:
    """Count each benchmark in a process of its own and print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=4)
    arguments.add_argument("--anchors", type=int, help="of a step; default: the preset's")
    arguments.add_argument("--tflops", type=float, default=10.0, help="sustained, in fp32")
    arguments.add_argument("--child", choices=tuple(BENCHMARKS))
    asked = arguments.parse_args()
    if asked.child:
        print(json.dumps(count(asked.child, asked.steps, asked.anchors)))
        return
    counted = {}
    for name in BENCHMARKS:
        command = [sys.executable, "-m", "tests.benchmarks.operations", *sys.argv[1:]]
        command += ["--child", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        counted[name] = json.loads(done.stdout)
        print(f"{name}: {counted[name]}", file=sys.stderr)
    _show(counted, asked.tflops)


if __name__ == "__main__":
    main()
