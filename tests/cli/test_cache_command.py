"""`cache list` and `cache clear` as a user types them."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashfusion_models.store import Store
from dashfusion_training.store_cache import opened_in_cache
from tests.training.tiny import write_films, write_tiny_encoder
from tests.training.untrained import write_untrained

Command = Callable[..., Any]
DAY_S = 24 * 3600


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two stores of 2 MB and 3 MB, and weights of 1 MB."""
    folder = tmp_path / "cache"
    for place, megabytes, days in (
        ("stores/films-0123456789ab", 2, 40),
        ("stores/a-long-name-of-a-data-set-" + 60 * "x" + "-0123456789ab", 3, 0),
        ("weights/whisper-small", 1, 40),
    ):
        (folder / place).mkdir(parents=True)
        file = folder / place / "numbers.bin"
        file.write_bytes(bytes(megabytes * 1_000_000))
        then = time.time() - days * DAY_S
        os.utime(file, (then, then))
        os.utime(folder / place, (then, then))
    return folder


def test_the_table_fits_80_columns_and_json_has_all(command: Command, cache: Path) -> None:
    done = command("cache", "list")
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines()[:-1])) <= 80
    kinds = [line.split()[0] for line in done.out.splitlines() if " MB  2" in line]
    assert kinds == ["features", "features", "weights"]
    assert "2.0 MB" in done.out and "films-0123456789ab" in done.out
    assert done.out.splitlines()[-1].startswith(f"{cache}: 6.0 MB in ")
    found = json.loads(command("cache", "list", "--format", "json").out)
    assert [(one["kind"], one["size_bytes"]) for one in found] == [
        ("features", 2_000_000), ("features", 3_000_000), ("weights", 1_000_000)
    ]  # fmt: skip
    assert found[0]["path"] == str(cache / "stores" / "films-0123456789ab")
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - 40 * DAY_S))
    assert found[0]["last_used"].startswith(day)


def test_clear_removes_features_and_weights_only_when_asked(command: Command, cache: Path) -> None:
    done = command("cache", "clear", "--older-than", "30")
    assert done.out == "films-0123456789ab: removed, 2.0 MB\n2.0 MB removed\n"
    done = command("cache", "clear")
    assert done.out.endswith("\n3.0 MB removed\n")
    assert (cache / "weights" / "whisper-small" / "numbers.bin").exists()
    assert command("cache", "clear").out == "nothing to remove\n"
    done = command("cache", "clear", "--weights")
    assert done.out == "whisper-small: removed, 1.0 MB\n1.0 MB removed\n"
    assert not (cache / "weights" / "whisper-small").exists()
    assert command("cache", "list").out.startswith(f"{cache}: 0.0 MB")


def test_names_are_those_of_the_list_or_of_data_sets(command: Command, cache: Path) -> None:
    for wrong, said in (
        ("fims", "did you mean films?"),
        ("whisper-small", "is a set of weights; add --weights"),
    ):
        done = command("cache", "clear", wrong)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert said in done.err
    assert command("cache", "clear", "films").out.startswith("films-0123456789ab: removed")
    assert len(list((cache / "stores").glob("a-long*"))) == 1


def test_what_eval_keeps_is_bounded_and_in_use_while_it_runs(
    command: Command, cache: Path, tmp_path: Path
) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    checkpoint = write_untrained(
        tmp_path,
        write_tiny_encoder(encoder),
        training={"config": {"modalities": ["text"]}},
    )
    manifest = write_films(tmp_path / "mine.csv", train=1)
    asked = ("eval", "--checkpoint", checkpoint, "--dataset", manifest, "--device", "cpu")
    done = command(*asked, "--cache-limit", "0.0035")
    assert done.code == 0, done.err
    kept = {path.name.rpartition("-")[0] for path in (cache / "stores").glob("[!.]*")}
    assert kept == {"mine", "a-long-name-of-a-data-set-" + 60 * "x"}
    folder = next((cache / "stores").glob("mine-*"))
    store = opened_in_cache(folder, lambda: Store(folder))
    assert "mine-" in command("cache", "list").out and "in use" in command("cache", "list").out
    assert f"{folder.name}: in use, left" in command("cache", "clear", "mine").out
    assert len(store) == 41
