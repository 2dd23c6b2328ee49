"""Values of options that are more than a word or a number."""

import math
import re
from collections.abc import Sequence
from typing import Literal, get_args

import typer

from dashfusion_models.near import meant

__all__ = [
    "parse_classes",
    "parse_key_values",
    "parse_modalities",
    "parse_seconds",
    "parse_segments",
]

# As in dashfusion_models.records, which brings NumPy.
Modality = Literal["text", "audio", "vision"]

_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)")


def parse_seconds(text: str, option: str) -> float:
    """Read seconds (`12.5`) or a time of day's form (`1:02:03.5`, `2:03`).

    Raises:
        typer.BadParameter: neither; a wrong command line.
    """
    if match := _CLOCK.fullmatch(text.strip()):
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    value = _number(text)
    if value is None or value < 0:
        raise typer.BadParameter(f"{text!r} is neither seconds nor h:mm:ss", param_hint=option)
    return value


def parse_segments(text: str) -> str:
    """Check `sentence`, `whole`, or a length in seconds, and return it.

    Raises:
        typer.BadParameter: none of these; a wrong command line.
    """
    if text in {"sentence", "whole"}:
        return text
    value = _number(text)
    if value is None or value <= 0:
        raise typer.BadParameter(
            f"{text!r} is neither sentence, whole nor a number of seconds", param_hint="--segments"
        )
    return text


def parse_key_values(
    texts: Sequence[str], option: str = "--set", form: str = "key=value"
) -> dict[str, str]:
    """Read pairs such as `key=value`; `form` is what they are called.

    Raises:
        typer.BadParameter: one has no equals sign; a wrong command line.
    """
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"{text!r} is not {form}", param_hint=option)
        pairs[key.strip()] = value.strip()
    return pairs


def parse_classes(text: str) -> dict[str, float]:
    """Read `name=score,name=score`.

    Raises:
        typer.BadParameter: not of that form; a wrong command line.
    """
    classes = {}
    for name, value in parse_key_values(text.split(","), "--classes", "name=score").items():
        score = _number(value)
        if score is None:
            raise typer.BadParameter(f"{value!r} is not a score", param_hint="--classes")
        classes[name] = score
    return classes


def parse_modalities(text: str) -> tuple[Modality, ...]:
    """Read `text,audio,vision` or some of them.

    Raises:
        typer.BadParameter: none, or one of another name; a wrong command line.
    """
    named = {part.strip() for part in text.split(",")}
    if unknown := sorted(named - set(get_args(Modality))):
        near = meant(unknown[0], get_args(Modality))
        raise typer.BadParameter(
            f"{unknown[0]!r} is none of text, audio, vision. {near.capitalize()}".rstrip(),
            param_hint="--modalities",
        )
    return tuple(m for m in get_args(Modality) if m in named)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
