"""A worker process seen from its parent: started, given jobs, listened to, ended with its kin."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from dashfusion_models.child import import_path
from dashfusion_models.folder import worker
from dashfusion_models.folder.crew import Gone, News

__all__ = ["WorkerProcess"]

_LEAVE_S = 5.0  # that an idle worker may take to end by itself


class WorkerProcess:
    """One process that was told what to load; `news` hears `Ready`, `Answer`, `Broken`, `Gone`.

    It leads a group of processes of its own: a Ctrl-C in the terminal does not reach it, and when
    it is killed what it started goes too.
    """

    is_up = True

    def __init__(
        self, task: Any, news: News, *, environment: Mapping[str, str], loud: bool = False
    ) -> None:
        """Start the process; `task` is called there and returns what does a job.

        Raises:
            OSError: no process can be started.
        """
        settings = {
            **os.environ,
            **environment,
            "PYTHONPATH": import_path(),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if loud else subprocess.DEVNULL,
            env=settings,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._news = news
        self._ears = threading.Thread(target=self._listen, name="worker", daemon=True)
        self._ears.start()
        self.send(task)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, thing: Any) -> None:
        """Give it something; whether it is there still is told by `news`."""
        assert self._process.stdin is not None  # it was opened as a pipe
        with contextlib.suppress(OSError):
            self._process.stdin.write(pickle.dumps(thing))
            self._process.stdin.flush()

    def kill(self) -> None:
        """End it and all it started, now."""
        self._kill_group()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a dead disk holds it for ever
            self._process.wait(_LEAVE_S)
        self._close()

    def bury(self) -> str:
        """Say in words how it ended, it has; end what it started."""
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):  # its output ends a little earlier
            code = self._process.wait(_LEAVE_S)
        self.kill()
        return "fell silent" if code is None else _ending(code)

    def leave(self) -> None:
        """Let it end by itself, it has nothing to do; kill what stays."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        self.kill()

    def _kill_group(self) -> None:
        if sys.platform == "win32":
            command = ["taskkill", "/F", "/T", "/PID", str(self.pid)]
            with contextlib.suppress(OSError):
                subprocess.run(command, capture_output=True, check=False)
            self._process.kill()
            return
        # Also where the leader has died: the face engine's process may have outlived it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                self._news.put((self, pickle.load(self._process.stdout)))
        except Exception:  # its end, or half a message because of it
            self._news.put((self, Gone()))


def _ending(code: int) -> str:
    """Say how a process ended by itself."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
