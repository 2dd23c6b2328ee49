"""What `doctor` looks at: each check tries the thing itself and says how to fix it."""

import ctypes
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dashfusion_models.errors import DashfusionError

__all__ = ["Check", "State", "all_checks"]

_LEAST_PYTHON = (3, 11)
_DISK_BYTES = 1e9  # the weights of the defaults, joined, with room
_MEMORY_BYTES = 3e9  # an estimate: torch, both engines and their weights
_GRAPHICS = {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2", "libGL.so.1": "libgl1"}


class State(StrEnum):
    """`fail` means that analyze could not run."""

    ok = "ok"
    warn = "warn"
    fail = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the report; `fix` is None where nothing is to be done."""

    name: str
    state: State
    fact: str
    fix: str | None = None


def all_checks(*, offline: bool) -> Iterator[Check]:
    """Yield every check, one after the other, as it is done."""
    checks: tuple[Callable[[], Check], ...] = (
        _python,
        _torch,
        _media,
        _speech_engine,
        lambda: _weights("speech weights", "whisper-base", offline=offline),
        _face_engine,
        lambda: _weights("face weights", "face-landmarker", offline=offline),
        lambda: _weights("default model", "dashfusion-mini", offline=offline),
        _larger_model,
        _overlay,
        _disk,
        _memory,
    )
    for check in checks:
        yield check()


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _LEAST_PYTHON:
        return Check("python", State.fail, version, "install Python 3.11 or newer")
    return Check("python", State.ok, f"{version} on {sys.platform}")


def _torch() -> Check:
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        return Check("torch", State.fail, _first_line(error), "pip install --upgrade torch")
    wanted = "cuda" if torch.cuda.is_available() else "mps" if _has_mps(torch) else "cpu"
    try:
        float(torch.ones(2, device=wanted).sum())
    except (RuntimeError, AssertionError) as error:
        fix = "use --device cpu, or mend the driver"
        return Check("torch", State.warn, f"{wanted} does not work ({_first_line(error)})", fix)
    return Check("torch", State.ok, f"{torch.__version__}, runs on {wanted}")


def _has_mps(torch: object) -> bool:
    mps = getattr(getattr(torch, "backends", None), "mps", None)
    return bool(mps is not None and mps.is_available())


def _media() -> Check:
    return _importable("media", "av", "pip install av")


def _speech_engine() -> Check:
    faster = _importable("speech engine", "ctranslate2", "pip install 'dashfusion[offline]'")
    if faster.state is State.ok and importlib.util.find_spec("faster_whisper"):
        return Check("speech engine", State.ok, "faster-whisper")
    if importlib.util.find_spec("whisper"):
        fix = "pip install 'dashfusion[offline]' for a faster one"
        return Check("speech engine", State.ok, "openai-whisper", fix)
    return Check("speech engine", State.fail, "none is installed", "pip install openai-whisper")


def _face_engine() -> Check:
    if importlib.util.find_spec("mediapipe") is None:
        return Check("face engine", State.fail, "mediapipe is missing", "pip install mediapipe")
    missing = [name for name in _GRAPHICS if not _loads(name)] if _on_linux() else []
    if missing:
        fix = f"apt-get install {' '.join(_GRAPHICS[name] for name in missing)}"
        return Check("face engine", State.fail, f"{', '.join(missing)} missing", fix)
    return Check("face engine", State.ok, "mediapipe, with its system libraries")


def _weights(what: str, name: str, *, offline: bool) -> Check:
    from dashfusion_models.weights import locate
    from dashfusion_models.weights.known import WEIGHTS

    known = WEIGHTS[name]
    try:
        path = locate(name, offline=True)
    except DashfusionError as error:
        fact, _, fix = str(error).rpartition("; ")
        may_come = not offline and (known.hub or known.url)
        if may_come:
            fact += f" yet: {known.size_bytes / 1e6:.0f} MB are downloaded at the first use"
        return Check(what, State.warn if may_come else State.fail, fact, fix)
    return Check(what, State.ok, f"{name}, SHA-256 verified, licence {known.licence}: {path}")


def _larger_model() -> Check:
    """Check the text encoder of dashfusion-base, which nothing else needs."""
    from dashfusion_models.weights import locate
    from dashfusion_models.weights.known import WEIGHTS
    from dashfusion_models.weights.places import peek

    what, model, encoder = "larger model", "dashfusion-base", WEIGHTS["mpnet"]
    shipped = peek(WEIGHTS[model])[0] is not None
    try:
        if shipped:
            locate(model, offline=True)
        locate(encoder.name, offline=True)
    except DashfusionError as error:
        fact, _, fix = str(error).rpartition("; ")
        fact += f"; only {model} needs it ({encoder.size_bytes / 1e6:.0f} MB)"
        return Check(what, State.warn if shipped else State.ok, fact, fix)
    if not shipped:
        return Check(what, State.ok, f"{encoder.name} is here, {model} not in this installation")
    return Check(what, State.ok, f"{model} with {encoder.name}, SHA-256 verified")


def _overlay() -> Check:
    """What `analyze --overlay` needs beside the rest; analyze itself runs without it."""
    name = "overlay"
    try:
        ffmpeg = importlib.import_module("moviepy.config").FFMPEG_BINARY
    except (ImportError, OSError, RuntimeError) as error:
        fix = "pip install moviepy, and install ffmpeg or set FFMPEG_BINARY to its path"
        return Check(name, State.warn, f"no video can be written ({_first_line(error)})", fix)
    if not importlib.import_module("PIL.features").check("raqm"):
        fact = "Arabic and Hebrew captions would run from left to right"
        fix = "install FriBiDi (apt-get install libfribidi0, brew install fribidi)"
        return Check(name, State.warn, fact, fix)
    return Check(name, State.ok, f"moviepy, with {ffmpeg}")


def _disk() -> Check:
    from dashfusion_models.cache import cache_folder

    folder = cache_folder()
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    fact = f"{free / 1e9:.1f} GB free for {folder}"
    if free < _DISK_BYTES:
        return Check("disk", State.warn, fact, "make room, or set DASHFUSION_CACHE elsewhere")
    if not os.access(there, os.W_OK):
        return Check("disk", State.warn, f"{there} is read-only", "set DASHFUSION_CACHE elsewhere")
    return Check("disk", State.ok, fact)


def _memory() -> Check:
    size = _memory_bytes()
    if size is None:
        fix = f"see that {_MEMORY_BYTES / 1e9:.0f} GB are free"
        return Check("memory", State.warn, "its size could not be found out", fix)
    fact = f"{size / 1e9:.1f} GB"
    if size < _MEMORY_BYTES:
        return Check("memory", State.warn, fact, "close other programs; use --asr-model tiny")
    return Check("memory", State.ok, fact)


def _memory_bytes() -> int | None:
    """Return the memory that this process may use: the machine's, or its container's."""
    if sys.platform == "win32":
        return _windows_memory_bytes()
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            size = min(size, int((Path("/sys/fs/cgroup") / limit).read_text()))
        except (OSError, ValueError):  # no limit, or no such file
            continue
    return size


def _windows_memory_bytes() -> int | None:
    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((f"number_{i}", ctypes.c_ulonglong) for i in range(7)),
        )

    status = Status()
    status.length = ctypes.sizeof(Status)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009  (there on Windows only)
    return int(status.number_0) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _importable(what: str, module: str, fix: str) -> Check:
    try:
        found = importlib.import_module(module)
    except (ImportError, OSError) as error:
        return Check(what, State.fail, _first_line(error), fix)
    return Check(what, State.ok, f"{module} {getattr(found, '__version__', '')}".rstrip())


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _on_linux() -> bool:
    return sys.platform.startswith("linux")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
