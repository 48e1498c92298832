"""The shapes that are timed: problems drawn on the device, and whether the answers are right."""

import numpy as np

from benchmarks.gpu.problems import bits_or_floats, measure
from minimamba.arrays import to_host
from minimamba.kernels import selective
from minimamba.kernels.bfloat16 import to_bfloat16
from minimamba.ops.selective.scan import (
    SelectiveScanInputs,
    selective_scan,
    selective_scan_backward,
)
from tests.kernels.problems import BFLOAT16, FORWARD, GRADIENT

SHAPES = (  # b, l, e, n
    (8, 2048, 2048, 16),
    (2048, 50, 128, 32),
    (2048, 200, 128, 32),
    (1, 65536, 1024, 16),
)


def problem(cupy, shape, memory, seed):
    """Return (inputs, dy) of a selective scan on the device."""
    b, l, e, n = shape
    rng = cupy.random.RandomState(seed)

    def normal(*sizes, shift=0):
        x = rng.standard_normal(sizes, dtype=cupy.float32) + cupy.float32(shift)
        return to_bfloat16(x) if memory == "bfloat16" else x

    def weight(*sizes):
        return rng.standard_normal(sizes, dtype=cupy.float32)

    sequences = dict(u=normal(b, l, e), delta=normal(b, l, e, shift=-2))
    matrices = dict(B=normal(b, l, n), C=normal(b, l, n))
    weights = dict(A=-cupy.exp(weight(e, n)), D=weight(e), delta_bias=weight(e) / cupy.float32(10))
    x = SelectiveScanInputs(
        **sequences, **matrices, **weights, z=normal(b, l, e), delta_softplus=True
    )
    return x, normal(b, l, e)


def slice_of_a_problem(x, dy, channels=8):
    """Return (inputs, dy) of the last sequence's last channels, in float64 on the host."""

    def host(v):
        return to_host(bits_or_floats(v)).astype(np.float64)

    last = slice(-channels, None)
    sequences = {k: host(getattr(x, k)[-1:, :, last]) for k in ("u", "delta", "z")}
    matrices = {k: host(getattr(x, k)[-1:]) for k in ("B", "C")}
    weights = {k: host(getattr(x, k)[last]) for k in ("A", "D", "delta_bias")}
    return x._replace(**sequences, **matrices, **weights), host(dy[-1:, :, last])


def check_shape(cupy, shape, memory, channels=8):
    """Compare the fused scan at a timed shape with float64, on one sequence's last channels."""
    x, dy = problem(cupy, shape, memory, seed=0)
    y, _, cache = selective.forward(x)
    grads = selective.backward(dy, None, cache)
    part, dy = slice_of_a_problem(x, dy, channels)
    want, _, cache = selective_scan(*part)
    want_grads = selective_scan_backward(dy, None, cache)
    rooms = (FORWARD, GRADIENT) if memory == "float32" else (BFLOAT16, BFLOAT16)
    last = slice(-channels, None)
    far = {"y": measure(bits_or_floats(y[-1:, :, last]), want, rooms[0])}
    for name in ("u", "delta", "z"):
        mine = bits_or_floats(getattr(grads, name)[-1:, :, last])
        far[f"d{name}"] = measure(mine, getattr(want_grads, name), rooms[1])
    return far
