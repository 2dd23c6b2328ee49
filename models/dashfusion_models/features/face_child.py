"""The child process of face_process.py: reads pictures from its input, writes faces to its output.

It is a process of its own because MediaPipe does one picture at a time in a process, because a
crash in it must not end the program, and because it reports its use to its maker unless its
process is cut off from the web (see `face_engine`). A plain program and not a multiprocessing
target: that would run the user's script a second time.
"""

import json
import os
import signal
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from dashfusion_models.errors import FaceError
from dashfusion_models.features.regions import Box
from dashfusion_models.records import Face

__all__ = ["FACES", "FAILED", "LOOK", "READY", "RESET", "pack", "pack_look", "read", "unpack_faces"]

RESET, LOOK = b"R", b"L"  # to the child: a new file begins; look at this picture
READY, FACES, FAILED = b"Y", b"F", b"X"  # from the child
HEAD = struct.Struct("<cQ")  # kind, bytes that follow
FACE_NUMBERS = 4 + 52 + 6

Pixels = UInt8[np.ndarray, "height width 3"]
Full = UInt8[np.ndarray, "full_height full_width 3"]


def pack(kind: bytes, *parts: bytes) -> bytes:
    """Return one message."""
    return HEAD.pack(kind, sum(map(len, parts))) + b"".join(parts)


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read one message: its kind and its body.

    Raises:
        EOFError: the other side is gone.
    """
    kind, size = HEAD.unpack(_exactly(stream, HEAD.size))
    return kind, _exactly(stream, size)


def pack_look(seconds: float, pixels: Pixels, full: Full | None, near: tuple[Box, ...]) -> bytes:
    """Return the message that has a picture looked at; at its full size too if that is given."""
    head: dict[str, Any] = {"seconds": seconds, "shape": pixels.shape, "near": near}
    parts = [np.ascontiguousarray(pixels).tobytes()]
    if full is not None:
        head["full"] = full.shape
        parts.append(np.ascontiguousarray(full).tobytes())
    text = json.dumps(head).encode()
    return pack(LOOK, struct.pack("<I", len(text)), text, *parts)


def unpack_faces(body: bytes) -> tuple[bool, tuple[Face, ...]]:
    """Return whether a second look was needed, and the faces of one picture."""
    numbers = np.frombuffer(body[1:]).reshape(-1, FACE_NUMBERS)
    faces = []
    for row in numbers:
        x, y, width, height = row[:4].tolist()
        shapes, pose = row[4:-6].astype(np.float32), row[-6:].astype(np.float32)
        faces.append(Face(box=(x, y, width, height), blendshapes=shapes, pose=pose))
    return body[:1] == b"1", tuple(faces)


def _pack_faces(again: bool, faces: tuple[Face, ...]) -> bytes:
    rows = [np.concatenate([face.box, face.blendshapes, face.pose]) for face in faces]
    numbers = np.array(rows, dtype=np.float64)
    return pack(FACES, b"1" if again else b"0", numbers.tobytes())


def _unpack_look(body: bytes) -> tuple[float, Pixels, Full | None, list[Box]]:
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    pixels = np.frombuffer(body, np.uint8, int(np.prod(head["shape"])), 4 + length)
    full = None
    if "full" in head:
        offset = 4 + length + pixels.size
        full = np.frombuffer(body, np.uint8, offset=offset).reshape(head["full"])
    near = [tuple(box) for box in head["near"]]
    return head["seconds"], pixels.reshape(head["shape"]), full, near


def _exactly(stream: BinaryIO, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = stream.read(size - len(pieces))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)


def _serve(model: Path, *, video: bool, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    from dashfusion_models.features.vision import FaceFinder

    finder = FaceFinder(model, video=video)
    sink.write(pack(READY))
    sink.flush()
    while True:
        kind, body = read(source)
        if kind == RESET:
            if video:  # stills stand alone: their finder remembers nothing
                finder.close()
                finder = FaceFinder(model, video=video)
            continue
        seconds, pixels, full, near = _unpack_look(body)
        faces = finder.find(pixels, seconds)
        again = not faces and full is not None
        if not faces and full is not None:
            faces = finder.look_again(full, near=near)
        sink.write(_pack_faces(again, faces))
        sink.flush()


def _main() -> None:
    """Keep the real output for answers and send everything else that is printed nowhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when this ends
    sink = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # MediaPipe's sound tasks, which it always loads, would search the system for a sound library.
    sys.modules["sounddevice"] = None  # type: ignore[assignment]
    # Its drawing tools load Matplotlib, which takes as long as all the rest of it.
    for name in ("matplotlib", "matplotlib.pyplot"):
        sys.modules[name] = ModuleType(name)
    video = sys.argv[2] == "video"
    try:
        _serve(Path(sys.argv[1]), video=video, source=sys.stdin.buffer, sink=sink)
    except FaceError as error:
        sink.write(pack(FAILED, str(error).encode()))
        sink.flush()
    except (EOFError, BrokenPipeError):
        pass
    # Without the interpreter's clean-up: the engine's own threads may be in the middle of things.
    os._exit(0)


if __name__ == "__main__":
    _main()
