"""Faces of a video's pictures, found in a child process while the next pictures are decoded."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashfusion_models.child import import_path
from dashfusion_models.closing import Closing
from dashfusion_models.errors import FaceError
from dashfusion_models.features import face_child
from dashfusion_models.features.between import between, is_alone
from dashfusion_models.features.face_engine import CUT_OFF
from dashfusion_models.features.regions import Box
from dashfusion_models.features.seen import Answer, Seen
from dashfusion_models.records import Frame, FrameFaces

__all__ = ["FaceProcess"]

AHEAD = 2  # pictures that are on their way; `submit` waits for the answer to the one before
RESTARTS = 2
UNSEEN_S = 1.0  # a lost face is looked for where it was; then the full picture is searched
SEARCH_EVERY_S = 2.0
STEADY = 5  # looks at one face that is alone; from then on every other picture will do
LARGE_PX = 256  # of the longer side; tiles of a smaller picture show too little
QUIET = {"GLOG_minloglevel": "2", "TF_CPP_MIN_LOG_LEVEL": "2"}


@dataclass(frozen=True)
class _Look:
    """A picture that waits, packed for the child; None: it is not looked at."""

    seconds: float
    message: bytes | None


class FaceProcess(Closing):
    """One child process with the face engine; a file at a time, any number one after another.

    Between `start` and `finish` stand the pictures of one file, in the order of time. While a face
    is alone in a video, every other picture of it is looked at (see `between`). A child that
    dies or hangs costs the picture it was at and is replaced, at most twice in a file; after that
    the rest of the file's pictures is given up. All of it is told in `warnings`.
    """

    def __init__(
        self,
        model: Path,
        *,
        video: bool = True,
        first_answer_s: float = 60.0,
        answer_s: float = 30.0,
    ) -> None:
        """Set up without starting anything; `video` is False for stills, each on its own."""
        self._model = model
        self._video = video
        self._patience_s = (first_answer_s, answer_s)
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._worker: threading.Thread | None = None
        self._waiting: queue.SimpleQueue[_Look | None] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._forget()

    def _forget(self) -> None:
        """Forget the last file."""
        self._answers = Seen()
        self._told: deque[Answer] = deque()  # what was looked at, until it is noted
        self._looks = self._answered = self._noted = self._alone = 0
        self._skipped = False  # whether the latest picture was not looked at
        self._warnings: list[str] = []
        self._failure: FaceError | None = None
        self._restarts = 0
        self._given_up = False
        self._seen: tuple[float, tuple[Box, ...]] = (float("-inf"), ())  # when and where, at last
        self._missed = False  # whether the first look at the latest picture found nothing
        self._searched_s = float("-inf")
        self._worth_it = True  # to look at the full size

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with the latest file."""
        return tuple(self._warnings)

    @property
    def pid(self) -> int | None:
        """Process id of the child; None without one."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Begin a file; returns at once while a new child loads the engine."""
        if self._worker is not None:
            self.finish()
        self._forget()
        try:
            self._send(face_child.pack(face_child.RESET))  # there may be one from the last file
        except OSError:
            self._reap()
            self._launch()
        self._worker = threading.Thread(target=self._work, name="faces", daemon=True)
        self._worker.start()

    def submit(self, frame: Frame) -> None:
        """Have a picture looked at; waits while too many are on their way already.

        Raises:
            FaceError: the engine cannot be loaded.
        """
        if self._worker is None:
            self.start()
        if self._failure is not None:
            raise self._failure
        if self._given_up:
            return
        self._note(self._looks + 1 - AHEAD)
        self._skipped = self._alone >= STEADY and not self._skipped
        if self._skipped:
            self._waiting.put(_Look(frame.seconds, None))
            return
        near, search = self._second_look(frame.seconds)
        full = frame.full() if self._worth_it and (near or search) else None
        if full is not None and max(full.shape[:2]) <= LARGE_PX:
            full, self._worth_it = None, False
        if full is not None and not near:
            self._searched_s = frame.seconds
        message = face_child.pack_look(frame.seconds, frame.pixels, full, near)
        self._waiting.put(_Look(frame.seconds, message))
        self._looks += 1

    def _note(self, until: int) -> None:
        """Wait for the first `until` looks, and note where faces were in these and no others.

        What happens to a picture must not depend on how fast the child is today.
        """
        with self._news:
            self._news.wait_for(lambda: self._answered >= until or self._over())
        while self._noted < until and self._told:
            answer = self._told.popleft()
            self._alone = self._alone + 1 if self._video and is_alone(answer) else 0
            if answer.faces:
                self._seen = (answer.seconds, tuple(face.box for face in answer.faces))
            self._missed = answer.again or not answer.faces
            self._noted += 1

    def _over(self) -> bool:
        return self._given_up or self._failure is not None

    def _second_look(self, seconds: float) -> tuple[tuple[Box, ...], bool]:
        """Return where to look again at full size, and whether to search all of it."""
        if not self._video:
            return (), True
        seen_s, boxes = self._seen
        if seconds - seen_s < UNSEEN_S:
            return (boxes, False) if self._missed else ((), False)
        return (), self._missed and seconds - self._searched_s >= SEARCH_EVERY_S

    def finish(self) -> Sequence[FrameFaces]:
        """Wait for the last answers of the file and return all, in the order of time.

        The child stays for the next file; `close` ends it.

        Raises:
            FaceError: the engine cannot be loaded.
        """
        if self._worker is not None:
            self._waiting.put(None)
            self._worker.join()
            self._worker = None
        if self._failure is not None:
            raise self._failure
        return self._answers

    def close(self) -> None:
        """End the child; it is gone when this returns."""
        self._given_up = True
        self._kill()
        if self._worker is not None:
            self._waiting.put(None)
            self._worker.join()
            self._worker = None
        self._reap()

    def __enter__(self) -> "FaceProcess":
        """Start the first file."""
        self.start()
        return self

    def _work(self) -> None:
        """Ask the child about one picture after another (runs in a thread)."""
        latest = Answer(0.0, faces=())
        skipped: float | None = None
        while (look := self._waiting.get()) is not None:
            if self._over():
                continue
            if look.message is None:
                skipped = look.seconds
                continue
            answer = self._answer_to(look.seconds, look.message)
            if skipped is not None:
                self._answers.append(between(skipped, latest, answer))
            latest, skipped = answer, None
            with self._news:
                self._answers.append(answer)
                self._told.append(answer)
                self._answered += 1
                self._news.notify_all()
        if skipped is not None:
            self._answers.append(between(skipped, latest, None))

    def _answer_to(self, seconds: float, message: bytes) -> Answer:
        """What the child says of a picture; nothing where it died or hung over it."""
        try:
            return self._ask(seconds, message)
        except (EOFError, OSError):
            self._died(seconds)
        except FaceError as error:
            self._failure = error
        return Answer(seconds, faces=())

    def _ask(self, seconds: float, message: bytes) -> Answer:
        """Send one picture and wait for its faces; a child that takes too long is killed."""
        child = self._child
        if child is None or child.stdout is None:
            raise EOFError
        first_s, next_s = self._patience_s
        if not self._ready:
            self._answer(child, first_s)
            self._ready = True
        self._send(message)
        again, faces = face_child.unpack_faces(self._answer(child, next_s))
        return Answer(seconds, faces, again)

    def _answer(self, child: "subprocess.Popen[bytes]", patience_s: float) -> bytes:
        assert child.stdout is not None  # it was opened as a pipe
        alarm = threading.Timer(patience_s, child.kill)
        alarm.daemon = True
        alarm.start()
        try:
            kind, body = face_child.read(child.stdout)  # type: ignore[arg-type]
        finally:
            alarm.cancel()
        if kind == face_child.FAILED:
            raise FaceError(body.decode())
        return body

    def _died(self, seconds: float) -> None:
        """Replace a dead child, or give up."""
        self._reap()
        if self._given_up:
            return
        if self._restarts == RESTARTS:
            self._given_up = True
            self._warnings.append(
                f"the face engine stopped at {seconds:.1f} s once more: no faces from there on"
            )
            return
        self._restarts += 1
        self._warnings.append(f"the face engine stopped at {seconds:.1f} s and was started again")
        self._launch()

    def _launch(self) -> None:
        """Start a child, cut off from the web and silent; it finds our packages where we do."""
        settings = {k: v for k, v in os.environ.items() if k.lower() != "no_proxy"}
        settings |= {**CUT_OFF, **QUIET, "PYTHONPATH": import_path()}
        mode = "video" if self._video else "still"
        self._ready = False
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", face_child.__name__, str(self._model), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=settings,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def _send(self, message: bytes) -> None:
        if self._child is None or self._child.stdin is None:
            raise BrokenPipeError
        self._child.stdin.write(message)
        self._child.stdin.flush()

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _reap(self) -> None:
        """Kill what is left of the child, wait for its end and close its pipes."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
