"""The one door between the ops and the CUDA kernels: when to go through it, and how.

An op asks `dispatch` once. For CuPy arrays of float32 it gets a kernel, for anything else None,
and its array code runs. Nothing here imports CuPy before a CuPy array has been seen.
"""

import functools
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

KERNELS = {  # what an op may ask for: the module of the kernel, and the function in it
    "adam_update": ("minimamba.kernels.adam", "update"),
    "selective_scan": ("minimamba.kernels.selective", "forward"),
    "selective_scan_backward": ("minimamba.kernels.selective", "backward"),
    "causal_conv1d": ("minimamba.kernels.conv", "forward"),
    "causal_conv1d_backward": ("minimamba.kernels.conv", "backward"),
    "causal_conv1d_step": ("minimamba.kernels.conv", "step"),
    "selective_scan_last": ("minimamba.kernels.selective_last", "forward"),
    "selective_scan_last_backward": ("minimamba.kernels.selective_last", "backward"),
    "spectral_filter": ("minimamba.kernels.spectral", "forward"),
    "spectral_filter_backward": ("minimamba.kernels.spectral", "backward"),
}
FLAGS = ("--std=c++17", "--ftz=true")  # exp2f is one instruction only with flush-to-zero


class CupyLoader:
    """Compiles with CuPy, for the GPU that is there."""

    def accepts(self, x):
        """Say whether x is an array this loader's kernels take."""
        cupy = sys.modules.get("cupy")
        return cupy is not None and isinstance(x, cupy.ndarray)

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


class Settings(NamedTuple):
    """How kernels are chosen and run; changed with `using`."""

    enabled: bool = os.environ.get("MINIMAMBA_KERNELS", "1") != "0"
    deterministic: bool = False  # sums over blocks in a fixed order, a little slower
    loader: Callable[..., Any] = CupyLoader()


_settings: ContextVar[Settings] = ContextVar("kernel settings", default=Settings())  # noqa: B039


def settings():
    """Return the current `Settings`."""
    return _settings.get()


@contextmanager
def using(**changes):
    """Change the settings inside a with block: `enabled`, `deterministic`, `loader`.

    Examples
    --------
    >>> with using(enabled=False):
    ...     settings().enabled
    False
    """
    token = _settings.set(settings()._replace(**changes))
    try:
        yield
    finally:
        _settings.reset(token)


def dispatch(op, subject, *others):
    """Return the kernel for an op, or None where the op's array code should run.

    Parameters
    ----------
    op : str
        A name in `KERNELS`.
    subject : array or cache
        Forward and step: the main input. Backward: the cache; a cache that a kernel made goes
        back to a kernel, whatever the settings say now.
    *others : array or None
        Further inputs: where one has another dtype the array code runs, which says what comes of
        it.

    Returns
    -------
    kernel : callable or None

    Examples
    --------
    >>> dispatch("selective_scan", np.ones(3)) is None       # a NumPy array: no kernel
    True
    """
    module, function = KERNELS[op]
    made_here = type(subject).__module__.startswith("minimamba.kernels.")
    if not made_here and not _wants_kernel(subject, others):
        return None
    return getattr(import_module(module), function)


def _wants_kernel(x, others):
    chosen = settings()
    if not (chosen.enabled and chosen.loader.accepts(x)):
        return False
    return all(v is None or v.dtype == np.float32 for v in (x, *others))


@functools.cache
def source(*files):
    """Return the text of `.cu` files of this folder, joined; each keeps its name in messages."""
    folder = Path(__file__).parent
    return "".join(f'#line 1 "{name}"\n{(folder / name).read_text()}' for name in files)


@functools.cache
def _load(loader, files, options):
    return loader(source(*files), options)


def load(files, options=()):
    """Return the compiled module of some `.cu` files; compiled once for each set of options."""
    return _load(settings().loader, tuple(files), tuple(options))


def as_pointer(x, xp, dtype=None):
    """Return x ready for a kernel: contiguous, 16-byte aligned, of `dtype`; None stays None."""
    if x is None:
        return None
    x = xp.ascontiguousarray(x, dtype=dtype)
    address = x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr
    return x.copy() if address % 16 else x


def explain_out_of_memory(error):
    """Return one sentence for a failed GPU allocation, or None if `error` is something else.

    CuPy's message has the size asked for; what is free and what is held are added, and what to do.

    Examples
    --------
    >>> explain_out_of_memory(ValueError("no")) is None
    True
    """
    cupy = sys.modules.get("cupy")
    if cupy is None or not isinstance(error, cupy.cuda.memory.OutOfMemoryError):
        return None
    free, total = cupy.cuda.runtime.memGetInfo()
    held = cupy.get_default_memory_pool().free_bytes()
    gib = 2**30
    return (
        f"{str(error).rstrip('.')}; {(free + held) / gib:.2f} of {total / gib:.2f} GiB would fit: "
        "lower the batch size, the length or the width"
    )


def explain_failure(error):
    """Return one sentence for an error that CuPy or the driver raised, or None for any other.

    Examples
    --------
    >>> explain_failure(ValueError("no")) is None
    True
    """
    if sentence := explain_out_of_memory(error):
        return sentence
    if type(error).__module__.split(".")[0] not in ("cupy", "cupy_backends", "cuda"):
        return None
    first = (str(error).strip() or "without a message").splitlines()[0]
    return f"the GPU or its driver failed ({type(error).__name__}: {first})"
