"""A checkpoint that can be worked with while its network is still being loaded.

PyTorch and transformers take seconds to import; meanwhile the file is decoded and its words are
recognised.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from dashfusion_models.checkpoint_about import CheckpointFacts, checkpoint_facts
from dashfusion_models.device import may_have_gpu, pick_device
from dashfusion_models.imports import IMPORTING_SCIPY
from dashfusion_models.weights import locate_folder

if TYPE_CHECKING:
    import torch

    from dashfusion_models.checkpoint import Checkpoint

__all__ = ["Opened"]


class Opened:
    """The facts of a checkpoint at once, the rest when it is waited for."""

    def __init__(
        self,
        facts: CheckpointFacts | Checkpoint,
        device: str,
        loading: Future[tuple[Checkpoint, torch.device]],
    ) -> None:
        """Hold what is known and what is being loaded; `of` and `ready` are the ways in."""
        self.facts, self._asked, self._loading = facts, device, loading

    @classmethod
    def of(cls, path: Path, device: str, *, offline: bool = False) -> Opened:
        """Read the head of the file and begin to load the rest in a thread.

        With `offline` a text encoder that the file lacks must be here already.

        Raises:
            CheckpointError: it is no checkpoint.
            DeviceError: the device that is named is not there.
            WeightsError: the text encoder may not be downloaded, and is missing.
        """
        facts = checkpoint_facts(path)
        if facts.text_encoder is not None and offline:
            locate_folder(facts.text_encoder, offline=True)
        if device not in ("auto", "cpu"):
            pick_device(device)
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network")
        loading = pool.submit(_load, path, device, offline)
        pool.shutdown(wait=False)
        return cls(facts, device, loading)

    @classmethod
    def ready(cls, checkpoint: Checkpoint, device: torch.device) -> Opened:
        """Wrap a checkpoint that is loaded already."""
        loaded: Future[tuple[Checkpoint, torch.device]] = Future()
        loaded.set_result(_placed(checkpoint, device))
        return cls(checkpoint, str(device), loaded)

    def check(self) -> None:
        """Raise what went wrong with loading, as far as that is known by now."""
        if self._loading.done():
            self._loading.result()

    def wait(self) -> tuple[Checkpoint, torch.device]:
        """Return the checkpoint, its network on the device that computes.

        Raises:
            CheckpointError: the file is damaged.
            WeightsError: it lacks its text encoder, which is missing.
        """
        return self._loading.result()

    def speech_device(self) -> str:
        """Where speech is recognised; known without waiting where there can be no GPU."""
        if self._asked == "cpu" or (self._asked == "auto" and not may_have_gpu()):
            return "cpu"
        return str(self.wait()[1])


def _load(path: Path, device: str, offline: bool) -> tuple[Checkpoint, torch.device]:
    from dashfusion_models import score  # noqa: F401  (needed next)
    from dashfusion_models.checkpoint import load_checkpoint

    with IMPORTING_SCIPY:  # transformers does, while it builds the text encoder
        checkpoint = load_checkpoint(path, offline=offline)
    return _placed(checkpoint, pick_device(device))


def _placed(checkpoint: Checkpoint, device: torch.device) -> tuple[Checkpoint, torch.device]:
    checkpoint.network.to(device).eval()
    return checkpoint, device
