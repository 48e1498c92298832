"""Discretization of a system with a full matrix A: the matrix exponential, and three methods.

For the linear time-invariant views only, where one step size serves all time. A is (n, n), B is
(n, m) for m inputs. Everything is differentiable by hand; real and complex.
"""

from math import ceil, factorial, log2
from typing import NamedTuple

from minimamba.arrays import Array, array_namespace

DEGREE = 13  # of the Pade approximant
RADIUS = 5.37  # up to this 1-norm it is accurate to double precision (Higham 2005, table 2.3)


def matrix_exp(X):
    """Return exp(X) of a square matrix by scaling and squaring, Eq. (2.12).

    X is halved until its 1-norm is below 5.37, the Pade approximant of degree 13 is evaluated,
    and the result is squared as often as X was halved.

    Reference: Higham, "The Scaling and Squaring Method for the Matrix Exponential Revisited",
    SIAM J. Matrix Anal. Appl. 26 (2005).

    Parameters
    ----------
    X : array, shape (n, n)
        Real or complex.

    Returns
    -------
    array, shape (n, n)

    Raises
    ------
    ValueError
        If X is not square, or not finite.

    Examples
    --------
    >>> matrix_exp(np.array([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]])
    """
    if X.ndim != 2 or X.shape[0] != X.shape[1]:
        raise ValueError(f"X has shape {X.shape}, expected a square matrix (n, n)")
    xp = array_namespace(X)
    norm = float(xp.abs(X).sum(axis=0).max()) if X.size else 0.0
    if not norm < float("inf"):
        raise ValueError("X has entries that are not finite, expected finite numbers")
    halvings = max(0, ceil(log2(norm / RADIUS))) if norm > 0 else 0
    result = _pade(xp, X / 2.0**halvings)
    for _ in range(halvings):
        result = result @ result
    return result


def _pade(xp, X):
    """Return p(X) / p(-X), p the numerator of the Pade approximant of exp."""
    q = DEGREE
    numerator = [
        factorial(2 * q - j) * factorial(q) / (factorial(2 * q) * factorial(q - j) * factorial(j))
        for j in range(q + 1)
    ]
    unit = xp.eye(len(X), dtype=X.dtype)
    square = X @ X
    even, odd = xp.zeros_like(X), xp.zeros_like(X)
    for j in reversed(range(0, q + 1, 2)):  # Horner in X^2: p(X) = even + X odd
        even = even @ square + numerator[j] * unit
        odd = odd @ square + numerator[j + 1] * unit
    odd = X @ odd
    return xp.linalg.solve(even - odd, even + odd)


def matrix_exp_backward(dY, X):
    """Pull dY back through Y = exp(X), Eq. (2.13).

    The derivative of exp in the direction E is the upper right block of exp([[X, E], [0, X]]); its
    adjoint is the same with X conjugated and transposed.

    Parameters
    ----------
    dY, X : array, shape (n, n)

    Returns
    -------
    dX : array, shape (n, n)

    Examples
    --------
    >>> matrix_exp_backward(np.eye(1), np.zeros((1, 1)))
    array([[1.]])
    """
    xp = array_namespace(X)
    X, n = X.conj().T, len(X)
    size = float(xp.abs(dY).max()) if dY.size else 0.0
    scale = 2.0 ** ceil(log2(size)) if 0 < size < float("inf") else 1.0  # not to halve X for it
    blocks = xp.zeros((2 * n, 2 * n), xp.result_type(X, dY))
    blocks[:n, :n], blocks[:n, n:], blocks[n:, n:] = X, dY / scale, X
    return scale * matrix_exp(blocks)[:n, n:]


class DenseCache(NamedTuple):
    """What the backward of every dense method needs."""

    delta: float
    A: Array  # (n, n)
    B: Array  # (n, m)


