"""Switches that keep libraries from reporting their use; set before any of them is imported."""

import os

__all__ = ["SWITCHES", "asked_offline", "silence_telemetry"]

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "DISABLE_TELEMETRY": "1",
    # onnxruntime from 1.29 on would report each start to mobile.events.data.microsoft.com.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",  # public weights need no account
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}


def silence_telemetry(*, offline: bool = False) -> None:
    """Set every switch for this process and those it starts, whatever they were.

    With `offline` the model hub's client may not ask for anything either.
    """
    os.environ.update(SWITCHES)
    if offline:
        os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"})


def asked_offline() -> bool:
    """Whether DASHFUSION_OFFLINE forbids downloads."""
    asked = os.environ.get("DASHFUSION_OFFLINE", "").strip().lower()
    return asked not in {"", "0", "false", "no", "off", "n", "f"}
