"""The rungs of `scan.cu` as schedules of `minimamba.ops.recurrence`, for CuPy arrays.

    recurrence(a, b, h0, schedule=minimamba.kernels.scan.block)

float32, float64, complex64, complex128. Their twins in array code are `sequential`,
`hillis_steele`, `blelloch` and `chunked` of `minimamba.ops.recurrence`. Each takes `reverse=True`
to run from the last step to the first.
"""

from math import prod

import numpy as np

from minimamba.arrays import array_namespace
from minimamba.dispatch import accepts
from minimamba.kernels.compile import as_pointer, load

THREADS = 128
LONG_CHUNK = 4096  # steps of a chunk in the three-kernel scan
REALS = {"float32": "float", "float64": "double", "complex64": "float", "complex128": "double"}


def serial(a, b, h0, reverse=False):
    """Return every state, a thread a row, Eq. (3.1): the rung the others are compared with.

    Parameters
    ----------
    a, b : array, shape (b, l, ...)
    h0 : array, shape (b, ...)
    reverse : bool
        h_t = a_t h_{t+1} + b_t, with h0 after the last step.

    Returns
    -------
    h : array, shape (b, l, ...)
    """
    return _run("scan_serial", a, b, h0, reverse, rows_of_a_block=THREADS)


def hillis_steele(a, b, h0, reverse=False):
    """Return every state by doubling in shared memory, Eq. (4.3); like `serial`."""
    return _run("scan_hillis_steele", a, b, h0, reverse)


def blelloch(a, b, h0, reverse=False):
    """Return every state by a tree in shared memory, Eqs. (4.4) and (4.5); like `serial`."""
    return _run("scan_blelloch", a, b, h0, reverse)


def warp(a, b, h0, reverse=False):
    """Return every state by shuffles, a warp a row; like `serial`."""
    return _run("scan_warp", a, b, h0, reverse, rows_of_a_block=THREADS // 32)


def block(a, b, h0, reverse=False):
    """Return every state, a block a row, tile after tile, Eq. (4.6); like `serial`."""
    return _run("scan_block", a, b, h0, reverse, last=(None, np.int32(b.shape[1])))


def grid(a, b, h0, reverse=False, chunk=LONG_CHUNK):
    """Return every state of few, very long rows, many blocks a row, Eq. (4.6); like `serial`.

    Three kernels: the pair of every chunk; a scan of those pairs, by `block`; then all chunks at
    once, each from the state before it. `chunk` is its length in steps.
    """
    if b.size == 0:
        return b.copy()
    xp = array_namespace(a, b, h0)
    a, b, h0 = (as_pointer(x, xp) for x in (a, b, h0))
    rows, l, inner = _sizes(b)
    chunks = -(-l // chunk)
    total_a, total_b = xp.empty((rows, chunks), b.dtype), xp.empty((rows, chunks), b.dtype)
    scalars = (*map(np.int32, (rows, l, inner, reverse)), np.int32(chunk))
    kernel = _module(b).get_function("scan_totals")
    kernel((rows, chunks), (THREADS,), (a, b, total_a, total_b, *scalars))
    after = block(total_a, total_b, h0.reshape(rows))
    return _run("scan_block", a, b, h0, reverse, last=(after, np.int32(chunk)), chunks=chunks)


def _run(name, a, b, h0, reverse, rows_of_a_block=1, last=(), chunks=1):
    if b.size == 0:
        return b.copy()
    xp = array_namespace(a, b, h0)
    a, b, h0 = (as_pointer(x, xp) for x in (a, b, h0))
    rows, l, inner = _sizes(b)
    h = xp.empty_like(b)
    args = (a, b, h0, h, *map(np.int32, (rows, l, inner, reverse)), *last)
    grid = (-(-rows // rows_of_a_block), chunks)
    _module(b).get_function(name)(grid, (THREADS,), args)
    return h


def _sizes(b):
    """Return (rows, l, numbers of one time step of one sequence)."""
    inner = prod(b.shape[2:])
    return b.shape[0] * inner, b.shape[1], inner


def _module(b):
    if not accepts(b):
        raise TypeError(
            f"b is a {type(b).__module__} array, expected a CuPy array: on the CPU use the "
            "schedules of minimamba.ops.recurrence"
        )
    if b.dtype.name not in REALS:
        raise TypeError(f"b has dtype {b.dtype}, expected one of {', '.join(REALS)}")
    half = ("-DCOMPLEX",) if b.dtype.kind == "c" else ()
    return load(("scan.cu",), (f"-DREAL={REALS[b.dtype.name]}", f"-DTHREADS={THREADS}", *half))
