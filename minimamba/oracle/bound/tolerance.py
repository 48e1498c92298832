"""The bound: how far a correct implementation may be from the truth, element by element.

`Tracking` runs the programs of the truth on pairs (value, radius): a running error analysis
(Higham, *Accuracy and Stability of Numerical Algorithms*, section 3.3). No rtol, no atol: every
tolerance below is the sum of the roundings that a profile allows, carried through the program.

The order lemma behind `Tracking.scan`: combine (a, b) and (a', b') to (a'a, a'b + b') in any
association. Then term s of h_t meets exactly t-s rounded products and at most (t-s)+q rounded
additions, where q counts the combines in which the partial sum that holds b_s is the later
operand: 1 for the left fold, at most ceil(log2 l)+1 for the trees, one more for each carry.
`tests/oracle/bound/test_order.py` counts the roundings symbolically. So one bound, with
q = ceil(log2 l)+2, holds for every usual order of the scan, Eq. (3.7) and (4.8).
"""

import numpy as np

from minimamba.oracle.bound.tracking import Profile, Tracking
from minimamba.oracle.truth.arithmetic import evaluate

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
TINY = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}
REAL = {"complex128": "float64", "complex64": "float32"}


def real_name(dtype):
    """Return the name of the real dtype behind `dtype`: complex64 has float32's roundoff."""
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    name = REAL.get(name, name)
    if name not in UNIT:
        raise ValueError(f"dtype must be one of {', '.join(UNIT)} or complex, got {name}")
    return name


def unit_roundoff(dtype):
    """Return the unit roundoff of a dtype: half the distance from 1 to the next number.

    Examples
    --------
    >>> unit_roundoff("float32") == 2.0**-24
    True
    """
    return UNIT[real_name(dtype)]


def profile(dtype, **changes):
    """Return the strictest profile of a dtype: 16-bit arguments compute in float32 inside."""
    name = real_name(dtype)
    inside = name if name in ("float32", "float64") else "float32"
    base = {"u": UNIT[inside], "u_io": UNIT[name], "tiny": TINY[inside]}
    base["tiny_io"] = TINY[name]
    if inside != name:
        base |= {"name": "float32 inside", "rounds": frozenset({"saved"})}
    return Profile(**(base | changes))


def tolerance(program, dtype, **inputs):
    """Return how far each output of a correct implementation may be from the truth.

    `dtype`, or a `Profile`, is what it computes in. The inputs of the program are taken as exact:
    pass what the implementation was given, after rounding to its dtype. The names and shapes are
    those of `arithmetic.exact`; a tolerance is infinite where nothing can be promised.

    Examples
    --------
    >>> from minimamba.oracle.truth.scan import recurrence
    >>> a, b, h0 = np.full((1, 4), 0.5), np.ones((1, 4)), np.zeros(1)
    >>> tol = tolerance(recurrence, "float32", a=a, b=b, h0=h0)
    >>> bool((tol["h"] < 1e-6).all())
    True
    """
    p = dtype if isinstance(dtype, Profile) else profile(dtype)
    radii = {k: x.e for k, x in evaluate(program, Tracking(p), inputs).items()}
    return {k: np.where(np.isnan(e), np.inf, e) * (1 + 2.0**-10) for k, e in radii.items()}


def recurrence_bound(a, b, h0, dtype, q=None, reverse=False):
    """Bound the error of h_t = a_t h_{t-1} + b_t in any usual scan order, Eq. (3.7).

    Parameters
    ----------
    a, b : array, shape (b, l, ...)
        Real or complex, exact in `dtype`. Time is axis 1.
    h0 : array, shape (b, ...)
    dtype : dtype or str
        What the scan computes in.
    q : int, optional
        Combines in which a partial sum is the later operand; ceil(log2 l) + 2 if left out, which
        covers sequential, Hillis-Steele, Blelloch and chunked orders.
    reverse : bool
        Run from the last step to the first, as the adjoint does.

    Returns
    -------
    array, shape (b, l, ...)
        |computed h - exact h| is at most this, in every element.

    Examples
    --------
    >>> recurrence_bound(np.ones((1, 2)), np.ones((1, 2)), np.zeros(1), "float64").shape
    (1, 2)
    """
    m = Tracking(profile(dtype, q=q))
    with np.errstate(all="ignore"):
        h = m.scan(m.lift(a), m.lift(b), m.lift(h0), reverse)
    return h.e * (1 + 2.0**-10)
