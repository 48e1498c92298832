"""Clever ways to run a recurrence that go wrong, each beside an input that breaks it.

All but the one with an epsilon are exact in real numbers, several are popular, and every one fails
in floating point on ordinary inputs. They are here to be looked at, in tutorial 04 for instance:
the library uses none of them. Each function takes (a, b, h0) of h_t = a_t h_{t-1} + b_t, Eq. (3.1),
with shapes (b, l) and (b,); one takes the last state in the place of h0.
"""

import numpy as np


def ratio(a, b, h0):
    """h_t = P_t (h_0 + sum b_s / P_s), with P the running product of the decays.

    A cumulative product, a cumulative sum, no loop. After 55 ordinary steps in float32 b / P
    overflows, ten steps later P is zero, and zero times infinity is not a number.
    """
    P = np.cumprod(a, axis=1)
    return P * (h0[:, None] + np.cumsum(b / P, axis=1))


def ratio_in_log_space(a, b, h0):
    """The same with P = exp(sum log a): the product no longer underflows, its exponential does.

    Logarithms also refuse decays that are negative or zero, and a sum of l logarithms near -1 has
    an absolute error of up to l^2 u / 2, which the exponential turns into a relative one.
    """
    P = np.exp(np.cumsum(np.log(a), axis=1))
    return P * (h0[:, None] + np.cumsum(b / P, axis=1))


def ratio_with_epsilon(a, b, h0, epsilon=1e-12):
    """The usual repair: divide by P + epsilon. Finite, and wrong as soon as P is near epsilon.

    The worst of them, since nothing looks broken: once P has fallen below epsilon the states go to
    zero, whatever has been or will be written.
    """
    P = np.cumprod(a, axis=1)
    return P * (h0[:, None] + np.cumsum(b / (P + np.asarray(epsilon, P.dtype)), axis=1))


def states_backwards(a, b, h_last):
    """Recompute the states from the last one: h_{t-1} = (h_t - b_t) / a_t.

    Would save all memory in a backward pass. Every step divides the error by a decay: it grows as
    fast as the state decays, and fifty decays of one half already leave no digit in float64.
    """
    h = np.empty_like(b)
    for t in reversed(range(b.shape[1])):
        h[:, t] = h_last
        h_last = (h_last - b[:, t]) / a[:, t]
    return h


def decay_by_difference(a, b, h0):
    """The term a_t h_{t-1} that the gradient of the decay needs, taken as h_t - b_t.

    Saves reading the previous state. Where the decay is small, h_t is b_t up to rounding and the
    difference has no digit left: exactly where the input was forgotten, dA is noise.
    """
    h, terms = h0, np.empty_like(b)
    for t in range(b.shape[1]):
        h = a[:, t] * h + b[:, t]
        terms[:, t] = h - b[:, t]
    return terms


def breaking_input(dtype=np.float32):
    """Return (a, b, h0) of 80 steps: decays of Mamba's own initialization, drives near one.

    delta = 0.1 and A = -16 give a = exp(-1.6) = 0.2, whose 65th power is 0 in float32.
    """
    rng = np.random.default_rng(0)
    a = np.full((1, 80), np.exp(-1.6))
    return a.astype(dtype), rng.uniform(0.5, 1.5, (1, 80)).astype(dtype), np.ones(1, dtype)


def forgetful_input(dtype=np.float32):
    """Return (a, b, h0) of two steps, the second of which forgets all but 1e-8 of the first."""
    a, b = np.array([[1.0, 1e-8]]), np.array([[1.0, 1.0]])
    return a.astype(dtype), b.astype(dtype), np.zeros(1, dtype)
