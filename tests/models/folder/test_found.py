from pathlib import Path

import pytest

from dashfusion_models.errors import FolderError
from dashfusion_models.folder.found import find_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = "b.mp4 a.MOV notes.txt .hidden.mp4 sub/c.wav sub/deep/d.jpg results/e.mp4 f.xyz"
    for name in names.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    return tmp_path


def test_files_that_end_like_media_in_the_order_of_their_names(tree: Path) -> None:
    assert list(find_files(tree)) == [("a.MOV", 5), ("b.mp4", 5)]


def test_folders_below_but_not_the_results(tree: Path) -> None:
    found = find_files(tree, recursive=True, leave_out=tree / "results")
    assert [path for path, _ in found] == ["a.MOV", "b.mp4", "sub/c.wav", "sub/deep/d.jpg"]


def test_patterns_take_what_they_name(tree: Path) -> None:
    def found(*include: str) -> list[str]:
        return [path for path, _ in find_files(tree, recursive=True, include=include)]

    assert found("*.xyz", "*.wav") == ["f.xyz", "sub/c.wav"]
    assert found("sub/*.jpg") == ["sub/deep/d.jpg"]


def test_only_the_first(tree: Path) -> None:
    assert [path for path, _ in find_files(tree, limit=1)] == ["a.MOV"]


@pytest.mark.parametrize(("name", "fact"), [("no", "no such folder"), ("b.mp4", "is a file")])
def test_no_folder(tree: Path, name: str, fact: str) -> None:
    with pytest.raises(FolderError, match=fact):
        list(find_files(tree / name))
