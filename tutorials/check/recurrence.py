"""Exercises of tutorial 03: the recurrence and its adjoint."""

import numpy as np
from check.grade import exercise

from minimamba.ops.recurrence import recurrence, recurrence_backward
from minimamba.oracle.bound.tolerance import recurrence_bound, tolerance
from minimamba.oracle.truth import scan as truth


def _draw(rng):
    b, l = rng.integers(1, 4), rng.integers(2, 9)
    a = rng.uniform(0.2, 1.2, size=(b, l))
    return a, rng.normal(size=(b, l)), rng.normal(size=b)


def _draw_backward(rng):
    a, b, h0 = _draw(rng)
    return rng.normal(size=b.shape), a, recurrence(a, b, h0)[0], h0


def _draw_complex(rng):
    a, b, h0 = _draw(rng)
    a = a * np.exp(1j * rng.uniform(0, np.pi, size=a.shape))
    h = recurrence(a, b + 0j, h0 + 0j)[0]
    return rng.normal(size=a.shape) + 1j * rng.normal(size=a.shape), a, h, h0 + 0j


def _states(a, b, h0):
    return recurrence(a, b, h0)[0]


def _gradients(dh, a, h, h0):
    _, cache = recurrence(a, _drive(a, h, h0), h0)
    return recurrence_backward(dh, cache)


def _drive(a, h, h0):
    return h - a * _previous(h, h0)


def _previous(h, h0):
    return np.concatenate([h0[:, None], h[:, :-1]], axis=1)


def _adjoint(dh, a):
    """g_t = dh_t + a_{t+1} g_{t+1}: the recurrence on reversed input with the decays shifted."""
    following = np.concatenate([a[:, 1:], np.zeros_like(a[:, :1])], axis=1)
    return _states(following[:, ::-1], dh[:, ::-1], np.zeros_like(dh[:, 0]))[:, ::-1]


def _bare(dh, a, h, h0):
    g = _adjoint(dh, a)
    return g * _previous(h, h0), g, a[:, 0] * g[:, 0]


def _with_da(factor):
    """Return the gradients with another factor of g in da."""

    def wrong(dh, a, h, h0):
        _, g, dh0 = _gradients(dh, a, h, h0)
        return g * factor(h, h0), g, dh0

    return wrong


def _state_bound(a, b, h0):
    """How far two correct programs may be apart: each is within the oracle's bound, Eq. (3.7)."""
    return (2 * recurrence_bound(a, b, h0, "float64"),)


def _gradient_bound(dh, a, h, h0):
    known = tolerance(truth.recurrence, "float64", a=a, b=_drive(a, h, h0), h0=h0, dh=dh)
    return tuple(2 * known[name] for name in ("da", "db", "dh0"))


def _adjoint_bound(dh, a):
    h0 = np.zeros_like(dh[:, 0])
    return (_gradient_bound(dh, a, np.zeros_like(dh), h0)[1],)


def _initial_bound(dh, a):
    h0 = np.zeros_like(dh[:, 0])
    return (_gradient_bound(dh, a, np.zeros_like(dh), h0)[2],)


def _segments_from(start):
    """Return the two segments with the second entered by start(first states, h0)."""

    def wrong(a, b, h0):
        middle = a.shape[1] // 2
        first = _states(a[:, :middle], b[:, :middle], h0)
        second = _states(a[:, middle:], b[:, middle:], start(first, h0))
        return np.concatenate([first, second], axis=1)

    return wrong


unroll = exercise(
    "The recurrence, one step at a time",
    _states,
    _draw,
    "start with `h = h0` and at every step set `h = a[:, t] * h + b[:, t]`, Eq. (3.1).",
    "the state before the first step is left out: begin with h0, not with zeros.",
    lambda a, b, h0: _states(a, b, 0 * h0),
    "the decay is one step late: the state entering step t is multiplied by a[:, t].",
    lambda a, b, h0: _states(np.roll(a, 1, axis=1), b, h0),
    "the drive is decayed too: only the old state is multiplied by a, Eq. (3.1).",
    lambda a, b, h0: _states(a, a * b, h0),
    "a and b have changed places.",
    lambda a, b, h0: _states(b, a, h0),
    "these are the states before each step; store h after it.",
    lambda a, b, h0: _previous(_states(a, b, h0), h0),
    "h0 is not one of the states to return: there are as many as steps.",
    lambda a, b, h0: np.concatenate([h0[:, None], _states(a, b, h0)], axis=1),
    "every column is the last state: one array was changed in place again and again.",
    lambda a, b, h0: _states(a, b, h0)[:, -1:] * np.ones_like(b),
    bound=_state_bound,
)


