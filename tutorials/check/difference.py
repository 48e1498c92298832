"""Say in one sentence how an answer differs from what is wanted."""

import numpy as np

NUMBERS = "biufc"  # the kinds of dtype that hold numbers


def outputs(answer):
    """Return the arrays of an answer as a list."""
    return [_array(a) for a in (answer if isinstance(answer, tuple | list) else (answer,))]


def first_difference(got, wanted, allowed):
    """Return (number of the first output that is wrong, what is wrong with it), or None."""
    if len(got) != len(wanted):
        return 0, f"the number of outputs is {len(got)}, not {len(wanted)}."
    for number, trio in enumerate(zip(got, wanted, allowed, strict=True)):
        complaint = difference(*trio)
        if complaint:
            return number, (f"output {number + 1}: " if len(wanted) > 1 else "") + complaint
    return None


def difference(g, w, tolerance):
    """Compare in the order in which a reader should look: shape, dtype, finite, pattern, value."""
    if g.dtype.kind not in NUMBERS:
        return f"not numbers where an array of shape {w.shape} is wanted."
    if g.shape != w.shape:
        return f"shape {g.shape} where {w.shape} is wanted."
    if not fits(g, w):
        return f"dtype {g.dtype} where {w.dtype} is wanted."
    if not np.isfinite(g).all():
        return f"{g.size - np.isfinite(g).sum()} of {g.size} values are not finite."
    excess = np.abs(np.subtract(g, w, dtype=np.result_type(g, w, float))) - tolerance
    if (excess <= 0).all():
        return None
    worst = np.unravel_index(np.argmax(excess), g.shape)
    at = f"at index [{', '.join(map(str, worst))}] " if worst else ""
    if w[worst] == 0:
        return f"{at}the value must be zero and is {g[worst].item():.6g}."
    return f"{at}you have {_apart(g[worst].item(), w[worst].item())} is wanted."


def fits(g, w):
    """Whether an answer has a dtype to compare: as many digits, and as real, as what is wanted.

    A single number may be of any kind: one compares it by its value.
    """
    precision = w.dtype if w.dtype.kind in "fc" else float
    rounds_more = g.dtype.kind in "fc" and np.finfo(g.dtype).eps > np.finfo(precision).eps
    same_kind = g.dtype.kind == w.dtype.kind or (g.dtype.kind in "biu" and w.dtype.kind == "f")
    return not rounds_more and (same_kind or not g.ndim)


def _apart(one, other):
    """Write two different numbers with as many digits as it takes to see that they differ."""
    pairs = [[f"{x:.{digits}g}" for x in (one, other)] for digits in (6, 10, 14, 17)]
    return " and ".join(next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1]))


def _array(value):
    """Return an array, of objects where numbers cannot be made of the value."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return np.asarray(None)
