"""One update of the network: loss, gradients, optimizer and learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import TrainingError
from dashfusion_models.records import Features
from dashfusion_training.augment import augmented
from dashfusion_training.config import TrainConfig

__all__ = ["Step"]


class Step:
    """Callable: learns from one batch and returns its loss."""

    def __init__(
        self, checkpoint: Checkpoint, config: TrainConfig, *, batches: int, device: torch.device
    ) -> None:
        """Prepare the network for training on `device`; `batches` is the number in an epoch."""
        self._network = checkpoint.network.to(device).train()
        self._collate = checkpoint.collate
        self._loss = F.mse_loss if config.loss == "mse" else F.l1_loss
        self._device = device
        self._noise, self._drop = config.frame_noise, config.frame_drop
        # Adam (paper), as AdamW (ours); betas are Adam's own.
        self._optimizer = torch.optim.AdamW(_groups(self._network, config), fused=True)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            WarmUpThenFall(
                warm_up=round(config.warmup_epochs * batches), total=config.epochs * batches
            ),
        )
        torch.manual_seed(config.seed)

    def __call__(self, features: list[Features], labels: list[float]) -> float:
        """Learn from one batch.

        Raises:
            TrainingError: the loss is not a finite number; nothing was changed.
        """
        label = torch.tensor(labels, device=self._device)
        batch = augmented(self._collate(features), noise=self._noise, drop=self._drop)
        loss = self._loss(self._network(batch.to(self._device)), label)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"step {self._schedule.last_epoch}: the loss is {value}; lower the learning rate"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()
        return value

    def state(self) -> dict[str, Any]:
        """Everything that going on later needs."""
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if state["cuda"]:
            torch.cuda.set_rng_state_all(state["cuda"])


class WarmUpThenFall:
    """Factor of the learning rate: up linearly over `warm_up` steps, then down to 0 (code)."""

    def __init__(self, *, warm_up: int, total: int) -> None:
        """Count in steps."""
        self.warm_up, self.total = warm_up, total

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        return max(0.0, (self.total - step) / max(1, self.total - self.warm_up))


def _groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters by learning rate and by weight decay, which biases and norms are spared (ours)."""
    slow = config.learning_rate if config.text_learning_rate is None else config.text_learning_rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        rate = slow if name.startswith("text_encoder.bert.") else config.learning_rate
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
