"""Does the same input give the same bits twice? Information: sums by atomics legally do not."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Repeat:
    """How often one array came back with other bits."""

    output: str
    dtype: str
    runs: int = 0
    different: int = 0


def repeat(target, case, found):
    """Run a case twice, and count in `found`, by output, whether the results are the same."""
    one, two = target.run(case), target.run(case)
    for arrays, again in ((one.outputs, two.outputs), (one.grads, two.grads)):
        for name, x in arrays.items():
            row = found.setdefault(name, Repeat(name, case.dtype))
            row.runs += 1
            row.different += not np.array_equal(x, again[name], equal_nan=True)


def in_words(repeats):
    """Return a line for every dtype, and one for what varies.

    Examples
    --------
    >>> in_words([Repeat("out", "float32", 9), Repeat("dA", "float32", 9, 2)])[1]
    'float32: dA gave other bits in 2 of 9 repeated runs (no failure: sums by atomics do that)'
    """
    lines = []
    for dtype in dict.fromkeys(r.dtype for r in repeats):
        same = [r for r in repeats if r.dtype == dtype and not r.different]
        if same:
            names, runs = ", ".join(r.output for r in same), min(r.runs for r in same)
            lines.append(f"{dtype}: the same bits in {runs} repeated runs: {names}")
    why = "no failure: sums by atomics do that"
    lines += [
        f"{r.dtype}: {r.output} gave other bits in {r.different} of {r.runs} repeated runs ({why})"
        for r in repeats
        if r.different
    ]
    return lines
