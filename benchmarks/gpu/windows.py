"""Where the spectral filter should change from a matrix product to cuFFT, measured.

`minimamba.ops.spectral.LONGEST_CIRCULANT` is the rule; `crossover` is what the device says.
"""

import numpy as np

from benchmarks.gpu.bench import PAST_THE_CACHE, Row, timed
from minimamba.ops import spectral
from minimamba.ops.spectral import FilterParams

WINDOWS = (16, 32, 50, 64, 100, 128, 160, 200, 256, 400)
BATCHES = ((2048, 64), (256, 64))  # sequences, channels


def rows_of_a_window(device, batch, width, l, seconds=0.15):
    """Return the rows of both ways at one shape, forward and backward."""
    cupy, size = device.cupy, 4 * batch * l * width
    copies = int(np.clip(-(-PAST_THE_CACHE // (4 * size)), 1, 8))
    rng = cupy.random.RandomState(0)
    draw = [rng.standard_normal((batch, l, width), dtype=cupy.float32) for _ in range(copies)]
    p = FilterParams(*rng.standard_normal((2, l // 2 + 1, width), dtype=cupy.float32))
    rows, least = [], 1000 * 2 * size / device.copied  # x in, y out
    for way in (spectral.circulant, spectral.fourier):
        caches = [way(x, p)[1] for x in draw]
        forward = [lambda way=way, x=x: way(x, p) for x in draw]
        pairs = zip(draw, caches, strict=True)
        backward = [lambda x=x, c=c: spectral.spectral_filter_backward(x, c) for x, c in pairs]
        for what, calls, times in [("forward", forward, 1), ("backward", backward, 1.5)]:
            name, shape = f"{way.__name__} {what}", (batch, l, width)
            taken = timed(device, calls, seconds)
            rows.append(Row(name, "float32", shape, **taken, floor=times * least))
    return rows


def crossover(rows):
    """Return the longest window up to which the product wins, forward and backward together.

    Rows of one batch size. 0 if the product never wins.

    Examples
    --------
    >>> row = lambda what, l, ms: Row(what, "float32", (1, l, 1), ms, ms, ms, 1)
    >>> crossover([row("circulant forward", 16, 1.0), row("fourier forward", 16, 2.0),
    ...            row("circulant forward", 32, 4.0), row("fourier forward", 32, 3.0)])
    16
    """
    spent = {}
    for row in rows:
        key = row.what.split()[0], row.shape[1]
        spent[key] = spent.get(key, 0.0) + row.median
    longest = 0
    for l in sorted({l for _, l in spent}):
        if spent["circulant", l] > spent["fourier", l]:
            break
        longest = l
    return longest
