"""One time-invariant system, four ways to run it, one answer; each within the bound of its way."""

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.gradcheck import check_adjoint
from minimamba.ops.discretize import zoh
from minimamba.ops.discretize_dense import bilinear_dense, zoh_dense
from minimamba.ops.hippo import hippo_legs, s4d_lin
from minimamba.ops.lti import (
    causal_convolution,
    causal_convolution_backward,
    circular_convolution,
    circular_convolution_backward,
    convolve_direct,
    convolve_fft,
    impulse_response,
    impulse_response_dense,
    transfer_function,
)
from minimamba.ops.recurrence import blelloch, chunked, recurrence, sequential
from minimamba.oracle.bound.tolerance import recurrence_bound, unit_roundoff

LENGTHS = [1, 2, 3, 7, 8, 31, 32, 33, 97, 128, 211]  # odd, even, prime, powers of two and beside


def system(seed, l, dtype, e=3, n=4):
    """Return a stable diagonal system and an input, (A_bar, B_bar, C, u)."""
    rng = np.random.default_rng([seed, l])
    cplx = np.dtype(dtype).kind == "c"

    def normal(*shape):
        x = rng.standard_normal(shape)
        return (x + 1j * rng.standard_normal(shape) if cplx else x).astype(dtype)

    phase = np.exp(1j * rng.uniform(-3, 3, (e, n))) if cplx else rng.choice([-1.0, 1.0], (e, n))
    A_bar = (rng.uniform(0, 1, (e, n)) ** 0.2 * phase).astype(dtype)
    return A_bar, normal(e, n), normal(e, n), normal(2, l, e)


def exact_output(A_bar, B_bar, C, u):
    """Return the output, and the same sum with magnitudes, in long double."""
    wide = np.result_type(A_bar.dtype, np.longdouble)
    A_bar, B_bar, C, u = (x.astype(wide) for x in (A_bar, B_bar, C, u))
    h = np.zeros((len(u), *A_bar.shape), wide)
    size = np.zeros(h.shape, np.longdouble)
    y, magnitude = np.empty(u.shape, wide), np.empty(u.shape, np.longdouble)
    for t in range(u.shape[1]):
        h = A_bar * h + B_bar * u[:, t, :, None]
        size = np.abs(A_bar) * size + np.abs(B_bar * u[:, t, :, None])
        y[:, t], magnitude[:, t] = (C * h).sum(-1), (np.abs(C) * size).sum(-1)
    return y, magnitude


def scan_output(schedule, A_bar, B_bar, C, u):
    """Return the output through the states, and the bound of that way."""
    b = B_bar * u[..., None]
    a = np.broadcast_to(A_bar, b.shape).copy()
    h0 = np.zeros_like(b[:, 0])
    h, _ = recurrence(a, b, h0, schedule)
    states = recurrence_bound(a, b, h0, u.dtype)
    _, magnitude = exact_output(A_bar, B_bar, C, u)
    # b has one rounding (four of a complex product), the read-out n products and n sums
    more = (4 + 4 + A_bar.shape[1]) * unit_roundoff(u.dtype)
    return (C * h).sum(-1), (np.abs(C) * states).sum(-1) + 1.01 * more * magnitude


def convolution_bound(convolve, K, A_bar, B_bar, C, u):
    """Return the bound of a convolution with the computed response K."""
    l, unit = u.shape[1], unit_roundoff(u.dtype)
    _, magnitude = exact_output(A_bar, B_bar, C, u)
    product = 4 if np.iscomplexobj(u) else 1  # units of a product (Higham, section 3.6)
    taps = (product * (l + 2) + A_bar.shape[1]) * unit * magnitude  # A^j, C B, the sum over n
    if convolve is convolve_direct:
        return 1.01 * (taps + (product + l) * unit * magnitude)
    # Higham, theorem 24.2: an FFT of length N errs by some 7 log2(N) u in the 2-norm; there are
    # three, and |y| <= |u|_2 |K|_2
    norms = [np.sqrt((np.abs(x).astype(np.longdouble) ** 2).sum(-2)) for x in (u, K)]
    return 1.01 * (taps + (21 * (log2(2 * l) + 1) + 5) * unit * (norms[0] * norms[1])[:, None])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("l", LENGTHS)
def test_recurrence_scan_convolution_and_fft_give_one_answer(l, dtype):
    A_bar, B_bar, C, u = system(0, l, dtype)
    exact, _ = exact_output(A_bar, B_bar, C, u)
    for schedule in (sequential, blelloch, chunked(8)):
        y, bound = scan_output(schedule, A_bar, B_bar, C, u)
        assert (np.abs(y - exact) <= bound).all()
    K, _ = impulse_response(A_bar, B_bar, C, l)
    assert K.dtype == dtype
    for convolve in (convolve_direct, convolve_fft):
        y, _ = causal_convolution(u, K, convolve)
        assert y.dtype == dtype
        bound = convolution_bound(convolve, K, A_bar, B_bar, C, u)
        assert (np.abs(y - exact) <= bound).all(), convolve


