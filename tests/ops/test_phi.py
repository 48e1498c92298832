"""The phi functions: accurate to a few units in the last place, real and complex, through zero."""

from math import factorial as exact_factorial

import numpy as np
import pytest

from minimamba.ops.phi import phi1, phi1_slope

SIZES = np.concatenate([10.0 ** np.linspace(-300, -3, 60), 10.0 ** np.linspace(-3, 2, 400)])
ANGLES = np.exp(1j * np.random.default_rng(0).uniform(-1.4, 1.4, SIZES.size))


def factorial(k):
    return np.longdouble(exact_factorial(k))


def exact(f, x):
    """Return phi_1 or its slope in long double: by the series inside the unit circle."""
    x = x.astype(np.result_type(x, np.longdouble))
    near = np.abs(x) < 1
    far, small = np.where(near, 1, x), np.where(near, x, 0)
    series = np.zeros_like(x)
    for k in reversed(range(26)):
        wanted = 1 / factorial(k + 1) if f is phi1 else (k + 1) / factorial(k + 2)
        series = series * small + wanted
    closed = np.expm1(far) / far if f is phi1 else (1 + (far - 1) * np.exp(far)) / far**2
    return np.where(near, series, closed)


@pytest.mark.parametrize("f", [phi1, phi1_slope])
@pytest.mark.parametrize("x", [-SIZES, SIZES, -SIZES * ANGLES], ids=["below", "above", "complex"])
def test_phi_is_accurate_everywhere(f, x):
    # expm1 and exp are good to 1 ulp = 2u each in NumPy; a quotient, a sum and the series add some
    # 4 roundings more, and a complex product or quotient has up to 4u of its own
    units = 24 if np.iscomplexobj(x) else 8
    truth = exact(f, x)
    assert (np.abs(f(x) - truth) <= units * 2.0**-53 * np.abs(truth)).all()


def test_phi_at_zero_and_far_out():
    assert phi1(np.zeros(1)) == 1 and phi1_slope(np.zeros(1)) == 0.5
    assert phi1(np.array([-1e300]))[0] == 1e-300
    assert phi1_slope(np.array([-1e200]))[0] == 0.0  # 1e-400, which no float64 is


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_phi_keeps_the_dtype_and_is_right_in_it(dtype):
    x = -np.logspace(-8, 1, 50).astype(dtype)
    wide = x.astype(np.result_type(dtype, np.float64))
    for f in (phi1, phi1_slope):
        assert f(x).dtype == dtype
        assert np.abs(f(x) - f(wide)).max() <= 24 * 2.0**-24


def test_the_formula_as_it_stands_fails_near_zero():
    x = np.array([1e-12])
    naive = (np.exp(x) - 1) / x
    assert abs(naive[0] - 1) > 1e-5 and abs(phi1(x)[0] - 1) < 1e-11
