import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashfusion_cli.output import Output, OutputError, StdoutClosed, files_read
from dashfusion_models.errors import ConfigError

from .conftest import ROOT


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


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes with names")
def test_only_ordinary_files_are_replaced_and_none_that_is_read(tmp_path: Path) -> None:
    clip, pipe, link = tmp_path / "clip.mp4", tmp_path / "pipe", tmp_path / "link.json"
    clip.write_bytes(b"precious")
    os.mkfifo(pipe)
    link.symlink_to(clip)
    other_name = tmp_path / "same.mp4"
    os.link(clip, other_name)
    for place, fact in (
        (link, "is a link"),
        (pipe, "is no ordinary file"),
        (Path(os.devnull), "is no ordinary file"),
        (clip, "is read for this result"),
        (other_name, "is read for this result"),
    ):
        with pytest.raises(ConfigError, match=fact):
            Output(place, force=True, reads=[tmp_path / "gone.mp4", clip])
    assert clip.read_bytes() == b"precious" and link.is_symlink() and pipe.is_fifo()


def test_a_command_line_names_what_it_reads_and_what_it_writes() -> None:
    asked = {
        "media": [Path("a.mp4"), Path("b.mp4")],
        "output": Path("o.json"),
        "overlay": Path("o.mp4"),
        "transcript": Path("a.srt"),
        "config": None,
        "checkpoint": "best.safetensors",
        "start": "0:10",
    }
    read = ["a.mp4", "b.mp4", "a.srt", "best.safetensors"]
    assert files_read(asked) == [Path(name) for name in read]


ASKS = """
import sys
from pathlib import Path
from dashfusion_cli.output import check_place
from dashfusion_models.errors import ConfigError
try:
    check_place(Path("new/deep/out.json"), "--output", force=False)
except ConfigError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ("y", ""),
        ("n", "new/deep: no such folder; create it first: mkdir -p new/deep\n"),
        ("", "new/deep: no such folder; create it first: mkdir -p new/deep\n"),
    ],
)
def test_at_a_terminal_a_missing_folder_is_made_when_somebody_says_so(
    tmp_path: Path, answer: str, printed: str
) -> None:
    ours, theirs = os.openpty()
    program = [sys.executable, "-c", ASKS]
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "models"))
    with subprocess.Popen(
        program,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": roots},
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        asked = b""
        while b"?" not in asked:
            asked += os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert asked.startswith(b"new/deep: no such folder; create it?")
    assert out == printed
    assert (tmp_path / "new" / "deep").is_dir() == (answer == "y")


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
