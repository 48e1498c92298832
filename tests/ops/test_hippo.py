"""HiPPO-LegS does what it is for, and its other forms are the same matrix."""

import numpy as np
import pytest

from minimamba.ops.discretize_dense import bilinear_dense
from minimamba.ops.hippo import (
    hippo_legs,
    hippo_legs_nplr,
    s4d_inv,
    s4d_legs,
    s4d_lin,
    s4d_real,
)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 33])
def test_normal_plus_low_rank_is_legs(n):
    A, B = hippo_legs(n)
    form = hippo_legs_nplr(n)
    V, back = form.V, form.V.conj().T
    rebuilt = V @ (np.diag(form.eigenvalues) - np.outer(form.P, form.P.conj())) @ back
    room = 50 * n * 2.0**-53 * np.linalg.norm(A)  # an eigendecomposition is backward stable
    assert np.abs(rebuilt - A).max() <= room
    assert np.abs(V @ form.B - B).max() <= room
    assert np.abs(V @ back - np.eye(n)).max() <= 50 * n * 2.0**-53
    assert (form.eigenvalues.real == -0.5).all()


def test_s4d_real_is_the_diagonal_of_legs():
    assert np.array_equal(s4d_real(7), np.diag(hippo_legs(7)[0]))


def test_s4d_legs_keeps_one_of_each_conjugate_pair():
    kept = s4d_legs(8)
    all_of_them = hippo_legs_nplr(16).eigenvalues
    assert len(kept) == 8 and (kept.imag > 0).all() and (np.diff(kept.imag) < 0).all()
    both = np.sort(np.concatenate([kept.imag, -kept.imag]))
    assert np.allclose(both, all_of_them.imag, rtol=0, atol=1e-12 * both.max())


def test_s4d_inv_approximates_the_spectrum_of_legs():
    # arXiv:2206.11893, conjecture 5: the leading eigenvalues agree in relative terms as n grows
    errors = []
    for n in (8, 32, 128):
        inverse, legs = s4d_inv(n).imag[: n // 4], s4d_legs(n).imag[: n // 4]
        errors.append(np.abs(inverse / legs - 1).max())
    assert errors[0] < 0.2 and errors[2] < 0.2
    assert abs(s4d_inv(128).imag[0] / s4d_legs(128).imag[0] - 1) < 0.06


def test_s4d_lin_is_a_fourier_series():
    assert np.allclose(s4d_lin(4), -0.5 + 1j * np.pi * np.arange(4), rtol=0, atol=0)


def test_legs_remembers_the_past_as_legendre_coefficients():
    # h' = (A h + B u) / t projects the past of u on Legendre polynomials over [0, t]: a straight
    # line needs two of them. The bilinear rule is of second order: 2,000 steps leave some 1e-6.
    n, steps = 4, 2000
    A, B = hippo_legs(n)
    h = np.zeros((n, 1))
    for k in range(1, steps + 1):
        A_bar, B_bar, _ = bilinear_dense(1.0 / k, A, B)
        h = A_bar @ h + B_bar * ((k - 0.5) / steps)
    # u(s) = s on [0, 1] is 1/2 P_0 + (1 / (2 sqrt(3))) sqrt(3) P_1
    assert np.abs(h[:, 0] - [0.5, 0.5 / np.sqrt(3), 0, 0]).max() < 2e-3


@pytest.mark.parametrize(
    "start", [hippo_legs, hippo_legs_nplr, s4d_legs, s4d_lin, s4d_inv, s4d_real]
)
def test_an_empty_state_is_refused(start):
    with pytest.raises(ValueError, match="n is 0, expected a state of at least 1"):
        start(0)
