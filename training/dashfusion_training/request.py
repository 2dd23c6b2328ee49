"""What a training was started with, kept in its folder so that it can go on and nothing else can.

request.json is what was asked for beside the settings (config.toml) and the data (data.json).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashfusion_models.bounded_file import read_json, read_toml
from dashfusion_models.errors import ConfigError, TrainingError
from dashfusion_models.weights.known import WEIGHTS
from dashfusion_training.benchmarks import BENCHMARKS
from dashfusion_training.config import TrainConfig, changed, from_dict
from dashfusion_training.files import first_line, write_whole, writing

__all__ = [
    "TrainingRequest",
    "from_anywhere",
    "read_request",
    "request_of",
    "require_same",
    "require_settings",
    "started_settings",
    "write_request",
]

REQUEST_FILE = "request.json"
SCHEMA = "dashfusion/training-request/1"
MOST_NAMED = 6  # differences in one line
DATA_AS_THEY_WERE = "name the data sets with the features as they were, or "


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """Data sets and folders (absolute, or the name of a benchmark), device, preset and seeds.

    `seeds` is how many trainings there are, None for one with the seed of its settings; `preset`
    is None where nobody knows it any more; `log_to` names the writers.
    """

    dataset: tuple[str, ...]
    data_root: str
    media_root: str | None
    device: str
    preset: str | None
    seeds: int | None
    log_to: tuple[str, ...]

    def require_alike(self, *, preset: str | None, seed: int | None, seeds: int | None) -> None:
        """Refuse to go on with another preset, or with one seed where there are several.

        Settings are compared one by one where the training goes on; more seeds may follow, not
        fewer.

        Raises:
            TrainingError: something differs from what was asked for before.
        """
        several = f"{self.seeds} seeds"
        fewer = self.seeds is not None and seeds is not None and seeds < self.seeds
        for name, was, given in (
            ("preset", self.preset, preset),
            ("seed", several if self.seeds else None, seed),
            ("seeds", several if fewer else None if self.seeds else "one training", seeds),
        ):
            if was is not None and given is not None and was != given:
                raise TrainingError(
                    f"{name}: {was} in RUN, {given} given; leave it out, or name another folder"
                )


def request_of(
    datasets: Sequence[Path],
    *,
    data_root: Path,
    media_root: Path | None,
    device: str,
    preset: str | None,
    seeds: int | None,
    log_to: Sequence[str],
) -> TrainingRequest:
    """Return the request that means the same from any working folder."""

    def named(dataset: Path) -> str:
        is_name = str(dataset) in BENCHMARKS and not (dataset / "store.json").is_file()
        return str(dataset if is_name else dataset.absolute())

    return TrainingRequest(
        dataset=tuple(named(dataset) for dataset in datasets),
        data_root=str(data_root.absolute()),
        media_root=None if media_root is None else str(media_root.absolute()),
        device=device,
        preset=preset,
        seeds=seeds,
        log_to=tuple(log_to),
    )


def write_request(folder: Path, request: TrainingRequest) -> None:
    """Write it whole or not at all.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    about = {"schema": SCHEMA, **dataclasses.asdict(request)}
    path = folder / REQUEST_FILE
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(about, indent=1))


def read_request(folder: Path) -> TrainingRequest | None:
    """Return what the training in `folder` was asked for; None where it does not say.

    Raises:
        TrainingError: the file is there and cannot be read.
    """
    path = folder / REQUEST_FILE
    try:
        about = read_json(path)
        if about.pop("schema") != SCHEMA:
            raise ValueError("of another version")
        lists = {name: tuple(about[name]) for name in ("dataset", "log_to")}
        return TrainingRequest(**{**about, **lists})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{path}: is damaged ({first_line(error)}); delete it and name the data sets again"
        ) from error


def started_settings(folder: Path) -> TrainConfig | None:
    """The settings that the training in `folder` was started with, or the first of several.

    Returns:
        None where no training was started.

    Raises:
        TrainingError: they cannot be read.
    """
    place = _place_in(folder)
    return None if place is None else _started_with(place)


