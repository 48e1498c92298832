"""Ordinary arithmetic at one precision: what turns the programs of this room into numbers.

A program is written once, against an arithmetic `m`. `Plain` runs it on arrays of one dtype,
`tracking.Tracking` runs it on pairs (value, radius) and returns tolerances. The methods below are
the whole interface; `+ - *`, also with a number that is exact, indexing, `reshape` and `conj` are
the values' own.
"""

import math
from functools import cache

import numpy as np

LONG = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant


class Plain:
    """Arrays of one dtype; `dtype` is that of everything that is not complex."""

    def __init__(self, dtype=np.longdouble):
        self.dtype = np.dtype(dtype)
        self.complex = np.result_type(self.dtype, np.complex64)

    def lift(self, x):
        x = np.asarray(x)
        if x.dtype.kind not in "fcO":  # integers, and bfloat16, which NumPy knows as a stranger
            x = x.astype(np.float64)
        return x.astype(self.complex if x.dtype.kind == "c" else self.dtype)

    def is_complex(self, x):
        return np.iscomplexobj(x)

    def real(self, x):
        return x.real

    def exp(self, x):
        return np.exp(x)

    def sigmoid(self, x):
        small = np.exp(np.where(x.real > 0, -x, x))  # never overflows, and analytic on each side
        return np.where(x.real > 0, 1 / (1 + small), small / (1 + small))

    def softplus(self, x):
        right = x.real > 0
        return np.where(right, x, 0 * x) + np.log1p(np.exp(np.where(right, -x, x)))

    def phi(self, x):
        """Return phi_1(x) = (e^x - 1) / x and its derivative, by series where x is small."""
        near = np.abs(x) < 1
        far, tiny = np.where(near, 1, x), np.where(near, x, 0)
        value, slope = np.zeros_like(x), np.zeros_like(x)
        for k in reversed(range(26)):  # 1 / 26! is below the last place of a long double
            value = value * tiny + 1 / self.dtype.type(math.factorial(k + 1))
            slope = slope * tiny + (k + 1) / self.dtype.type(math.factorial(k + 2))
        exact = (np.exp(far) - 1) / far
        return np.where(near, value, exact), np.where(near, slope, (np.exp(far) - exact) / far)

    def reciprocal(self, x):
        return 1 / x

    def rsqrt(self, x):
        return 1 / np.sqrt(x)

    def trigonometric(self, numerator, period):
        """Return cos and sin of 2 pi numerator / period, for integers reduced exactly first."""
        turn = 2 * self.pi() * self.dtype.type(1) * (numerator % period) / period
        return np.cos(turn), np.sin(turn)

    def pi(self):
        return self.dtype.type("3.14159265358979323846264338327950288")

    def sum(self, x, axis, also=None):
        """Sum over an axis or several; `also` is one more term, added anywhere in the order."""
        return x.sum(axis=axis) if also is None else x.sum(axis=axis) + also

    def matmul(self, x, w, bias):
        """Return x w + bias for x (b, l, i) and w (i, j)."""
        return x @ w if bias is None else x @ w + bias

    def contract(self, dy, x):
        """Return the sum over batch and time of dy_j x_i, shape (j, i)."""
        return dy.reshape((-1, dy.shape[2])).T @ x.reshape((-1, x.shape[2]))

    def scatter(self, rows, ids, size):
        """Return a table (size, d) in which every row is the sum of those with its id."""
        return self.one_hot(ids, size).T @ rows.reshape((-1, rows.shape[2]))

    def one_hot(self, ids, size):
        return (np.ravel(ids)[:, None] == np.arange(size)).astype(self.dtype)

    def concatenate(self, parts, axis=1):
        return np.concatenate(parts, axis=axis)

    def repeat(self, x, times, axis):
        return np.repeat(x, times, axis=axis)

    def scan(self, a, b, h0, reverse=False):
        """Return every state of h_t = a_t h_{t-1} + b_t over axis 1, Eq. (3.1)."""
        h = np.empty(b.shape, np.result_type(a, b, h0))
        for t in reversed(range(b.shape[1])) if reverse else range(b.shape[1]):
            h0 = h[:, t] = a[:, t] * h0 + b[:, t]
        return h

    def may_round(self, x, place):
        """Mark a value that some implementations keep in the dtype of their arguments."""
        return x

    def carried(self, product, h, b):
        """Mark a_t h_{t-1}, which some implementations get back as h_t - b_t."""
        return product

    def decay_gradient(self, x):
        """Mark the gradient of log a_t, which some implementations sum over time first."""
        return x


