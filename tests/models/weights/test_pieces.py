"""Files in pieces are read as one, also where they are an archive."""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.errors import WeightsError
from dashfusion_models.weights import locate
from dashfusion_models.weights import lookup as weights
from dashfusion_models.weights.known import PackageFile, Weight, WeightFile
from dashfusion_models.weights.pieces import JoinedFiles

CONTENT = {
    "config.json": b"{}",
    "model.safetensors": np.random.default_rng(0).bytes(5000),
}
PIECES = tuple((f"dash-data-part_{k}", f"input/all.zip.{k}") for k in range(3))


def cut(content: bytes, folder: Path) -> list[Path]:
    """Three files of unlike lengths, the second one empty."""
    paths = []
    for k, part in enumerate((content[:700], b"", content[700:])):
        paths.append(folder / f"part-{k}")
        paths[-1].write_bytes(part)
    return paths


def test_pieces_are_read_as_the_whole_from_any_place(tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(2000)
    with io.BufferedReader(JoinedFiles(cut(content, tmp_path)), 64) as joined:
        assert joined.read() == content
        for start, count in ((0, 10), (690, 30), (699, 1), (700, 5), (1990, 99), (2000, 1)):
            joined.seek(start)
            assert joined.read(count) == content[start : start + count]
        assert joined.seek(-5, io.SEEK_END) == 1995
        assert joined.read() == content[-5:]


def zipped(content: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(f"all/{name}", data)
    return written.getvalue()


@pytest.fixture
def weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weight:
    known = Weight(
        name="zipped",
        purpose="tests",
        licence="MIT",
        size_bytes=5002,
        files=tuple(
            WeightFile(name=name, sha256=hashlib.sha256(data).hexdigest())
            for name, data in CONTENT.items()
        ),
        from_packages=tuple(
            PackageFile(name=name, pieces=PIECES, member=f"all/{name}") for name in CONTENT
        ),
        extra="zipped",
        hub="nobody/nothing",
    )
    monkeypatch.setattr(weights, "WEIGHTS", {"zipped": known})
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    return known


def install(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of a name that no import statement could name; importing one would fail."""
    site = tmp_path / "site"
    for path, (package, inside) in zip(cut(archive, tmp_path), PIECES, strict=True):
        (site / package / inside).parent.mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('imported')")
        path.rename(site / package / inside)
    monkeypatch.syspath_prepend(str(site))


def test_an_archive_in_packages_is_unpacked_once(
    weight: Weight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(zipped({**CONTENT, "README.md": b"left out"}), tmp_path, monkeypatch)
    folder = locate("zipped", offline=True)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == CONTENT
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert locate("zipped", offline=True) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert not [name for name in sys.modules if name.startswith("dash-data")]


@pytest.mark.parametrize("wrong", ["other", "lacking", "none", "damaged"])
def test_an_archive_that_holds_something_else_is_never_used(
    weight: Weight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    archive = {
        "other": zipped({**CONTENT, "model.safetensors": b"other"}),
        "lacking": zipped({"config.json": b"{}"}),
        "none": b"no archive at all" * 90,
        "damaged": zipped(CONTENT).replace(CONTENT["model.safetensors"][2000:2020], b"x" * 20),
    }[wrong]
    install(archive, tmp_path, monkeypatch)
    with pytest.raises(WeightsError, match="the installed packages hold"):
        locate("zipped", offline=True)
    assert not (tmp_path / "cache" / "weights" / "zipped").exists()


def test_without_packages_the_way_out_names_the_extra(weight: Weight) -> None:
    with pytest.raises(
        WeightsError,
        match=r"zipped: not found; run `dashfusion weights pull zipped` with a network, "
        r"or pip install 'dashfusion\[zipped\]'$",
    ):
        locate("zipped", offline=True)
