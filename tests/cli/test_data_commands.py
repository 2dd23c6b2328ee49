"""`data prepare`, `data info` and `data verify` as a user types them."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.official.form import write_official_file

Command = Callable[..., Any]
COUNTS = {"train": 6, "valid": 3, "test": 3}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "unaligned_50.pkl"
    return write_official_file(path, "mosi", COUNTS, seed=2, kind="sum")


@pytest.fixture
def store(command: Command, official: Path, tmp_path: Path) -> Path:
    assert command("data", "prepare", "mosi", official, "-o", tmp_path / "mosi", "-q").code == 0
    return tmp_path / "mosi"


def test_prepare_says_what_was_found(command: Command, official: Path, tmp_path: Path) -> None:
    done = command("data", "prepare", "mosi", official, "--output", tmp_path / "made" / "mosi")
    assert done.code == 0
    assert "(unknown)" in done.out
    assert "1284" in done.out
    lines = done.err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"warning: {official}: ") for line in lines)
    assert (tmp_path / "made" / "mosi" / "store.json").is_file()
    again = command("data", "prepare", "mosi", official, "--output", tmp_path / "made" / "mosi")
    assert (again.code, again.out) == (1, "")
    assert "exists already" in again.err


def test_prepare_as_json(command: Command, official: Path, tmp_path: Path) -> None:
    done = command(
        "data", "prepare", "mosi", official, "-o", tmp_path / "mosi", "--format", "json", "-q"
    )
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["benchmark"], found["counts"]) == ("mosi", COUNTS)
    assert found["frames"]["train"]["audio"]["infinite"] == 2


def test_info(command: Command, store: Path, tmp_path: Path) -> None:
    done = command("data", "info", store)
    assert done.code == 0
    assert "mosi official vision" in done.out
    assert command("data", "info", store, "-o", tmp_path / "f.json", "--format", "json").out == ""
    facts = json.loads((tmp_path / "f.json").read_text("utf-8"))
    assert facts["samples"] == 12
    assert command("data", "info", store, "-o", tmp_path / "g.json").code == 0
    assert (tmp_path / "g.json").read_bytes() == (tmp_path / "f.json").read_bytes()
    assert command("data", "info", store, "-o", tmp_path / "g.csv").code == 2  # no form of this one
    refused = command("data", "info", store, "-o", tmp_path / "f.json", "--format", "json")
    assert (refused.code, "--force" in refused.err) == (1, True)


def test_verify_a_store(command: Command, store: Path) -> None:
    done = command("data", "verify", store)
    assert (done.code, done.err) == (0, "")
    assert "whole" in done.out
    assert json.loads(command("data", "verify", store, "--format", "json").out)["shards"] == 1
    assert command("data", "verify", store, "-o", "verified.json").code == 0
    assert json.loads(Path("verified.json").read_text("utf-8"))["shards"] == 1
    with (store / "shard-00000.safetensors").open("ab") as file:
        file.write(b"x")
    done = command("data", "verify", store)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert "shard-00000.safetensors" in done.err


def test_verify_a_file(command: Command, official: Path) -> None:
    done = command("data", "verify", official)
    assert (done.code, done.out) == (1, "")
    assert "is unknown" in done.err


class _Opens:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


def _wrong(kind: str, official: Path, canary: Path) -> bytes:
    data = pickle.loads(official.read_bytes())
    if kind == "malicious":
        data["train"]["extra"] = _Opens(canary)
    elif kind == "truncated":
        return official.read_bytes()[:100_000]
    elif kind == "no pickle":
        return b"<html>sign in</html>"
    elif kind == "missing key":
        del data["valid"]["vision"]
    elif kind == "wrong shape":
        data["valid"]["vision"] = data["valid"]["vision"][:, :, 1:]
    elif kind == "label":
        data["test"]["regression_labels"][0] = 4
    elif kind == "empty":
        data["test"] = {key: value[:0] for key, value in data["test"].items()}
    return pickle.dumps(data)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("malicious", "mkdir"),
        ("truncated", "cut short"),
        ("no pickle", "cannot be understood"),
        ("missing key", "valid has no key vision"),
        ("wrong shape", "vision has shape (3, 500, 19)"),
        ("label", "label 4 is outside"),
        ("empty", "test is empty"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_1(
    command: Command, official: Path, tmp_path: Path, kind: str, said: str
) -> None:
    file, canary = tmp_path / "wrong.pkl", tmp_path / "canary"
    file.write_bytes(_wrong(kind, official, canary))
    done = command("data", "prepare", "mosi", file, "--output", tmp_path / "mosi")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {file}: ")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.pkl"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("prepare", "iemocap", "file.pkl", "-o", "x"), 2),
        (("prepare", "mosi", "file.pkl"), 2),
        (("prepare", "mosi", "file.pkl", "-o", "x"), 1),
        (("info", "nowhere"), 1),
        (("verify", "nowhere"), 1),
        (("verify", "."), 1),
    ],
)
def test_exit_codes(command: Command, arguments: tuple[str, ...], code: int) -> None:
    done = command("data", *arguments)
    assert (done.code, done.out) == (code, "")
    if code == 1:
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["prepare", "info", "verify"])
def test_help_ends_with_an_example(command: Command, name: str) -> None:
    done = command("data", name, "--help")
    assert done.code == 0
    assert "Example: dashfusion data" in done.out
