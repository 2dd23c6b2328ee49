"""The same numbers from the same training, whatever the number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["reproducible"]


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Have PyTorch sum in a fixed order on a CPU; puts its setting back.

    Its sums over repeated indices are otherwise split among threads as they come, and a training
    that was resumed differed from one that was not in the last bits. It costs nothing that could be
    measured. A GPU is left as it is: there it does cost, and some operations have no fixed order.
    """
    enabled = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
