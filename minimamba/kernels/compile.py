"""From `.cu` files to functions that launch: the sources, the compiler, arrays as pointers.

Nothing here imports CuPy before a kernel is wanted.
"""

import functools
from pathlib import Path

import numpy as np

from minimamba.dispatch import settings

FLAGS = ("--std=c++17", "--ftz=true")  # exp2f is one instruction only with flush-to-zero


class CupyLoader:
    """Compiles with CuPy, for the GPU that is there."""

    def capability(self):
        """Return the generation of the current GPU: 80, 90, 100, ..."""
        import cupy

        return int(cupy.cuda.Device().compute_capability)

    def __call__(self, code, options):
        """Return a module whose `get_function(name)` is callable as (grid, block, args)."""
        import cupy

        return _CupyModule(cupy.RawModule(code=code, options=(*FLAGS, *options)))


class _CupyModule:
    """A RawModule that also takes None for a null pointer, which CuPy does not."""

    def __init__(self, module):
        self.get = functools.cache(module.get_function)

    def get_function(self, name):
        kernel = self.get(name)
        return lambda grid, block, args: kernel(
            grid, block, tuple(np.intp(0) if a is None else a for a in args)
        )


CUPY = CupyLoader()


def loader():
    """Return what compiles: the loader of the settings, or CuPy's."""
    return settings().loader or CUPY


@functools.cache
def source(*files):
    """Return the text of `.cu` files of this folder, joined; each keeps its name in messages."""
    folder = Path(__file__).parent
    return "".join(f'#line 1 "{name}"\n{(folder / name).read_text()}' for name in files)


def load(files, options=()):
    """Return the compiled module of some `.cu` files; compiled once for each set of options."""
    return _load(loader(), tuple(files), tuple(options))


@functools.cache
def _load(loader, files, options):
    return loader(source(*files), options)


def as_pointer(x, xp, dtype=None):
    """Return x ready for a kernel: contiguous, 16-byte aligned, of `dtype`; None stays None."""
    if x is None:
        return None
    x = xp.ascontiguousarray(x, dtype=dtype)
    address = x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr
    return x.copy() if address % 16 else x
