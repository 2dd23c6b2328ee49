"""Anyone's labelled clips, listed in a CSV, become a store by the one road.

Columns: `file` (relative to the manifest or to the media root; may be empty when `text` is given),
`text` (given transcript; empty = recognise speech), `label` (a number or a class name), `split`,
and optionally `start_s`, `end_s`, `id`, `person`, `video_id`, `clip_id`, and `modalities` (which
of text, audio, vision to take from the row; all where empty). The benchmarks' own label.csv
(`video_id`, `clip_id`, `text`, `label`, `mode`, no `file`) is read too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dashfusion_models.engines import Engines
from dashfusion_models.errors import DataError, MediaError
from dashfusion_models.extract import Request, extract
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.features.vision import VISION_SPEC
from dashfusion_models.records import (
    MODALITIES,
    Features,
    Modality,
    Phrase,
    Progress,
    Transcript,
)
from dashfusion_models.store import Row, Store, StoreWriter
from dashfusion_training.benchmarks import SPLITS
from dashfusion_training.files import read_table

__all__ = ["ManifestRow", "extract_manifest", "extract_row", "read_manifest", "text_alone"]


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One labelled utterance of a manifest; `file` is None for a text alone.

    `named` is the file as the manifest names it, also where it is not opened.
    """

    id: str
    file: Path | None
    text: str | None
    label: float | str
    split: str
    start_s: float
    end_s: float | None
    modalities: frozenset[Modality]
    person: str
    video_id: str
    clip_id: str
    named: str = ""


def read_manifest(
    path: Path,
    *,
    media_root: Path | None = None,
    text_only: bool = False,
    modalities: Collection[Modality] = MODALITIES,
) -> list[ManifestRow]:
    """Read and check a whole manifest before anything is extracted.

    Of each row `modalities` are taken, as far as it names them; a row that names only others is
    taken as it is. Where given words are all that is taken, no media are needed.

    Raises:
        DataError: a column is missing, a row makes no sense, two rows have one id, or a file is
            missing or lies outside the manifest's folder and the media root.
    """
    table = read_table(path)
    if not table:
        raise DataError(f"{path}: has no rows; see `dashfusion extract --help` for the columns")
    if not {"file", "label", "video_id"} & table[0].keys():
        columns = "`dashfusion extract --help` names its columns"
        raise DataError(f"{path}: is no CSV of labelled clips; {columns}")
    official = "file" not in table[0]
    needed = ("video_id", "clip_id", "text", "label", "mode") if official else ("label", "split")
    for column in needed:
        if column not in table[0]:
            raise DataError(f"{path}: has no column {column!r}; add it")
    root = (media_root or path.parent).resolve()
    rows = [
        _row(
            values,
            f"{path}: line {number}",
            root,
            official=official,
            text_only=text_only,
            wanted=frozenset(modalities),
        )
        for number, values in enumerate(table, start=2)
    ]
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        if row.id in seen:
            fact = f"line {number}: has the id {row.id!r} or the content of line {seen[row.id]}"
            raise DataError(f"{path}: {fact}; give each row an id of its own")
        seen[row.id] = number
    return rows


def extract_manifest(
    rows: list[ManifestRow],
    output: Path,
    engines: Engines,
    report: Callable[[Progress], None],
) -> tuple[Store, list[str]]:
    """Extract every row that the store at `output` does not hold yet; return it and the warnings.

    A file that cannot be read, or in which nothing is found, is left out with a warning.
    """
    warnings: list[str] = []
    with StoreWriter(output, audio=AUDIO_SPEC, vision=VISION_SPEC) as store:
        for number, row in enumerate(rows):
            if row.id not in store.done:
                try:
                    stored, features, notes = extract_row(row, engines)
                except MediaError as error:
                    warnings.append(f"left out: {error}")
                else:
                    store.add(stored, features)
                    warnings += [f"{row.file}: {note}" for note in notes]
            report(Progress("extract", number + 1, len(rows), "samples"))
    return Store(output), warnings


def text_alone(row: ManifestRow) -> tuple[Row, Features]:
    """What a row without media gives for the store."""
    features = Features(text=row.text, audio=None, vision=None)
    return _stored(row, features), features


