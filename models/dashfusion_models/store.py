"""Extracted features on disk: safetensors shards, read through memory maps.

A store is a folder: `store.json` (format, feature specifications) and `shard-00000.safetensors`, …
A shard holds up to 64 samples: for audio and vision the concatenated steps (`<m>.values`,
`<m>.real`) and where each sample ends (`<m>.ends`); its metadata holds the samples' rows as JSON.
A shard is written whole or not at all, so an interrupted extraction loses at most one shard.

A store made in one go from another file has a `source.json` too, which says from what; its
`shards` are the SHA-256 of every shard as it was written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dashfusion_models.atomic_write import rename_finished
from dashfusion_models.bounded_file import read_json
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import DataError
from dashfusion_models.records import Features, FeatureSequence, FeatureSpec, Modality

__all__ = ["SOURCE_FILE", "Row", "Store", "StoreWriter"]

FORMAT = "dashfusion/store/1"
SOURCE_FILE = "source.json"
SHARD_SAMPLES = 64
OPEN_SHARDS = 32  # at a time: what stays open stays in memory, and files may be thousands
_FRAMES: tuple[Modality, ...] = ("audio", "vision")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of a sample beside its frames. `label` is a number or the name of a class.

    `language` and `confidence` (mean probability of the words) are known where the text was
    recognised, `duration_s` where there was a file; None or empty where not. `file` is as the
    manifest names it, of which the sample is the part from `start_s` to `end_s` (None: to its end);
    older stores do not know these three.
    """

    id: str
    label: float | str
    split: str
    text: str | None
    audio: bool
    vision: bool
    sha256: str = ""
    person: str = ""
    video_id: str = ""
    clip_id: str = ""
    language: str = ""
    confidence: float | None = None
    duration_s: float | None = None
    file: str = ""
    start_s: float | None = None
    end_s: float | None = None


