"""`batch.json`: what the results of a folder were made with, and of which folders.

Results of another model or of other options do not stand side by side in one file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashfusion_models.bounded_file import read_json
from dashfusion_models.errors import FolderError
from dashfusion_models.folder.results import sync_folder, unwritable
from dashfusion_models.plain_json import json_bytes

__all__ = ["Recipe", "Roots", "read_recipe", "write_recipe"]

SCHEMA = "dashfusion/batch/1"


@dataclass(frozen=True)
class Recipe:
    """What results depend on beside the files.

    `model_name` and `model_sha256` are the checkpoint's; `options` are all that change results, as
    JSON values.
    """

    model_name: str
    model_sha256: str
    options: Mapping[str, Any]

    def differences(self, former: Recipe) -> list[str]:
        """Say in words how this recipe differs from that of earlier results."""
        found = []
        if self.model_sha256 != former.model_sha256:
            names = (former.model_name, self.model_name)
            if names[0] == names[1]:
                names = (f"another {names[0]} ({former.model_sha256[:12]})", self.model_sha256[:12])
            found.append(f"the model was {names[0]} and is {names[1]}")
        for name in sorted(self.options.keys() | former.options.keys()):
            was, now = former.options.get(name), self.options.get(name)
            if was != now:
                option = f"--{name.replace('_', '-')}"
                found.append(f"{option} was {_said(was)} and is {_said(now)}")
        return found


@dataclass
class Roots:
    """The folders that were looked through: where they are, and what their files are called.

    A file is called by the name that it was first given, from wherever the command is run.
    """

    names: dict[str, str] = field(default_factory=dict)  # absolute folder -> as it was typed

    def name_of(self, folder: Path) -> str:
        """Return how `folder` is called in the records; remember it if it is new."""
        absolute = os.path.realpath(folder)
        if absolute not in self.names:
            typed = str(folder)
            taken = typed in self.names.values()
            self.names[absolute] = absolute if taken else typed
        return self.names[absolute]


def read_recipe(path: Path) -> tuple[Recipe, Roots] | None:
    """Read what is there; None where nothing is, or nothing that could be read."""
    try:
        about = read_json(path)
        if about["schema"] != SCHEMA:
            raise FolderError(
                f"{path}: is of another version of dashfusion ({about['schema']}); "
                "name another folder"
            )
        model = about["model"]
        return (
            Recipe(model["name"], model["sha256"], dict(about["options"])),
            Roots(dict(about["folders"])),
        )
    except OSError as error:
        if path.exists():
            raise FolderError(f"{path}: cannot be read ({error.strerror}); see to it") from error
        return None
    except (ValueError, KeyError, TypeError):
        return None


def write_recipe(path: Path, recipe: Recipe, roots: Roots) -> None:
    """Write it whole or not at all.

    Raises:
        FolderError: the disk is full or fails.
    """
    about = {
        "schema": SCHEMA,
        "model": {"name": recipe.model_name, "sha256": recipe.model_sha256},
        "options": dict(recipe.options),
        "folders": roots.names,
    }
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(json_bytes(about, indent=2))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def _said(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "not given"
    return (
        {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )
