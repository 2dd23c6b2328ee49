"""Every part of the tool is named with the licence that it states."""

import json
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import dashfusion_models
from dashfusion_cli import parts
from dashfusion_cli.parts import _family, all_parts

VENDOR = Path(dashfusion_models.__file__).parent / "vendor"


def test_every_part_is_there_with_its_licence(command: Callable[..., Any]) -> None:
    done = command("licenses", "--format", "json")
    assert done.code == 0
    found = {part["name"]: part for part in json.loads(done.out)}
    assert found["dashfusion"]["licence"] == "Apache-2.0"
    assert found["dashfusion-mini"]["licence"].startswith("CC")
    assert found["torch"]["version"] == metadata.version("torch")
    needed = {line.split(">")[0].split("=")[0] for line in metadata.requires("dashfusion") or ()}
    plain = {n for n in needed if n.isidentifier() and ";" not in n}
    assert plain <= {name.replace("-", "_").lower() for name in found}
    for folder in (f for f in VENDOR.iterdir() if f.is_dir() and (f / "NOTICE").is_file()):
        part = found[f"{folder.name} files"]
        assert part["kind"] == "vendored"
        assert f"Licence: {part['licence']}" in (folder / "NOTICE").read_text("utf-8")


def test_the_program_that_writes_videos_says_its_licence_itself() -> None:
    import imageio_ffmpeg

    (program,) = (part for part in all_parts() if part.name == "ffmpeg")
    asked = [imageio_ffmpeg.get_ffmpeg_exe(), "-version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    family = "GPL" if "--enable-gpl" in said else "LGPL"
    number = "3.0" if "--enable-version3" in said else "2.0" if family == "GPL" else "2.1"
    assert program.licence == f"{family}-{number}-or-later"
    assert f"ffmpeg version {program.version} " in said


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        (
            "the GNU General Public License, version 2 of it, or any later version",
            "GPL-2.0-or-later",
        ),
        ("GNU Lesser General Public License; version 2.1 of the License", "LGPL-2.1"),
        (
            "This version has nonfree parts. It is not legally redistributable",
            "not redistributable",
        ),
        ("nothing", "not stated"),
    ],
)
def test_what_ffmpeg_may_say(said: str, licence: str) -> None:
    assert _family(said) == licence


def test_a_program_that_cannot_be_asked_is_named_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hangs(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("ffmpeg", 20)

    monkeypatch.setattr(parts.subprocess, "run", hangs)
    (program,) = (part for part in all_parts() if part.name == "ffmpeg")
    assert program.licence == "not stated"
    assert "could not be asked" in program.note
