import hashlib

import numpy as np
import pytest

from dashfusion_models.speech.steady import SteadyFilters
from tests.models.blas_threads import printed_with

PROGRAM = """
import hashlib
import numpy as np
from dashfusion_models.speech.steady import SteadyFilters
draw = np.random.default_rng(0)
filters, powers = (draw.random(shape, np.float32) for shape in ((80, 201), (201, 3000)))
print(hashlib.sha256(SteadyFilters(filters) @ powers).hexdigest())
"""


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 3000])
def test_it_is_the_product(frames: int) -> None:
    draw = np.random.default_rng(0)
    filters, powers = (draw.random(s, np.float32) for s in ((80, 201), (201, frames)))
    product = SteadyFilters(filters) @ powers
    assert SteadyFilters(filters).shape == filters.shape
    expected = filters.astype(np.float64) @ powers.astype(np.float64)
    np.testing.assert_allclose(product, expected, rtol=1e-5)


def test_its_bits_do_not_depend_on_the_number_of_threads() -> None:
    found = {printed_with(threads, PROGRAM) for threads in ("1", "2", "3")}
    assert len(found) == 1
    assert len(next(iter(found))) == len(hashlib.sha256().hexdigest())
