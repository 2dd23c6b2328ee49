"""The page of a folder of results, as a file and in Chromium with a thousand rows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import html5lib
import pytest
from PIL.ImageColor import getrgb
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from dashfusion_cli.folder_pages import write_pages
from dashfusion_cli.output import OutputError
from dashfusion_cli.render.html_index import index_row
from dashfusion_cli.render.sign_colors import ON_LIGHT
from dashfusion_models.analysis import Overall, label_of
from dashfusion_models.records import Streams

from .browser import chromium, complaints, needs_chromium, requested, show
from .conftest import UNIT, analysis, segment

MEDIA = Path("clips")
COUNT = 1000


def record(name: str, score: float, **other: Any) -> dict[str, Any]:
    interval = (score - 0.5, score + 0.5)
    parts = Streams(text=score, audio=None, vision=None)
    overall = Overall(score, label_of(score, UNIT), interval, parts)
    said = segment("so", score, start_s=1.0, end_s=3.0)
    return analysis(str(MEDIA / name), said, overall=overall, **other).to_dict()


def failure(name: str, message: str) -> dict[str, Any]:
    path = str(MEDIA / name)
    error = {"kind": "media", "message": f"{path}: {message}"}
    return {"schema": "dashfusion/failure/1", "media": {"path": path}, "error": error}


def thousand() -> Iterator[dict[str, Any]]:
    """Scores that fall while names rise; every fiftieth file failed."""
    for number in range(COUNT):
        name = f"part {number % 7}/clip {number}.mp4"
        if number % 50 == 49:
            yield failure(name, "neither speech nor a face found; see what is in it")
        else:
            yield record(name, round(2.9 - 5.8 * number / COUNT, 4))


HARD_NAMES = (
    "interviews/2024-03-17_participant_0042_session_2_camera_left_take_003.mp4",
    f"{'long ' * 40}end.mp4",
    f"{'x' * 90}.mp4",
    "a/deep/folder/with/many/levels/clip.mov",
    "مقابلات/كان الفيلم رائعاً حقاً وأعجبني كثيراً.mp4",
    "访谈/这部电影真的非常好看我和我的朋友们都很喜欢.mp4",
)


def hard() -> Iterator[dict[str, Any]]:
    """Names that are hard to show, the widest of every other cell, and failures."""
    for number, name in enumerate(HARD_NAMES):
        seen = record(name, (-2.9, 0.4)[number % 2])
        seen["segments"][0]["present"]["vision"] = 1.0
        seen["media"]["duration_s"] = 36_000.0
        seen["language"]["code"] = "zh-Hant"
        yield seen
    yield failure("broken/2024-03-17_participant_0043.mp4", "cannot be decoded; " * 4)


def rows_of(page: Path) -> list[dict[str, Any]]:
    tree = html5lib.HTMLParser(strict=True).parse(page.read_text("utf-8"))
    scripts = tree.iter("{http://www.w3.org/1999/xhtml}script")
    rows = json.loads(next(s.text for s in scripts if s.get("id") == "data"))["rows"]
    assert isinstance(rows, list)
    return rows


def test_every_record_has_a_row_and_every_analysis_a_page(tmp_path: Path) -> None:
    hard = ("b/a <b> & 'x' #1?.mp4", "电影.wav", f"{'long' * 61}.mp4")
    records = [*(record(name, 0.3) for name in hard), failure("bad.mp4", "broken <off>")]
    write_pages(records, tmp_path, MEDIA, {})
    rows = rows_of(tmp_path / "index.html")
    assert [row["path"] for row in rows] == [str(Path(name)) for name in (*hard, "bad.mp4")]
    assert rows[-1] == {
        "path": "bad.mp4",
        "done": False,
        "kind": "media",
        "error": "broken <off>",
    }
    pages = [tmp_path / unquote(row["report"]) for row in rows[:-1]]
    assert sorted(pages) == sorted(p for p in (tmp_path / "reports").rglob("*") if p.is_file())
    assert pages[0] == tmp_path / "reports" / f"{hard[0]}.html"
    for page in pages:
        html5lib.HTMLParser(strict=True).parse(page.read_text("utf-8"))
    assert 'href="../../index.html"' in pages[0].read_text("utf-8")
    assert 'href="../index.html"' in pages[1].read_text("utf-8")


def test_pages_that_say_the_same_are_left_and_others_written_again(tmp_path: Path) -> None:
    write_pages([record("a.mp4", 0.3), record("b.mp4", 0.3)], tmp_path, MEDIA, {})
    first, second = (tmp_path / "reports" / name for name in ("a.mp4.html", "b.mp4.html"))
    before = first.stat().st_ino, second.stat().st_ino
    write_pages([record("a.mp4", 0.3), record("b.mp4", 0.5)], tmp_path, MEDIA, {})
    assert first.stat().st_ino == before[0] and "+0.5" in second.read_text("utf-8")
    assert [row["score"] for row in rows_of(tmp_path / "index.html")] == [0.3, 0.5]
    assert not [p for p in tmp_path.rglob(".*")]


def test_a_page_that_cannot_be_written_leaves_the_old_index(tmp_path: Path) -> None:
    write_pages([record("a.mp4", 0.3)], tmp_path, MEDIA, {})
    before = (tmp_path / "index.html").read_bytes()
    (tmp_path / "reports" / "b.mp4.html").mkdir()
    with pytest.raises((OutputError, Exception), match=r"b\.mp4\.html"):
        write_pages([record("a.mp4", 0.4), record("b.mp4", 0.4)], tmp_path, MEDIA, {})
    assert (tmp_path / "index.html").read_bytes() == before


def test_files_from_elsewhere_have_pages_too(tmp_path: Path) -> None:
    other = analysis("/other/place/c.mp4").to_dict()
    write_pages([other], tmp_path, MEDIA, {})
    (row,) = rows_of(tmp_path / "index.html")
    assert (tmp_path / row["report"]).is_file()


def test_a_long_curve_is_means_over_equal_stretches() -> None:
    many = [segment("x", float(i % 2), start_s=float(i), end_s=i + 1.0) for i in range(600)]
    row = index_row(analysis("a.mp4", *many).to_dict(), path="a.mp4", report=None)
    assert len(row["curve"]) == 60
    assert row["curve"][0] == [0.0, 10.0, 0.5, 0] and row["curve"][-1] == [590.0, 600.0, 0.5, 0]


# -- in a browser --


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_pages(thousand(), folder, MEDIA, {})
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def opened(browser: Chrome, results: Path) -> Chrome:
    show(browser, width=1280, height=860)
    requested(browser), complaints(browser)
    browser.get((results / "index.html").as_uri())
    return browser


def names(browser: Chrome) -> list[str]:
    """The files whose rows are in sight."""
    script = """
      const box = document.getElementById("window").getBoundingClientRect();
      return [...document.querySelectorAll("#rows tr:not(.space)")].filter((tr) => {
        const { top, bottom } = tr.getBoundingClientRect();
        return top >= box.top + 30 && bottom <= box.bottom;
      }).map((tr) => tr.querySelector("td").textContent);
    """
    found = browser.execute_script(script)
    assert isinstance(found, list)
    return found


def click(browser: Chrome, key: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f"[data-key={key}]").click()


@needs_chromium
def test_a_heading_sorts_both_ways(opened: Chrome) -> None:
    assert names(opened)[:3] == ["part 0/clip 0.mp4", "part 0/clip 7.mp4", "part 0/clip 14.mp4"]
    click(opened, "score")
    assert names(opened)[:3] == ["part 0/clip 0.mp4", "part 1/clip 1.mp4", "part 2/clip 2.mp4"]
    click(opened, "score")
    assert names(opened)[:2] == ["part 4/clip 998.mp4", "part 3/clip 997.mp4"]
    head = opened.find_element(By.CSS_SELECTOR, "th.score")
    assert head.get_attribute("aria-sort") == "ascending"
    opened.execute_script("document.getElementById('window').scrollTop = 1e9")
    last = f"part 6/clip {max(n for n in range(COUNT) if n % 50 == 49 and n % 7 == 6)}.mp4"
    WebDriverWait(opened, 5).until(lambda b: names(b)[-1:] == [last])  # failed ones come last


@needs_chromium
def test_only_rows_in_sight_are_made_wherever_one_scrolls(opened: Chrome) -> None:
    def made() -> int:
        return len(opened.find_elements(By.CSS_SELECTOR, "#rows tr:not(.space)"))

    height = opened.execute_script("return document.getElementById('table').offsetHeight")
    assert height == pytest.approx(48 * COUNT, abs=60)
    for place in (0, 9_000, 21_000, 44_000, 3_000):
        opened.execute_script(f"document.getElementById('window').scrollTop = {place}")
        WebDriverWait(opened, 5).until(lambda b: len(names(b)) > 6)
        assert made() < 60


@needs_chromium
def test_filters_go_together_and_can_be_cleared(opened: Chrome) -> None:
    def count() -> str:
        return opened.find_element(By.ID, "count").text

    assert count() == "1000 files"
    opened.find_element(By.ID, "failures").click()
    assert count() == "20 of 1000 files"
    shown = opened.find_element(By.CSS_SELECTOR, "tr.failed .reason").text
    assert shown == "failed: neither speech nor a face found; see what is in it"
    opened.find_element(By.ID, "text").send_keys("PART 3/")
    assert count() == f"{sum(n % 50 == 49 and n % 7 == 3 for n in range(COUNT))} of 1000 files"
    opened.find_element(By.ID, "reset").click()
    WebDriverWait(opened, 5).until(lambda _: count() == "1000 files")
    Select(opened.find_element(By.ID, "label")).select_by_visible_text("weakly positive")
    wanted = [r for r in thousand() if r.get("overall", {}).get("label") == "weakly positive"]
    WebDriverWait(opened, 5).until(lambda _: count() == f"{len(wanted)} of 1000 files")
    below = opened.find_element(By.ID, "spread-text").text
    assert below.startswith(f"{len(wanted)} scores: 0 negative, 0 neutral, {len(wanted)} pos")


@needs_chromium
def test_a_row_leads_to_the_report_and_back(opened: Chrome, results: Path) -> None:
    opened.find_element(By.CSS_SELECTOR, "#rows a").click()
    report = results / "reports" / "part 0" / "clip 0.mp4.html"
    assert opened.current_url == report.as_uri()
    opened.find_element(By.CSS_SELECTOR, ".brand a").click()
    assert opened.current_url == (results / "index.html").as_uri()


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_it_asks_for_nothing_and_stands_in_the_window(opened: Chrome, width: int) -> None:
    show(opened, width=width, height=844)
    opened.refresh()
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    asked = {url for url in requested(opened) if not url.startswith("data:")}
    assert asked == {opened.current_url}
    assert complaints(opened) == []


@pytest.fixture(scope="module")
def hard_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hard")
    write_pages(hard(), folder, MEDIA, {})
    return folder


@needs_chromium
@pytest.mark.parametrize("width", [390, 640, 768, 860, 1000, 1280])
def test_no_cell_is_cut(browser: Chrome, hard_results: Path, width: int) -> None:
    show(browser, width=width, height=1600)
    browser.get((hard_results / "index.html").as_uri())
    cut = """
      return [...document.querySelectorAll("#rows td, #rows .name, th")].filter((cell) => {
        const { width, height } = cell.getBoundingClientRect();
        return width && (cell.scrollWidth > cell.clientWidth || cell.scrollHeight > height + 1);
      }).map((cell) => cell.textContent);
    """
    assert browser.execute_script(cut) == []
    shown = "return [...document.querySelectorAll('#rows tr')].map((row) => row.innerText)"
    texts = [text for text in browser.execute_script(shown) if text]
    assert len(texts) == len(HARD_NAMES) + 1
    for text in texts:
        assert (
            "failed:" in text
            or ("\N{MINUS SIGN}2.9" in text and "strongly negative" in text)
            or ("+0.4" in text and "neutral" in text)
        )
        assert ".m" in text.splitlines()[0]
    assert ("100\u00a0%" in "".join(texts)) == (width > 860)
    box = "const box = document.getElementById('window'); return box.scrollWidth - box.clientWidth"
    assert browser.execute_script(box) == 0


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_a_screen_reader_finds_a_table(browser: Chrome, hard_results: Path, width: int) -> None:
    show(browser, width=width, height=1600)
    browser.get((hard_results / "index.html").as_uri())
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    names: dict[str, list[str]] = {}
    for role, name in found:
        names.setdefault(role, []).append(" ".join(name.split()))
    assert len(names["table"]) == 1
    assert len(names["row"]) == len(HARD_NAMES) + 2
    minus = "\N{MINUS SIGN}"
    assert {f"strongly negative {minus}3.4 to {minus}2.4", "+0.4"} <= set(names["cell"])
    assert {"file", "score", "label"} <= {name.split()[0] for name in names["columnheader"]}
    assert HARD_NAMES[0] in names["link"]


@needs_chromium
def test_sign_colours_are_those_of_labels(browser: Chrome, hard_results: Path) -> None:
    show(browser, width=1280, height=1600)
    browser.get((hard_results / "index.html").as_uri())
    colors = browser.execute_script("""
      const color = (cell) => getComputedStyle(cell).color;
      return ["-2.9", "+0.4"].map((score) => color([...document.querySelectorAll("td.score")]
        .find((cell) => cell.textContent.replace("\u2212", "-") === score)));
    """)
    assert colors == [f"rgb{getrgb(c)}" for c in (ON_LIGHT.negative, ON_LIGHT.neutral)]
