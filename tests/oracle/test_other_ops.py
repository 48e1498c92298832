"""The operations around the scan: a right callable passes, and every usual slip is wrong."""

import numpy as np
import pytest

from minimamba import oracle


def verdict(fn, op, **more):
    more = {"framework": "numpy", "layout": "bld", "cases": 40, "budget": 6.0} | more
    return oracle.check(fn, op=op, **more)


def recurrence(a, b, h0=None):
    h = np.empty_like(b)
    last = np.zeros((b.shape[0], *b.shape[2:]), b.dtype) if h0 is None else h0
    for t in range(b.shape[1]):
        last = h[:, t] = a[:, t] * last + b[:, t]
    return h


def recurrence_of_the_step_before(a, b, h0=None):
    early = np.concatenate([np.ones_like(a[:, :1]), a[:, :-1]], 1)
    return recurrence(early, b, h0)


def recurrence_without_its_first_state(a, b, h0=None):
    return recurrence(a, b)


def recurrence_by_division(a, b):
    decay = np.cumprod(a, 1)
    return decay * np.cumsum(b / decay, 1)


def zoh(delta, A, B):
    x = delta[..., None] * A
    phi = np.where(x == 0, 1, np.expm1(x) / np.where(x == 0, 1, x))
    return np.exp(x), phi * delta[..., None] * B[:, :, None]


def zoh_that_divides_by_zero(delta, A, B):
    x = delta[..., None] * A
    return np.exp(x), np.expm1(x) / A * B[:, :, None]


def zoh_by_cancellation(delta, A, B):
    x = delta[..., None] * A
    phi = np.where(x == 0, 1, (np.exp(x) - 1) / np.where(x == 0, 1, x))
    return np.exp(x), phi * delta[..., None] * B[:, :, None]


def euler_for_zoh(delta, A, B):
    return 1 + delta[..., None] * A, delta[..., None] * B[:, :, None]


def zoh_euler(delta, A, B):
    return np.exp(delta[..., None] * A), delta[..., None] * B[:, :, None]


def bilinear(delta, A, B):
    half = delta[..., None] * A / 2
    return (1 + half) / (1 - half), delta[..., None] * B[:, :, None] / (1 - half)


def bilinear_upside_down(delta, A, B):
    half = delta[..., None] * A / 2
    return (1 - half) / (1 + half), delta[..., None] * B[:, :, None] / (1 + half)


def spectral_filter(x, re, im):
    spectrum = np.fft.rfft(x, axis=1) * (re + 1j * im)
    return np.fft.irfft(spectrum, x.shape[1], axis=1).astype(x.dtype), (x, re, im)


def spectral_filter_backward(dout, cache, twice=2.0):
    x, re, im = cache
    l = x.shape[1]
    share = np.full((re.shape[0], 1), twice / l)
    share[0] = 1 / l
    share[-1] = 1 / l if l % 2 == 0 or l == 1 else share[-1]
    g, X = np.fft.rfft(dout, axis=1), np.fft.rfft(x, axis=1)
    both = (g * X.conj()).sum(0) * share
    dx = np.fft.irfft(g * (re - 1j * im), l, axis=1).astype(x.dtype)
    real_bins = (np.arange(len(re)) * 2 % l != 0)[:, None]  # of the others im does nothing
    return {"x": dx, "re": both.real.astype(x.dtype), "im": (both.imag * real_bins).astype(x.dtype)}


def every_bin_once(dout, cache):
    return spectral_filter_backward(dout, cache, twice=1.0)


def filter_of_even_lengths(x, re, im):
    spectrum = np.fft.rfft(x, axis=1) * (re + 1j * im)
    even = np.fft.irfft(spectrum, axis=1) if x.shape[1] > 1 else spectrum.real
    return np.resize(even, x.shape).astype(x.dtype)


def filter_of_the_other_norm(x, re, im):
    spectrum = np.fft.rfft(x, axis=1, norm="ortho") * (re + 1j * im)
    return np.fft.irfft(spectrum, x.shape[1], axis=1).astype(x.dtype)


def filter_conjugated(x, re, im):
    return spectral_filter(x, re, -im)


RIGHT = [
    (recurrence, "recurrence", None),
    (zoh, "discretize_zoh", None),
    (euler_for_zoh, "discretize_euler", None),
    (zoh_euler, "discretize_zoh_euler", None),
    (bilinear, "discretize_bilinear", None),
    (spectral_filter, "spectral_filter", spectral_filter_backward),
]
WRONG = [
    (recurrence_of_the_step_before, "recurrence", None),
    (recurrence_without_its_first_state, "recurrence", None),
    (recurrence_by_division, "recurrence", None),
    (zoh_that_divides_by_zero, "discretize_zoh", None),
    (zoh_by_cancellation, "discretize_zoh", None),
    (euler_for_zoh, "discretize_zoh", None),
    (zoh_euler, "discretize_zoh", None),
    (zoh_euler, "discretize_euler", None),
    (bilinear_upside_down, "discretize_bilinear", None),
    (filter_of_even_lengths, "spectral_filter", None),
    (filter_of_the_other_norm, "spectral_filter", None),
    (filter_conjugated, "spectral_filter", None),
    (spectral_filter, "spectral_filter", every_bin_once),
]


@pytest.mark.parametrize("fn, op, backward", RIGHT)
@pytest.mark.filterwarnings("ignore")
def test_right(fn, op, backward):
    report = verdict(fn, op, backward=backward, dtypes=("float32", "float64"), budget=20.0)
    assert report.passed and all(r.grade == "exact" for r in report.rows), str(report)


@pytest.mark.parametrize("fn, op, backward", WRONG)
@pytest.mark.filterwarnings("ignore")
def test_wrong(fn, op, backward):
    report = verdict(fn, op, backward=backward)
    assert report.exit_code == 1, str(report)
    assert report.failures[0].sizes["l"] <= 16 and "np.array(" in report.failures[0].code
