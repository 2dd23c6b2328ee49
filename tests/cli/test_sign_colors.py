"""Colours of signs: read on every background, and told apart by all kinds of colour vision."""

import re
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.color import Color

import dashfusion_cli
from dashfusion_cli.render.html import render_html
from dashfusion_cli.render.html_index import index_row
from dashfusion_cli.render.overlay_fonts import Fonts
from dashfusion_cli.render.overlay_ink import color_of, ink_over, panel
from dashfusion_cli.render.overlay_look import Overlay
from dashfusion_cli.render.plain import Look
from dashfusion_cli.render.sign_colors import ON_DARK, ON_LIGHT, ON_TERMINAL, SignColors, sign_of
from dashfusion_cli.render.subtitles import render_vtt
from dashfusion_cli.render.table import render_table
from dashfusion_models.analysis import (
    FIVE_LABELS,
    SEVEN_LABELS,
    Analysis,
    ModelInfo,
    Overall,
    label_of,
)
from dashfusion_models.records import FaceChoice, Span, Streams

from .conftest import UNIT, analysis, segment

SIMS = (-1.0, 1.0)
BLACK, WHITE = "#000000", "#ffffff"
COMMON = Path(dashfusion_cli.__file__).parent / "render" / "page" / "common.css"

# Linear RGB as it is seen without one kind of cones, severity 1.0: Machado, Oliveira & Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 2009.
VISIONS = {
    "usual": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ]),
}  # fmt: skip
XYZ = np.array([  # of linear sRGB, white at D65 (IEC 61966-2-1)
    [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip

# Bright red and bright blue as terminals come: xterm, Windows (Campbell), GNOME, VS Code.
SIXTEEN = {
    "bright_red": ("#ff0000", "#e74856", "#f66151", "#f14c4c"),
    "bright_blue": ("#5c5cff", "#3b78ff", "#2a7bde", "#3b8eea"),
}


def linear(color: str) -> np.ndarray:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it; 4.5 is wanted of text, 3 of what is drawn."""
    dark, light = sorted(float(XYZ[1] @ linear(color)) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(color: str, vision: str) -> np.ndarray:
    xyz = XYZ @ np.clip(VISIONS[vision] @ linear(color), 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str, vision: str) -> float:
    """CIE 1976; about 2 can just be seen side by side."""
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def terminal(colors: SignColors) -> dict[str, str]:
    return {
        sign: Color.parse(style).get_truecolor().hex
        for sign, style in asdict(colors).items()
        if style
    }


def page_colors(name: str) -> tuple[str, str]:
    """A colour of all pages, when it is light and when it is dark."""
    found = re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\)", COMMON.read_text("utf-8"))
    assert found
    return found[1], found[2]


def test_the_measures_are_those_that_were_published() -> None:
    assert contrast(BLACK, WHITE) == pytest.approx(21.0)
    assert contrast("#777777", WHITE) == pytest.approx(4.48, abs=0.01)  # WebAIM's example
    assert lab("#ff0000", "usual") == pytest.approx([53.24, 80.09, 67.20], abs=0.1)
    greens, reds = ("#00a000", "#c06000"), ("#b0a000", "#d0a000")
    for pair in (greens, reds):  # a green and a red that look alike to many
        assert distance(*pair, "deuteranopia") < distance(*pair, "usual")


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("colors", [ON_LIGHT, ON_DARK], ids=["light", "dark"])
def test_signs_are_told_apart(colors: SignColors, vision: str) -> None:
    assert distance(colors.negative, colors.positive, vision) > 75
    for one, other in combinations(asdict(colors).values(), 2):
        assert distance(one, other, vision) > 20


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("shown", ["256", "truecolor"])
def test_signs_are_told_apart_on_a_terminal(shown: str, vision: str) -> None:
    colors = terminal(ON_TERMINAL[shown])  # type: ignore[index]
    assert distance(colors["negative"], colors["positive"], vision) > 75
    for neutral in (BLACK, WHITE):  # which is written in the terminal's own colour
        for color in colors.values():
            assert distance(color, neutral, vision) > 40


@pytest.mark.parametrize("vision", VISIONS)
def test_signs_are_told_apart_among_sixteen_colours(vision: str) -> None:
    colors = ON_TERMINAL["standard"]
    for red, blue in zip(SIXTEEN[colors.negative], SIXTEEN[colors.positive], strict=True):
        assert distance(red, blue, vision) > 70


def test_words_can_be_read_on_pages() -> None:
    for name in ("paper", "plate"):
        light, dark = page_colors(name)
        assert min(contrast(color, light) for color in asdict(ON_LIGHT).values()) >= 4.5
        assert min(contrast(color, dark) for color in asdict(ON_DARK).values()) >= 4.5


@pytest.mark.parametrize("behind", [BLACK, "#808080", WHITE])
def test_words_can_be_read_over_any_picture(behind: str) -> None:
    picture = Image.new("RGB", (4, 4), behind)
    ink_over(picture, panel(4, 4), (0, 0))
    plate = "#{:02x}{:02x}{:02x}".format(*picture.getpixel((1, 1)))  # type: ignore[misc]
    for color in (*asdict(ON_DARK).values(), WHITE):
        assert contrast(color, plate) >= 4.5


@pytest.mark.parametrize("background", [BLACK, WHITE])
def test_words_can_be_read_on_a_terminal(background: str) -> None:
    for color in terminal(ON_TERMINAL["truecolor"]).values():
        assert contrast(color, background) >= 4.5
    for color in terminal(ON_TERMINAL["256"]).values():
        assert contrast(color, background) >= 4.4  # no orange of the 256 comes nearer
    for name in (ON_TERMINAL["standard"].negative, ON_TERMINAL["standard"].positive):
        for color in SIXTEEN[name]:
            assert contrast(color, background) >= 3


def test_the_last_word_of_a_label_is_its_sign() -> None:
    signs = ["negative"] * 3 + ["neutral"] + ["positive"] * 3
    assert [sign_of(label) for label in SEVEN_LABELS] == signs
    assert [sign_of(label) for label in FIVE_LABELS] == signs[1:-1]


CASES = [
    (UNIT, 0.5, "neutral"), (UNIT, 0.4, "neutral"), (UNIT, -0.5, "neutral"),
    (UNIT, 0.51, "positive"), (UNIT, -0.51, "negative"), (UNIT, 0.0, "neutral"),
    (SIMS, 0.1, "neutral"), (SIMS, 0.11, "positive"), (SIMS, -0.09, "neutral"),
    (SIMS, -0.1, "negative"), (SIMS, 0.4, "positive"),
]  # fmt: skip


def scored(score: float, scale: tuple[float, float]) -> Analysis:
    """A file and its one utterance, with a face on the right, that have a score."""
    label = label_of(score, scale)
    parts = Streams(text=score, audio=None, vision=None)
    return replace(
        analysis(
            "a.mp4",
            segment(
                "so", score, start_s=0.0, end_s=2.0, label=label, interval=None,
                contributions=parts, face=FaceChoice(0, "size", (0.5, 0.25, 0.25, 0.4)),
            ),
            overall=Overall(score, label, None, parts),
        ),
        model=ModelInfo("mini", "1" * 64, scale, "MIT"),
    )  # fmt: skip


@pytest.mark.parametrize(("scale", "score", "sign"), CASES)
def test_the_label_decides_on_a_terminal(
    scale: tuple[float, float], score: float, sign: str
) -> None:
    text = render_table(scored(score, scale), Look(colors="truecolor"))
    codes = {  # of Rich: foreground in red, green and blue
        name: "38;2;{};{};{}".format(*Color.parse(style).get_truecolor())
        for name, style in asdict(ON_TERMINAL["truecolor"]).items()
        if style
    }
    assert [name for name, code in codes.items() if code in text] == [sign] * (sign != "neutral")
    if sign != "neutral":  # the number and the label, of the utterance and of the whole
        assert text.count(codes[sign]) >= 4


@pytest.mark.parametrize(("scale", "score", "sign"), CASES)
def test_the_label_decides_on_a_page_and_in_the_index(
    scale: tuple[float, float], score: float, sign: str
) -> None:
    record = scored(score, scale).to_dict()
    body = render_html(record, link="./a.mp4").decode().split("</head>")[1]
    levels = [int(level) for level in re.findall(r'data-level="(-?\d+)"', body)]
    side = ("negative", "neutral", "positive").index(sign) - 1
    assert levels and {np.sign(level) for level in levels} == {side}
    row = index_row(record, path="a.mp4", report=None)
    assert [step[3] for step in row["curve"]] == [side]


@pytest.mark.parametrize(("scale", "score", "sign"), CASES)
def test_the_label_decides_in_the_overlay(
    scale: tuple[float, float], score: float, sign: str
) -> None:
    overlay = Overlay(
        scored(score, scale), width=640, height=360, window=Span(0.0, 4.0), fonts=Fonts()
    )
    drawn = overlay.draw(np.full((360, 640, 3), 120, np.uint8), 1.0).astype(int)
    score_panel, face, curve = np.s_[12:80, 12:310], np.s_[120:200, 318:324], np.s_[300:, :300]
    others = [label for label in ("negative", "neutral", "positive") if label != sign]
    for place in (score_panel, face, curve):
        assert has(drawn[place], color_of(sign))
        assert not any(has(drawn[place], color_of(other)) for other in others)


def has(pixels: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels - np.array(color)).max(axis=-1) < 6).any())


def test_pages_and_subtitles_have_these_colours() -> None:
    found = scored(1.6, UNIT)
    page = render_html(found.to_dict(), link="./a.mp4").decode()
    subtitles = render_vtt(found).decode()
    for sign, light in asdict(ON_LIGHT).items():
        dark = asdict(ON_DARK)[sign]
        assert page.count(f"--{sign}: ") == 1
        assert f"--{sign}: light-dark({light}, {dark});" in page
        assert f"::cue(.{sign}) {{ color: {dark}" in subtitles
