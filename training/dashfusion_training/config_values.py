"""One value of a configuration, from a preset or a command line: of its own type, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashfusion_models.errors import ConfigError

__all__ = ["checked"]

TABLES = ("classes", "repeat", "teacher_shares")  # of names and numbers
MAY_BE_NONE = ("text_learning_rate", "attention_dropout")


def checked(key: str, value: Any, default: Any) -> Any:
    """Refuse a word where a number belongs, and the like; a whole number may stand for a float.

    `default` tells the type.

    Raises:
        ConfigError: the value is of another type.
    """
    kinds: dict[type, tuple[str, tuple[type, ...]]] = {
        bool: ("true or false", (bool,)),
        int: ("a whole number", (int,)),
        float: ("a number", (int, float)),
        str: ("a text", (str,)),
    }
    if key in MAY_BE_NONE:
        if value is None:
            return None
        default = 0.0
    name, allowed = kinds.get(type(default), ("", ()))
    if allowed and not _is(value, allowed):
        raise ConfigError(f"{key}: is {value!r}; give {name}")
    if key == "label_range" and not _all_are(value, list | tuple, (int, float), length=2):
        raise ConfigError(f"{key}: is {value!r}; give two numbers, the lower one first")
    if key in ("languages", "modalities", "teachers") and not _all_are(value, list | tuple, (str,)):
        raise ConfigError(f"{key}: is {value!r}; give a list of texts")
    if key in TABLES:
        numbers = list(value.values()) if isinstance(value, Mapping) else None
        if not _all_are(numbers, list, (int, float)):
            raise ConfigError(f"{key}: is {value!r}; give a table of names and numbers")
    if key == "label_range":
        return tuple(float(end) for end in value)
    if key in TABLES:
        return {name: float(score) for name, score in value.items()}
    if isinstance(default, float):
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    """Whether a value is of these kinds; a truth value is no number."""
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _all_are(
    values: object, container: Any, kinds: tuple[type, ...], length: int | None = None
) -> bool:
    return (
        isinstance(values, container)
        and (length is None or len(values) == length)
        and all(_is(value, kinds) for value in values)
    )