def from_anywhere(config: TrainConfig) -> TrainConfig:
    """Return the settings that mean the same from any working folder: names stay, paths are whole.

    What is not there stays as it is said, for the error about it.
    """

    def whole(named: str) -> str:
        is_path = named and named not in WEIGHTS and Path(named).exists()
        return str(Path(named).absolute()) if is_path else named

    paths = {name: whole(getattr(config, name)) for name in ("start", "text_encoder")}
    return changed(config, {**paths, "teachers": [whole(path) for path in config.teachers]})


def require_settings(folder: Path, config: TrainConfig, start: Mapping[str, str]) -> None:
    """Refuse other settings than those that RUN was started with, before any data are opened.

    `start` is what tells the checkpoint that it goes on from (`start_facts`).

    Raises:
        TrainingError: something differs, or the folder cannot tell.
    """
    place = _place_in(folder)
    if place is not None:
        data = _data_of(place)
        require_same(place, config, {**data, "start": dict(start)} if start else data)


def require_same(folder: Path, config: TrainConfig, data: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings or data than those of the folder, naming what differs.

    A start and a text encoder are told by their content, wherever they lie now.

    Raises:
        TrainingError: something differs, or the folder cannot tell.
    """
    former = _data_of(folder)
    settings = [_plain(from_anywhere(one).to_dict()) for one in (_started_with(folder), config)]
    facts = [_plain(former), _plain(data)]
    if former.get("start") and data.get("start"):
        for values in settings:
            del values["start"]
    for known in facts:
        known.pop("text_encoder.name", None)
    # Older folders say less of a start.
    facts[1] = {k: v for k, v in facts[1].items() if not k.startswith("start.") or k in facts[0]}
    for name, what, (was, now), way_out in (
        ("config.toml", "with other settings", settings, ""),
        ("data.json", "on other data, text encoder or start", facts, DATA_AS_THEY_WERE),
    ):
        if differences := _differences(was, now):
            raise TrainingError(
                f"{folder}: was started {what} ({name}: {'; '.join(differences)}); "
                f"{way_out}name another folder"
            )


def _place_in(folder: Path) -> Path | None:
    """The folder of the training that was started first."""
    places = (folder, *sorted(folder.glob("seed-*")))
    return next((place for place in places if (place / "config.toml").exists()), None)


def _started_with(folder: Path) -> TrainConfig:
    """The settings that the training in `folder` was started with.

    Raises:
        TrainingError: there is none, or its config.toml cannot be read.
    """
    file = folder / "config.toml"
    try:
        return from_dict(read_toml(file))
    except (OSError, ValueError, ConfigError) as error:
        raise TrainingError(
            f"{file}: cannot be read ({first_line(error)}); name another folder"
        ) from error


def _data_of(folder: Path) -> dict[str, Any]:
    file = folder / "data.json"
    try:
        return dict(read_json(file))
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{file}: cannot be read ({first_line(error)}); name another folder"
        ) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is nested, under names joined by dots; lists for tuples."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{name}.{below}": inner for below, inner in _plain(value).items()}
        else:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _differences(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each value that differs, in words; a digest is not worth printing."""
    found: list[str] = []
    for name in sorted(former.keys() | now.keys()):
        was, given = former.get(name), now.get(name)
        above, _, last = name.rpartition(".")
        if was == given:
            continue
        if name in former and name in now and last.endswith(("digest", "sha256")):
            of = "" if last in ("digest", "sha256") else f" ({last.removesuffix('_sha256')})"
            found.append(f"{above.removeprefix('data.')}: other content{of}")
        else:
            shown = name.removeprefix("data.")
            found.append(f"{shown}: {_in_words(was)} in RUN, {_in_words(given)} given")
    return found if len(found) <= MOST_NAMED else [*found[:MOST_NAMED], "and more"]


def _in_words(value: Any) -> str:
    return "none" if value is None or value in ("", []) else f"{value}"