def zoh_dense(delta, A, B):
    """Discretize by zero-order hold, Eqs. (2.3) and (2.12), with one matrix exponential.

    exp(delta [[A, B], [0, 0]]) = [[A_bar, B_bar], [0, 1]]: no inverse of A is needed.

    Parameters
    ----------
    delta : float
    A : array, shape (n, n)
    B : array, shape (n, m)

    Returns
    -------
    A_bar : array, shape (n, n)
    B_bar : array, shape (n, m)
    cache : DenseCache

    Examples
    --------
    >>> A_bar, B_bar, _ = zoh_dense(0.5, np.array([[-1.0]]), np.array([[1.0]]))
    >>> A_bar, B_bar
    (array([[0.60653066]]), array([[0.39346934]]))
    """
    _check(A, B)
    n = len(A)
    E = matrix_exp(delta * _joint(A, B))
    return E[:n, :n], E[:n, n:], DenseCache(delta, A, B)


def zoh_dense_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB) through the joint exponential, Eq. (2.13)."""
    delta, A, B = cache
    xp, n = array_namespace(A), len(A)
    joint = _joint(A, B)
    dE = xp.zeros_like(joint)
    dE[:n, :n], dE[:n, n:] = dA_bar, dB_bar
    dX = matrix_exp_backward(dE, delta * joint)
    return (dX * joint.conj()).real.sum(), delta * dX[:n, :n], delta * dX[:n, n:]


def bilinear_dense(delta, A, B):
    """Discretize by the trapezoidal rule, Eq. (2.6), with one linear solve.

    Parameters, results and errors are those of `zoh_dense`.

    Examples
    --------
    >>> A_bar, B_bar, _ = bilinear_dense(0.5, np.array([[-1.0]]), np.array([[1.0]]))
    >>> A_bar.round(12), B_bar.round(12)
    (array([[0.6]]), array([[0.4]]))
    """
    _check(A, B)
    xp = array_namespace(A)
    unit = xp.eye(len(A), dtype=A.dtype)
    left = unit - delta / 2 * A
    A_bar = xp.linalg.solve(left, unit + delta / 2 * A)
    return A_bar, xp.linalg.solve(left, delta * B), DenseCache(delta, A, B)


def bilinear_dense_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB), Eq. (2.14)."""
    delta, A, B = cache
    xp = array_namespace(A)
    A_bar, B_bar, _ = bilinear_dense(delta, A, B)
    adjoint = (xp.eye(len(A), dtype=A.dtype) - delta / 2 * A).conj().T
    left_A, left_B = xp.linalg.solve(adjoint, dA_bar), xp.linalg.solve(adjoint, dB_bar)
    # left A_bar = 1 + X/2 and left B_bar = delta B, where left = 1 - X/2 and X = delta A
    dX = (left_A + left_A @ A_bar.conj().T + left_B @ B_bar.conj().T) / 2
    ddelta = (dX * A.conj()).real.sum() + (left_B * B.conj()).real.sum()
    return ddelta, delta * dX, delta * left_B


def euler_dense(delta, A, B):
    """Discretize by one explicit Euler step, Eq. (2.5).

    Parameters, results and errors are those of `zoh_dense`.

    Examples
    --------
    >>> A_bar, B_bar, _ = euler_dense(0.5, np.array([[-1.0]]), np.array([[1.0]]))
    >>> A_bar, B_bar
    (array([[0.5]]), array([[0.5]]))
    """
    _check(A, B)
    unit = array_namespace(A).eye(len(A), dtype=A.dtype)
    return unit + delta * A, delta * B, DenseCache(delta, A, B)


def euler_dense_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB), Eq. (2.9)."""
    delta, A, B = cache
    ddelta = (dA_bar * A.conj()).real.sum() + (dB_bar * B.conj()).real.sum()
    return ddelta, delta * dA_bar, delta * dB_bar


def _joint(A, B):
    """Return [[A, B], [0, 0]]: the system with its input as further, constant states."""
    xp = array_namespace(A)
    n, m = B.shape
    joint = xp.zeros((n + m, n + m), xp.result_type(A, B))
    joint[:n, :n], joint[:n, n:] = A, B
    return joint


def _check(A, B):
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"A has shape {A.shape}, expected a square matrix (n, n)")
    if B.ndim != 2 or B.shape[0] != len(A):
        raise ValueError(f"B has shape {B.shape}, expected (n, m) to fit A {A.shape}")