@given(seed=st.integers(0, 2**32 - 1), l=st.integers(1, 60))
@settings(max_examples=30)
def test_the_four_ways_agree_on_random_systems(seed, l):
    A_bar, B_bar, C, u = system(seed, l, np.complex128)
    exact, _ = exact_output(A_bar, B_bar, C, u)
    K, _ = impulse_response(A_bar, B_bar, C, l)
    for convolve in (convolve_direct, convolve_fft):
        bound = convolution_bound(convolve, K, A_bar, B_bar, C, u)
        assert (np.abs(convolve(u, K) - exact) <= bound).all()


def test_the_transfer_function_is_the_spectrum_of_the_response():
    A_bar, B_bar, C, _ = system(3, 1, np.complex128)
    A_bar = 0.9 * A_bar
    l = 512  # 0.9^512 is 1e-24: the tail that the spectrum leaves out is nothing
    K, _ = impulse_response(A_bar, B_bar, C, l)
    z = np.exp(2j * np.pi * np.arange(l) / l)
    H, _ = transfer_function(A_bar, B_bar, C, z)
    # 1 / (1 - A/z) is at most 10 here and amplifies the roundings of its denominator so much
    assert np.abs(H - np.fft.fft(K, axis=0)).max() <= 1e3 * 2.0**-53 * np.abs(H).max()


@pytest.mark.parametrize("l", [1, 2, 7, 64])
def test_the_dense_response_is_the_recurrence_with_matrices(l):
    rng = np.random.default_rng(l)
    A, B = hippo_legs(4)
    A_bar, B_bar, _ = bilinear_dense(0.1, A, B)
    C = rng.standard_normal((2, 4))
    K, _ = impulse_response_dense(A_bar, B_bar, C, l)
    h, size = B_bar.astype(np.longdouble), np.abs(B_bar).astype(np.longdouble)
    for j in range(l):
        room = (4 * (j + 1) + 4) * 2.0**-53 * (np.abs(C) @ size)
        assert (np.abs(K[j] - C @ h) <= room).all()
        h, size = A_bar @ h, np.abs(A_bar) @ size


def test_a_diagonal_system_is_a_dense_one_in_disguise():
    eigenvalues = s4d_lin(3)
    A, B = np.diag(eigenvalues), np.ones((3, 1), complex)
    C = np.random.default_rng(0).standard_normal((1, 3)) + 0j
    dense, _ = impulse_response_dense(*zoh_dense(0.2, A, B)[:2], C, 20)
    A_bar, B_bar, _ = zoh(np.array([0.2]), eigenvalues[None], B.T)
    K, _ = impulse_response(A_bar, B_bar, C, 20)
    # the matrix exponential errs by some 20 roundings of numbers near 1, raised to powers up to 20
    assert np.abs(K[:, 0] - dense[:, 0, 0]).max() <= 20 * 20 * 8 * 2.0**-53


def test_bad_input_is_named():
    A_bar, B_bar, C, _ = system(0, 5, np.float64)
    with pytest.raises(ValueError, match=r"C has shape \(3, 3\), expected \(e, n\) = \(3, 4\)"):
        impulse_response(A_bar, B_bar, C[:, 1:], 5)
    with pytest.raises(TypeError, match="A_bar has dtype int64"):
        impulse_response(A_bar.astype(np.int64), B_bar, C, 5)
    with pytest.raises(ValueError, match=r"z has shape \(\), expected \(f,\)"):
        transfer_function(A_bar, B_bar, C, np.array(1.0))
    with pytest.raises(ValueError, match=r"A_bar has shape \(3, 4\), expected \(n, n\) = \(3, 3\)"):
        impulse_response_dense(A_bar, B_bar, C, 5)


# ---- causal and circular convolution: two operations, told apart by where the end goes ----


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


def test_factors_that_do_not_fit_are_named():
    u, K = draw(0, 5, 5)
    with pytest.raises(ValueError, match=r"K has shape \(5, 2\), expected \(k, 3\) to fit u"):
        causal_convolution(u, K[:, 1:])
    with pytest.raises(ValueError, match=r"K has shape \(4, 3\), expected \(5, 3\)"):
        circular_convolution(u, K[1:])
    with pytest.raises(ValueError, match=r"u has shape \(5, 3\), expected \(b, l, e\)"):
        causal_convolution(u[0], K)
    with pytest.raises(TypeError, match="K has dtype float32 while u has float64"):
        causal_convolution(u, K.astype(np.float32))
