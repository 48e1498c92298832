"""The phi functions of exponential integrators, accurate everywhere, Eq. (2.4).

phi_1(x) = (exp(x) - 1) / x is what zero-order hold needs, its derivative what the gradient of
zero-order hold needs. Written as they stand both lose all digits near x = 0.
"""

from math import factorial

from minimamba.arrays import array_namespace

# of phi_1'(x) = sum_j (j + 1) / (j + 2)! x^j: for |x| <= 1 what comes after is below 1e-18
SLOPE_SERIES = [(j + 1) / factorial(j + 2) for j in range(18)]


def phi1(x):
    """Return (exp(x) - 1) / x, and 1 at x = 0, Eq. (2.4).

    Parameters
    ----------
    x : array, any shape, real or complex

    Returns
    -------
    array, the shape and dtype of x

    Examples
    --------
    >>> phi1(np.array([-1.0, 0.0, 1e-30]))
    array([0.63212056, 1.        , 1.        ])
    """
    xp = array_namespace(x)
    nonzero = xp.where(x == 0, 1, x)
    return xp.where(x == 0, 1, xp.expm1(nonzero) / nonzero)


def phi1_slope(x):
    """Return the derivative of phi_1, Eq. (2.4): (1 + (x - 1) exp(x)) / x^2; a series for |x| < 1.

    Parameters
    ----------
    x : array, any shape, real or complex

    Returns
    -------
    array, the shape and dtype of x

    Examples
    --------
    >>> phi1_slope(np.array([-2.0, 0.0, 1e-30]))
    array([0.14849854, 0.5       , 0.5       ])
    """
    xp = array_namespace(x)
    small = xp.abs(x) < 1
    inside, outside = xp.where(small, x, 0), xp.where(small, 1, x)
    series = xp.zeros_like(x)
    for coefficient in reversed(SLOPE_SERIES):
        series = series * inside + coefficient
    closed = (1 + (outside - 1) * xp.exp(outside)) / outside / outside
    return xp.where(small, series, closed)