def extract_row(row: ManifestRow, engines: Engines) -> tuple[Row, Features, tuple[str, ...]]:
    """What a row gives for the store, and the warnings on the way.

    Raises:
        MediaError: its file cannot be read, or nothing that is wanted is found in it.
    """
    if row.file is None:
        return (*text_alone(row), ())
    request = Request(
        transcript=_given(row.text),
        whole=True,
        needs_faces=True,
        modalities=row.modalities,
        start_s=row.start_s,
        end_s=row.end_s,
    )
    extraction = extract(row.file, request, engines, lambda progress: None)
    found = next(iter(extraction.extracted), None)
    if found is None:
        raise MediaError(f"{row.file}: nothing of {', '.join(sorted(row.modalities))} found in it")
    spoken = extraction.transcript.language if extraction.transcript else None
    stored = replace(
        _stored(row, found.features),
        sha256=extraction.media.sha256,
        language=spoken.code if spoken else "",
        confidence=found.utterance.confidence if spoken else None,
        duration_s=found.utterance.duration_s,
    )
    return stored, found.features, extraction.warnings


def _given(text: str | None) -> Transcript | None:
    """A known text without times."""
    if text is None:
        return None
    phrase = Phrase(0.0, 0.0, text, (), 1.0)
    return Transcript((phrase,), None, None, None, times_estimated=True)


def _stored(row: ManifestRow, features: Features) -> Row:
    return Row(
        id=row.id,
        label=row.label,
        split=row.split,
        text=features.text,
        audio=features.audio is not None,
        vision=features.vision is not None,
        person=row.person,
        video_id=row.video_id,
        clip_id=row.clip_id,
        file=row.named,
        start_s=None if row.file is None else row.start_s,
        end_s=None if row.file is None else row.end_s,
    )


def _row(
    values: Mapping[str, str | None],
    where: str,
    root: Path,
    *,
    official: bool,
    text_only: bool,
    wanted: frozenset[Modality],
) -> ManifestRow:
    def cell(name: str) -> str:
        return (values.get(name) or "").strip()

    video, clip, text = cell("video_id"), cell("clip_id"), cell("text") or None
    named = f"{video}/{clip}.mp4" if official else cell("file")
    named_ones = _modalities(cell("modalities"), where)
    modalities = named_ones & wanted or named_ones
    # Words that are given need no media; words that are wanted alone are recognised.
    takes_media = not text_only and bool(named) and (modalities != {"text"} or text is None)
    file = _file(named, root, where, has_text=text is not None) if takes_media else None
    if file is None and text is None:
        fact = "has no text, and its media are not opened" if named else "has neither file nor text"
        raise DataError(f"{where}: {fact}; give a text")
    split = cell("mode" if official else "split")
    if split not in SPLITS:
        raise DataError(f"{where}: split {split!r} is unknown; use {', '.join(SPLITS)}")
    content = "|".join(cell(name) for name in ("file", "text", "start_s", "end_s"))
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]  # the same wherever the row stands
    identity = cell("id") or (f"{video}${clip}" if video else digest)
    end = cell("end_s")
    return ManifestRow(
        id=identity,
        file=file,
        text=text,
        label=_label(cell("label"), where),
        split=split,
        start_s=_number(cell("start_s") or "0", where),
        end_s=_number(end, where) if end else None,
        modalities=modalities,
        person=cell("person"),
        video_id=video,
        clip_id=clip,
        named=named,
    )


def _file(named: str, root: Path, where: str, *, has_text: bool) -> Path:
    try:
        path = (root / named).resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
        fact = getattr(error, "strerror", None) or str(error).partition(" from ")[0].lower()
        shown = ascii(named) if len(named) <= 80 else f"{named[:80]!a}…"
        raise DataError(f"{where}: {shown} is no file ({fact}); mend the row") from error
    if not path.is_relative_to(root):
        raise DataError(f"{where}: {named} lies outside {root}; give --media-root")
    if not is_file:
        way_out = (
            "mend the row, give --media-root, or take the words alone (`extract --text-only`)"
            if has_text
            else "mend the row or give --media-root"
        )
        raise DataError(f"{where}: {path} does not exist; {way_out}")
    return path


def _label(text: str, where: str) -> float | str:
    if not text:
        raise DataError(f"{where}: has no label; give a number or the name of a class")
    try:
        label = float(text)
    except ValueError:
        return text
    if not math.isfinite(label):
        raise DataError(f"{where}: label {text!r} is no finite number; mend it")
    return label


def _number(text: str, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise DataError(f"{where}: {text!r} is not a number of seconds; mend it")
    return seconds


def _modalities(text: str, where: str) -> frozenset[Modality]:
    if not text:
        return frozenset(MODALITIES)
    wanted = {part.strip() for part in text.split(",")}
    unknown = sorted(wanted - set(MODALITIES))
    if unknown:
        raise DataError(f"{where}: modality {unknown[0]!r} is unknown; use {', '.join(MODALITIES)}")
    return frozenset(m for m in MODALITIES if m in wanted)
