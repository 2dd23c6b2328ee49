"""One update of the network: loss, gradients, optimizer and learning rate."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import TrainingError
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import MODALITIES, Streams
from dashfusion_training.augment import augmented
from dashfusion_training.composer import OWN
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Lesson
from dashfusion_training.encoded_texts import EncodedTexts
from dashfusion_training.objective import Companions, ContrastiveConfig, Objective
from dashfusion_training.processes import ALONE, Team

__all__ = ["Step"]

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Step:
    """Callable: learns from one lesson and returns its loss.

    Mixed precision and several processes live here, not in the loop.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: TrainConfig,
        *,
        batches: int,
        device: torch.device,
        team: Team = ALONE,
        texts: EncodedTexts | None = None,
    ) -> None:
        """Prepare the network for training on `device`; `batches` is the number in an epoch.

        `texts` remembers what the text encoder makes of them, where it is not trained: trainings
        that start from the same encoder may share one.
        """
        self._network = checkpoint.network.to(device).train()
        self._collate = checkpoint.collate
        self._config, self._device, self._team = config, device, team
        self._frozen = None
        if not config.train_text:
            self._network.text_encoder.requires_grad_(False)
            self._frozen = texts or EncodedTexts(self._network, checkpoint.collate)
        objective = Objective(
            self._network,
            _contrastive(config),
            prediction=_prediction(config),
            autocast=PRECISIONS[config.precision],
        )
        # Which parameters a lesson needs depends on what its samples lack.
        self._objective: nn.Module = (
            DistributedDataParallel(objective, find_unused_parameters=True, broadcast_buffers=False)
            if team.world > 1
            else objective
        )
        # Adam (paper), as AdamW (ours); betas are Adam's own.
        self._optimizer = torch.optim.AdamW(_groups(self._network, config), fused=True)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            WarmUpThenFall(
                warm_up=round(config.warmup_epochs * batches), total=config.epochs * batches
            ),
        )
        self._average = RunningMean(self._network, config.average) if config.average else None
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._number = 0  # of the last step, over all epochs

    def __call__(self, lesson: Lesson) -> float:
        """Learn from one lesson.

        Raises:
            TrainingError: the loss is not a finite number; nothing was changed.
        """
        self._number += 1
        # Dropout is drawn from the step's own seed, so that no generator's state must be kept.
        seed = np.random.SeedSequence([self._config.seed, self._number, self._team.rank])
        torch.manual_seed(int(seed.generate_state(1)[0]))
        loss = self._objective(*self._prepared(lesson)) * lesson.share
        value = self._team.mean(float(loss.detach()))
        if not math.isfinite(value):
            raise TrainingError(
                f"step {self._number}: the loss is {value}; lower the learning rate"
            )
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        if self._config.clip_norm:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._network.parameters(), self._config.clip_norm)
        self._scaler.step(self._optimizer)
        scale = self._scaler.get_scale()
        self._scaler.update()
        if self._scaler.get_scale() >= scale:  # else half precision overflowed: nothing was learned
            self._schedule.step()
            if self._average is not None:
                self._average.follow(self._network)
        return value

    @property
    def learned(self) -> DashFusion:
        """The network to validate and to keep: the running mean of the weights where there is one.

        It is in evaluation mode or will be put there by whoever scores with it.
        """
        if self._average is None:
            return self._network
        return self._average.network

    def _prepared(
        self, lesson: Lesson
    ) -> tuple[Batch, Companions, torch.Tensor, Streams[torch.Tensor]]:
        """The batch on the device, where anchors and companions stand, and what is not lent."""
        config, device = self._config, self._device
        batch = self._collate(lesson.features)
        if self._frozen is not None:
            batch = replace(batch, text=self._frozen(lesson.features))
        batch = augmented(
            batch, noise=config.frame_noise, drop=config.frame_drop, shift=config.frame_shift
        )
        six = lesson.companions
        drawn = np.full((len(lesson.anchors), 6), -1) if six is None else six
        rows = torch.from_numpy(drawn).to(device)
        companions = Companions(
            anchors=torch.from_numpy(lesson.anchors).to(device),
            positives=rows[:, :2],
            negatives=rows[:, 2:],
        )
        own = Streams(
            *(
                torch.tensor([moments[m] == OWN[m] for moments in lesson.moments], device=device)
                for m in MODALITIES
            )
        )
        return batch.to(device), companions, torch.from_numpy(lesson.labels).to(device), own

    def state(self) -> dict[str, Any]:
        """Everything that going on later needs."""
        return {
            "network": _trained(self._network),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "number": self._number,
            "average": None if self._average is None else self._average.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        _put_back(self._network, state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self._number = state["number"]
        if self._average is not None:
            self._average.restore(state["average"])


def _trained(network: DashFusion) -> dict[str, Tensor]:
    """The network's state without the parameters that stay as they are."""
    still = {name for name, p in network.named_parameters() if not p.requires_grad}
    return {name: value for name, value in network.state_dict().items() if name not in still}


def _put_back(network: DashFusion, state: dict[str, Tensor]) -> None:
    """Restore what `_trained` returned.

    Raises:
        KeyError: a tensor is missing.
    """
    found = network.load_state_dict(state, strict=False)
    if lost := set(found.missing_keys) & _trained(network).keys():
        raise KeyError(min(lost))


class RunningMean:
    """A copy of the network whose weights follow those that are trained; it shares the others."""

    def __init__(self, network: DashFusion, decay: float) -> None:
        """Begin with the weights as they are; `decay` is the share that stays at each step."""
        still = {id(p): p for p in network.parameters() if not p.requires_grad}
        self.network: DashFusion = copy.deepcopy(network, still)
        self._decay, self._count = decay, 0

    def follow(self, network: DashFusion) -> None:
        """Take one more step of the trained network into the mean."""
        # Young, it follows faster: the first weights are forgotten.
        share = min(self._decay, (1 + self._count) / (10 + self._count)) if self._count else 0.0
        pairs = zip(self.network.parameters(), network.parameters(), strict=True)
        kept, new = zip(*((k.detach(), n.detach()) for k, n in pairs if k is not n), strict=True)
        torch._foreach_lerp_(kept, new, 1 - share)
        self._count += 1

    def state(self) -> dict[str, Any]:
        """Everything that going on later needs."""
        return {"network": _trained(self.network), "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        _put_back(self.network, state["network"])
        self._count = state["count"]


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


def _prediction(
    config: TrainConfig,
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss that compares scores and labels, knowing which samples have words."""
    delta, wordless = config.huber_delta, config.wordless_delta or config.huber_delta

    def huber(scores: Tensor, labels: Tensor, worded: Tensor) -> Tensor:
        # Scaled, so that no error pulls harder without words than with them.
        other = delta / wordless * F.huber_loss(scores, labels, reduction="none", delta=wordless)
        own = F.huber_loss(scores, labels, reduction="none", delta=delta)
        return torch.where(worded, own, other).mean()

    if config.loss == "huber":
        return huber
    plain = F.mse_loss if config.loss == "mse" else F.l1_loss
    return lambda scores, labels, worded: plain(scores, labels)


def _contrastive(config: TrainConfig) -> ContrastiveConfig:
    return ContrastiveConfig(
        weight=config.contrastive_weight if config.draws_companions else 0.0,
        temperature=config.temperature,
        semantic_negatives=config.semantic_negatives,  # type: ignore[arg-type]
        reduction=config.contrastive_reduction,  # type: ignore[arg-type]
        semantic=config.semantic_alignment,
        supervised=config.supervised_contrast,
        h_compared=config.temporal_alignment,
    )


def _text_rate(name: str, layers: int, config: TrainConfig) -> float:
    """The learning rate of a weight of BERT: less for the layers nearer to the words.

    Source: Howard & Ruder, ACL 2018 (discriminative fine-tuning).
    """
    rate = config.learning_rate if config.text_learning_rate is None else config.text_learning_rate
    found = re.search(r"\.layer\.(\d+)\.", name)
    below = layers - 1 - int(found[1]) if found else layers  # embeddings are below all
    return rate * config.text_layer_decay**below


def _groups(network: DashFusion, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters by learning rate and by weight decay."""
    layers = network.text_encoder.bert.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    norms = {
        id(p) for m in network.modules() if isinstance(m, nn.LayerNorm) for p in m.parameters()
    }
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        pretrained = name.startswith("text_encoder.bert.")
        spared = (
            id(parameter) in norms or name.endswith(".bias")
            if config.decay_spares == "norms-and-biases"
            else pretrained and id(parameter) in norms
        )
        rate = _text_rate(name, layers, config) if pretrained else config.learning_rate
        groups.setdefault((rate, 0.0 if spared else config.weight_decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
