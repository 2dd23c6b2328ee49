"""The pages of a folder of results: `index.html`, and `reports/NAME.html` for each file."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from dashfusion_cli.output import Output, OutputError
from dashfusion_cli.render.html import link_to, render_html
from dashfusion_cli.render.html_index import index_row, render_index

__all__ = ["write_pages"]

INDEX = "index.html"
REPORTS = "reports"
_LONGEST_NAME = 240  # bytes, with which every file system has room for an ending


def write_pages(
    records: Iterable[Mapping[str, Any]],
    results: Path,
    media: Path,
    settings: Mapping[str, str],
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a page for each record and the index of them, each whole or not at all.

    A page that says the same already is left as it is.

    Args:
        records: lines of results.
        results: the folder to write to.
        media: the folder that was analysed.
        settings: what was asked for beside the defaults, by the name of the option.
        report: is told how many records are done.

    Raises:
        OutputError: the disk is full, or the place cannot be written.
    """
    rows, model, version = [], "", ""
    for done, record in enumerate(records):
        report(done)
        path = Path(record["media"]["path"])
        below = _below(path, media)
        if "error" in record:
            rows.append(index_row(record, path=str(below), report=None))
            continue
        page = _page_of(below)
        back = "/".join([*[".."] * (len(page.parts) - 1), INDEX])
        target = results / page
        _write(
            target,
            render_html(record, link=link_to(path, target), settings=settings, index=back),
        )
        link = "/".join(quote(os.fsencode(part), safe="") for part in page.parts)
        rows.append(index_row(record, path=str(below), report=link))
        model = f"{record['model']['name']} ({record['model']['license']})"
        version = record["tool"]["version"]
    name = media.absolute().name or str(media)
    _write(results / INDEX, render_index(rows, name=name, model=model, version=version))


def _below(path: Path, folder: Path) -> PurePath:
    """Return how a file is called below its folder; whole, where it lies elsewhere."""
    try:
        return path.relative_to(folder)
    except ValueError:
        return path


def _page_of(below: PurePath) -> PurePath:
    """Return where the page of a file is, below the folder of results."""
    is_plain = not below.is_absolute() and ".." not in below.parts
    if is_plain and len(os.fsencode(below.name)) <= _LONGEST_NAME:
        return PurePath(REPORTS, below.parent, f"{below.name}.html")
    digest = hashlib.sha256(os.fsencode(below)).hexdigest()[:16]
    return PurePath(REPORTS, f"{digest}{below.suffix[:20]}.html")


def _write(target: Path, page: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.read_bytes() == page:
            return
    except OSError as error:
        fact = f"cannot be written ({error.strerror})"
        raise OutputError(f"{target}: {fact}; choose another place") from error
    with Output(target, force=True) as out:
        out.write(page)
