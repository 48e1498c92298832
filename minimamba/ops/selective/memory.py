"""Where NumPy's work arrays lie and how it broadcasts: twice the speed in the caches, or half.

Nothing here changes a result. CuPy needs none of it: its pool aligns everything.
"""

from contextlib import contextmanager

import numpy as np

from minimamba.arrays import Array

LINE = 64  # bytes of a cache line
PAGE = 2 << 20  # bytes of a huge page
BUFFER = 1024  # numbers that NumPy buffers at a time when it broadcasts; its default is 8192


def room(nbytes):
    """Return (bytes to allocate, boundary to begin at) for a work array of so many bytes.

    Vectors that lie across two cache lines halve the speed of a product, and NumPy's arrays begin
    anywhere: so a work array begins at a line. A large one begins at a huge page, which NumPy asks
    Linux for from 4 MiB on: fresh memory then costs one fault instead of hundreds, and the
    second-level cache is filled evenly. What is not touched costs only addresses.

    Examples
    --------
    >>> room(1000), room(3 << 20)
    ((1064, 64), (5242880, 2097152))
    """
    if nbytes < PAGE // 2:
        return nbytes + LINE, LINE
    return max(nbytes, PAGE) + PAGE, PAGE


def aligned_empty(xp, size, dtype):
    """Return a flat uninitialized array that begins where `room` says.

    Examples
    --------
    >>> aligned_empty(np, 5, np.float32).ctypes.data % LINE
    0
    """
    if xp is not np:
        return xp.empty(size, dtype)
    itemsize = np.dtype(dtype).itemsize
    nbytes, boundary = room(size * itemsize)
    memory = np.empty(nbytes // itemsize, dtype)
    begin = -memory.ctypes.data % boundary // itemsize
    return memory[begin : begin + size]


def split(flat: Array, sizes):
    """Return arrays of these sizes cut from a flat array; each begins at a cache line.

    Examples
    --------
    >>> [len(x) for x in split(np.zeros(padded([3, 4], np.float64)), [3, 4])]
    [3, 4]
    """
    starts = [padded(sizes[:i], flat.dtype) for i in range(len(sizes))]
    return [flat[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def padded(sizes, dtype):
    """Return how many numbers arrays of these sizes take together, each rounded up to lines.

    Examples
    --------
    >>> padded([3, 9], np.float64)
    24
    """
    line = LINE // np.dtype(dtype).itemsize
    return sum(-(-size // line) * line for size in sizes)


@contextmanager
def short_buffers(xp):
    """Let NumPy broadcast through buffers that stay in the first-level cache: twice as fast.

    Examples
    --------
    >>> with short_buffers(np):
    ...     np.getbufsize()
    1024
    """
    if xp is not np:
        yield
        return
    before = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(before)
