import pytest
from rich.cells import cell_len

from dashfusion_cli.render.plain import ColorSystem, Look
from dashfusion_cli.render.table import render_table
from dashfusion_models.analysis import ModelInfo, Overall, ScoredWord
from dashfusion_models.records import Streams

from .conftest import analysis, segment

LONG = "the most boring thing that I have ever had to sit through " * 6
NONE = Streams(text=None, audio=None, vision=None)


def test_scores_labels_and_reasons_are_shown() -> None:
    text = render_table(
        analysis(
            "clip.mp4",
            segment("I really liked it.", 1.6),
            segment(None, -2.5, interval=None, contributions=NONE, reasons=("no_speech", "short")),
        ),
        Look(width=100),
    )
    liked, faced = text.index("I really liked it."), text.index("(nobody speaks)")
    assert "+1.6 ······│███···  positive" in text[liked:faced]
    assert "+0.5 to +2.6" in text[liked:faced]
    assert "words +1.2, voice +0.3" in text[liked:faced]
    assert "words +1.2, voice -0.8, face -1.5" in text
    assert "of the words" not in text
    assert "-2.5 ·█████│······  negative" in text[faced:]
    assert "(no speech, short)" in text[faced:]
    assert "clip.mp4 · 0:12.4 · en (98%) · dashfusion-mini" in text
    row = next(line for line in text.splitlines() if "the whole clip" in line)
    assert row.split()[:4] == ["all", "the", "whole", "clip"]


def test_details_are_the_sum_and_the_strongest_words() -> None:
    parts = {"I": 0.1, "really": 0.35, "liked": 0.9, "it.": -0.25, "so": 0.0}
    words = tuple(ScoredWord(word, None, None, None, part) for word, part in parts.items())
    said = segment("I really liked it. so", words=words, context_contribution=-0.2)
    text = render_table(analysis("clip.mp4", said), Look(width=120), details=True)
    assert "base +0.4, words +1.1, voice +0.1 make +1.6" in text
    assert "of the words: liked +0.9, really +0.3, it. -0.2, said before -0.2" in text


@pytest.mark.parametrize(
    ("score", "bar"),
    [
        (3.0, "······│██████"),
        (0.25, "······│▌·····"),
        (0.0, "······│······"),
        (-0.25, "·····▐│······"),
        (-1.5, "···███│······"),
        (-3.0, "██████│······"),
    ],
)
def test_the_bar_grows_from_the_centre(score: float, bar: str) -> None:
    assert f" {bar} " in render_table(analysis("a", segment("x", score)), Look())


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize(
    "words", [LONG, "这部电影真的非常好看我和我的朋友们都很喜欢" * 5, "x" * 300]
)
def test_no_line_is_wider_than_the_place(width: int, words: str) -> None:
    text = render_table(analysis("clip.mp4", segment(words)), Look(width=width), timing=True)
    assert max(map(cell_len, text.splitlines())) <= width
    kept = "".join(line for line in text if not line.isspace())
    assert sum(kept.count(c) for c in words[:1]) >= words.count(words[0])


def test_plain_text_has_no_colour_and_a_terminal_has() -> None:
    assert "\x1b" not in render_table(analysis(), Look())
    assert "\x1b[" in render_table(analysis(), Look(colors="truecolor"))


def test_words_cannot_steer_the_terminal() -> None:
    evil = analysis("a\x1b]0;title\x07.mp4", segment("red \x1b[31m alert\r\n"))
    text = render_table(evil, Look())
    assert not {"\x1b", "\x07", "\r"} & set(text)


def test_ascii_terminals_get_ascii() -> None:
    text = render_table(analysis("é.mp4", segment("好")), Look(ascii_only=True), timing=True)
    assert text.isascii()


def test_a_scale_of_one_shows_two_decimals() -> None:
    model = ModelInfo("sims", "1" * 64, (-1.0, 1.0), "MIT")
    overall = Overall(-0.4, "weakly negative", None, NONE)
    text = render_table(
        analysis("a", segment("x", 0.75, interval=None), model=model, overall=overall), Look()
    )
    assert "+0.75 ······│████▌·" in text
    assert "-1    0    +1" in text


@pytest.mark.parametrize(
    ("colors", "positive", "negative"),
    [("standard", "94", "91"), ("256", "38;5;63", "38;5;130"),
     ("truecolor", "38;2;0;114;236", "38;2;184;92;0")],
)  # fmt: skip
def test_each_terminal_gets_colours_that_it_has(
    colors: ColorSystem, positive: str, negative: str
) -> None:
    overall = Overall(0.4, "neutral", (-0.2, 1.9), NONE)
    for score, code in ((1.6, positive), (-1.6, negative), (0.4, None)):
        text = render_table(
            analysis("a", segment("x", score), overall=overall), Look(colors=colors)
        )
        assert [c for c in (positive, negative) if f"{c}m" in text] == ([code] if code else [])
        assert f"{score:+.1f}" in text