@cache
def _context(digits):
    """Return mpmath at a precision; numbers of one context know those of another only by name."""
    try:
        import mpmath
    except ImportError as error:
        raise ImportError(
            "long doubles are doubles on this machine: install mpmath to judge float64"
        ) from error
    context = mpmath.mp.clone()
    context.dps = digits
    return context


class Multi(Plain):
    """Object arrays of mpmath numbers, for machines whose long double is a double."""

    def __init__(self, digits=34):
        self.mp = _context(digits)
        self.dtype = self.complex = np.dtype(object)

    def lift(self, x):
        x = np.asarray(x)
        convert = self.mp.mpc if x.dtype.kind == "c" else self.mp.mpf
        return self._each(lambda v: convert(v), x.astype("c16" if x.dtype.kind == "c" else "f8"))

    def is_complex(self, x):
        return any(isinstance(v, self.mp.mpc) for v in np.ravel(x))

    def real(self, x):
        return self._each(lambda v: v.real, x)

    def _each(self, f, x):
        return np.asarray(np.frompyfunc(f, 1, 1)(x), dtype=object)

    def exp(self, x):
        return self._each(self.mp.exp, x)

    def sigmoid(self, x):
        return self._each(lambda v: 1 / (1 + self.mp.exp(-v)), x)

    def softplus(self, x):
        return self._each(lambda v: self.mp.log1p(self.mp.exp(v)) if v < 700 else v, x)

    def phi(self, x):
        mp = self.mp
        value = self._each(lambda v: mp.expm1(v) / v if v else mp.mpf(1), x)
        near = self._each(lambda v: mp.nsum(lambda k: v**k / mp.fac(k + 2) * (k + 1), [0, 40]), x)
        return value, near

    def rsqrt(self, x):
        return self._each(lambda v: 1 / self.mp.sqrt(v), x)

    def trigonometric(self, numerator, period):
        turn = self._each(lambda k: 2 * self.mp.pi * int(k) / int(period), numerator % period)
        return self._each(self.mp.cos, turn), self._each(self.mp.sin, turn)


def best(dtype="float64"):
    """Return the arithmetic of the truth that results in `dtype` are compared with.

    Where long doubles are no longer than doubles, doubles will do for everything shorter: they are
    a billion times as exact as float32, and the tolerances are a thousandth larger than need be.
    """
    if LONG:
        return Plain(np.longdouble)
    return Multi() if dtype == "float64" else Plain(np.float64)


def exact(program, arithmetic=None, **inputs):
    """Run a program in extended precision, or in another arithmetic; return its dict of arrays.

    Examples
    --------
    >>> from minimamba.oracle.truth.scan import recurrence
    >>> out = exact(recurrence, a=np.full((1, 3), 0.5), b=np.ones((1, 3)), h0=np.zeros(1))
    >>> out["h"].astype(float)
    array([[1.  , 1.5 , 1.75]])
    """
    return evaluate(program, best() if arithmetic is None else arithmetic, inputs)


def evaluate(program, m, inputs):
    """Lift every array into the arithmetic `m`, leave flags alone, and run the program."""
    with np.errstate(all="ignore"):
        return program(m, **{k: _lift(m, v) for k, v in inputs.items()})


def _lift(m, x):
    if isinstance(x, dict):
        return {k: _lift(m, v) for k, v in x.items()}
    if isinstance(x, tuple):
        return m.lift(x)
    whole = x is None or isinstance(x, (bool, int, float, str)) or np.asarray(x).dtype.kind in "iu"
    return x if whole else m.lift(x)


def plain(x):
    """Return the truth rounded to double precision, real or complex, whatever it was computed in.

    Examples
    --------
    >>> plain(Multi().lift(np.array([0.5, 2.0])))
    array([0.5, 2. ])
    """
    if x.dtype != object:
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    return x.astype(np.complex128 if Multi().is_complex(x) else np.float64)


def distance(got, want):
    """Return |got - want| in double precision, the difference taken in the truth's arithmetic."""
    if want.dtype == object:
        got = Multi().lift(got)
    return np.abs(got - want).astype(np.float64)
