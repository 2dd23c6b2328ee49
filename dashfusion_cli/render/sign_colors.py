"""Sign of a score and its colour, the same in every form: blue is positive, orange is negative.

All kinds of colour vision tell a blue from an orange. A colour never stands alone: a number with
its sign, a label or the side of zero says the same.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dashfusion_cli.render.plain import ColorSystem

__all__ = ["ON_DARK", "ON_LIGHT", "ON_TERMINAL", "Sign", "SignColors", "sign_of"]

Sign = Literal["negative", "neutral", "positive"]


def sign_of(label: str) -> Sign:
    """Return the sign that the label of a score names with its last word.

    The bounds of the labels decide, not the sign of the number: +0.4 on [-3, 3] is neutral.
    """
    if label.endswith("negative"):
        return "negative"
    return "positive" if label.endswith("positive") else "neutral"


@dataclass(frozen=True)
class SignColors:
    """A colour for each sign, as the form that shows it writes colours."""

    negative: str
    neutral: str
    positive: str

    def of(self, label: str) -> str:
        """Return the colour of a score with this label."""
        color: str = asdict(self)[sign_of(label)]
        return color


ON_LIGHT = SignColors(negative="#b84a00", neutral="#5f6873", positive="#1464b4")
ON_DARK = SignColors(negative="#ff9f4f", neutral="#c3c9d1", positive="#6db3ff")

# Styles of Rich, by what the terminal can show. Its background is not known: these can be read on
# black and on white. Among sixteen colours no orange can; bright red is the warm one that can.
_SIXTEEN = SignColors(negative="bright_red", neutral="", positive="bright_blue")
ON_TERMINAL: Mapping["ColorSystem | None", SignColors] = {
    None: SignColors(negative="", neutral="", positive=""),
    "auto": _SIXTEEN,
    "standard": _SIXTEEN,
    "windows": _SIXTEEN,
    "256": SignColors(negative="color(130)", neutral="", positive="color(63)"),
    "truecolor": SignColors(negative="#b85c00", neutral="", positive="#0072ec"),
}
