"""Running error analysis: numbers that know how wrong they may be.

`Tracking` is an arithmetic like `Plain`; its values are pairs (value, radius). Every operation
adds the rounding that a `Profile` allows it, so a program of the truth run in it ends with the
tolerance of each of its outputs (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd
edition, sections 3.3, 3.6 and 4.2).
"""

from dataclasses import dataclass, field

import numpy as np

from minimamba.oracle.truth.arithmetic import Plain

NEVER = 700.0  # exp(700) is finite: a radius beyond it promises nothing, and stays a number


@dataclass(frozen=True)
class Profile:
    """The roundings an implementation may make; constants count units of `u`."""

    name: str = "exact"
    u: float = 2.0**-24  # unit roundoff of the arithmetic inside
    u_io: float = 2.0**-24  # unit roundoff of the arguments' dtype
    tiny: float = 2.0**-126  # flush to zero allowed: absolute error of one operation
    tiny_io: float = 2.0**-126  # the same for a value kept in the arguments' dtype
    exp: float = 4.0  # exponential within two units in the last place
    arg: float = 2.0  # rounded argument of the exponential, the log2(e) trick included
    log: float = 4.0  # logarithm within two units in the last place
    linear: float = 0.0  # fast exponentials err in proportion to their argument
    q: int | None = None  # see the order lemma; None: ceil(log2 l) + 2
    threshold20: bool = False  # softplus(s) = s above 20, as PyTorch and mamba_ssm have it
    difference: bool = False  # a_t h_{t-1} got back as h_t - b_t
    segsum: bool = False  # decays as exponentials of differences of running sums
    rounds: frozenset = field(default=frozenset())  # places kept in the arguments' dtype


class Tracked:
    """A value and a radius: the computed number lies within `e` of `v`. A plain number is exact."""

    __slots__ = ("e", "p", "v")
    __array_ufunc__ = None

    def __init__(self, v, e, p):
        self.v, self.e, self.p = v, e, p

    @property
    def shape(self):
        return self.v.shape

    def rounded(self, v, e, units=1.0):
        return Tracked(v, e + units * self.p.u * (np.abs(v) + e) + self.p.tiny, self.p)

    def __add__(self, other):
        v, e = (other.v, other.e) if isinstance(other, Tracked) else (other, 0.0)
        return self.rounded(self.v + v, self.e + e)

    def __mul__(self, other):
        v, e = (other.v, other.e) if isinstance(other, Tracked) else (other, 0.0)
        both = np.iscomplexobj(self.v) and np.iscomplexobj(v)
        e = np.abs(self.v) * e + np.abs(v) * self.e + self.e * e
        return self.rounded(self.v * v, e, 4.0 if both else 1.0)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Tracked(-self.v, self.e, self.p)

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __getitem__(self, index):
        return Tracked(self.v[index], self.e[index], self.p)

    def reshape(self, shape):
        return Tracked(self.v.reshape(shape), self.e.reshape(shape), self.p)

    @property
    def T(self):
        return Tracked(self.v.T, self.e.T, self.p)

    def conj(self):
        return Tracked(np.conj(self.v), self.e, self.p)


