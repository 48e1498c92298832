"""Where the kernels of a test run: their source on the CPU, or on a GPU (`--device gpu`)."""

from contextlib import nullcontext

import numpy as np

from minimamba.dispatch import using
from tests.emulator import ASCENDING, Emulator
from tests.kernels.problems import each


class Emulated:
    """NumPy arrays; warps run in the order a test asks for."""

    def place(self, tree):
        """Return a tree with its arrays where the kernels run."""
        return tree

    def running(self, order=ASCENDING, **how):
        """Return the context inside which kernels run; further settings as the emulator's."""
        return using(loader=Emulator(order, **how))


class Gpu:
    """CuPy arrays; a GPU has an order of its own."""

    def place(self, tree):
        """Return a tree with its arrays on the GPU."""
        import cupy

        return each(lambda x: cupy.asarray(x) if isinstance(x, np.ndarray) else x, tree)

    def running(self, order=ASCENDING, **how):
        """Return an empty context: CuPy compiles and runs."""
        return nullcontext()
