"""`weights` and `doctor` from the outside."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dashfusion_cli import checks
from dashfusion_cli.checks import Check, State
from dashfusion_models.weights import lookup as weights
from dashfusion_models.weights.known import Weight, WeightFile

from .conftest import Result

Command = Callable[..., Result]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One set of weights, of four bytes, in the cache."""
    sha256 = hashlib.sha256(b"good").hexdigest()
    weight = Weight(
        name="tiny",
        purpose="tests",
        licence="MIT",
        size_bytes=4,
        files=(WeightFile(name="tiny.bin", sha256=sha256),),
        single=True,
        url="https://example.invalid/tiny.bin",
    )
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": weight})
    path = tmp_path / "cache" / "weights" / "tiny" / "tiny.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"good")
    return path


def test_weights_are_listed_found_and_verified(command: Command, tiny: Path) -> None:
    (listed,) = json.loads(command("weights", "list", "--format", "json").out)
    assert (listed["name"], listed["path"], listed["source"]) == ("tiny", str(tiny), "cache")
    assert command("weights", "path", "tiny").out == f"{tiny}\n"
    assert command("weights", "pull", "tiny").out == f"{tiny}\n"
    assert command("weights", "verify").out.startswith("tiny: sound, SHA-256 ")
    assert "tiny" in command("weights", "list").out


def test_an_altered_file_fails_verification(command: Command, tiny: Path) -> None:
    assert command("weights", "verify", "tiny").code == 0
    stamp = tiny.stat()
    tiny.write_bytes(b"evil")
    os.utime(tiny, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size and time as before
    result = command("weights", "verify", "tiny")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: tiny: tiny.bin has SHA-256 ")
    assert not tiny.exists()


def test_offline_pull_of_what_is_missing_says_how_to_get_it(command: Command, tiny: Path) -> None:
    tiny.unlink()
    tiny.parent.rmdir()
    result = command("weights", "pull", "tiny", "--offline")
    assert result.code == 1
    assert "dashfusion weights pull tiny" in result.err


def test_unknown_names_list_the_known(command: Command) -> None:
    result = command("weights", "path", "nope")
    assert result.code == 1
    assert "known are bert-base-chinese, " in result.err


@pytest.mark.parametrize(("state", "code"), [(State.ok, 0), (State.warn, 0), (State.fail, 1)])
def test_doctor_fails_only_where_analyze_could_not_run(
    command: Command, monkeypatch: pytest.MonkeyPatch, state: State, code: int
) -> None:
    found = [Check("python", State.ok, "3.12"), Check("disk", state, "1 GB", "make room")]
    monkeypatch.setattr(checks, "all_checks", lambda *, offline: iter(found))
    shown = command("doctor")
    assert shown.code == code
    assert "-> make room" in shown.out
    body = json.loads(command("doctor", "--format", "json").out)
    assert body["ready"] is (code == 0)
    assert body["checks"][1] == {
        "name": "disk",
        "state": state.value,
        "fact": "1 GB",
        "fix": "make room",
    }


def test_missing_weights_only_warn_where_they_may_be_downloaded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashfusion_models.weights import known as weight_list

    monkeypatch.setattr(weight_list, "WEIGHTS", weights.WEIGHTS)
    assert checks._weights("speech", "tiny", offline=True).state is State.ok
    tiny.unlink()
    assert checks._weights("speech", "tiny", offline=False).state is State.warn
    assert checks._weights("speech", "tiny", offline=True).state is State.fail


def test_missing_system_libraries_are_named_with_their_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "_on_linux", lambda: True)
    monkeypatch.setattr(checks, "_loads", lambda name: name != "libEGL.so.1")
    check = checks._face_engine()
    assert (check.state, check.fact) == (State.fail, "libEGL.so.1 missing")
    assert check.fix == "apt-get install libegl1"


def _nothing(*_: object) -> None:
    return None


def _broken(name: str) -> object:
    raise ImportError(f"lib{name}.so: cannot open shared object file\nsecond line")


@pytest.mark.parametrize(
    ("check", "place", "name", "instead"),
    [
        (checks._python, checks, "_LEAST_PYTHON", (99, 0)),
        (checks._torch, checks.importlib, "import_module", _broken),
        (checks._media, checks.importlib, "import_module", _broken),
        (checks._speech_engine, checks.importlib.util, "find_spec", _nothing),
        (checks._face_engine, checks.importlib.util, "find_spec", _nothing),
        (checks._overlay, checks.importlib, "import_module", _broken),
        (checks._disk, checks, "_DISK_BYTES", 1e18),
        (checks._memory, checks, "_memory_bytes", _nothing),
        (checks._memory, checks, "_MEMORY_BYTES", 1e18),
    ],
)
def test_whatever_is_wrong_comes_with_its_fix(
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[], Check],
    place: object,
    name: str,
    instead: object,
) -> None:
    assert check().state is State.ok or check().fix
    monkeypatch.setattr(place, name, instead)
    found = check()
    assert found.state is not State.ok
    assert found.fix
    assert "\n" not in found.fact
