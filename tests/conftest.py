"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks of a test are tiny: more threads cost more than they bring.

    Set before each test: speech engines set the number for the process, and with several threads
    sums differ in their last bits from one run to the next.
    """
    torch.set_num_threads(1)
