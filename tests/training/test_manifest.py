"""Manifests: what is read, what is refused, and what lands in the store."""

import csv
from pathlib import Path

import pytest

from dashfusion_models.engines import Engines
from dashfusion_models.errors import DataError
from dashfusion_training.manifest import extract_manifest, read_manifest
from dashfusion_training.sources import open_sources


def manifest(folder: Path, *rows: dict[str, str], name: str = "clips.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def row(**changes: str) -> dict[str, str]:
    usual = {"file": "", "text": "a good film", "label": "1.5", "split": "train", "id": "a"}
    return {**usual, **changes}


def test_numbers_class_names_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    path = manifest(
        tmp_path,
        {**row(), "start_s": "", "modalities": ""},
        {**row(id="b", file="clip.mp4", label="happy"), "start_s": "1.5", "modalities": "audio"},
    )
    first, second = read_manifest(path)
    assert (first.label, first.file, first.start_s) == (1.5, None, 0.0)
    assert (second.label, second.start_s) == ("happy", 1.5)
    assert second.file == (tmp_path / "clip.mp4").resolve()
    assert second.modalities == {"audio"}


def test_the_benchmarks_own_label_file(tmp_path: Path) -> None:
    rows = {"video_id": "v", "clip_id": "3", "text": "fine", "label": "0.4", "mode": "valid"}
    (only,) = read_manifest(manifest(tmp_path, rows), text_only=True)
    assert (only.id, only.split, only.file, only.text) == ("v$3", "valid", None, "fine")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "3.mp4").write_bytes(b"")
    (with_media,) = read_manifest(manifest(tmp_path, rows))
    assert with_media.file == (tmp_path / "v" / "3.mp4").resolve()


def test_a_row_without_an_id_has_the_same_one_wherever_it_stands(tmp_path: Path) -> None:
    rows = [{**row(text=text), "id": ""} for text in ("fine", "poor")]
    before = read_manifest(manifest(tmp_path, *rows))
    after = read_manifest(manifest(tmp_path, {**row(text="new"), "id": ""}, *rows))
    assert [r.id for r in after[1:]] == [r.id for r in before]
    assert len({r.id for r in after}) == 3


def test_text_only_needs_texts(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    path = manifest(tmp_path, row(file="clip.mp4", text=""))
    assert read_manifest(path)[0].file is not None
    with pytest.raises(DataError, match="has no text"):
        read_manifest(path, text_only=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "no.mp4"}, "does not exist"),
        ({"file": "../out.mp4"}, "lies outside"),
        ({"label": ""}, "has no label"),
        ({"split": "dev"}, "split 'dev' is unknown"),
        ({"text": ""}, "neither file nor text"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    (tmp_path / "out.mp4").write_bytes(b"")
    folder = tmp_path / "inside"
    folder.mkdir()
    path = manifest(folder, row(), row(id="b", **changes))
    with pytest.raises(DataError, match=message) as caught:
        read_manifest(path)
    assert "line 3" in str(caught.value)


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: has the id 'a' or the content of line 2"):
        read_manifest(manifest(tmp_path, row(), row()))
    with pytest.raises(DataError, match="no column 'split'"):
        read_manifest(manifest(tmp_path, {"file": "x", "label": "1"}))
    with pytest.raises(DataError, match="no such file; check the name"):
        read_manifest(tmp_path / "missing.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("file,text,label,split\n", "utf-8")
    with pytest.raises(DataError, match="has no rows"):
        read_manifest(empty)


def test_texts_become_a_store_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    path = manifest(tmp_path, row(), row(id="b", split="valid", text="poor", label="sad"))
    for _ in range(2):
        stores = open_sources(
            [path],
            media_root=None,
            engines=Engines(),
            report=lambda progress: None,
            warn=lambda text: pytest.fail(text),
        )
        assert [(r.id, r.text, r.label) for r in stores["clips"].rows] == [
            ("a", "a good film", 1.5),
            ("b", "poor", "sad"),
        ]
    assert len(list((tmp_path / "cache" / "stores").iterdir())) == 1


def test_a_broken_file_is_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("not a film", "utf-8")
    rows = read_manifest(manifest(tmp_path, row(), row(id="b", file="broken.mp4")))
    store, warnings = extract_manifest(rows, tmp_path / "store", Engines(), lambda progress: None)
    assert [r.id for r in store.rows] == ["a"]
    assert len(warnings) == 1
    assert "broken.mp4" in warnings[0]


def test_a_dataset_that_is_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such data set; name mosi, "):
        open_sources(
            [tmp_path / "missing"],
            media_root=None,
            engines=Engines(),
            report=lambda progress: None,
            warn=lambda text: None,
        )
