"""The page of an analysis as a file: valid, whole, safe, and true to the JSON."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest

import dashfusion_cli
from dashfusion_cli.render.html import link_to, render_html
from dashfusion_cli.render.page_view import level_of
from dashfusion_cli.render.wording import EXPLAINED
from dashfusion_models.analysis import ModelInfo, Run, ScoredWord, label_of
from dashfusion_models.media import probe
from dashfusion_models.records import MediaInfo, Streams

from .conftest import FakeRoad, Result, analysis, segment
from .planted_page import HARD_TEXTS, hard_analysis, long_analysis, planted_video

Command = Callable[..., Result]
VENDOR = Path(dashfusion_cli.__file__).parent / "vendor"
NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def page_of(found: object, **other: object) -> str:
    body = found.to_dict()  # type: ignore[attr-defined]
    return render_html(body, link="./clip.mp4", **other).decode("utf-8")  # type: ignore[arg-type]


def parsed(page: str):  # type: ignore[no-untyped-def]
    """The tree that a browser builds; an error where the page is no valid HTML."""
    return html5lib.HTMLParser(strict=True).parse(page)


def scripts(page: str) -> list[tuple[dict[str, str], str]]:
    return [(s.attrib, s.text or "") for s in parsed(page).iter(f"{NAMESPACE}script")]


@pytest.mark.parametrize("kind", ["hard", "long", "silent", "sims"])
def test_the_page_is_valid_html_and_small(kind: str) -> None:
    found = {
        "hard": hard_analysis(Path("clip.mp4")),
        "long": long_analysis(Path("clip.mp4")),
        "silent": analysis("a.wav", segment(None, 0.0, interval=None), language=None, asr=None),
        "sims": replace(
            analysis("b.mp4", segment("好", -0.4, interval=(-0.6, 0.1))),
            model=ModelInfo("sims", "2" * 64, (-1.0, 1.0), "MIT"),
        ),
    }[kind]
    page = page_of(found)
    parsed(page)
    assert len(page.encode()) < 400_000


def test_the_json_inside_is_that_of_the_format_json() -> None:
    found = hard_analysis(Path("clip.mp4"))
    inside = [text for at, text in scripts(page_of(found)) if at.get("id") == "analysis"]
    assert len(inside) == 1 and "<" not in inside[0]
    assert json.loads(inside[0]) == json.loads(json.dumps(found.to_dict()))


def test_texts_come_through_unharmed() -> None:
    page = page_of(hard_analysis(Path("clip.mp4")))
    tree = parsed(page)
    shown = ["".join(p.itertext()) for p in tree.iter(f"{NAMESPACE}p") if p.get("class") == "words"]
    assert shown == list(HARD_TEXTS[:-1])
    assert all(
        p.get("dir") == "auto" for p in tree.iter(f"{NAMESPACE}p") if p.get("class") == "words"
    )
    assert "alert(1)" not in [text for _, text in scripts(page)]
    warnings = ["".join(li.itertext()) for li in tree.iter(f"{NAMESPACE}li") if li.get("dir")]
    assert warnings == ["it <i>broke</i> off & \"went\" 'on'"]


def test_words_have_their_times() -> None:
    found = hard_analysis(Path("clip.mp4"))
    tree = parsed(page_of(found))
    timed = [
        (s.text, float(s.get("data-t"))) for s in tree.iter(f"{NAMESPACE}span") if s.get("data-t")
    ]
    wanted = [(w.text, round(w.start_s, 2)) for s in found.segments for w in s.words]
    assert timed == wanted


def test_words_that_are_not_those_of_the_text_leave_it_whole() -> None:
    found = hard_analysis(Path("clip.mp4"))
    other = replace(found.segments[0], text="translated words")
    page = page_of(replace(found, segments=(other, *found.segments[1:])))
    assert '<p class="words" dir="auto">translated words</p>' in page


def test_words_are_tinted_by_what_they_contributed() -> None:
    parts = {"I": None, "loved": 0.9, "every": 0.04, "boring": -0.6, "bit.": -0.3}
    words = tuple(ScoredWord(word, None, None, None, part) for word, part in parts.items())
    said = segment("I loved every boring bit.", 1.0, words=words, context_contribution=0.4)
    tree = parsed(page_of(analysis("clip.mp4", said)))
    tints = {
        s.text: (s.get("data-tint"), s.get("title"))
        for s in tree.iter(f"{NAMESPACE}span")
        if s.get("data-tint")
    }
    minus = "\N{MINUS SIGN}"
    assert tints == {
        "loved": ("3", "+0.9"), "boring": ("-2", f"{minus}0.6"), "bit.": ("-1", f"{minus}0.3"),
    }  # fmt: skip
    assert "of the words, what was said before: +0.4" in seen(tree)


def seen(tree: Element) -> str:
    return " ".join("".join(tree.itertext()).split())


def test_what_was_there_and_hardly_counted_is_named() -> None:
    said = segment(contributions=Streams(text=1.2, audio=-0.3, vision=0.04))
    heard = segment(contributions=Streams(text=1.2, audio=0.01, vision=None))
    page = page_of(analysis("clip.mp4", said, heard))
    assert page.count("face seen, moved the score by 0.0") == 1
    assert page.count("voice heard, moved the score by 0.0") == 1
    assert "words read, moved" not in page


def test_the_page_says_what_its_numbers_mean() -> None:
    shown = seen(parsed(page_of(hard_analysis(Path("clip.mp4")))))
    for name, meaning in EXPLAINED.items():
        assert name in shown and meaning in shown
    minus = "\N{MINUS SIGN}"
    assert f"neutral {minus}0.5 to +0.5, weakly positive +0.5 to +1.5" in shown
    assert f"base {minus}0.0" not in shown
    assert "base 0.0, words +0.7, voice +0.1, face +0.1 make +0.8" in shown
    assert "alone +1.2" in shown and f"alone {minus}0.8" in shown


def test_results_of_older_versions_have_their_page() -> None:
    """Their contributions are the score minus the score without: they add up to nothing."""
    body = hard_analysis(Path("clip.mp4")).to_dict()
    for scored in (body["overall"], *body["segments"]):
        for new in ("base", "alone", "words", "context_contribution"):
            scored.pop(new, None)
    page = render_html(body, link="./clip.mp4").decode("utf-8")
    shown = seen(parsed(page))
    assert "the score minus the score without it" in shown
    assert " make " not in shown and "moved the score by" not in shown
    assert 'class="alone"' not in page


def test_only_what_is_not_neutral_is_a_strong_moment() -> None:
    parts = [segment(f"number {i}", score) for i, score in enumerate((0.2, 0.49, -0.4, 0.9))]
    page = page_of(analysis("clip.mp4", *parts))
    moments = page.split('id="moments-title"')[1].split("</section>")[0]
    assert "number 3" in moments
    assert not any(f"number {i}" in moments for i in (0, 1, 2))


def test_the_policy_allows_what_is_inside_and_nothing_else() -> None:
    page = page_of(hard_analysis(Path("clip.mp4")))
    tree = parsed(page)
    policy = next(
        m.get("content") for m in tree.iter(f"{NAMESPACE}meta")
        if m.get("http-equiv") == "Content-Security-Policy"
    )  # fmt: skip
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy and "http" not in policy

    def hashes(tag: str) -> set[str]:
        texts = [e.text for e in tree.iter(f"{NAMESPACE}{tag}") if "json" not in e.get("type", "")]
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        return {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}

    assert set(rules["script-src"].split()) == hashes("script")
    assert set(rules["style-src"].split()) == hashes("style")
    assert not re.search(r"<[^>]+ (style|on\w+)=", page.split("</head>")[1].split("<script")[0])


def test_levels_go_with_label_and_strength() -> None:
    def level(score: float, scale: tuple[float, float]) -> int:
        return level_of(score, label_of(score, scale), scale)

    unit = (-3.0, 3.0)
    scores = (-3.0, -1.5, -0.6, -0.5, -0.1, 0.0, 0.1, 0.5, 0.6, 3.0)
    assert [level(s, unit) for s in scores] == [-6, -3, -1, 0, 0, 0, 0, 0, 1, 6]
    sims = (-1.0, 1.0)
    assert [level(s, sims) for s in (-0.5, 0.05, 0.1, 0.12, 0.7)] == [-3, 0, 0, 1, 4]
    assert level(0.7, (0.0, 1.0)) == 4


def test_moments_and_gaps_are_those_planted() -> None:
    page = page_of(hard_analysis(Path("clip.mp4")))
    moments = re.findall(r'class="moment" data-sentence="(\d)"', page)
    assert moments == ["5", "4", "3", "0", "1"]
    assert re.findall(r'data-seek="([\d.]+)"', page) == ["2.0", "10.0"]
    long = page_of(long_analysis(Path("clip.mp4")))
    seeks = [float(s) for s in re.findall(r'data-seek="([\d.]+)"', long)]
    assert seeks == pytest.approx([150.2, 400.2, 485.2, 299.7])  # face, speech twice, nothing


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("clip.mp4", "./clip.mp4"),
        ("a b/100%#1?.mp4", "./a%20b/100%25%231%3F.mp4"),
        ("../up/javascript:x.mp4", "../up/javascript%3Ax.mp4"),
        ("电影.mp4", "./%E7%94%B5%E5%BD%B1.mp4"),
    ],
)
def test_the_link_to_the_media_is_relative(tmp_path: Path, name: str, link: str) -> None:
    page = tmp_path / "page.html"
    assert link_to(tmp_path / name, page) == link
    os.chdir(tmp_path)
    assert link_to(Path(name), None) == link


def test_a_name_that_is_no_unicode_is_linked_and_shown() -> None:
    name = os.fsdecode(b"f\xfcr.mp4")
    assert link_to(Path(name), None) == "./f%FCr.mp4"
    parsed(page_of(analysis(name)))


def test_the_command_writes_a_page(command: Command, road: FakeRoad, clip: Path) -> None:
    out = clip.with_name("page.html")
    result = command(
        "analyze", clip, "--format", "html", "-o", out, "--segments", "4", "--translate",
        "--without", "audio", "--without", "vision",
    )  # fmt: skip
    assert (result.code, result.out) == (0, "")
    page = out.read_text("utf-8")
    assert 'src="./clip.mp4"' in page
    assert "--translate, --segments 4, --without audio vision" in page


def test_a_page_goes_with_one_file(command: Command, road: FakeRoad, clip: Path) -> None:
    result = command("analyze", clip, clip, "--format", "html")
    assert result.code == 2 and "one MEDIA" in result.err
    result = command("analyze", clip, "--embed-video")
    assert result.code == 2 and "--format html" in result.err


def test_the_vendored_files_are_those_named() -> None:
    folder = VENDOR / "uplot"
    notice = (folder / "NOTICE").read_text("utf-8")
    for name, digest in re.findall(r"SHA-256 of (\S+): ([0-9a-f]{64})", notice):
        text = (folder / name).read_bytes().replace(b"\r\n", b"\n")
        assert hashlib.sha256(text).hexdigest() == digest
    assert "MIT" in (folder / "LICENSE").read_text("utf-8")


def test_a_picture_has_no_curve_and_no_transcript() -> None:
    seen = segment(None, 0.8, start_s=0.0, end_s=0.0, interval=(-0.2, 1.9), reasons=("no_speech",))
    media = MediaInfo(Path("a.jpg"), "0" * 64, 0.0, False, True, True, 64, 48, None)
    found = replace(analysis("a.jpg", seen), media=media, asr=None, language=None)
    page = page_of(found)
    body = page.split("<script")[0]
    parsed(page)
    assert '<img id="picture"' in body and "80 % interval −0.2 to +1.9" in body  # noqa: RUF001
    assert not re.search(r"Transcript|Strongest|id=.curve", body)


def test_the_page_says_which_score_to_report() -> None:
    told = "the score to report for a clip: the mean of its utterances by their length"
    several = page_of(analysis("a.mp4", segment("so", 0.4), segment("bad", -0.6)))
    assert told in several.split("<script")[0]
    assert told not in page_of(analysis("a.mp4", segment("so", 0.4)))


def test_what_is_neutral_is_no_strong_moment() -> None:
    scores = (-0.04, -0.5, -0.6, 0.4, 0.7)
    found = analysis("a.mp4", *(segment("so", score) for score in scores))
    assert re.findall(r'class="moment" data-sentence="(\d)"', page_of(found)) == ["4", "2"]


def test_the_command_puts_a_small_copy_inside(
    command: Command, road: FakeRoad, tmp_path: Path
) -> None:
    video = planted_video(tmp_path / "a.mp4")
    road.answer = hard_analysis
    out = tmp_path / "page.html"
    arguments = ("analyze", video, "--format", "html", "--embed-video", "--start", "2", "-o", out)
    assert command(*arguments).code == 0
    (inside,) = [s for s in scripts(out.read_text("utf-8")) if s[0].get("id") == "preview"]
    assert (inside[0]["data-kind"], float(inside[0]["data-start"])) == ("video/mp4", 2.0)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(base64.b64decode(inside[1]))
    assert probe(copy).duration_s == pytest.approx(10.0, abs=0.2)
    assert 'src="./a.mp4"' not in out.read_text("utf-8")


def test_the_command_for_a_copy_inside_makes_the_same_page() -> None:
    command = "dashfusion analyze clip.mp4 --format html --embed-video --output page.html"
    plain = page_of(analysis())
    assert command in plain and "to the command that made this page" not in plain
    other = page_of(analysis(), settings={"--segments": "whole"})
    assert command not in other and "to the command that made this page" in other
    of_folder = page_of(analysis(), settings={"--segments": "whole"}, index="index.html")
    assert command not in of_folder and "with the options of this page" in of_folder


def test_a_page_names_the_transcript_that_was_given() -> None:
    run = Run(transcript=Path("words") / "clip.srt", transcript_sha256="2" * 64)
    assert "transcript clip.srt" in page_of(analysis(asr=None, run=run))
    assert "not recognised" in page_of(analysis(asr=None))
