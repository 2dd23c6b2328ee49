"""The page of an analysis in Chromium: what is clicked and pressed moves media, curve and text."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from av import VideoStream
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from dashfusion_cli.render.html import Preview, link_to, render_html
from dashfusion_models.analysis import Analysis
from dashfusion_models.media import small_copy

from .browser import chromium, complaints, needs_chromium, requested, show
from .planted_page import HARD_TEXTS, hard_analysis, long_analysis, planted_video

pytestmark = needs_chromium

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 860}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_video(tmp_path_factory.mktemp("media") / "a clip #1.mp4")


@pytest.fixture
def opened(browser: Chrome, video: Path) -> Chrome:
    """The page of the planted video, ready to play."""
    show(browser, **DESKTOP)
    found = hard_analysis(video)
    page = video.with_name("page.html")
    open_page(browser, page, found, link_to(video, page))
    WebDriverWait(browser, 10).until(
        lambda b: js(b, "document.querySelector('#media').readyState") > 0
    )
    return browser


def open_page(browser: Chrome, page: Path, found: Analysis, link: str, **other: Any) -> None:
    page.write_bytes(render_html(found.to_dict(), link=link, **other))
    requested(browser), complaints(browser)
    browser.get(page.as_uri())


def js(browser: Chrome, expression: str) -> Any:
    return browser.execute_script(f"return {expression}")


def playing_s(browser: Chrome) -> float:
    return float(js(browser, "document.querySelector('#media').currentTime"))


def press(browser: Chrome, key: str) -> None:
    ActionChains(browser).send_keys(key).perform()


def current_sentence(browser: Chrome) -> str | None:
    found = browser.find_elements(By.CSS_SELECTOR, ".sentence[aria-current]")
    return found[0].get_attribute("data-sentence") if found else None


def test_it_asks_for_the_media_and_nothing_else(opened: Chrome, video: Path) -> None:
    asked = [url for url in requested(opened) if not url.startswith("data:")]
    assert set(asked) == {video.with_name("page.html").as_uri(), video.as_uri().replace("#", "%23")}
    assert complaints(opened) == []


def test_the_curve_has_the_values_of_the_json(opened: Chrome, video: Path) -> None:
    body = hard_analysis(video).to_dict()["segments"]
    plots = js(
        opened, "document.getElementById('curve').plots.map((p) => p.data.map((d) => [...d]))"
    )
    x, upper, lower, score, *by_sign = plots[0]
    assert score[0::3] == score[1::3] == [s["score"] for s in body]
    assert score[2::3] == [None] * len(body)
    for drawn, sign in zip(by_sign, ["negative", "neutral", "positive"], strict=True):
        assert (
            drawn[0::3]
            == drawn[1::3]
            == [s["score"] if s["label"].endswith(sign) else None for s in body]
        )
    assert x[0::3] == [s["start_s"] for s in body] and x[1::3] == [s["end_s"] for s in body]
    assert list(zip(lower[::3], upper[::3], strict=True)) == [tuple(s["interval"]) for s in body]
    for plot, name in zip(plots[1:], ["text", "audio", "vision"], strict=True):
        sides = [
            next((v for v in of if v is not None), None)
            for of in zip(*(side[::3] for side in plot[1:]), strict=True)
        ]
        assert sides == [s["alone"][name] for s in body]
        neutral = [v for v in plot[2] if v is not None]
        assert all(abs(v) <= 0.5 for v in neutral)  # what is labelled neutral is drawn so
        assert all(abs(v) > 0.5 for side in (plot[1], plot[3]) for v in side if v is not None)


def test_a_click_on_a_sentence_seeks(opened: Chrome) -> None:
    opened.find_element(By.CSS_SELECTOR, ".time[data-sentence='4']").click()
    assert playing_s(opened) == pytest.approx(8.0)
    assert current_sentence(opened) == "4"


def test_a_click_on_a_word_seeks(opened: Chrome) -> None:
    words = opened.find_elements(By.CSS_SELECTOR, ".words span")
    next(word for word in words if word.text == "très").click()
    assert playing_s(opened) == pytest.approx(4.0 + 2.0 * 3 / 5, abs=0.02)
    assert js(opened, "document.querySelector('.now').textContent") == "très"


def test_a_click_on_the_curve_seeks(opened: Chrome) -> None:
    over = opened.find_element(By.CSS_SELECTOR, "#curve .u-over")
    ActionChains(opened).move_to_element_with_offset(
        over, over.size["width"] // 4, 20
    ).click().perform()
    assert playing_s(opened) == pytest.approx(9.0, abs=0.1)
    head = js(
        opened, "new DOMMatrix(getComputedStyle(document.querySelector('.playhead')).transform).e"
    )
    assert head == pytest.approx(over.size["width"] * 0.75, abs=2)


def test_moments_and_gaps_seek(opened: Chrome) -> None:
    opened.find_element(By.CSS_SELECTOR, ".moment").click()
    assert playing_s(opened) == pytest.approx(10.0)
    opened.find_element(By.CSS_SELECTOR, ".gaps [data-seek]").click()
    assert playing_s(opened) == pytest.approx(2.0)


def test_the_keyboard_works(opened: Chrome) -> None:
    seen = []
    for key in (Keys.ARROW_RIGHT, "j", "j", "k", Keys.ARROW_LEFT):
        press(opened, key)
        seen.append(round(playing_s(opened), 2))
    assert seen == [5.0, 6.0, 8.0, 6.0, 1.0]
    assert js(opened, "document.activeElement.dataset.sentence") == "3"
    outline = js(opened, "getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    press(opened, " ")
    WebDriverWait(opened, 10).until(lambda b: playing_s(b) > 2.1)
    assert current_sentence(opened) == "1"  # it ran along
    press(opened, " ")
    assert js(opened, "document.querySelector('#media').paused")


def test_a_drag_zooms_and_a_button_shows_all(opened: Chrome) -> None:
    over = opened.find_element(By.CSS_SELECTOR, "#curve .u-over")
    width = over.size["width"]
    actions = ActionChains(opened).move_to_element_with_offset(over, -width // 4, 0)
    actions.click_and_hold().move_by_offset(width // 2, 0).release().perform()
    spans = js(
        opened,
        "document.getElementById('curve').plots.map((p) => [p.scales.x.min, p.scales.x.max])",
    )
    for low, high in spans:
        assert (low, high) == (pytest.approx(3.0, abs=0.2), pytest.approx(9.0, abs=0.2))
    assert playing_s(opened) == 0  # a drag is no click
    opened.find_element(By.ID, "zoom-out").click()
    spans = js(
        opened,
        "document.getElementById('curve').plots.map((p) => [p.scales.x.min, p.scales.x.max])",
    )
    assert all(span == [0, pytest.approx(12.0, abs=0.1)] for span in spans)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_nothing_stands_out_of_the_page(
    browser: Chrome, tmp_path: Path, size: dict[str, int]
) -> None:
    show(browser, **size)
    for number, found in enumerate(
        (hard_analysis(Path("gone.mp4")), long_analysis(Path("gone.mp4")))
    ):
        open_page(browser, tmp_path / f"{number}.html", found, "./gone.mp4")
        assert js(browser, "document.documentElement.scrollWidth") <= size["width"]


def test_media_that_is_gone_is_told_and_the_page_still_works(
    browser: Chrome, tmp_path: Path
) -> None:
    show(browser, **DESKTOP)
    open_page(browser, tmp_path / "page.html", hard_analysis(Path("gone.mp4")), "./gone.mp4")
    WebDriverWait(browser, 10).until(
        lambda b: not js(b, "document.getElementById('unplayable').hidden")
    )
    press(browser, "j")
    press(browser, "j")
    assert current_sentence(browser) == "2"


def _of_video(**values: object) -> Callable[[VideoStream], None]:
    def setup(stream: VideoStream) -> None:
        for name, value in values.items():
            setattr(stream.codec_context, name, value)

    return setup


# In a file with sound Chromium plays that over black and reports no error.
HEVC = {
    "codec": "libx265",
    "options": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "setup": _of_video(codec_tag="hvc1"),
}
PRORES = {"codec": "prores_ks", "options": {}, "setup": _of_video(pix_fmt="yuv422p10le")}
MPEG4 = {"codec": "mpeg4", "options": {}}
UNKNOWN = [
    ("hevc.mp4", HEVC, "pictures"),
    ("silent.mp4", {**HEVC, "sound": None}, "all"),
    ("prores.mov", PRORES, "pictures"),
    ("part 2's.mp4", MPEG4, "pictures"),
    ("old.avi", MPEG4, "all"),
    ("known.mkv", {}, None),
    ("known.mp4", {}, None),
]


def notice(browser: Chrome) -> str | None:
    """What the page says of media that do not play; None where it says nothing."""
    found = browser.find_element(By.ID, "unplayable")
    return found.text if found.is_displayed() else None


@pytest.mark.parametrize(("name", "made", "lost"), UNKNOWN)
def test_a_codec_that_the_browser_does_not_know_is_told(
    browser: Chrome, tmp_path: Path, name: str, made: dict[str, Any], lost: str | None
) -> None:
    path = planted_video(tmp_path / name, **made)
    page, found = tmp_path / "page.html", hard_analysis(path)
    show(browser, **PHONE)
    open_page(browser, page, found, link_to(path, page))
    ended = (
        "const m = document.querySelector('#media'); return m.error !== null || m.readyState > 2"
    )
    WebDriverWait(browser, 10).until(lambda b: b.execute_script(ended))
    text = notice(browser)
    if lost is None:
        assert text is None
        return
    assert text is not None
    wanted = {"all": "cannot play", "pictures": "plays the sound of"}
    assert [why for why, words in wanted.items() if words in text] == [lost]
    assert name in text
    offered = shlex.split(browser.find_element(By.CSS_SELECTOR, "#unplayable code").text)
    command = ["dashfusion", "analyze", str(path), "--format", "html", "--embed-video"]
    assert offered == [*command, "--output", "page.html"]
    assert js(browser, "document.documentElement.scrollWidth") <= PHONE["width"]
    live = browser.find_element(By.ID, "unplayable")
    assert live.aria_role == "status"  # is read aloud when it appears
    preview = Preview(small_copy(path), "video/mp4")
    open_page(browser, page, found, link_to(path, page), preview=preview)
    WebDriverWait(browser, 10).until(lambda b: js(b, "document.querySelector('#media').videoWidth"))
    assert notice(browser) is None


def test_a_press_of_play_that_is_not_heard_out_is_no_fault(opened: Chrome) -> None:
    opened.execute_script("Player.toggle(); document.querySelector('#media').load()")
    WebDriverWait(opened, 10).until(lambda b: js(b, "document.querySelector('#media').readyState"))
    assert notice(opened) is None


def test_a_copy_inside_plays_without_the_file(browser: Chrome, video: Path, tmp_path: Path) -> None:
    preview = Preview(small_copy(video, start_s=2.0), "video/mp4", 2.0)
    open_page(browser, tmp_path / "p.html", hard_analysis(video), "./gone.mp4", preview=preview)
    WebDriverWait(browser, 10).until(
        lambda b: js(b, "document.querySelector('#media').readyState") > 0
    )
    assert js(browser, "document.querySelector('#media').duration") == pytest.approx(10.0, abs=0.2)
    browser.find_element(By.CSS_SELECTOR, ".time[data-sentence='4']").click()
    assert playing_s(browser) == pytest.approx(6.0)  # of the copy, which begins at 2 s
    assert current_sentence(browser) == "4"
    assert [url for url in requested(browser) if url.startswith(("http", "file"))] == [
        (tmp_path / "p.html").as_uri()
    ]
    assert complaints(browser) == []


def test_colours_are_those_of_the_system_until_chosen(opened: Chrome) -> None:
    def paper() -> str:
        return str(js(opened, "getComputedStyle(document.body).backgroundColor"))

    bright = paper()
    show(opened, **DESKTOP, dark=True)
    dark = paper()
    assert dark != bright
    opened.find_element(By.CSS_SELECTOR, ".themes label:nth-of-type(2)").click()
    assert paper() == bright
    opened.find_element(By.CSS_SELECTOR, ".themes label:nth-of-type(1)").click()
    assert paper() == dark


def test_texts_are_shown_as_they_are(opened: Chrome) -> None:
    shown = js(opened, "[...document.querySelectorAll('.words')].map((w) => w.textContent)")
    assert shown == list(HARD_TEXTS[:-1])
    directions = js(
        opened, "[...document.querySelectorAll('.words')].map((w) => getComputedStyle(w).direction)"
    )
    assert directions == ["ltr", "ltr", "ltr", "rtl", "ltr"]
