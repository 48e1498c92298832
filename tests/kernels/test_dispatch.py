"""From an op through the one door to its kernel and back, with CuPy's arrays or its stand-in's.

The stand-in's RawModule is the emulator: what is launched here is what a GPU would get.
"""

import sys

import numpy as np
import pytest

from minimamba.arrays import from_host, to_host
from minimamba.dispatch import using
from minimamba.kernels import selective
from minimamba.ops.conv import (
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
    causal_conv1d_step,
)
from minimamba.ops.selective.last import selective_scan_last, selective_scan_last_backward
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from minimamba.ops.spectral import (
    FilterParams,
    causal_filter,
    causal_filter_backward,
    causal_filter_step,
    spectral_filter,
    spectral_filter_backward,
)
from minimamba.trees import tree_leaves
from tests import cupy_stand_in
from tests.cupy_stand_in import device
from tests.kernels.problems import FORWARD, GRADIENT, check, double, each, selective_problem

LAUNCHES = {"selective_scan_forward": 1, "selective_scan_backward": 1}
CONV_LAUNCHES = {"causal_conv_forward": 1, "causal_conv_backward": 1}


pytestmark = pytest.mark.usefixtures("cupy")


def require_launches(expected):
    """Require so many launches of each kernel; those of a real GPU are not counted."""
    if sys.modules["cupy"] is cupy_stand_in.cupy:
        assert device.launches == expected


def to_device(x):
    return sys.modules["cupy"].asarray(x)


def on_device(tree):
    return each(to_device, tree)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def both(run, inputs, outputs):
    """Require of `run` on the device what it gives in float64 on the host.

    `run(*inputs)` returns outputs and gradients, so many outputs first.
    """
    want, got = run(*double(inputs)), run(*on_device(inputs))
    assert all(isinstance(x, sys.modules["cupy"].ndarray) for _, x in tree_leaves(got))
    for i, (one, two) in enumerate(zip(want, got, strict=True)):
        tolerance = FORWARD if i < outputs else GRADIENT
        pairs = zip(tree_leaves(one, str(i)), tree_leaves(two), strict=True)
        for (path, x), (_, y) in pairs:
            y = to_host(y)
            assert y.dtype == np.float32, path
            check(y, x, tolerance, path)


def scan(x, h0, dy, dh_last):
    y, h_last, cache = selective_scan(*x, True, h0)
    # A sum over all rows and steps that may cancel: its own tests measure it in its terms.
    return y, h_last, selective_scan_backward(dy, dh_last, cache)._replace(delta_bias=None)


def test_the_selective_scan():
    both(scan, selective_problem(2, 19, 33, 3), 2)
    require_launches(LAUNCHES)
    x, _, dy, _ = selective_problem(1, 5, 3, 16, D=None, z=None, delta_bias=None)
    both(scan, (x, None, dy, None), 2)


def last_problem(b, l, e, n, **without):
    """Return (u, delta, A, B, C, D, z, delta_bias), the positions to read, and dy."""
    x, _, dy, _ = selective_problem(b, l, e, n)
    x = x._replace(C=x.C[:, 0], z=x.z[:, 0])._replace(**without)
    return x[:8], np.arange(b) * 3 % l, dy[:, 0]


def read_at(last, softplus):
    def run(u, delta, A, B, C, D, z, bias, dy):
        y, cache = selective_scan_last(u, delta, A, B, C, last(u), D, z, bias, softplus)
        return y, selective_scan_last_backward(dy, cache)._replace(delta_bias=None)

    return run


