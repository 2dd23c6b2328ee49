"""What all tests share."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks of a test are tiny: more threads cost more than they bring."""
    torch.set_num_threads(1)
