"""The problems that `make gpu-check` times are solved: the last channels of the last sequence."""

import numpy as np
import pytest

from benchmarks.gpu.bench import SHAPES, problem
from minimamba.arrays import to_host
from minimamba.kernels import selective
from minimamba.kernels.bfloat16 import from_bfloat16
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from tests.kernels.problems import BFLOAT16, FORWARD, GRADIENT, check, each, selective_forward

SMALL, CHANNELS = (2, 17, 40, 3), slice(-8, None)


def pytest_generate_tests(metafunc):
    """Take the shapes as they are on a GPU, one small shape for the emulator."""
    on_gpu = metafunc.config.getoption("--device", "emulator") == "gpu"
    metafunc.parametrize("shape", SHAPES if on_gpu else [SMALL], ids=str)


def host(x):
    """Return float64 on the host, of float32 or of the bits of bfloat16."""
    x = to_host(x)
    return (from_bfloat16(x) if x.dtype == np.uint16 else x).astype(np.float64)


def a_part(x):
    """Return the inputs of the last sequence's last channels."""
    sequences = {k: getattr(x, k)[-1:, :, CHANNELS] for k in ("u", "delta", "z")}
    matrices = {k: getattr(x, k)[-1:] for k in ("B", "C")}
    weights = {k: getattr(x, k)[CHANNELS] for k in ("A", "D", "delta_bias")}
    return each(host, x._replace(**sequences, **matrices, **weights))


@pytest.mark.parametrize("memory", ["float32", "bfloat16"])
def test_the_last_channels_of_the_last_sequence_are_right(cupy, shape, memory):
    x, dy = problem(cupy, shape, memory, seed=0)
    y, _, cache = selective_forward(x)
    grads = selective.backward(dy, None, cache)
    want, _, cache = selective_scan(*a_part(x), delta_softplus=True)
    want_grads = selective_scan_backward(host(dy[-1:, :, CHANNELS]), None, cache)
    rooms = (FORWARD, GRADIENT) if memory == "float32" else (BFLOAT16, BFLOAT16)
    check(host(y[-1:, :, CHANNELS]), want, rooms[0], "y")
    for name in ("u", "delta", "z"):
        mine = host(getattr(grads, name)[-1:, :, CHANNELS])
        check(mine, getattr(want_grads, name), rooms[1], f"d{name}")
