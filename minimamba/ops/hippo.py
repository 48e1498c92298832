"""State matrices that remember: HiPPO-LegS, its normal and diagonal forms, and S4D's diagonals.

What a trained state space model starts from. Host arrays in float64 and complex128, to be cast and
moved by who uses them. Tutorial 06 (to come) derives them; until then the papers do:

Gu, Dao, Ermon, Rudra and Re, "HiPPO: Recurrent Memory with Optimal Polynomial Projections",
arXiv:2008.07669; Gu, Goel and Re, arXiv:2111.00396 (S4, normal plus low rank); Gu, Gupta, Goel and
Re, "On the Parameterization and Initialization of Diagonal State Space Models", arXiv:2206.11893.
"""

from math import pi
from typing import NamedTuple

from minimamba.arrays import Array, array_namespace


def hippo_legs(n):
    """Return HiPPO-LegS: the state holds the Legendre coefficients of all the past.

    Parameters
    ----------
    n : int
        Size of the state: polynomials of degree 0 to n - 1.

    Returns
    -------
    A : array, shape (n, n)
        -sqrt((2i + 1)(2j + 1)) below the diagonal, -(i + 1) on it, 0 above.
    B : array, shape (n, 1)
        sqrt(2i + 1).

    Raises
    ------
    ValueError
        If n is less than 1.

    Examples
    --------
    >>> A, B = hippo_legs(2)
    >>> A.round(4), B.round(4)
    (array([[-1.    ,  0.    ],
           [-1.7321, -2.    ]]), array([[1.    ],
           [1.7321]]))
    """
    xp = _host(n)
    root = xp.sqrt(2 * xp.arange(n) + 1.0)
    A = 0.0 - xp.tril(root[:, None] * root, -1) - xp.diag(xp.arange(n) + 1.0)
    return A, root[:, None]


class NormalPlusLowRank(NamedTuple):
    """A = V (diag(eigenvalues) - P P*) V*, B = V B_rotated: LegS in its own coordinates."""

    eigenvalues: Array  # (n,), complex, real part -1/2, by imaginary part
    P: Array  # (n,), complex
    B: Array  # (n, 1), complex: B in the coordinates of V
    V: Array  # (n, n), unitary


def hippo_legs_nplr(n):
    """Return HiPPO-LegS as a normal matrix minus one of rank one, diagonalized.

    A + p p^T = -1/2 + S with p_i = sqrt(i + 1/2) and S skew-symmetric: i S is Hermitian, so its
    eigenvectors are unitary and the change of coordinates loses no accuracy, whereas those of A
    itself are conditioned like 2^(4n/3).

    Parameters
    ----------
    n : int

    Returns
    -------
    NormalPlusLowRank

    Raises
    ------
    ValueError
        If n is less than 1.

    Examples
    --------
    >>> form = hippo_legs_nplr(2)
    >>> form.eigenvalues.round(4)
    array([-0.5-0.866j, -0.5+0.866j])
    """
    xp = _host(n)
    A, B = hippo_legs(n)
    p = xp.sqrt(xp.arange(n) + 0.5)
    skew = A + p[:, None] * p + 0.5 * xp.eye(n)
    frequencies, V = xp.linalg.eigh(-1j * skew)
    to_V = V.conj().T
    return NormalPlusLowRank(-0.5 + 1j * frequencies, to_V @ p, to_V @ B, V)


def s4d_legs(n):
    """Return n eigenvalues of LegS's normal part, one of each conjugate pair, fastest first.

    Parameters
    ----------
    n : int
        States kept, half of the size of the full system.

    Returns
    -------
    A : array, shape (n,), complex

    Examples
    --------
    >>> s4d_legs(1).round(4)
    array([-0.5+0.866j])
    """
    eigenvalues = hippo_legs_nplr(2 * n).eigenvalues
    return eigenvalues[eigenvalues.imag > 0][::-1]


def s4d_lin(n):
    """Return S4D-Lin, -1/2 + i pi k: a Fourier series, with a decay.

    Parameters
    ----------
    n : int
        States kept, one of each conjugate pair.

    Returns
    -------
    A : array, shape (n,), complex

    Examples
    --------
    >>> s4d_lin(2).round(4)
    array([-0.5+0.j    , -0.5+3.1416j])
    """
    xp = _host(n)
    return -0.5 + 1j * pi * xp.arange(n)


def s4d_inv(n):
    """Return S4D-Inv, -1/2 + i N/pi (N/(2k + 1) - 1) with N = 2n: close to LegS's own spectrum.

    Parameters
    ----------
    n : int
        States kept, one of each conjugate pair.

    Returns
    -------
    A : array, shape (n,), complex

    Examples
    --------
    >>> s4d_inv(2).round(4)
    array([-0.5+3.8197j, -0.5+0.4244j])
    """
    xp = _host(n)
    size = 2 * n
    return -0.5 + 1j * size / pi * (size / (2 * xp.arange(n) + 1) - 1)


def s4d_real(n):
    """Return S4D-Real, -(k + 1): the diagonal of LegS itself, and where Mamba starts.

    Parameters
    ----------
    n : int

    Returns
    -------
    A : array, shape (n,)

    Examples
    --------
    >>> s4d_real(3)
    array([-1., -2., -3.])
    """
    xp = _host(n)
    return -(xp.arange(n) + 1.0)


def _host(n):
    """Return NumPy, once n is a size."""
    if n < 1:
        raise ValueError(f"n is {n}, expected a state of at least 1")
    return array_namespace()
