"""What the tool is made of and brings along, each part with its licence as it states it itself."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Literal

from dashfusion_cli import __version__

__all__ = ["Kind", "Part", "all_parts"]

Kind = Literal["tool", "weights", "vendored", "program", "library"]

_VENDORS = (("dashfusion_models", "vendor"), ("dashfusion_cli", "vendor"))
_PATIENCE_S = 20.0
_LONGEST = 60  # characters: some packages state their whole licence
_UNSTATED = "not stated"
_KNOWN_FAMILIES = (  # of FFmpeg, by the words it says of itself
    ("Lesser General Public", "LGPL"),
    ("LGPL", "LGPL"),
    ("General Public", "GPL"),
    ("GPL", "GPL"),
)


@dataclass(frozen=True)
class Part:
    """One part; `note` says what it is there for, where that is not plain."""

    name: str
    version: str
    kind: Kind
    licence: str
    note: str = ""


def all_parts() -> Iterator[Part]:
    """Yield everything that is installed here: the tool, weights, files, programs, libraries."""
    yield Part("dashfusion", __version__, "tool", "Apache-2.0", "the code")
    yield from _weights()
    yield from _vendored()
    yield from _ffmpegs()
    yield from _libraries()


def _weights() -> Iterator[Part]:
    """The known weights; those of the default model are part of the package."""
    from dashfusion_models.weights import status

    for one in status():
        here = "here" if one.path is not None else "not here"
        yield Part(one.name, "", "weights", one.licence, f"{one.purpose}; {here}")


def _vendored() -> Iterator[Part]:
    """Files of others in our packages, as the NOTICE beside them says."""
    for package, folder in _VENDORS:
        place = resources.files(package) / folder
        if not place.is_dir():
            continue
        for part in sorted(place.iterdir(), key=lambda one: one.name):
            notice = part / "NOTICE"
            if part.is_dir() and notice.is_file():
                lines = notice.read_text("utf-8").splitlines()
                stated = next((x for x in lines if x.startswith("Licence: ")), "")
                licence = stated.removeprefix("Licence: ").partition(",")[0].rstrip(".")
                yield Part(f"{part.name} files", "", "vendored", licence or _UNSTATED, lines[0])


def _ffmpegs() -> Iterator[Part]:
    """FFmpeg comes twice: as libraries in PyAV, and as a program that moviepy runs."""
    from dashfusion_models.media import ffmpeg_libraries

    version, licence = ffmpeg_libraries()
    note = "in PyAV: reads media"
    yield Part("FFmpeg libraries", version, "program", licence or _UNSTATED, note)
    with contextlib.suppress(ImportError):
        yield _ffmpeg_program()


def _ffmpeg_program() -> Part:
    import imageio_ffmpeg

    name, note = "ffmpeg", "in imageio-ffmpeg: writes --overlay, as a program of its own"
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        version = _asked(program, "-version").partition("version ")[2].split(" ")[0]
        said = " ".join(_asked(program, "-hide_banner", "-L").split())
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return Part(name, "", "program", _UNSTATED, f"{note}; it could not be asked ({error})")
    return Part(name, version, "program", _family(said), note)


def _asked(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_PATIENCE_S,
        check=True,
    )
    return done.stdout


def _family(said: str) -> str:
    """The licence that FFmpeg names, such as GPL-3.0-or-later."""
    if "nonfree" in said and "not legally redistributable" in said:
        return "not redistributable"
    name = next((short for words, short in _KNOWN_FAMILIES if words in said), None)
    if name is None:
        return _UNSTATED
    number = said.partition("version ")[2].split(" ")[0].rstrip(",;.")
    later = "-or-later" if "any later version" in said else ""
    return f"{name}-{number}{'' if '.' in number else '.0'}{later}" if number else name


def _libraries() -> Iterator[Part]:
    """The installed packages that ours needs, those of installed extras too."""
    seen: dict[str, metadata.Distribution] = {}
    waiting = ["dashfusion"]
    while waiting:
        name = waiting.pop()
        key = _key(name)
        if key in seen:
            continue
        try:
            seen[key] = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of an extra or another system
            continue
        waiting += [_required(line) for line in seen[key].requires or ()]
    for key in sorted(seen.keys() - {"dashfusion"}):
        found = seen[key]
        yield Part(found.metadata["Name"], found.version, "library", _licence_of(found))


def _required(line: str) -> str:
    """The name at the beginning of a requirement."""
    end = next((i for i, c in enumerate(line) if not (c.isalnum() or c in "-_.")), len(line))
    return line[:end]


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _licence_of(found: metadata.Distribution) -> str:
    """What a package states: as an expression, else as a class, else in words of its own."""
    about = found.metadata
    if expressions := about.get_all("License-Expression"):
        return str(expressions[0])
    classes = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    words = " ".join(" ".join(about.get_all("License") or ()).split())
    return " AND ".join(classes) or (words[:_LONGEST] if words else _UNSTATED)
