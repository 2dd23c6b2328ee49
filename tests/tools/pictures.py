"""Takes the README's pictures of the demo clip: the terminal's table and the HTML report.

python -m tests.tools.pictures (needs Chromium and its driver)
"""

import io
import os
import re
import tempfile
import time
from pathlib import Path

from PIL import Image
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from dashfusion_cli.render.html import link_to, render_html
from dashfusion_cli.render.plain import Look
from dashfusion_cli.render.table import render_table
from dashfusion_models import Analyzer
from dashfusion_models.analysis import Analysis
from tests.cli.browser import chromium, show

ROOT = Path(__file__).parents[2]
DEMO = Path("assets", "demo.mp4")
TERMINAL, REPORT = ROOT / "assets" / "terminal.svg", ROOT / "assets" / "report.png"
WIDTH, HEIGHT, COLUMNS = 1280, 880, 80
AT_S = 4.2  # a moment with a face and a word

# Rich's own form asks for a font from the network.
SVG = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def terminal(analysis: Analysis) -> str:
    """Return what the command prints, as SVG."""
    table = render_table(analysis, Look(width=COLUMNS, colors="standard"))
    console = Console(
        width=COLUMNS, record=True, file=io.StringIO(), color_system="standard", highlight=False
    )
    console.print(Text.assemble(("$ ", "bold"), f"dashfusion analyze {DEMO.as_posix()}"))
    console.print()
    console.print(Text.from_ansi(table.rstrip()))
    svg = console.export_svg(title="dashfusion", code_format=SVG, unique_id="dashfusion")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def report(analysis: Analysis) -> Image.Image:
    """Return the page as a desktop shows it, at a moment of the clip."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "demo.html")
        page.write_bytes(render_html(analysis.to_dict(), link=link_to(ROOT / DEMO, page)))
        with chromium(Path(folder, "profile")) as browser:
            show(browser, width=WIDTH, height=HEIGHT)
            browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            browser.get(page.as_uri())
            browser.execute_script(f"Player.seek({AT_S})")
            time.sleep(2)  # until the picture is decoded and the controls are gone
            shot = browser.get_screenshot_as_png()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def main() -> None:
    """Write both pictures."""
    os.chdir(ROOT)
    with Analyzer.load(offline=True) as analyzer:
        analysis = analyzer.analyze(DEMO)
    TERMINAL.write_text(terminal(analysis), "utf-8", newline="\n")
    few = report(analysis).quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(REPORT, optimize=True)


if __name__ == "__main__":
    main()
