"""What the commands of this package have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from dashfusion_models.errors import ConfigError, DashfusionError
from dashfusion_training.config import TrainConfig, read_preset, with_settings

__all__ = ["exit_code", "preset_with"]


def exit_code(run: Callable[[], None]) -> int:
    """Run a command; its exit code comes back: 1 after an error, which is one line on stderr."""
    try:
        run()
    except DashfusionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def preset_with(name: str, settings: Sequence[str]) -> TrainConfig:
    """A preset with what `--set KEY=VALUE` says.

    Raises:
        ConfigError: no such preset or key, or a setting without '='.
    """
    for setting in settings:
        if "=" not in setting:
            raise ConfigError(f"--set {setting}: has no '='; give KEY=VALUE")
    return with_settings(read_preset(name), dict(s.split("=", 1) for s in settings))
