"""bfloat16 numbers go straight into the kernels and come out, on arrays as strict as CuPy's."""

import ml_dtypes
import numpy as np
import pytest

from minimamba.arrays import to_host
from minimamba.kernels import conv, selective
from minimamba.kernels.bfloat16 import to_bfloat16
from minimamba.kernels.selective import SEQUENCES
from minimamba.ops.conv import ConvParams, causal_conv1d
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from tests import cupy_stand_in
from tests.kernels.problems import (
    BFLOAT16,
    check,
    double,
    each,
    selective_forward,
    selective_problem,
)
from tests.kernels.test_dispatch import normal, on_device


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    return cupy_stand_in.install(monkeypatch)


def half(x):
    return cupy_stand_in.cupy.asarray(x.astype(ml_dtypes.bfloat16))


def test_bfloat16_numbers_go_in_and_come_out_of_the_scan():
    x, h0, dy, _ = selective_problem(2, 9, 33, 16)
    sequences = {name: half(getattr(x, name)) for name in SEQUENCES}
    x = on_device(x)
    y, h_last, cache = selective_forward(x._replace(**sequences), on_device(h0))
    grads = selective.backward(half(dy), None, cache)
    assert y.dtype == ml_dtypes.bfloat16 and h_last.dtype == np.float32
    for name, grad in grads._asdict().items():
        kind = ml_dtypes.bfloat16 if name in SEQUENCES else np.float32
        assert grad.dtype == kind, name
    rounded = {name: to_host(v).astype(np.float64) for name, v in sequences.items()}
    exact = double(each(to_host, x))._replace(**rounded)
    want, _, cache = selective_scan(*exact, True, double(h0))
    dy = to_host(half(dy)).astype(np.float64)
    check(to_host(y).astype(np.float64), want, BFLOAT16)
    du = selective_scan_backward(dy, None, cache).u
    check(to_host(grads.u).astype(np.float64), du, BFLOAT16)


def test_bfloat16_numbers_go_in_and_come_out_of_the_convolution():
    x, p, dy = normal(2, 31, 33), ConvParams(normal(33, 4), None), normal(2, 31, 33, seed=1)
    y, after, cache = conv.forward(half(x), on_device(p))
    dx, dp, dstate = conv.backward(half(dy), None, cache)
    y_t, _ = conv.step(half(x[:, 0]), on_device(p), after)
    assert all(v.dtype == ml_dtypes.bfloat16 for v in (y, after, dx, dstate, y_t))
    assert dp.weight.dtype == np.float32
    rounded = to_host(half(x)).astype(np.float64)
    check(to_host(y).astype(np.float64), causal_conv1d(rounded, double(p))[0], BFLOAT16)


def test_shapes_of_bits_are_looked_at_where_no_op_does_it():
    x, h0, dy, dh_last = on_device(selective_problem(2, 9, 33, 3))
    bits = x._replace(**{name: to_bfloat16(getattr(x, name)) for name in SEQUENCES})
    with pytest.raises(ValueError, match=r"C has shape \(2, 8, 3\), expected \(b, l, n\)"):
        selective_forward(bits._replace(C=bits.C[:, 1:]))
    with pytest.raises(ValueError, match=r"h0 has shape \(1, 33, 3\), expected \(b, e, n\)"):
        selective_forward(bits, h0[1:])
    _, _, cache = selective_forward(bits)
    with pytest.raises(ValueError, match=r"dy has shape \(2, 8, 33\), expected \(b, l, e\)"):
        selective.backward(to_bfloat16(dy)[:, 1:], None, cache)
    with pytest.raises(ValueError, match=r"dh_last has shape \(1, 33, 3\), expected \(b, e, n\)"):
        selective.backward(to_bfloat16(dy), dh_last[1:], cache)


def test_bits_are_never_taken_for_numbers():
    x, _, dy, _ = on_device(selective_problem(2, 9, 33, 3))
    for dtype in ("float32", "float16"):
        half = x._replace(u=to_bfloat16(x.u), delta=x.delta.astype(dtype))
        with pytest.raises(TypeError, match=f"delta has dtype {dtype}, expected uint16 as u has"):
            selective_forward(half)
    _, _, cache = selective_forward(x)
    with pytest.raises(TypeError, match="dy has dtype uint16, expected float32 as u has"):
        selective.backward(to_bfloat16(dy), None, cache)
    p = on_device(ConvParams(normal(33, 33), None))
    with pytest.raises(ValueError, match="33 taps, expected at most 32 for bfloat16"):
        conv.forward(to_bfloat16(x.u), p)
    with pytest.raises(TypeError, match="state has dtype float32, expected uint16 as x has"):
        conv.forward(to_bfloat16(x.u), on_device(ConvParams(normal(33, 4), None)), x.u[:, :3])
