"""The equations: every op is a pair of pure functions, forward and hand-derived backward.

`y, cache = op(x, p)` and, directly below, `dx, dp = op_backward(dy, cache)`; several outputs come
before the cache. The cotangent comes first, gradients return in the order of the inputs, and
`op_step(x_t, p, state)` stands beside where streaming makes sense. Shapes are said in letters, time
on axis 1 and channels last: b batch, l length, d width, e inner width, n state, k taps. The dtype
of the input is kept, no argument is changed, and NumPy and CuPy take one path. Arguments that do
not fit raise ValueError (a shape, a value) or TypeError (a dtype), in one sentence that names them.

Parts: elementwise, linear, norm, dropout, embedding, glu, loss, adam. Systems: recurrence, lti,
conv, hippo, discretize, discretize_dense, phi, spectral. Mamba: selective.naive, .scan, .last.
"""

from importlib import import_module
from pkgutil import iter_modules


def __getattr__(name):
    """Import a module of this room when it is asked for."""
    if name.startswith("_") or name not in {m.name for m in iter_modules(__path__)}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