class Tracking:
    """The arithmetic of pairs under one profile; the methods are those of `arithmetic.Plain`."""

    def __init__(self, profile):
        self.p, self.plain = profile, Plain(np.float64)

    def _track(self, v, e):
        return Tracked(v, e, self.p)

    def lift(self, x):
        x = self.plain.lift(x)
        return self._track(x, np.zeros(x.shape))

    def is_complex(self, x):
        return np.iscomplexobj(x.v)

    def real(self, x):
        return self._track(x.v.real, x.e)

    def exp(self, x):
        v, p = np.exp(x.v), self.p
        e = np.abs(v) * np.expm1(np.minimum(x.e + p.arg * p.u * np.abs(x.v), NEVER))
        return x.rounded(v, e, p.exp * (2 if np.iscomplexobj(v) else 1))

    def _fast(self, x):
        """Extra error of a fast exponential, in units, for the argument x."""
        return self.p.linear * np.minimum(np.abs(x), 105)

    def sigmoid(self, x):
        v, p = self.plain.sigmoid(x.v), self.p
        e = v * np.expm1(np.minimum(x.e, NEVER)) + self._fast(x.v) * p.u * v
        if p.threshold20:
            e = e + (x.v + x.e > 20) * 1.01 * np.exp(-20.0)
        return x.rounded(v, e, p.exp + 2)

    def softplus(self, x):
        v, p = self.plain.softplus(x.v), self.p
        e = self.plain.sigmoid(x.v + x.e) * x.e + self._fast(x.v) * p.u * v
        if p.threshold20:
            e = e + (x.v + x.e > 20) * np.exp(-np.abs(x.v))
        return x.rounded(v, e, p.exp + p.log)

    def phi(self, x):
        """phi_1 and its derivative stay below e^x for x > 0 and below 1 for x < 0."""
        v, slope = self.plain.phi(x.v)
        reach = np.exp(np.minimum(np.maximum(x.v.real, 0) + x.e, NEVER))
        cancel = 1 / np.maximum(np.abs(x.v), 0.25)  # (e^x - 1) / x outside the series
        units = self.p.exp + self.p.arg + 4
        near = x.rounded(v, x.e * reach, units * 2)
        lost = units * self.p.u * (reach + np.abs(v)) * cancel
        return near, x.rounded(slope, x.e * reach + lost, units)

    def reciprocal(self, x):
        low = np.maximum(np.abs(x.v) - x.e, 0)
        return x.rounded(1 / x.v, x.e / (np.abs(x.v) * low), 4.0 if self.is_complex(x) else 1.0)

    def rsqrt(self, x):
        low = np.maximum(x.v - x.e, 0)
        return x.rounded(1 / np.sqrt(x.v), 0.5 * x.e / low**1.5, 3.0)

    def trigonometric(self, numerator, period):
        parts, e = self.plain.trigonometric(numerator, period), self._twiddle(period)
        return tuple(self._track(x, np.full(x.shape, e)) for x in parts)

    def _twiddle(self, period):
        """A term of a fast transform passes one product and one addition at every stage."""
        return (2 + 6 * np.ceil(np.log2(period) + 1)) * self.p.u

    def _gamma(self, n):
        return np.expm1(min(n * self.p.u, NEVER))  # (1 + u)^n - 1 and any order of a sum

    def sum(self, x, axis, also=None):
        """Any order, any tree, atomics: every term passes at most n - 1 additions."""
        n = int(np.prod([x.shape[i] for i in np.atleast_1d(axis)])) + (also is not None)
        v, e, size = (y.sum(axis=axis) for y in (x.v, x.e, np.abs(x.v) + x.e))
        if also is not None:
            v, e, size = v + also.v, e + also.e, size + np.abs(also.v) + also.e
        return self._track(v, e + self._gamma(max(n - 1, 0)) * size + n * self.p.tiny)

    def _product(self, x, w):
        size = np.abs(x.v) + x.e
        e = np.abs(x.v) @ w.e + x.e @ (np.abs(w.v) + w.e)
        n = x.shape[-1]
        e = e + self._gamma(n + 1) * (size @ (np.abs(w.v) + w.e)) + 2 * n * self.p.tiny
        return self._track(x.v @ w.v, e)

    def matmul(self, x, w, bias):
        y = self._product(x, w)
        if bias is None:
            return y
        first = self._gamma(x.shape[-1]) * (np.abs(bias.v) + bias.e)  # accumulated from the bias
        return y + self._track(bias.v, bias.e + first)

    def contract(self, dy, x):
        return self._product(dy.reshape((-1, dy.shape[2])).T, x.reshape((-1, x.shape[2])))

    def scatter(self, rows, ids, size):
        once = self.lift(self.plain.one_hot(ids, size))
        return self._product(once.T, rows.reshape((-1, rows.shape[2])))

    def concatenate(self, parts, axis=1):
        v = np.concatenate([x.v for x in parts], axis=axis)
        return self._track(v, np.concatenate([x.e for x in parts], axis=axis))

    def repeat(self, x, times, axis):
        return self._track(np.repeat(x.v, times, axis), np.repeat(x.e, times, axis))

    def scan(self, a, b, h0, reverse=False):
        """Values and radii of h_t = a_t h_{t-1} + b_t, Eq. (3.7).

        With M_t = |a_t| M_{t-1} + |b_t| the radius is what the scan of magnitudes gains when every
        factor is inflated by its own error and by one product and one addition rounding. What
        underflows is carried along without decay: a product of decays may underflow before it is
        applied to a state.
        """
        p, l = self.p, b.shape[1]
        q = p.q if p.q is not None else int(np.ceil(np.log2(max(l, 1)))) + 2
        product = (4.0 if self.is_complex(a) else 1.0) * p.u
        step = product + p.u + product * p.u  # (1 + product)(1 + u) - 1, which would round to 0
        later = np.expm1(q * np.log1p(p.u))
        h, E, M = h0.v, h0.e, np.abs(h0.v)
        S, U = M, np.zeros_like(M)  # magnitudes and underflows, never damped
        v, e = np.empty(b.shape, np.result_type(a.v, b.v, h)), np.empty(b.shape)
        blur = self._segment_sums(a.v)
        for t in reversed(range(l)) if reverse else range(l):
            size, err = np.abs(a.v[:, t]), a.e[:, t]
            drive = np.abs(b.v[:, t])
            E = (size + err) * (1 + step) * E + (err * (1 + step) + size * step) * M
            E = E + b.e[:, t] + later * (drive + b.e[:, t])
            M, S = size * M + drive, np.maximum(1, size) * S + drive
            U = np.maximum(1, size) * U + 2 * p.tiny * (1 + S)
            h = a.v[:, t] * h + b.v[:, t]
            v[:, t], e[:, t] = h, E + U + (blur[:, t] * (M + E) if p.segsum else 0)
        return self._track(v, e)

    def _segment_sums(self, a):
        """Relative error of exp(s_t - s_s), s a running sum of log a of up to 256 steps."""
        if not self.p.segsum:
            return None
        logs = np.maximum(-np.log(np.maximum(np.abs(a), 1e-300)), 0)
        total = np.cumsum(logs, axis=1)
        total[:, 256:] -= total[:, :-256].copy()
        return np.expm1(np.minimum(2 * self._gamma(min(a.shape[1], 256) + 4) * total, NEVER))

    def may_round(self, x, place):
        if place not in self.p.rounds:
            return x
        e = x.e + 3 * self.p.u_io * (np.abs(x.v) + x.e) + self.p.tiny_io
        return self._track(x.v, e)

    def carried(self, product, h, b):
        if not self.p.difference:
            return product
        e = h.e + b.e + self.p.u * (np.abs(h.v) + np.abs(b.v) + h.e + b.e)
        return self._track(product.v, np.maximum(product.e, e))

    def decay_gradient(self, x):
        if not self.p.segsum:
            return x
        reach = np.abs(x.v).sum(axis=1, keepdims=True) * 2 * self._gamma(x.shape[1] + 4)
        return self._track(x.v, x.e + reach)
