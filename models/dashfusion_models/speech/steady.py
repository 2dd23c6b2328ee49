"""A product of matrices whose bits do not depend on the machine's number of cores."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

__all__ = ["SteadyFilters"]

_ONE_THREAD_PRODUCTS = 1 << 17  # half of what OpenBLAS still does in one thread


class SteadyFilters:
    """Filters of the mel scale whose product is the same however many threads NumPy's BLAS has.

    In one piece it is shared out among them, and its last bits depend on how: int8 makes a change
    in the third digit of a confidence out of that. OpenBLAS does small products in one thread.
    """

    def __init__(self, filters: Float32[np.ndarray, "mels bins"]) -> None:
        """Wrap the filters."""
        self._filters = filters
        self.shape = filters.shape

    def __matmul__(
        self, powers: Float32[np.ndarray, "bins frames"]
    ) -> Float32[np.ndarray, "mels frames"]:
        """Return the product with the powers of a sound."""
        step = max(1, _ONE_THREAD_PRODUCTS // self._filters.size)
        pieces = range(0, powers.shape[1], step)
        return np.concatenate([self._filters @ powers[:, at : at + step] for at in pieces], axis=1)
