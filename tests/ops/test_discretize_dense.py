"""The matrix exponential and the dense discretizations."""

import numpy as np
import pytest

from minimamba.gradcheck import check_adjoint
from minimamba.ops.discretize import bilinear, euler, zoh
from minimamba.ops.discretize_dense import (
    bilinear_dense,
    bilinear_dense_backward,
    euler_dense,
    euler_dense_backward,
    matrix_exp,
    matrix_exp_backward,
    zoh_dense,
    zoh_dense_backward,
)

METHODS = [
    (zoh_dense, zoh_dense_backward, zoh),
    (bilinear_dense, bilinear_dense_backward, bilinear),
    (euler_dense, euler_dense_backward, euler),
]


def normal(seed, *shape, cplx=False):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if cplx else 0)


def series(X, terms=40):
    """Return exp(X) by its power series in long double, X halved to a norm below 1 before."""
    halvings = max(0, int(np.ceil(np.log2(np.linalg.norm(X)))))
    X = X.astype(np.result_type(X, np.longdouble)) / 2**halvings
    total = term = np.eye(len(X), dtype=X.dtype)
    for k in range(1, terms):
        term = term @ X / k
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


@pytest.mark.parametrize("scale", [1e-8, 0.1, 1, 5, 40])
@pytest.mark.parametrize("cplx", [False, True], ids=["real", "complex"])
def test_the_matrix_exponential_is_its_power_series(scale, cplx):
    X = scale * normal(0, 5, 5, cplx=cplx) / np.sqrt(5)
    exact = series(X)
    error = np.sqrt((np.abs(matrix_exp(X) - exact) ** 2).sum())
    # backward stable: an error of some 10 n roundings in X, times the conditioning |X|
    room = 100 * (1 + np.linalg.norm(X)) * 2.0**-53
    assert error <= room * np.sqrt((np.abs(exact) ** 2).sum())


def test_exponentials_of_what_is_known():
    assert np.array_equal(matrix_exp(np.zeros((3, 3))), np.eye(3))
    assert matrix_exp(np.zeros((0, 0))).shape == (0, 0)
    turn = matrix_exp(np.pi / 2 * np.array([[0.0, -1.0], [1.0, 0.0]]))
    assert np.abs(turn - [[0, -1], [1, 0]]).max() < 1e-15
    shift = matrix_exp(np.diag(np.ones(3), 1))
    assert np.abs(shift[0] - [1, 1, 1 / 2, 1 / 6]).max() < 1e-15


@pytest.mark.parametrize("cplx", [False, True], ids=["real", "complex"])
def test_the_backward_of_the_exponential_is_the_adjoint_of_its_derivative(cplx):
    X, E, dY = (normal(i, 4, 4, cplx=cplx) for i in range(3))

    def derivative(E):
        return matrix_exp(np.block([[X, E], [np.zeros_like(X), X]]))[:4, 4:]

    check_adjoint(derivative, lambda dY: matrix_exp_backward(dY, X), E, dY)
    h = 1e-5  # truncation 1e-10 of the third derivative
    slope = (matrix_exp(X + h * E) - matrix_exp(X - h * E)) / (2 * h)
    assert np.abs(slope - derivative(E)).max() <= 1e-7 * np.abs(slope).max()


@pytest.mark.parametrize("dense, backward, diagonal", METHODS)
def test_of_a_diagonal_matrix_it_is_the_diagonal_method(dense, backward, diagonal):
    a, B = normal(0, 4) - 1, normal(1, 4, 1)
    A_bar, B_bar, _ = dense(0.3, np.diag(a), B)
    expected, weights, _ = diagonal(np.array([0.3]), a[None], B.T)
    assert np.abs(A_bar - np.diag(expected[0])).max() <= 50 * 2.0**-53 * np.abs(A_bar).max()
    assert np.abs(B_bar[:, 0] - weights[0]).max() <= 50 * 2.0**-53 * np.abs(B_bar).max()


@pytest.mark.parametrize("dense, backward, diagonal", METHODS)
@pytest.mark.parametrize("cplx", [False, True], ids=["real", "complex"])
def test_gradients_of_step_and_matrices(dense, backward, diagonal, cplx):
    delta, A, B = 0.4, normal(0, 4, 4, cplx=cplx), normal(1, 4, 2, cplx=cplx)
    A_bar, B_bar, cache = dense(delta, A, B)
    pull = normal(2, *A_bar.shape, cplx=cplx), normal(3, *B_bar.shape, cplx=cplx)
    grads = backward(*pull, cache)
    directions = 1.0, normal(4, 4, 4, cplx=cplx), normal(5, 4, 2, cplx=cplx)

    def moved(i, h):
        args = [delta, A, B]
        args[i] = args[i] + h * directions[i]
        out = dense(*args)[:2]
        return sum((w.conj() * y).real.sum() for w, y in zip(pull, out, strict=True))

    for i, (gradient, direction) in enumerate(zip(grads, directions, strict=True)):
        slope = (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5  # truncation 1e-10, rounding 1e-10
        assert abs(slope - (np.conj(gradient) * direction).real.sum()) <= 1e-7 * (1 + abs(slope))


def test_bad_input_is_named():
    A, B = normal(0, 3, 3), normal(1, 3, 1)
    with pytest.raises(ValueError, match=r"X has shape \(3, 1\), expected a square matrix"):
        matrix_exp(B)
    with pytest.raises(ValueError, match="not finite"):
        matrix_exp(A * np.inf)
    with pytest.raises(ValueError, match=r"B has shape \(2, 1\), expected \(n, m\) to fit A"):
        zoh_dense(0.1, A, B[1:])
    with pytest.raises(ValueError, match=r"A has shape \(3, 2\), expected a square matrix"):
        euler_dense(0.1, A[:, 1:], B)
