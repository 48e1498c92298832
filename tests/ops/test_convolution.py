"""Causal and circular convolution: two operations, told apart by where the end goes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.gradcheck import check_adjoint
from minimamba.ops.convolution import (
    causal_convolution,
    causal_convolution_backward,
    circular_convolution,
    circular_convolution_backward,
    convolve_direct,
    convolve_fft,
)


def draw(seed, l, k, cplx=False):
    rng = np.random.default_rng([seed, l, k])

    def normal(*shape):
        return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if cplx else 0)

    return normal(2, l, 3), normal(k, 3)


def by_definition(u, K, circular=False):
    """Return the sums of Eq. (5.2) or (5.4), written out."""
    y = np.zeros_like(u)
    for t in range(u.shape[1]):
        for j in range(len(K)):
            if circular or j <= t:
                y[:, t] += K[j] * u[:, t - j]
    return y


def close(x, y, u, K):
    """Compare within the bound of an FFT of up to 512 points: 250 roundings of |u|_2 |K|_2."""
    size = np.linalg.norm(u, axis=1).max(initial=0) * np.linalg.norm(K, axis=0).max(initial=0)
    return (np.abs(x - y) <= 250 * 2.0**-53 * size).all()


@given(
    seed=st.integers(0, 999),
    l=st.integers(1, 40),
    k=st.integers(1, 50),
    cplx=st.booleans(),
    convolve=st.sampled_from([convolve_direct, convolve_fft]),
)
@settings(max_examples=60)
def test_causal_convolution_is_its_definition(seed, l, k, cplx, convolve):
    u, K = draw(seed, l, k, cplx)
    y, cache = causal_convolution(u, K, convolve)
    assert close(y, by_definition(u, K[:l]), u, K)
    dy, _ = draw(seed + 1, l, k, cplx)
    du, dK = causal_convolution_backward(dy, cache, convolve)
    assert du.shape == u.shape and dK.shape == K.shape
    assert not dK[l:].any()  # taps that meet nothing


@given(seed=st.integers(0, 999), l=st.integers(1, 40), cplx=st.booleans())
@settings(max_examples=40)
def test_circular_convolution_is_its_definition(seed, l, cplx):
    u, K = draw(seed, l, l, cplx)
    assert close(circular_convolution(u, K)[0], by_definition(u, K, circular=True), u, K)


@pytest.mark.parametrize("l", [1, 2, 7, 16, 31])
def test_backwards_are_adjoint_also_for_complex_numbers(l):
    u, K = draw(0, l, l, cplx=True)
    dy, _ = draw(1, l, l, cplx=True)
    for convolve in (convolve_direct, convolve_fft):

        def back(dy, which, convolve=convolve):
            _, cache = causal_convolution(u, K, convolve)
            return causal_convolution_backward(dy, cache, convolve)[which]

        check_adjoint(lambda u, c=convolve: c(u, K), lambda dy, b=back: b(dy, 0), u, dy)
        check_adjoint(lambda K, c=convolve: c(u, K), lambda dy, b=back: b(dy, 1), K, dy)
    cache = circular_convolution(u, K)[1]
    around = [lambda dy, i=i: circular_convolution_backward(dy, cache)[i] for i in (0, 1)]
    check_adjoint(lambda u: circular_convolution(u, K)[0], around[0], u, dy)
    check_adjoint(lambda K: circular_convolution(u, K)[0], around[1], K, dy)


def test_only_the_circular_one_lets_the_end_into_the_start():
    u, K = draw(0, 9, 9)
    later = u.copy()
    later[:, -1] += 1
    for convolve in (convolve_direct, convolve_fft):
        moved = convolve(later, K) - convolve(u, K)
        assert np.abs(moved[:, :-1]).max() < 1e-13
    around = circular_convolution(later, K)[0] - circular_convolution(u, K)[0]
    assert np.abs(around[:, 0]).min() > 1e-2


def test_an_unpadded_product_of_spectra_is_not_causal():
    u, K = draw(0, 8, 8)
    unpadded = np.fft.irfft(np.fft.rfft(u, axis=1) * np.fft.rfft(K, axis=0), 8, axis=1)
    assert close(unpadded, circular_convolution(u, K)[0], u, K)
    assert not close(unpadded, by_definition(u, K), u, K)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_narrow_dtypes_are_kept(dtype):
    u, K = (x.astype(dtype) for x in draw(0, 6, 6, cplx=dtype is np.complex64))
    for convolve in (convolve_direct, convolve_fft):
        y, cache = causal_convolution(u, K, convolve)
        assert {x.dtype for x in (y, *causal_convolution_backward(y, cache, convolve))} == {u.dtype}
    assert circular_convolution(u, K)[0].dtype == dtype


def test_nothing_convolved_is_nothing():
    u, K = draw(0, 3, 2)
    assert convolve_fft(u[:, :0], K).shape == convolve_direct(u[:, :0], K).shape == (2, 0, 3)
    assert not convolve_fft(u, K[:0]).any() and not convolve_direct(u, K[:0]).any()


def test_bad_input_is_named():
    u, K = draw(0, 5, 5)
    with pytest.raises(ValueError, match=r"K has shape \(5, 2\), expected \(k, 3\) to fit u"):
        causal_convolution(u, K[:, 1:])
    with pytest.raises(ValueError, match=r"K has shape \(4, 3\), expected \(5, 3\)"):
        circular_convolution(u, K[1:])
    with pytest.raises(ValueError, match=r"u has shape \(5, 3\), expected \(b, l, e\)"):
        causal_convolution(u[0], K)
    with pytest.raises(TypeError, match="K has dtype float32 while u has float64"):
        causal_convolution(u, K.astype(np.float32))
