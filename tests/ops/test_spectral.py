"""The spectral filter as a circular convolution, and its causal sibling."""

import numpy as np
import pytest

from minimamba.ops import spectral
from minimamba.ops.spectral import (
    FilterParams,
    causal_filter,
    causal_filter_step,
    spectral_filter,
    spectral_filter_backward,
)
from tests import cupy_stand_in
from tests.kernels.problems import relative

EPS = np.finfo(float).eps
LENGTHS = [1, 2, 3, 4, 7, 50, 51, 100, 101]  # odd and even, with both transforms


def draw(l, b=2, d=3):
    rng = np.random.default_rng(13)
    return rng.standard_normal((b, l, d)), FilterParams(*rng.standard_normal((2, l // 2 + 1, d)))


def allowed(x, p):
    """Bound the rounding of transform, product and inverse, in the norm that they keep.

    Each transform errs by at most l eps times the norm of its input (a sum of l products; the fast
    one is better); the response stretches the norm by its largest magnitude.
    """
    gain = np.hypot(p.re, p.im).max()
    return 4 * x.shape[1] * EPS * gain * np.linalg.norm(x, axis=1).max()


@pytest.mark.parametrize("l", LENGTHS)
def test_it_is_a_circular_convolution(l):
    x, p = draw(l)
    kernel = np.fft.irfft(p.re + 1j * p.im, n=l, axis=0)  # (l, d)
    expected = sum(kernel[s] * np.roll(x, s, axis=1) for s in range(l))  # Eq. (10.3)
    assert abs(spectral_filter(x, p)[0] - expected).max() <= allowed(x, p)


@pytest.mark.parametrize("l", LENGTHS)
def test_a_response_of_one_is_the_identity(l):
    x, p = draw(l)
    ones = FilterParams(np.ones_like(p.re), np.zeros_like(p.im))
    assert abs(spectral_filter(x, ones)[0] - x).max() <= allowed(x, ones)


@pytest.mark.parametrize("l", [1, 2, 3, 7, 50, 51, 128, 129, 200, 201])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_ways_give_the_same_values_and_gradients(l, dtype):
    x, p = draw(l)
    dy, x, p = x[:, ::-1], x.astype(dtype), FilterParams(p.re.astype(dtype), p.im.astype(dtype))
    results = []
    for way in (spectral.dense, spectral.fourier, spectral.circulant):
        y, cache = way(x, p)
        dx, dp = spectral_filter_backward(dy.astype(dtype), cache)
        assert y.dtype == dx.dtype == dp.re.dtype == dp.im.dtype == dtype
        results.append((y, dx, *dp))
    bound = allowed(x, p) * np.finfo(dtype).eps / EPS
    # The gradient of the response multiplies two spectra: their norms, not x and a gain.
    bounds = [bound, bound, *2 * [4 * l * np.finfo(dtype).eps * (x * x).sum(axis=(0, 1)).max()]]
    for ways in zip(*results, bounds, strict=True):
        *others, limit = ways
        for one in others[1:]:
            assert abs(one - others[0]).max() <= limit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", [spectral.dense, spectral.fourier, spectral.circulant])
@pytest.mark.parametrize("l", [1, 2, 3, 50, 51, 128, 129, 200])
def test_every_way_is_near_the_op_in_float64_in_the_norm(way, l, dtype):
    rng = np.random.default_rng(l)
    x, dy = rng.standard_normal((2, 3, l, 5))
    p = FilterParams(*rng.standard_normal((2, l // 2 + 1, 5)))
    y, cache = spectral_filter(x, p)
    dx, dp = spectral_filter_backward(dy, cache)
    got, cache = way(x.astype(dtype), FilterParams(*(v.astype(dtype) for v in p)))
    got_dx, got_dp = spectral_filter_backward(dy.astype(dtype), cache)
    room = 30 * np.finfo(dtype).eps
    for a, b in [(got, y), (got_dx, dx), (got_dp.re, dp.re)]:
        assert a.dtype == dtype and relative(a, b) <= room
    # at one or two steps the imaginary part has no effect: its gradient is zero
    assert np.linalg.norm(got_dp.im - dp.im) <= room * (np.linalg.norm(dp.im) + 1)


def test_the_way_follows_the_length_the_type_and_the_place(monkeypatch):
    def chosen(place, l, dtype):
        return spectral.way(place(np.ones((1, l, 2), dtype))).__name__

    cupy, longest = cupy_stand_in.install(monkeypatch), spectral.LONGEST_CIRCULANT
    assert [chosen(np.asarray, l, "float32") for l in (100, 101)] == ["dense", "fourier"]
    assert [chosen(np.asarray, l, "float64") for l in (50, 51)] == ["dense", "fourier"]
    for dtype in ("float32", "float64"):
        ways = [chosen(cupy.asarray, l, dtype) for l in (longest, longest + 1)]
        assert ways == ["circulant", "fourier"]
    assert chosen(np.asarray, 999, "complex128") == chosen(cupy.asarray, 9, "complex64") == "dense"


@pytest.mark.parametrize("l", LENGTHS)
def test_the_real_bins_have_an_imaginary_part_without_effect_or_gradient(l):
    x, p = draw(l)
    real_bins = [0, -1] if l % 2 == 0 else [0]  # an odd length has no Nyquist bin
    moved = FilterParams(p.re, p.im.copy())
    moved.im[real_bins] += 100
    y, cache = spectral_filter(x, moved)
    assert np.array_equal(y, spectral_filter(x, p)[0])
    dim = spectral_filter_backward(x[:, ::-1], cache)[1].im
    assert (dim[real_bins] == 0).all()
    others = np.delete(dim, real_bins, axis=0)
    assert others.size == 0 or (others != 0).all()


@pytest.mark.parametrize("l", [1, 6, 7, 60])
def test_complex_signals_are_filtered_part_by_part(l):
    x, p = draw(l)
    y = spectral_filter(x + 1j * x[:, ::-1], p)[0]
    assert abs(y.real - spectral_filter(x, p)[0]).max() <= allowed(x, p)
    assert abs(y.imag - spectral_filter(x[:, ::-1], p)[0]).max() <= allowed(x, p)


def test_bins_that_do_not_fit_the_window_are_named():
    x, p = draw(6)
    with pytest.raises(ValueError, match=r"x is \(1, 0, 3\), expected a window of at least one"):
        spectral_filter(np.ones((1, 0, 3)), FilterParams(np.ones((1, 3)), np.ones((1, 3))))
    with pytest.raises(ValueError, match=r"a window of 8 steps and 3 channels needs re and im of"):
        spectral_filter(np.zeros((2, 8, 3)), p)
    with pytest.raises(ValueError, match=r"of \(4, 2\), got \(4, 3\) and \(4, 3\)"):
        spectral_filter(x[..., :2], p)


def test_the_causal_filter_is_the_circular_one_where_nothing_wraps_around():
    x, _ = draw(9)
    taps = np.random.default_rng(14).standard_normal((4, 3))
    padded = np.concatenate([x, np.zeros((2, 3, 3))], axis=1)  # three steps for three past inputs
    kernel = np.concatenate([taps, np.zeros((8, 3))])
    response = np.fft.rfft(kernel, axis=0)
    p = FilterParams(response.real, response.imag)
    y, _, _ = causal_filter(x, taps)
    assert abs(spectral_filter(padded, p)[0][:, :9] - y).max() <= allowed(padded, p)


def test_tap_j_is_the_weight_of_the_input_j_steps_ago():
    taps = np.array([[5.0], [7.0], [11.0]])
    impulse = np.array([[[1.0], [0], [0], [0], [0]]])
    assert causal_filter(impulse, taps)[0][0, :, 0].tolist() == [5, 7, 11, 0, 0]


def test_the_causal_filter_streams():
    x, _ = draw(9)
    taps = np.random.default_rng(15).standard_normal((4, 3))
    whole, last, _ = causal_filter(x, taps)
    first, state, _ = causal_filter(x[:, :2], taps)
    steps = []
    for t in range(2, 9):
        y_t, state = causal_filter_step(x[:, t], taps, state)
        steps.append(y_t)
    streamed = np.concatenate([first, np.stack(steps, axis=1)], axis=1)
    assert abs(streamed - whole).max() <= 2 * 4 * 10 * EPS  # four products, in another order
    assert np.array_equal(state, last)
