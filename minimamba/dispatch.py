"""The one door from an op to a CUDA kernel.

An op asks `dispatch` once. For CuPy arrays of float32 it gets a kernel, for anything else None,
and its array code runs. Kernels know the ops, the ops know their kernels by name only: a kernel's
module is imported when the first array asks for it.
"""

import os
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, NamedTuple

from minimamba.arrays import on_gpu

KERNELS = {  # what an op may ask for: the module of the kernel, and the function in it
    "adam_update": ("minimamba.kernels.adam", "update"),
    "selective_scan": ("minimamba.kernels.selective", "forward"),
    "selective_scan_backward": ("minimamba.kernels.selective", "backward"),
    "causal_conv1d": ("minimamba.kernels.conv", "forward"),
    "causal_conv1d_backward": ("minimamba.kernels.conv", "backward"),
    "causal_conv1d_step": ("minimamba.kernels.conv", "step"),
}


class Settings(NamedTuple):
    """How kernels are chosen and run; changed with `using`."""

    enabled: bool = os.environ.get("MINIMAMBA_KERNELS", "1") != "0"
    deterministic: bool = False  # sums over blocks in a fixed order, a little slower
    loader: Callable[..., Any] | None = None  # compiles, and runs what `accepts`; None: CuPy


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


def accepts(x):
    """Say whether x is an array that kernels run on: CuPy's, unless a loader says otherwise."""
    loader = settings().loader
    return on_gpu(x) if loader is None else loader.accepts(x)


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
    """Say whether kernels are on, and all arrays are float32 where kernels run."""
    if not (settings().enabled and accepts(x)):
        return False
    return all(v is None or v.dtype == "float32" for v in (x, *others))