@pytest.mark.parametrize("n", [3, 65])
def test_the_scan_read_at_one_position(n):
    inputs, last, dy = last_problem(4, 11, 33, n)
    both(read_at(lambda u: last, True), (*inputs, dy), 1)
    groups = -(-n // selective.MOST_STATES)
    require_launches(dict.fromkeys(LAUNCHES, groups))


def test_the_scan_read_at_positions_that_are_on_the_device_without_options():
    inputs, last, dy = last_problem(4, 11, 33, 3, D=None, z=None, delta_bias=None)
    inputs = (inputs[0], np.abs(inputs[1]) / 4, *inputs[2:])
    both(read_at(lambda u: from_host(last, u), False), (*inputs, dy), 1)


def test_nothing_after_the_position_matters():
    (u, delta, *rest), last, dy = last_problem(4, 11, 33, 3)
    ahead = np.arange(11) > last[:, None]
    other = on_device(np.where(ahead[..., None], np.float32(7), delta))
    run, (u, delta, *rest, dy) = read_at(lambda u: last, True), on_device((u, delta, *rest, dy))
    y, grads = run(u, delta, *rest, dy)
    again, other_grads = run(u, other, *rest, dy)
    for one, two in ((y, again), (grads.A, other_grads.A)):
        assert (to_host(one) == to_host(two)).all()
    assert not to_host(other_grads.delta)[ahead].any() and not to_host(grads.u)[ahead].any()


def convolve(x, p, state, dy, dstate):
    y, after, cache = causal_conv1d(x, p, state)
    return y, after, causal_conv1d_backward(dy, dstate, cache)


def test_the_causal_convolution():
    p = ConvParams(normal(33, 4), normal(33))
    x, dy, state, dstate = normal(2, 31, 33), normal(2, 31, 33, seed=1), normal(2, 3, 33), None
    both(convolve, (x, p, state, dy, dstate), 2)
    require_launches(CONV_LAUNCHES)
    both(convolve, (x, p._replace(bias=None), None, dy, normal(2, 3, 33, seed=1)), 2)


def test_a_step_of_the_convolution():
    p = ConvParams(normal(33, 4), normal(33))
    both(causal_conv1d_step, (normal(2, 33), p, normal(2, 3, 33)), 2)
    require_launches({"causal_conv_step": 1})


def test_a_filter_of_many_taps_takes_the_array_code_and_finds_its_way_back():
    p, x = ConvParams(normal(3, 33), None), normal(2, 50, 3)
    both(convolve, (x, p, None, x, None), 2)
    require_launches({})


def test_the_causal_filter():
    def run(x, taps, state, dy):
        y, after, cache = causal_filter(x, taps, state)
        dx, dtaps, dstate = causal_filter_backward(dy, None, cache)
        step = causal_filter_step(x[:, 0], taps, state)
        return y, after, *step, dx, dtaps, dstate

    both(run, (normal(2, 31, 33), normal(4, 33), normal(2, 3, 33), normal(2, 31, 33, seed=1)), 4)
    require_launches(CONV_LAUNCHES | {"causal_conv_step": 1})


@pytest.mark.parametrize("l,ways", [(21, ["Dense", "Circulant"]), (130, ["Fourier", "Fourier"])])
def test_the_spectral_filter_takes_another_way_on_a_device(l, ways):
    def run(x, p, dy):
        y, saved = spectral_filter(x, p)
        made.append(type(saved).__name__)
        return y, spectral_filter_backward(dy, saved)

    made, f = [], l // 2 + 1
    response = FilterParams(normal(f, 5), normal(f, 5, seed=1))
    both(run, (normal(3, l, 5), response, normal(3, l, 5, seed=1)), 1)
    assert made == [f"{way}Cache" for way in ways]


def run_everything(place):
    """Return all outputs and gradients, of ops that have a kernel, and the caches they made."""
    x, h0, dy, dh_last = each(place, selective_problem(2, 9, 33, 3))
    p = each(place, ConvParams(normal(33, 4), normal(33)))
    *made, scanned = selective_scan(*x, True, h0)
    made.append(selective_scan_backward(dy, dh_last, scanned))
    *convolved, cache = causal_conv1d(x.u, p)
    made += [*convolved, causal_conv1d_backward(dy, None, cache)]
    made.append(causal_conv1d_step(x.u[:, 0], p, convolved[1]))
    read, at = selective_scan_last(*x[:4], x.C[:, 0], np.array([8, 2]), delta_softplus=True)
    made += [read, selective_scan_last_backward(dy[:, 0], at)]
    return made, (scanned, cache, getattr(at.read, "scan", at.read))


def made_by_kernels(caches):
    return [type(cache).__module__.startswith("minimamba.kernels") for cache in caches]


def test_a_numpy_array_never_takes_a_kernel():
    _, caches = run_everything(np.asarray)
    assert not any(made_by_kernels(caches))
    require_launches({})
    assert all(made_by_kernels(run_everything(to_device)[1]))


def test_float64_takes_the_array_code():
    def wide(x):
        return to_device(x.astype(np.float64))

    assert not any(made_by_kernels(run_everything(wide)[1]))
    require_launches({})


def test_float32_beside_float64_takes_the_array_code_which_keeps_the_wider():
    x, p = on_device((normal(2, 9, 3), ConvParams(normal(3, 4).astype(np.float64), None)))
    assert causal_conv1d(x, p)[0].dtype == np.float64
    require_launches({})


def test_switched_off_the_array_code_runs_but_a_cache_goes_back_to_its_kernel():
    place = to_device
    x, _, dy, _ = each(place, selective_problem(2, 9, 33, 3))
    *_, cache = selective_scan(*x, True)
    with using(enabled=False):
        device.launches.clear()
        assert not any(made_by_kernels(run_everything(place)[1]))
        require_launches({})
        selective_scan_backward(dy, None, cache)
    require_launches({"selective_scan_backward": 1})
