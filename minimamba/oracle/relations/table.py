"""The relations by the names that reports give them, and what becomes of a case under all."""

import numpy as np

from minimamba.oracle.relations.general import (
    adjoint,
    batch,
    causality,
    containment,
    homogeneity,
    split,
)
from minimamba.oracle.relations.padding import padding
from minimamba.oracle.relations.scan import duality, extremes, time_shift, zero_delta
from minimamba.oracle.target.call import NoAnswer

RELATIONS = {
    "split": split,
    "zero delta": zero_delta,
    "adjoint": adjoint,
    "homogeneity": homogeneity,
    "causality": causality,
    "NaN containment": containment,
    "batch": batch,
    "time shift": time_shift,
    "padding": padding,
    "duality": duality,
    "extremes": extremes,
}


def broken(target, case, judge, result, rng, names=tuple(RELATIONS)):
    """Return {relation: sentence} of what does not hold; a call that does not run breaks it."""
    found = {}
    for name in names:
        try:
            with np.errstate(all="ignore"):
                sentence = RELATIONS[name](target, case, judge, result, rng)
        except NoAnswer as error:
            sentence = f"the callable {error}"
        if sentence:
            found[name] = sentence
    return found
