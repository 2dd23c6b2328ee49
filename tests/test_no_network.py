"""`analyze` calls nobody: every process that it starts is watched for attempts to reach the web.

An audit hook sees what Python code does on every system. What a library does by itself is seen by
`strace`, where that is installed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dashfusion_models.privacy import SWITCHES

OWN = ("127.", "::1", "::ffff:127.")
ROOT = Path(__file__).parents[1]
DEMO = ROOT / "assets" / "demo.mp4"

# Python imports it at the start of each of its processes. It writes down whom they look up or call.
WATCH = """
import os, sys

OWN = ("127.", "::1", "localhost")


def _watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        place = str(arguments[0])
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        where = arguments[1]
        if not isinstance(where, tuple):  # a socket of this machine, or one that is connected
            return
        place = str(where[0])
    else:
        return
    if not place.startswith(OWN):
        with open(os.environ["CALLED"], "a") as file:
            file.write(f"{os.path.basename(sys.argv[0])} {event} {place}\\n")


sys.addaudithook(_watch)
with open(os.environ["STARTED"], "a") as file:
    file.write("x\\n")
"""
CALL_OUT = "import socket; s = socket.socket(); s.settimeout(0.1); s.connect_ex(('192.0.2.1', 80))"


def watched(folder: Path, arguments: list[str]) -> tuple[str, int, int]:
    """Run Python under watch: who was called, how many processes of it there were, its code."""
    (folder / "sitecustomize.py").write_text(WATCH, "utf-8")
    called, started = folder / "called.txt", folder / "started.txt"
    places = (folder, ROOT, ROOT / "models", ROOT / "training")
    settings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "CALLED": str(called),
        "STARTED": str(started),
    }
    done = subprocess.run([sys.executable, *arguments], env=settings, check=False)
    calls = called.read_text("utf-8") if called.exists() else ""
    return calls, len(started.read_text("utf-8").splitlines()), done.returncode


def test_the_watch_sees_a_call(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CALL_OUT!r}])"
    calls, started, _ = watched(tmp_path, ["-c", child])
    assert started == 2
    assert "socket.connect 192.0.2.1" in calls


@pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")
def test_analyze_calls_nobody(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = ["-m", "dashfusion_cli", "analyze", str(DEMO), "--end", "3", "--format", "json"]
    calls, started, code = watched(tmp_path, [*command, "-o", str(out)])
    assert code == 0
    assert out.is_file()
    assert started >= 2  # the face engine's process too
    assert calls == ""


def traced(folder: Path, arguments: list[str]) -> list[str]:
    """Run Python and its children under strace: the internet addresses that they tried to reach."""
    trace = folder / "trace.txt"
    watch = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    places = os.pathsep.join(map(str, (ROOT, ROOT / "models", ROOT / "training")))
    settings = {k: v for k, v in os.environ.items() if k not in SWITCHES}
    subprocess.run(
        [*watch, sys.executable, *arguments], env={**settings, "PYTHONPATH": places}, check=True
    )
    found = re.findall(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"', trace.read_text("utf-8"))
    return [address for address in found if not address.startswith(OWN)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_library_calls_anybody(tmp_path: Path) -> None:
    assert traced(tmp_path, ["-c", CALL_OUT]) == ["192.0.2.1"]  # the watch sees a call
    detect = (
        "import numpy as np\n"
        "from dashfusion_models.speech.voice_activity import VoiceActivity\n"
        "VoiceActivity()(np.zeros(16000, np.float32))"
    )
    assert (
        traced(tmp_path, ["-c", detect]) == []
    )  # as a library, without the command line's switches
    if DEMO.is_file():
        command = ["-m", "dashfusion_cli", "analyze", str(DEMO), "--end", "3"]
        assert traced(tmp_path, [*command, "-o", str(tmp_path / "out.txt")]) == []
