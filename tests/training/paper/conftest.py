"""Small planted benchmarks, once for each file of tests."""

from pathlib import Path

import pytest

from tests.training.paper.rehearsal import write_rehearsal


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rehearsal")
    write_rehearsal(folder, {"train": 24, "valid": 8, "test": 12}, kind="sum")
    return folder
