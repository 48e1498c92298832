"""softplus and its slope of `common.cu`, number by number: a norm hides a wrong coefficient."""

import numpy as np

from minimamba.kernels.compile import source
from tests.emulator import Emulator

CODE = """
extern "C" __global__ void softplus(float *x) { x[blockIdx.x] = softplus_of(x[blockIdx.x]); }
extern "C" __global__ void slope(float *s) { s[blockIdx.x] = softplus_slope(s[blockIdx.x]); }
"""


def run(name, x):
    out = x.copy()
    Emulator()(source("common.cu") + CODE).get_function(name)((len(x),), (1,), (out,))
    return out.astype(np.float64)


def test_softplus_is_right_to_a_few_bits_everywhere():
    x = np.concatenate([np.linspace(-40, 40, 801), [-0.0, 1e-6, -4.0, -3.9]]).astype(np.float32)
    want = np.logaddexp(0, x.astype(np.float64))
    far = np.abs(run("softplus", x) / want - 1)
    # an exponential and a quotient, 2^-22 each; five roundings; the exponent's own two, times x
    assert (far <= 2 * 2.0**-22 + (5 + 2 * abs(x)) * 2.0**-24).all()


def test_the_slope_is_right_on_both_sides_of_its_series():
    s = np.concatenate([np.geomspace(1e-9, 40, 400), [0.19999, 0.2, 0.20001]]).astype(np.float32)
    want = -np.expm1(-s.astype(np.float64))
    far = np.abs(run("slope", s) / want - 1)
    # the series leaves out s^5 / 720; beyond it 2^-22 of e^-s counts against 1 - e^-s
    assert (far <= np.where(s < 0.2, s**5 / 720, 1.5 * 2.0**-22 / want) + 4 * 2.0**-24).all()
