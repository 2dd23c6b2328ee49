import io
import sys
import threading

import pytest
from rich.console import Console

from dashfusion_cli.display import _Above
from dashfusion_cli.messages import say_warning
from dashfusion_cli.progress import PlainLines, show_progress
from dashfusion_cli.session import Session
from dashfusion_models.records import Progress


def test_plain_lines_come_at_most_every_ten_seconds() -> None:
    stream, now = io.StringIO(), [0.0]
    lines = PlainLines(stream, clock=lambda: now[0])
    lines.title("clip.mp4", number=2, of=3)
    for second in range(31):
        now[0] = float(second)
        lines(Progress("transcribe", second * 2.0, 100.0))
    assert stream.getvalue().splitlines() == [
        "[2/3] clip.mp4: transcribe 20.0 of 100.0 s, 2.0x, 0:40 left",
        "[2/3] clip.mp4: transcribe 40.0 of 100.0 s, 2.0x, 0:30 left",
        "[2/3] clip.mp4: transcribe 60.0 of 100.0 s, 2.0x, 0:20 left",
    ]


def test_bytes_and_things_have_their_own_units() -> None:
    stream, now = io.StringIO(), [0.0]
    lines = PlainLines(stream, clock=lambda: now[0])
    lines(Progress("download", 0.0, None, "B"))
    now[0] = 10.0
    lines(Progress("download", 5e6, None, "B"))
    now[0] = 20.0
    lines(Progress("files", 3.0, 9.0, "files"))
    assert stream.getvalue().splitlines() == ["download 5.0 MB, 0.5 MB/s", "files 3 of 9 files"]


def test_quiet_says_nothing_at_all(capsys: object) -> None:
    with show_progress(Session(quiet=True)) as board:
        board.title("clip.mp4")
        board(Progress("decode", 1.0, 2.0))
        with board.aside():
            pass
    out, err = capsys.readouterr()  # type: ignore[attr-defined]
    assert (out, err) == ("", "")


def test_files_of_a_folder_have_their_pace_and_time_left_in_the_note() -> None:
    """Their own mean would be wrong: files are of different lengths."""
    stream, now = io.StringIO(), [0.0]
    lines = PlainLines(stream, clock=lambda: now[0])
    lines(Progress("batch", 0, 60, "files"))
    now[0] = 12.0
    lines(Progress("batch", 3, 60, "files", "15.0 files/min, 3:48 left, 1 failed"))
    assert stream.getvalue() == "batch 3 of 60 files, 15.0 files/min, 3:48 left, 1 failed\n"


def test_what_is_slow_is_counted_by_the_minute_or_the_hour() -> None:
    stream, now = io.StringIO(), [0.0]
    lines = PlainLines(stream, clock=lambda: now[0])
    lines(Progress("train", 0, 20, "trainings"))
    now[0] = 20.0
    lines(Progress("train", 2, 20, "trainings"))
    now[0] = 3600.0
    lines(Progress("train", 3, 20, "trainings"))
    assert stream.getvalue().splitlines() == [
        "train 2 of 20 trainings, 6.0 trainings/min, 3:00 left",
        "train 3 of 20 trainings, 3.0 trainings/h, 5:40:00 left",
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for term in ("dumb", "xterm"):
        monkeypatch.setenv("TERM", term)
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stderr", stream)
        with show_progress(Session()) as board:
            assert isinstance(board, PlainLines) == (term == "dumb")


def test_a_line_that_was_not_ended_is_printed_once() -> None:
    stderr = io.StringIO()
    above = _Above(Console(file=stderr), stderr, threading.RLock())
    above.write("no line end")
    above.finish()
    above.write(", and on\n")
    above.finish()
    assert stderr.getvalue() == "no line end, and on\n"


def test_a_message_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may write between two pieces."""
    written: list[str] = []
    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", written.append)
    monkeypatch.setattr(sys, "stderr", stream)
    say_warning("it is long", Session())
    assert written == ["warning: it is long\n"]


def test_a_name_cannot_steer_the_terminal() -> None:
    stream = io.StringIO()
    times = iter([0.0, 11.0, 22.0])
    lines = PlainLines(stream, clock=lambda: next(times))
    lines.title("a\x1b[2J\u202e.mp4", number=1, of=2)
    lines(Progress("vision", 1.0, 2.0))
    assert stream.getvalue().startswith(r"[1/2] a\x1b[2J\u202e.mp4: vision 1.0 of 2.0 s")
