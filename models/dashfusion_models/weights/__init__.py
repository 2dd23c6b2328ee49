"""Where pretrained weights come from: found, verified by SHA-256, downloaded if need be."""

from dashfusion_models.weights.lookup import (
    WeightStatus,
    cache_folder,
    locate,
    pull,
    status,
    verify,
)

__all__ = ["WeightStatus", "cache_folder", "locate", "pull", "status", "verify"]
