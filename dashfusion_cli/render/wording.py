"""Scores, times and reasons as people read them, the same in every form of the output."""

from collections.abc import Mapping

__all__ = ["REASONS", "clock", "signed"]

_FINE_SCALE = 2.0  # scales up to this length need two decimals

REASONS: Mapping[str, str] = {
    "no_face": "no face seen",
    "no_speech": "nobody speaks",
    "low_speech_confidence": "words uncertain",
    "short": "short",
    "unsupported_language": "a language the model does not read",
    "times_estimated": "times estimated",
    "modalities_disagree": "words, voice and face disagree",
}


def signed(value: float, label_range: tuple[float, float]) -> str:
    """Write a score with its sign and the decimals of its scale; what rounds to zero has none."""
    low, high = label_range
    decimals = 1 if high - low > _FINE_SCALE else 2
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def clock(seconds: float) -> str:
    """Write a time as m:ss.t or h:mm:ss."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"
    return f"{minutes}:{rest / 10:04.1f}"
