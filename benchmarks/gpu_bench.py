"""Times of the GPU kernels by CUDA events, beside the floor that their bytes and exps set.

A floor is the larger of two times: the bytes that must move, at the copy bandwidth measured on the
same device, and the exponentials at 16 a cycle and multiprocessor (docs/gpu.md). Inputs rotate, so
that the next call does not find the last one's in the cache.
"""

import statistics
from typing import NamedTuple

import numpy as np

from minimamba.kernels import launch, scan, selective
from minimamba.kernels.bfloat16 import to_bfloat16
from minimamba.ops.selective import SelectiveScanInputs, selective_scan, selective_scan_backward

SHAPES = ((8, 2048, 2048, 16), (2048, 50, 128, 32), (2048, 200, 128, 32), (1, 65536, 1024, 16))
ROTATE_BYTES = 512 * 2**20  # several times a cache
COPY_BYTES = 2**30
SECONDS = 1.5  # for each row of the table
EXPONENTIALS_A_CYCLE = 16


class Row(NamedTuple):
    """One line of the table; times in milliseconds."""

    what: str
    memory: str
    shape: tuple
    median: float
    fastest: float
    floor: float | None


def timed(cupy, calls, seconds=SECONDS):
    """Return (median, fastest) milliseconds of a call; `calls` are alike but for their inputs."""
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()

    def once(i):
        start.record()
        kept = calls[i % len(calls)]()
        stop.record()
        stop.synchronize()
        del kept
        return cupy.cuda.get_elapsed_time(start, stop)

    warm = min(once(i) for i in range(3))
    rounds = int(np.clip(1000 * seconds / max(warm, 0.01), 5, 200))
    times = [once(i) for i in range(rounds)]
    return statistics.median(times), min(times)


def copy_bandwidth(cupy):
    """Return the bytes a second of a device copy, reads and writes together."""
    source = cupy.zeros(COPY_BYTES // 4, cupy.float32)
    target = cupy.empty_like(source)
    median, _ = timed(cupy, [lambda: cupy.copyto(target, source)], 0.3)
    return 2 * COPY_BYTES / (median / 1000)


def exponential_rate(cupy):
    """Return the exponentials a second of the device at its top clock."""
    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return EXPONENTIALS_A_CYCLE * device["multiProcessorCount"] * device["clockRate"] * 1000


def floor(shape, itemsize, backward, bandwidth, exponentials):
    """Return the least milliseconds a pass can take: by its bytes or by its exponentials.

    Examples
    --------
    >>> round(floor((8, 2048, 2048, 16), 2, False, 4.3e12, 4.18e12), 2)
    0.16
    """
    b, l, e, n = shape
    elements = b * l * e
    tensors, each = (7, 6) if backward else (4, 4)
    moved = tensors * elements * itemsize + 2 * b * l * n * itemsize * (2 if backward else 1)
    return 1000 * max(moved / bandwidth, (elements * n + each * elements) / exponentials)


def problem(cupy, shape, memory, seed):
    """Return (inputs, dy) of a selective scan on the device."""
    b, l, e, n = shape
    rng = cupy.random.RandomState(seed)

    def normal(*sizes):
        x = rng.standard_normal(sizes, dtype=cupy.float32)
        return to_bfloat16(x) if memory == "bfloat16" else x

    def weight(*sizes):
        return rng.standard_normal(sizes, dtype=cupy.float32)

    delta = rng.standard_normal((b, l, e), dtype=cupy.float32) - 2
    delta = to_bfloat16(delta) if memory == "bfloat16" else delta
    sequences = dict(u=normal(b, l, e), delta=delta, B=normal(b, l, n), C=normal(b, l, n))
    weights = dict(A=-cupy.exp(weight(e, n)), D=weight(e), delta_bias=weight(e) / 10)
    x = SelectiveScanInputs(**sequences, **weights, z=normal(b, l, e), delta_softplus=True)
    return x, normal(b, l, e)


def selective_rows(cupy, shape, memory, limits):
    """Return the rows of the fused scan at one shape, forward and backward."""
    b, l, e, _ = shape
    size = 4 if memory == "float32" else 2
    copies = int(np.clip(ROTATE_BYTES // (4 * b * l * e * size), 1, 4))
    problems = [problem(cupy, shape, memory, seed) for seed in range(copies)]
    forward = [lambda x=x: selective.forward(x) for x, _ in problems]
    caches = [call()[2] for call in forward]
    pairs = zip(problems, caches, strict=True)
    backward = [lambda dy=dy, c=c: selective.backward(dy, None, c) for (_, dy), c in pairs]
    return [
        Row(what, memory, shape, *timed(cupy, calls), floor(shape, size, back, *limits))
        for what, calls, back in [("forward", forward, False), ("backward", backward, True)]
    ]


def array_rows(cupy, shape):
    """Return the rows of the same scan in array code, where its memory is modest."""
    x, dy = problem(cupy, shape, "float32", 0)
    with launch.using(enabled=False):
        cache = selective_scan(*x)[2]
        calls = {
            "forward, array code": lambda: selective_scan(*x),
            "backward, array code": lambda: selective_scan_backward(dy, None, cache),
        }
        return [
            Row(name, "float32", shape, *timed(cupy, [call], 0.5), None)
            for name, call in calls.items()
        ]


def ladder_rows(cupy, l=1 << 22):
    """Return the rows of the teaching ladder: one very long row, and many rows side by side."""
    rows = []
    for shape in [(1, l, 1), (64, 512, 256)]:
        a, b = cupy.full(shape, 0.9, cupy.float32), cupy.ones(shape, cupy.float32)
        h0 = cupy.zeros((shape[0], shape[2]), cupy.float32)
        for name in ("serial", "hillis_steele", "blelloch", "warp", "block", "grid"):
            if name == "serial" and shape[0] == 1:
                continue  # one thread, four million steps
            rung = getattr(scan, name)
            call = [lambda rung=rung, a=a, b=b, h0=h0: rung(a, b, h0)]
            rows.append(Row(f"scan {name}", "float32", shape, *timed(cupy, call, 0.3), None))
    return rows
