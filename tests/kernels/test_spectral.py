"""The two GPU ways to the spectral filter are pure array code: both equal the op, on NumPy."""

import numpy as np
import pytest

from minimamba.kernels import spectral
from minimamba.ops.spectral import FilterParams, spectral_filter, spectral_filter_backward
from tests.kernels.problems import relative

WAYS = {
    "circulant": (spectral.circulant, spectral.circulant_backward),
    "fourier": (spectral.fourier, spectral.fourier_backward),
    "by the rule": (spectral.forward, spectral.backward),
}
LENGTHS = (1, 2, 3, 50, 51, 128, 129, 200)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("l", LENGTHS)
def test_both_ways_equal_the_op(way, l, dtype):
    rng = np.random.default_rng(l)
    x, dy = rng.standard_normal((2, 3, l, 5))
    p = FilterParams(*rng.standard_normal((2, l // 2 + 1, 5)))
    y, cache = spectral_filter(x, p)
    dx, dp = spectral_filter_backward(dy, cache)
    forward, backward = WAYS[way]
    cast = FilterParams(*(v.astype(dtype) for v in p))
    got, cache = forward(x.astype(dtype), cast)
    got_dx, got_dp = backward(dy.astype(dtype), cache)
    room = 30 * np.finfo(dtype).eps
    for a, b in [(got, y), (got_dx, dx), (got_dp.re, dp.re)]:
        assert a.dtype == dtype and relative(a, b) <= room
    # at one or two steps the imaginary part has no effect: its gradient is zero
    assert np.linalg.norm(got_dp.im - dp.im) <= room * (np.linalg.norm(dp.im) + 1)


def test_the_rule_is_the_length():
    for l, kind in [(128, spectral.CirculantCache), (129, spectral.FourierCache)]:
        p = FilterParams(*np.zeros((2, l // 2 + 1, 1)))
        assert isinstance(spectral.forward(np.zeros((1, l, 1)), p)[1], kind)


def test_bins_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a window of 5 steps and 2 channels needs re and im of"):
        spectral.forward(np.zeros((1, 5, 2)), FilterParams(np.zeros((3, 1)), np.zeros((3, 1))))
