"""Several processes that train one network: started by torchrun, joined by gloo or NCCL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float

from dashfusion_models.errors import TrainingError
from dashfusion_training.files import first_line

__all__ = ["ALONE", "Team", "joined", "local_rank"]

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """Who this process is among `world` processes; work is dealt out as cards are."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def part(self, things: Sequence[T]) -> list[T]:
        """What falls to this process."""
        return list(things[self.rank :: self.world])

    def gather(self, part: Float[np.ndarray, ...], total: int) -> Float[np.ndarray, ...]:
        """Put the results of all parts together, in the order of the `total` things."""
        if self.world == 1:
            return part
        longest = -(-total // self.world)
        padded = np.zeros((longest, *part.shape[1:]), part.dtype)
        padded[: len(part)] = part
        parts = [torch.zeros(padded.shape, dtype=torch.from_numpy(padded).dtype)] * self.world
        parts = [p.clone() for p in parts]
        dist.all_gather(parts, torch.from_numpy(padded))
        dealt = np.stack([p.numpy() for p in parts], axis=1)
        return np.asarray(dealt.reshape(-1, *part.shape[1:])[:total])

    def mean(self, value: float) -> float:
        """The mean of a number over the processes."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(shared)
        return float(shared) / self.world

    def any(self, fact: bool) -> bool:
        """Whether it holds in any of the processes."""
        if self.world == 1:
            return fact
        shared = torch.tensor([fact], dtype=torch.int64)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()

    def agree(self, facts: tuple[int, ...]) -> bool:
        """Whether all processes hold the same whole numbers."""
        if self.world == 1:
            return True
        mine = torch.tensor(facts, dtype=torch.int64)
        ends = torch.stack([mine, -mine])
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        return bool((ends[0] == -ends[1]).all())


ALONE = Team()


def local_rank() -> int:
    """Which of this machine's processes this is, as torchrun says; 0 without it."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextlib.contextmanager
def joined() -> Iterator[Team]:
    """Join the processes that torchrun started; alone where it did not start this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    # The leader may extract for hours while the others wait.
    dist.init_process_group(backend, timeout=timedelta(days=7))
    team = Team(rank=dist.get_rank(), world=dist.get_world_size())
    try:
        yield team
    except RuntimeError as error:
        if team.leads:
            raise
        raise TrainingError(
            f"process {team.rank}: stopped ({first_line(error)}); if that speaks of a connection, "
            "see the error of the process that failed first"
        ) from error
    finally:
        dist.destroy_process_group()
