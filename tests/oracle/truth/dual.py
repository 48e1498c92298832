"""Exact tangents: the arithmetic of pairs (value, tangent), for checking the truth's gradients.

The complex step of Eq. (0.5) cannot be taken through a program that is complex already; a pair can,
and is exact to rounding in both. A seventh arithmetic for the programs, of no use to the library.
"""

import numpy as np

from minimamba.oracle.truth.arithmetic import Plain

PLAIN = Plain(np.longdouble)


class Dual:
    __array_ufunc__ = None

    def __init__(self, v, t):
        self.v, self.t = v, t

    shape = property(lambda self: self.v.shape)
    T = property(lambda self: Dual(self.v.T, self.t.T))

    def __add__(self, other):
        v, t = (other.v, other.t) if isinstance(other, Dual) else (other, 0)
        return Dual(self.v + v, self.t + t)

    def __mul__(self, other):
        v, t = (other.v, other.t) if isinstance(other, Dual) else (other, 0)
        return Dual(self.v * v, self.v * t + self.t * v)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Dual(-self.v, -self.t)

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __getitem__(self, index):
        return Dual(self.v[index], self.t[index])

    def reshape(self, shape):
        return Dual(self.v.reshape(shape), self.t.reshape(shape))

    def conj(self):
        return Dual(self.v.conj(), self.t.conj())


class Duals:
    """The methods of `arithmetic.Plain`, on values with tangents."""

    def lift(self, x):
        v, t = x if isinstance(x, tuple) else (x, np.zeros(np.shape(x)))
        return Dual(PLAIN.lift(v), PLAIN.lift(t))

    def is_complex(self, x):
        return np.iscomplexobj(x.v)

    def real(self, x):
        return Dual(x.v.real, x.t.real)

    def exp(self, x):
        return Dual(np.exp(x.v), np.exp(x.v) * x.t)

    def sigmoid(self, x):
        s = PLAIN.sigmoid(x.v)
        return Dual(s, s * PLAIN.sigmoid(-x.v) * x.t)

    def softplus(self, x):
        return Dual(PLAIN.softplus(x.v), PLAIN.sigmoid(x.v) * x.t)

    def phi(self, x):
        v, slope = PLAIN.phi(x.v)
        return Dual(v, slope * x.t), Dual(slope, np.nan * x.t)

    def reciprocal(self, x):
        return Dual(1 / x.v, -x.t / x.v**2)

    def rsqrt(self, x):
        return Dual(x.v**-0.5, -x.t * x.v**-1.5 / 2)

    def trigonometric(self, numerator, period):
        return tuple(self.lift(c) for c in PLAIN.trigonometric(numerator, period))

    def sum(self, x, axis, also=None):
        total = Dual(x.v.sum(axis), x.t.sum(axis))
        return total if also is None else total + also

    def matmul(self, x, w, bias):
        y = Dual(x.v @ w.v, x.v @ w.t + x.t @ w.v)
        return y if bias is None else y + bias

    def concatenate(self, parts, axis=1):
        v = np.concatenate([p.v for p in parts], axis)
        return Dual(v, np.concatenate([p.t for p in parts], axis))

    def repeat(self, x, times, axis):
        return Dual(np.repeat(x.v, times, axis), np.repeat(x.t, times, axis))

    def scan(self, a, b, h0, reverse=False):
        v = PLAIN.scan(a.v, b.v, h0.v, reverse)
        before = np.concatenate([h0.v[:, None], v[:, :-1]], axis=1)
        return Dual(v, PLAIN.scan(a.v, a.t * before + b.t, h0.t))

    def may_round(self, x, place):
        return x

    def carried(self, product, h, b):
        return product

    def decay_gradient(self, x):
        return x
