"""Heavy libraries stay in their rooms, and light entrances stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("dashfusion_cli", "models/dashfusion_models", "training/dashfusion_training")
ROOMS = {
    "av": ["models/dashfusion_models/media"],
    "whisper": ["models/dashfusion_models/speech"],
    "faster_whisper": ["models/dashfusion_models/speech"],
    "ctranslate2": ["models/dashfusion_models/speech"],
    "librosa": ["models/dashfusion_models/features"],
    "mediapipe": ["models/dashfusion_models/features"],
    "transformers": ["models/dashfusion_models/network/text_encoder.py"],
    "ray": ["models/dashfusion_models/folder/ray_cluster.py"],
    "typer": ["dashfusion_cli"],
    "rich": ["dashfusion_cli"],
    "moviepy": ["dashfusion_cli/render"],
}
HEAVY = (
    "torch",
    "transformers",
    "librosa",
    "mediapipe",
    "av",
    "numpy",
    "whisper",
    "moviepy",
    "ray",
)


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("library", ROOMS)
def test_a_heavy_library_stays_in_its_room(library: str) -> None:
    rooms = [ROOT / room for room in ROOMS[library]]
    outside = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if library in imports_of(path)
        and not any(path == room or room in path.parents for room in rooms)
    ]
    # doctor tells which versions are there, and it does so by asking them
    assert [path for path in outside if path != "dashfusion_cli/checks.py"] == []


@pytest.mark.parametrize(
    "statement",
    [
        "import sys; from dashfusion_cli.app import run; run(['--help'])",
        "import dashfusion_models",
        "from dashfusion_models import errors",
    ],
)
def test_a_light_entrance_imports_nothing_heavy(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint('LOADED', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert loaded & set(HEAVY) == set()


def test_files_stay_readable() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 500
    }
    assert long == {}
