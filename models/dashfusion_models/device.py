"""Which device computes: the one that was asked for, or the best that works."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dashfusion_models.errors import DeviceError

if TYPE_CHECKING:
    import torch

__all__ = ["may_have_gpu", "pick_device"]

# What the drivers of NVIDIA and AMD, and NVIDIA's under Windows's Linux, put there.
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def may_have_gpu() -> bool:
    """Whether it is worth asking PyTorch for a GPU, which takes a second to import."""
    return not sys.platform.startswith("linux") or any(Path(d).exists() for d in _DRIVERS)


def pick_device(wanted: str = "auto") -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:N` or `mps` into a device that was seen to work.

    Raises:
        DeviceError: the device is not there, or cannot compute.
    """
    import torch

    if wanted == "auto":
        for name, there in (("cuda", torch.cuda.is_available()), ("mps", _mps())):
            if there and _works(torch.device(name)):
                return torch.device(name)
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise DeviceError(
            f"device {wanted!r}: is unknown; use auto, cpu, cuda, cuda:N or mps"
        ) from error
    if device.type not in ("cpu", "cuda", "mps") or not _works(device):
        raise DeviceError(f"device {wanted}: is not there or does not work; use --device cpu")
    return device


def _mps() -> bool:
    import torch

    return bool(torch.backends.mps.is_available())


def _works(device: torch.device) -> bool:
    """Whether a device adds two numbers; drivers that are half there say so only here."""
    import torch

    try:
        return float((torch.ones(2, device=device) + 1).sum()) == 4.0
    except (RuntimeError, AssertionError, NotImplementedError):
        return False