class StoreWriter:
    """Appends samples to a store; opening an existing one goes on where it stopped."""

    def __init__(self, folder: Path, *, audio: FeatureSpec, vision: FeatureSpec) -> None:
        """Create or open `folder`.

        Raises:
            DataError: the folder is a store of other features, or something else.
        """
        self._folder = folder
        self._dims = {"audio": audio.dims, "vision": vision.dims}
        about = _about(audio, vision)
        head = folder / "store.json"
        if head.exists():
            if _read_head(head) != about:
                raise DataError(f"{folder}: holds other features; name another folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise DataError(f"{folder}: is not a store and not empty; name another folder")
            _write_text(head, json.dumps(about, indent=1))
        self._pending: list[tuple[Row, Features]] = []
        numbers = [int(path.stem.split("-")[1]) for path in _shards(folder)]
        self._next = max(numbers, default=-1) + 1
        self.done = {row.id for row in Store(folder).rows}

    @property
    def pending(self) -> int:
        """How many samples are not on disk yet."""
        return len(self._pending)

    def add(self, row: Row, features: Features) -> None:
        """Append one sample; it is on disk once its shard is full, or at the end."""
        self._pending.append((row, features))
        self.done.add(row.id)
        if len(self._pending) >= SHARD_SAMPLES:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as a shard."""
        if not self._pending:
            return
        tensors: dict[str, np.ndarray] = {}
        for modality in _FRAMES:
            sequences = [getattr(f, modality) for _, f in self._pending]
            tensors |= _pack(modality, sequences, self._dims[modality])
        rows = json.dumps([dataclasses.asdict(row) for row, _ in self._pending])
        path = self._folder / f"shard-{self._next:05d}.safetensors"
        beside = path.with_suffix(".part")
        save_file(tensors, beside, {"rows": rows})
        rename_finished(beside, path)
        self._next += 1
        self._pending.clear()

    def __enter__(self) -> StoreWriter:
        """Use as a context: what is pending is written at the end, also after an error."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Write what is pending."""
        self.flush()


class Store:
    """A finished or growing store, read-only; samples by number."""

    def __init__(self, folder: Path) -> None:
        """Open `folder` and read its rows; frames stay on disk.

        Raises:
            DataError: the folder is no store, or a shard is damaged.
        """
        try:
            about = read_json(folder / "store.json")
            specs = {
                m: FeatureSpec(
                    extractor=about[m]["extractor"],
                    version=about[m]["version"],
                    names=tuple(about[m]["names"]),
                )
                for m in _FRAMES
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            gone = "" if folder.exists() else " (no such folder)"
            raise DataError(
                f"{folder}: is not a store{gone}; `dashfusion extract` makes one"
            ) from error
        if about.get("format") != FORMAT:
            raise DataError(f"{folder}: has format {about.get('format')}; extract it again")
        self.folder = folder
        self.audio, self.vision = specs["audio"], specs["vision"]
        self.rows: list[Row] = []
        self._paths = _shards(folder)
        self._places: list[tuple[Path, int]] = []
        self._open: OrderedDict[Path, Any] = OrderedDict()  # the last used last
        # Read once: a training step looks up more than a hundred samples.
        self._ends: dict[tuple[Path, str], list[int]] = {}
        for path in self._paths:
            rows = [Row(**row) for row in json.loads(self._shard(path).metadata()["rows"])]
            self._places += [(path, k) for k in range(len(rows))]
            self.rows += rows
            for m in _FRAMES:
                ends = self._shard(path).get_tensor(f"{m}.ends")
                self._ends[path, m] = [0, *(int(end) for end in ends)]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.rows)

    def __getitem__(self, index: int) -> Features:
        """Read one sample's features."""
        row = self.rows[index]
        return Features(
            text=row.text,
            audio=self._sequence("audio", index) if row.audio else None,
            vision=self._sequence("vision", index) if row.vision else None,
        )

    def __iter__(self) -> Iterator[tuple[Row, Features]]:
        """Yield every sample with its row."""
        for index, row in enumerate(self.rows):
            yield row, self[index]

    def steps(self, modality: Modality) -> Int64[np.ndarray, " samples"]:
        """Number of steps that each sample has of audio or vision; nothing is read for it."""
        spans = (self._span(modality, index) for index in range(len(self.rows)))
        return np.array([end - start for start, end in spans], np.int64)

    def digest(self) -> str:
        """Return a SHA-256 that stands for all that the store holds.

        It is taken over `store.json` and the digests of the shards in their order. Digests that
        `source.json` recorded when the store was made are believed (verifying compares them with
        the files); shards that are not recorded there are read.
        """
        about = read_json(self.folder / "store.json")
        whole = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        recorded = _recorded(self.folder)
        for path in self._paths:
            whole.update(f"\n{path.name} {recorded.get(path.name) or sha256_of(path)}".encode())
        return whole.hexdigest()

    def _shard(self, path: Path) -> Any:
        shard = self._open.pop(path, None)
        if shard is None:
            try:
                shard = safe_open(path, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise DataError(f"{path}: is damaged ({error}); extract again") from error
        self._open[path] = shard
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return shard

    def _span(self, modality: str, index: int) -> tuple[int, int]:
        path, k = self._places[index]
        ends = self._ends[path, modality]
        return ends[k], ends[k + 1]

    def _sequence(self, modality: str, index: int) -> FeatureSequence:
        start, end = self._span(modality, index)
        if start == end:  # safetensors refuses an empty slice at the end of a tensor
            dims = getattr(self, modality).dims
            return FeatureSequence(np.zeros((0, dims), np.float32), np.zeros(0, np.bool_))
        shard = self._shard(self._places[index][0])
        return FeatureSequence(
            values=shard.get_slice(f"{modality}.values")[start:end],
            real=shard.get_slice(f"{modality}.real")[start:end],
        )


def _about(audio: FeatureSpec, vision: FeatureSpec) -> dict[str, Any]:
    about = {"audio": dataclasses.asdict(audio), "vision": dataclasses.asdict(vision)}
    return json.loads(json.dumps({"format": FORMAT, **about}))  # type: ignore[no-any-return]


def _pack(
    modality: str, sequences: list[FeatureSequence | None], dims: int
) -> dict[str, np.ndarray]:
    present = [s for s in sequences if s is not None]
    lengths = [len(s.real) if s is not None else 0 for s in sequences]
    return {
        f"{modality}.values": np.concatenate(
            [np.zeros((0, dims), np.float32), *(s.values for s in present)]
        ),
        f"{modality}.real": np.concatenate([np.zeros(0, np.bool_), *(s.real for s in present)]),
        f"{modality}.ends": np.cumsum(lengths, dtype=np.int64),
    }


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("shard-*.safetensors"))


def _read_head(head: Path) -> Any:
    """Read a store.json; None where it is damaged."""
    try:
        return read_json(head)
    except ValueError:
        return None


def _recorded(folder: Path) -> dict[str, str]:
    try:
        shards = read_json(folder / SOURCE_FILE)["shards"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return shards if isinstance(shards, dict) else {}


def _write_text(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, "utf-8")
    beside.replace(path)