adjoint = exercise(
    "The adjoint state",
    _adjoint,
    lambda rng: _draw_backward(rng)[:2],
    "begin at the end, where g is dh, and walk to the front with Eq. (3.3).",
    "off by one: g_{t+1} comes back through a_{t+1}, the decay of the step it left by.",
    lambda dh, a: _states(a[:, ::-1], dh[:, ::-1], np.zeros_like(dh[:, 0]))[:, ::-1],
    "it runs forward in time: gradients flow from the last step to the first.",
    lambda dh, a: _states(a, dh, np.zeros_like(dh[:, 0])),
    "a flip is missing: the result must be turned back into the order of time.",
    lambda dh, a: _adjoint(dh, a)[:, ::-1],
    "shifted the wrong way: from g_{t+1} to g_t leads the decay a_{t+1}, not a_{t-1}.",
    lambda dh, a: _states(_previous(a, 0 * a[:, 0])[:, ::-1], dh[:, ::-1], 0 * dh[:, 0])[:, ::-1],
    "this is a_t g_t, what arrives at h_{t-1}; store g_t before it is multiplied.",
    lambda dh, a: a * _adjoint(dh, a),
    bound=_adjoint_bound,
)


initial_state = exercise(
    "The gradient of the initial state",
    lambda dh, a: a[:, 0] * _adjoint(dh, a)[:, 0],
    lambda rng: _draw_backward(rng)[:2],
    "h_0 acts only through the first step, h_1 = a_1 h_0 + b_1; what multiplies it there?",
    "off by one: g_1 is the gradient of h_1; one more decay leads from h_1 back to h_0.",
    lambda dh, a: _adjoint(dh, a)[:, 0],
    "only the first step's own gradient is used: later steps depend on h_0 as well.",
    lambda dh, a: a[:, 0] * dh[:, 0],
    "only the last state's gradient is carried back; all of dh reaches h_0.",
    lambda dh, a: np.prod(a, axis=1) * dh[:, -1],
    bound=_initial_bound,
)


complex_gradients = exercise(
    "The gradients of a complex recurrence",
    _gradients,
    _draw_complex,
    "walk back with the conjugate of a_{t+1}, and multiply by the conjugate of h_{t-1}, Eq. (3.5).",
    "no conjugate at all: it is missing in the walk and in da.",
    _bare,
    "the conjugate is missing in da: the factor is the conjugate of h_{t-1}.",
    _with_da(_previous),
    "the conjugate is missing in the walk: g_{t+1} meets the conjugate of a_{t+1}.",
    lambda dh, a, h, h0: (
        _adjoint(dh, a) * _previous(h, h0).conj(),
        *_bare(dh, a, h, h0)[1:],
    ),
    "the conjugate is missing in dh0: its factor is the conjugate of a_1.",
    lambda dh, a, h, h0: (
        *_gradients(dh, a, h, h0)[:2],
        a[:, 0] * _gradients(dh, a, h, h0)[1][:, 0],
    ),
    "off by one: a_t multiplies h_{t-1}, not h_t.",
    _with_da(lambda h, h0: h.conj()),
    "the first step's da has h_0 for a factor, not zero.",
    _with_da(lambda h, h0: _previous(h, 0 * h0).conj()),
    bound=_gradient_bound,
)


segments = exercise(
    "A sequence in two segments",
    _states,
    _draw,
    "run the first half, then pass its last state as the h0 of the second half.",
    "the second half starts again from h0; it must continue from the last state.",
    _segments_from(lambda first, h0: h0),
    "the second half starts from zero; it must continue from the last state.",
    _segments_from(lambda first, h0: 0 * h0),
    "the second half starts from the first state of the first half, not from its last.",
    _segments_from(lambda first, h0: first[:, 0]),
    "only the second half is returned; join the two along axis 1.",
    lambda a, b, h0: _states(a, b, h0)[:, a.shape[1] // 2 :],
    bound=_state_bound,
)
