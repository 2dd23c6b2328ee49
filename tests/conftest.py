"""What all tests share."""

import os
from collections.abc import Iterator

import jaxtyping
import pytest
import torch

# A file's tests run in one process: whoever begins the longest last leaves the others idle.
_LONGEST = (
    "test_reproduce.py",
    "test_planted.py",
    "test_train.py",
    "test_interruption.py",
    "test_processes.py",
    "test_training_commands.py",
    "test_crossval.py",
    "test_side_by_side.py",
    "test_batch.py",
    "test_terminal.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare what a file's tests share with one thread too, as `one_thread` has it.

    Functions are compiled once for all tests, also for those with a cache folder of their own.
    """
    torch.set_num_threads(1)
    compiled = config.rootpath / ".pytest_cache" / "compiled"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(compiled))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks of a test are tiny: more threads cost more than they bring.

    Set before each test: speech engines set the number for the process, and with several threads
    sums differ in their last bits from one run to the next.
    """
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def unchecked_shapes() -> Iterator[None]:
    """Check no shapes of arrays in a file whose tests are whole trainings.

    A training calls the same functions thousands of times, and checking takes a fifth of it; the
    tests of the parts check theirs.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
