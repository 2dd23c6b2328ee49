import io
import sys
from pathlib import Path

import pytest

from dashfusion_cli.output import Output, OutputError, StdoutClosed
from dashfusion_models.errors import ConfigError


def test_the_file_appears_only_when_all_is_written(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    with Output(file) as out:
        out.write(b"first ")
        assert not file.exists()
        out.write(b"second")
    assert file.read_bytes() == b"first second"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Output(tmp_path / "out.txt") as out:
        out.write(b"half")
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    for place, fact in (
        (tmp_path, "is a folder"),
        (tmp_path / "there", "exists already"),
        (tmp_path / "gone" / "out.txt", "no such folder"),
    ):
        with pytest.raises(ConfigError, match=fact):
            Output(place)


def test_a_full_disk_is_an_error_of_ours() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with (
        pytest.MonkeyPatch.context() as patch,
        open("/dev/full", "w") as full,
        pytest.raises(OutputError, match="No space left"),
    ):
        patch.setattr(sys, "stdout", full)
        try:
            Output(None).write(b"x" * 100_000)
        finally:
            patch.setattr(sys, "stdout", io.StringIO())


def test_a_reader_that_has_gone_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(StdoutClosed):
        Output(None).write(b"x")
    monkeypatch.undo()
