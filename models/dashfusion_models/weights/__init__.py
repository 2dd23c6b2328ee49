"""Where pretrained weights come from: found, verified by SHA-256, downloaded if need be."""

from dashfusion_models.weights.fetch import Report, say_nothing
from dashfusion_models.weights.lookup import (
    WeightStatus,
    locate,
    pull,
    status,
    verify,
)
from dashfusion_models.weights.named import (
    DEFAULT_CHECKPOINT,
    fetch_speech_weights,
    is_folder,
    is_here,
    locate_checkpoint,
    locate_folder,
    names_of,
)
from dashfusion_models.weights.records import file_sha256

__all__ = [
    "DEFAULT_CHECKPOINT",
    "Report",
    "WeightStatus",
    "fetch_speech_weights",
    "file_sha256",
    "is_folder",
    "is_here",
    "locate",
    "locate_checkpoint",
    "locate_folder",
    "names_of",
    "pull",
    "say_nothing",
    "status",
    "verify",
]
