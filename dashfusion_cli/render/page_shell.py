"""One HTML file that needs no other: style, script and data inside, and a policy that says so."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dashfusion_cli.render.sign_colors import ON_DARK, ON_LIGHT

__all__ = ["fill_page", "json_inside"]

_UPLOT = ("vendor", "uplot")


def fill_page(
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    media: str,
    charts: bool,
    **values: Any,
) -> bytes:
    """Return a page of `render/page` with its own style and script inside, as UTF-8.

    The policy lets run what is inside and nothing else, and lets nothing be fetched but pictures
    in data: addresses and, in the words of a policy, `media`.
    """
    css = [_sign_colors(), *map(_own, styles)]
    js = [_own(name) for name in scripts]
    if charts:
        css.insert(0, _text(*_UPLOT, "uPlot.min.css"))
        js.insert(0, _text(*_UPLOT, "uPlot.iife.min.js"))
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(_hash(text) for text in js),
        "style-src": " ".join(_hash(text) for text in css),
        "img-src": f"data: {media}".strip(),
        "media-src": media or "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    page = _environment().get_template(template)
    text = page.render(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        styles=[Markup(text) for text in css],
        scripts=[Markup(text) for text in js],
        **values,
    )
    return text.encode("utf-8", "replace")


def json_inside(value: Any) -> Markup:
    """Return JSON that no tag in it can end: `<`, `>` and `&` are JSON escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text.encode("utf-8", "backslashreplace").decode("utf-8"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dashfusion_cli.render", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _sign_colors() -> str:
    """Return the style that names the colours of the signs: --negative, --neutral, --positive."""
    light, dark = asdict(ON_LIGHT), asdict(ON_DARK)
    rules = (f"--{sign}: light-dark({light[sign]}, {dark[sign]});" for sign in light)
    return f":root {{ {' '.join(rules)} }}"


def _own(name: str) -> str:
    return _text("render", "page", name)


@cache
def _text(*place: str) -> str:
    """Read a file of the package, with the line ends that a browser sees."""
    text = files("dashfusion_cli").joinpath(*place).read_text("utf-8")
    return text.replace("\r\n", "\n")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
