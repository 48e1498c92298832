"""Inputs that try to break a recurrence: every kind of number beside every other."""

import numpy as np
from hypothesis import strategies as st

DTYPES = (np.float32, np.float64, np.complex64, np.complex128)
AROUND_POWERS = [2**k + i for k in range(7, 12) for i in (-1, 0, 1)]
lengths = st.one_of(st.integers(0, 130), st.sampled_from(AROUND_POWERS))
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(DTYPES)


def is_complex(dtype):
    return np.dtype(dtype).kind == "c"


def normal(rng, shape, dtype):
    """Return normal numbers of any dtype."""
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if is_complex(dtype) else x).astype(dtype)


def mixture(rng, kinds, shape):
    """Return an array each element of which comes from one of the kinds, at random."""
    return np.choose(rng.integers(0, len(kinds), shape), [np.broadcast_to(k, shape) for k in kinds])


def decays(rng, shape, dtype):
    """Return decays from 0 through 1 to slightly above 1, of any sign or phase."""
    denormal = np.finfo(dtype).smallest_subnormal
    kinds = [0.0, 1.0, 1 + 2.0**-9, denormal, rng.uniform(0, 1, shape)]
    kinds += [
        -np.expm1(-(10.0 ** rng.uniform(-6, 0, shape))),
        np.exp(-(10.0 ** rng.uniform(-6, 3))),
    ]
    size = mixture(rng, [*kinds, rng.uniform(0.9, 1, shape)], shape)
    sign = rng.choice([-1.0, 1.0], shape) if rng.random() < 0.5 else 1.0
    if is_complex(dtype):
        sign = np.exp(2j * np.pi * rng.uniform(0, 1, shape))
    return (size * sign).astype(dtype)


def drives(rng, shape, dtype):
    """Return drives of all sizes from denormal to a million, and zeros."""
    denormal = np.finfo(dtype).smallest_subnormal
    scale = mixture(rng, [0.0, 1.0, denormal, 10.0 ** rng.uniform(-6, 6, shape)], shape)
    return (scale * normal(rng, shape, np.dtype(dtype))).astype(dtype)


def sequences(seed, l, dtype, rows=2, channels=3):
    """Return (a, b, h0) of a recurrence; now and then one kind of decay for the whole of it."""
    rng = np.random.default_rng([seed, l])
    shape = (rows, l, channels)
    a = decays(rng, shape, dtype)
    if l and rng.random() < 0.3:  # where decays stay the same, roundings add up instead of cancel
        a = np.broadcast_to(decays(rng, (rows, 1, channels), dtype), shape).copy()
    return a, drives(rng, shape, dtype), drives(rng, (rows, channels), dtype)
