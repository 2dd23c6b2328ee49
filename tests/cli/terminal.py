"""Commands in a terminal: a pseudo-terminal and an emulator that keeps what scrolls out of sight.

`Terminal` runs a command where a person sits, `Pipe` where a program reads. `lines_on` says what a
person then sees, of either.
"""

import contextlib
import io
import os
import re
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

import pyte
import pytest

from dashfusion_cli.app import run

if sys.platform != "win32":
    import fcntl
    import pty
    import termios

NAME = "xterm-256color"
_RESIZED = re.compile(rb"\x1b\]7777;(\d+);(\d+)\x07")  # ours: the emulator follows at that place


@dataclass(frozen=True)
class Size:
    columns: int
    lines: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.lines}"


class _Screen(pyte.HistoryScreen):
    """One that becomes lower as terminals do: what leaves at the top can be scrolled back to."""

    def __init__(self, size: Size) -> None:
        super().__init__(size.columns, size.lines, history=100_000)

    def become(self, size: Size) -> None:
        row, column = self.cursor.y, self.cursor.x
        leaving = max(0, row + 1 - size.lines)
        self.cursor_position(self.lines, 1)
        for _ in range(leaving):
            self.index()
        for y in range(size.lines, self.lines):  # all blank by now
            self.buffer.pop(y, None)
        self.lines = min(self.lines, size.lines)
        self.resize(size.lines, size.columns)
        self.cursor_position(row - leaving + 1, column + 1)

    def all_lines(self) -> list[str]:
        rows = [*self.history.top, *(self.buffer[y] for y in range(self.lines))]
        texts = ["".join(row[x].data for x in range(self.columns)).rstrip() for row in rows]
        below = len(self.history.top) + self.cursor.y + 1
        assert not any(texts[below:]), texts[below:]
        return texts[:below]


def lines_on(data: bytes, size: Size) -> list[str]:
    """All lines that a terminal shows after `data`, down to the one with the cursor."""
    screen = _Screen(size)
    stream = pyte.ByteStream(screen)
    pieces = _RESIZED.split(data)
    stream.feed(pieces[0])
    for columns, lines, piece in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        screen.become(Size(int(columns), int(lines)))
        stream.feed(piece)
    return screen.all_lines()


class Terminal:
    """A pseudo-terminal, in the place of this process's standard streams while a command runs."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.code = 0
        self._data = b""

    def run(self, *arguments: object) -> "Terminal":
        theirs, self._ours = pty.openpty()
        self.resize(self.size)
        reader = threading.Thread(target=self._read, args=(theirs,))
        reader.start()
        try:
            with _standard_streams(self._ours), pytest.MonkeyPatch.context() as patch:
                for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI"):
                    patch.delenv(name, raising=False)
                patch.setenv("TERM", NAME)
                self.code = run([str(argument) for argument in arguments])
        finally:
            os.close(self._ours)
            reader.join()
            os.close(theirs)
        return self

    def resize(self, size: Size) -> None:
        """Give the window another size, as whoever drags its corner does."""
        shape = struct.pack("HHHH", size.lines, size.columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, shape)
        os.write(self._ours, b"\x1b]7777;%d;%d\x07" % (size.columns, size.lines))

    def lines(self) -> list[str]:
        return lines_on(self._data, self.size)

    def _read(self, theirs: int) -> None:
        with contextlib.suppress(OSError):  # nobody writes there any more
            while piece := os.read(theirs, 65536):
                self._data += piece


@contextlib.contextmanager
def _standard_streams(descriptor: int) -> Iterator[None]:
    kept = [os.dup(number) for number in range(3)]
    try:
        for number in range(3):
            os.dup2(descriptor, number)
        with (
            open(os.dup(descriptor), "w", encoding="utf-8") as out,
            open(os.dup(descriptor), "w", encoding="utf-8") as err,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            yield
    finally:
        for number, before in enumerate(kept):
            os.dup2(before, number)
            os.close(before)


@dataclass
class Pipe:
    """Standard streams that lead to a program, which takes a place of `size` for granted."""

    size: Size
    code: int = 0
    written: list[tuple[str, bytes]] = field(default_factory=list)

    def run(self, *arguments: object) -> "Pipe":
        out, err = self._stream("out"), self._stream("err")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", str(self.size.columns))
            patch.setenv("LINES", str(self.size.lines))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.code = run([str(argument) for argument in arguments])
        return self

    def lines(self, *names: str) -> list[str]:
        """What a terminal would show of it; of stdout alone with "out"."""
        wanted = names or ("out", "err")
        data = b"".join(piece for name, piece in self.written if name in wanted)
        return lines_on(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), self.size)

    def _stream(self, name: str) -> TextIO:
        raw: BinaryIO = io.BufferedWriter(_Recorded(name, self.written))  # type: ignore[assignment]
        return io.TextIOWrapper(raw, encoding="utf-8", line_buffering=name == "err")


class _Recorded(io.RawIOBase):
    def __init__(self, name: str, written: list[tuple[str, bytes]]) -> None:
        self._name, self._written = name, written

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written.append((self._name, bytes(data)))
        return len(data)
