"""Rough copies of clean recordings and pictures, as real clips would have them.

    python -m dashfusion_training.mini.rough MANIFEST --media-root FOLDER --output FOLDER
        [--seed 1111]

makes of each training row with a voice or a face one copy that one to three things have befallen,
such as a room, noise or a small size (see `rough_voices` and `rough_faces`), and a manifest of the
copies, OUTPUT/<name of MANIFEST>_rough.csv, whose paths are relative to OUTPUT. A seed makes the
same copies every time, in a folder of its own; those that are there are not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dashfusion_models.errors import DataError, MediaError
from dashfusion_models.media import probe, read_image, read_sound
from dashfusion_training.commands import exit_code
from dashfusion_training.files import read_table, write_table, write_whole, writing
from dashfusion_training.manifest import ManifestRow, read_manifest
from dashfusion_training.mini import rough_faces, rough_voices

__all__ = ["befalling", "generator", "main", "write_rough"]

MOST = 3  # things that befall one copy


def write_rough(
    manifest: Path, output: Path, *, media_root: Path | None = None, seed: int
) -> tuple[Path, int, int]:
    """Write the copies that are not there yet; return their manifest, how many, how many new.

    The manifest is written last: where it stands, all its copies do.

    Raises:
        DataError: the manifest cannot be used, or a training row is not a voice or a face alone.
        MediaError: a file cannot be read, or holds no sound or not a still picture.
        TrainingError: a copy or the manifest cannot be written.
    """
    table = read_table(manifest)
    originals = _originals(manifest, (media_root or manifest.parent).resolve(), table)
    new = 0
    for original in originals:
        path = output / original.copy_name(seed)
        if not path.exists():
            _write_copy(original, path, generator(original.name, seed))
            new += 1
    written = output / f"{manifest.stem}_rough.csv"
    columns = list(dict.fromkeys([*table[0], "id"]))
    write_table(written, columns, [original.copied(seed) for original in originals])
    return written, len(originals), new


def generator(name: str, seed: int) -> np.random.Generator:
    """Random numbers for one file, whatever stands before it in the manifest."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def befalling(chances: Mapping[str, float], draw: np.random.Generator) -> tuple[str, ...]:
    """What befalls a copy: each thing by its own chance, drawn anew until there are 1 to MOST."""
    while True:
        kinds = tuple(kind for kind, chance in chances.items() if draw.random() < chance)
        if 1 <= len(kinds) <= MOST:
            return kinds


@dataclass(frozen=True)
class _Original:
    """A training row, its cells, its file, and how that is named within the media root."""

    row: ManifestRow
    values: Mapping[str, str]
    file: Path
    name: str

    @property
    def is_voice(self) -> bool:
        """Whether its voice is taken, and not its face."""
        return self.row.modalities == {"audio"}

    def copy_name(self, seed: int) -> str:
        """Where the copy lies in the output."""
        name = Path(self.name)
        copy = name.with_name(f"{name.stem}-rough.{'mp3' if self.is_voice else 'jpg'}")
        return (f"seed-{seed}" / copy).as_posix()

    def copied(self, seed: int) -> dict[str, str]:
        """The cells of the copy, which is as long as what was taken of the file."""
        changed = {"file": self.copy_name(seed), "id": f"{self.row.id}-rough"}
        return {**self.values, **changed, "start_s": "", "end_s": ""}


def _originals(manifest: Path, root: Path, table: list[dict[str, str]]) -> list[_Original]:
    """The training rows of a manifest, each with one voice or face and a copy of its own."""
    originals: dict[str, _Original] = {}
    for row, values in zip(read_manifest(manifest, media_root=root), table, strict=True):
        if row.split != "train":
            continue
        if row.file is None or row.modalities not in ({"audio"}, {"vision"}):
            fact = f"{row.id} is not a voice or a face alone"
            raise DataError(f"{manifest}: {fact}; name a file, and audio or vision in 'modalities'")
        original = _Original(row, values, row.file, row.file.relative_to(root).as_posix())
        twin = originals.setdefault(original.copy_name(0), original)
        if twin is not original:
            fact = f"the copies of {twin.row.id} and {row.id} would have one name"
            raise DataError(f"{manifest}: {fact}; give each row a file with a name of its own")
    if not originals:
        raise DataError(f"{manifest}: no row has the split train; rough copies are of these alone")
    return list(originals.values())


def _write_copy(original: _Original, path: Path, draw: np.random.Generator) -> None:
    copy = _voice(original, draw) if original.is_voice else _face(original, draw)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, copy)


def _voice(original: _Original, draw: np.random.Generator) -> bytes:
    row = original.row
    samples = read_sound(original.file, start_s=row.start_s, end_s=row.end_s).samples
    if not samples.size:
        raise MediaError(f"{original.file}: holds no sound there; mend the row")
    kinds = befalling(rough_voices.CHANCES, draw)
    return rough_voices.as_mp3(*rough_voices.rough_voice(samples, kinds, draw))


def _face(original: _Original, draw: np.random.Generator) -> bytes:
    if not probe(original.file).is_image:
        raise MediaError(f"{original.file}: is no still picture; a face's rough copy is of a still")
    kinds = befalling(rough_faces.CHANCES, draw)
    pixels = read_image(original.file).pixels
    return rough_faces.as_jpeg(*rough_faces.rough_face(pixels, kinds, draw))


def main() -> int:
    """Write the copies and their manifest; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--media-root", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1111)
    return exit_code(lambda: _run(parser.parse_args()))


def _run(asked: argparse.Namespace) -> None:
    path, copies, new = write_rough(
        asked.manifest, asked.output, media_root=asked.media_root, seed=asked.seed
    )
    print(f"{path}: {copies} rough copies, {new} of them new")


if __name__ == "__main__":
    sys.exit(main())
