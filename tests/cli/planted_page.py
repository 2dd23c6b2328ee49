"""Analyses to be shown as pages: hard texts, missing faces and voices, and a long one."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from dashfusion_models.analysis import Analysis, Reason, ScoredWord, Segment, label_of
from dashfusion_models.media import probe
from dashfusion_models.records import MediaInfo, Streams

from .conftest import UNIT, analysis, segment
from .planted_video import BLUE, GREEN, RED, noise, plain, write_video

HARD_TEXTS = (
    "It was </script><script>alert(1)</script> & <b>bad</b>.",
    "She said \"don't\" -- 'never' `again` {{ 7 * 7 }} {% raw %}.",
    "So good 🎉👩‍👩‍👧 très bien.",
    "كان الفيلم رائعاً حقاً!",
    "这部电影真的非常好看，我很喜欢。",  # noqa: RUF001
    "plain words at the end",
)
EACH_S = 2.0


def planted_video(path: Path, **other: Any) -> Path:
    """Twelve seconds that a browser plays: a colour every four; `other` may be another codec."""
    shots = [
        (number / 10, plain(color, width=160, height=120))
        for number, color in enumerate(c for c in (RED, GREEN, BLUE) for _ in range(40))
    ]
    sound = other.pop("sound", noise(12.0, 2))
    return write_video(path, shots, tick=Fraction(1, 10), rate=Fraction(10), sound=sound, **other)


def hard_analysis(path: Path) -> Analysis:
    """A segment of 2 s for each hard text; the second without face, the last without speech."""
    segments = []
    for number, text in enumerate(HARD_TEXTS):
        start_s, score = number * EACH_S, (-2.8, -0.7, 0.04, 0.9, 1.8, 2.6)[number]
        pieces = text.split(" ")
        tick = EACH_S / len(pieces)
        words = tuple(
            ScoredWord(
                piece, start_s + i * tick, start_s + (i + 1) * tick, 0.9, 0.5 * score / len(pieces)
            )
            for i, piece in enumerate(pieces)
        )
        segments.append(
            segment(
                text, score, start_s=start_s, end_s=start_s + EACH_S, words=words,
                interval=(score - 0.75, score + 0.5), label=label_of(score, UNIT),
                base=0.5 * score - 0.11,
                contributions=Streams(text=0.5 * score, audio=-0.2, vision=0.31),
                alone=Streams(text=0.8 * score, audio=-0.6, vision=0.4),
            )
        )  # fmt: skip
    segments[1] = _without(segments[1], "no_face")
    segments[-1] = _without(segments[-1], "no_speech")
    found = analysis(str(path), *segments, warnings=("it <i>broke</i> off & \"went\" 'on'",))
    return replace(found, media=probe(path) if path.exists() else found.media)


def _without(said: Segment, reason: Reason) -> Segment:
    if reason == "no_face":
        parts, alone = (replace(x, vision=None) for x in (said.contributions, said.alone))
        return replace(said, contributions=parts, alone=alone, reasons=(reason,))
    parts, alone = (replace(x, text=None, audio=None) for x in (said.contributions, said.alone))
    return replace(said, text=None, words=(), contributions=parts, alone=alone, reasons=(reason,))


def long_analysis(path: Path, count: int = 120) -> Analysis:
    """Ten minutes of talk: a score that swings, a stretch without face, one without anything."""
    lines = (
        "I did not expect to enjoy it as much as I did, but here we are.",
        "The second half drags.",
        "Honestly, the ending was wonderful and I would watch it again tomorrow.",
        "Hm.",
        "They should never have let him write the music for this, it is too loud everywhere.",
    )
    each = 600.0 / count
    segments = []
    for i in range(count):
        if 60 <= i < 64:
            continue  # nothing at all
        score = round(2.4 * math.sin(i / 9) * math.cos(i / 31) + 0.3 * math.sin(i * 2.3), 4)
        start_s = i * each + 0.2
        said = segment(
            lines[i % len(lines)], score, start_s=start_s, end_s=start_s + each * 0.9,
            interval=(round(max(-3.0, score - 0.9), 4), round(min(3.0, score + 1.1), 4)),
            label=label_of(score, UNIT),
            contributions=Streams(
                text=round(0.8 * score, 4), audio=round(0.3 * math.cos(i / 5), 4),
                vision=round(0.5 * math.sin(i / 7), 4),
            ),
            alone=Streams(
                text=round(0.9 * score, 4), audio=round(0.8 * math.cos(i / 5), 4),
                vision=round(1.1 * math.sin(i / 7), 4),
            ),
            present=Streams(text=0.9, audio=0.95, vision=0.8),
        )  # fmt: skip
        if 30 <= i < 38:
            said = _without(said, "no_face")
        if i in (80, 81, 97):
            said = _without(said, "no_speech")
        segments.append(said)
    media = MediaInfo(path, "0" * 64, 600.0, True, True, False, 640, 360, 25.0)
    warnings = ("no sound in the file from 300.0 to 318.5 s",)
    return replace(analysis(str(path), *segments), media=media, warnings=warnings)
