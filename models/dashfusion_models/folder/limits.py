"""How many workers a machine carries, how many threads each has, how long a file may take."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dashfusion_models.folder.jobs import Job
from dashfusion_models.resources import THREAD_VARIABLES, cores_here, free_bytes

__all__ = ["GPU_SHARE", "TimeLimit", "thread_environment", "worker_bytes", "worker_count"]

_GB = 1 << 30
# Of one worker with its face process, by speech model; measured for base, the others by the size
# of their weights.
_WORKER_GB = {"tiny": 1.3, "base": 1.5, "small": 2.0, "medium": 3.5, "large": 6.0, "turbo": 4.0}
_MOST_ON_GPU = 4
GPU_SHARE = 1 / _MOST_ON_GPU  # of one worker
_SPARE_GB = 0.5  # of the machine's memory, for all else
_UNKNOWN_BYTES_PER_S = 50_000  # of a file that does not tell its length; low, so that it has time
_UNKNOWN_MOST_S = 3600.0
# A header may say any length. So much is believed of any file, more than that only of one that has
# so many bytes for it (the slowest codecs of speech have six times as many), up to a ceiling.
_BELIEVED_S = 3600.0
_LEAST_BYTES_PER_S = 100
_LONGEST_S = 48 * 3600.0
_UNTOLD_S = 60.0  # what was decoded is told a minute at a time
_SLOW_DISK_BYTES_PER_S = 5_000_000  # files are read once before they are decoded


@dataclass(frozen=True)
class TimeLimit:
    """Seconds that one file may take: some for any file, and some for each second of media.

    `quiet_per_second`: those without a sign of progress, for each second that was decoded.
    """

    least_s: float = 180.0
    per_second: float = 20.0
    quiet_per_second: float = 0.25
    load_s: float = 900.0  # until a worker is ready; weights may have to be fetched

    @classmethod
    def for_model(cls, asr_model: str) -> TimeLimit:
        """The limits of a speech model: larger ones are slower on a CPU."""
        slow = {"medium": 3.0, "large": 6.0, "turbo": 3.0}.get(_size(asr_model), 1.0)
        return cls(least_s=180.0 * slow, per_second=20.0 * slow, quiet_per_second=0.25 * slow)

    def of(self, job: Job) -> float:
        """Seconds after which a worker is taken to hang on `job`, by its declared length."""
        length_s = job.duration_s
        if length_s is None:
            length_s = min(job.size / _UNKNOWN_BYTES_PER_S, _UNKNOWN_MOST_S)
        believed_s = max(_BELIEVED_S, job.size / _LEAST_BYTES_PER_S)
        return self.least_s + self.per_second * min(length_s, believed_s, _LONGEST_S)

    def so_far(self, job: Job, decoded_s: float) -> float:
        """Seconds after which a worker is taken to hang that has decoded so much of `job` till now.

        More than by the length that is declared it never gets.
        """
        return min(self.of(job), self._least(job) + self.per_second * (decoded_s + _UNTOLD_S))

    def quiet(self, job: Job, decoded_s: float) -> float:
        """Seconds without a sign of progress after which a worker is taken to hang."""
        return self._least(job) + self.quiet_per_second * decoded_s

    def _least(self, job: Job) -> float:
        return self.least_s + job.size / _SLOW_DISK_BYTES_PER_S


def worker_count(asr_model: str = "base", *, device: str = "auto") -> int:
    """As many workers as cores and memory carry, at least one; not many on one GPU."""
    free, cores = free_bytes(), cores_here()
    if device.startswith("cuda") or (device == "auto" and _has_cuda()):
        cores = min(cores, _MOST_ON_GPU)  # all are on the same one, whose memory they share
    if free is None:
        return cores
    carried = int((free - _SPARE_GB * _GB) / worker_bytes(asr_model))
    return max(1, min(cores, carried))


def worker_bytes(asr_model: str = "base") -> int:
    """Memory that one worker takes with a speech model."""
    return int(_GB * _WORKER_GB.get(_size(asr_model), _WORKER_GB["large"]))


def _has_cuda() -> bool:
    """Whether there seems to be a GPU of NVIDIA's; asking torch would load it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    return Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


def thread_environment(workers: int, *, cores: int | None = None) -> dict[str, str]:
    """The variables that give each worker its share of the cores, this machine's if not told."""
    share = str(max(1, (cores or cores_here()) // workers))
    return dict.fromkeys(THREAD_VARIABLES, share)


def _size(asr_model: str) -> str:
    """The first word of a model's name: `large` of `large-v3`, `small` of `small.en`."""
    if "turbo" in asr_model:
        return "turbo"
    return asr_model.replace(".", "-").split("-")[0]
