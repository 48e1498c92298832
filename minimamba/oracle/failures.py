"""One case of one target: everything that is wrong with it, in sentences."""

import numpy as np

from minimamba.oracle.bound import tolerance as bound
from minimamba.oracle.bound.judge import Judge
from minimamba.oracle.relations.table import RELATIONS, broken


def failures(target, case, profile, names=tuple(RELATIONS)):
    """Return {(kind, output): sentence} of one case, and the findings behind it.

    `profile` is the arithmetic that passes, `names` the relations that are tried.
    """
    result, judge = target.call(case), Judge(case, accept=profile)
    judged, found = judge.findings(result), {}
    shaped = not any("shape" in s or "array of" in s for s in result.complaints)
    for f in (f for f in judged if f.ratio > 1 and shaped):
        size = "not a number" if f.ratio == np.inf else f"{f.ratio:.3g} tolerances off"
        grades_to = f"; explained by: {f.grade}" if f.grade else ""
        found["reference", f.output] = f"{f.output} is {size}{grades_to}"
    for kind, sentences in (
        ("contract", result.complaints),
        ("dtype", dtype_complaints(case, result)),
    ):
        for sentence in sentences:
            found.setdefault((kind, sentence.split()[0]), sentence)
    for k in (f"d{k}" for k in case.inputs if result.grads and f"d{k}" in judge.want):
        if k not in result.grads:
            found["contract", k] = f"{k} was not returned by backward"
    if shaped and names:
        rng = np.random.default_rng([7, *case.seed])
        relations = broken(target, case, judge, result, rng, names)
        found |= {(name, ""): sentence for name, sentence in relations.items()}
    return found, judged


def dtype_complaints(case, result):
    """Yield a sentence for every array that came back in a dtype the contract does not allow."""
    sixteen = case.dtype in ("float16", "bfloat16")
    for name, got in result.dtypes.items():
        main = name == next(iter(case.contract.outputs))
        allowed = {case.dtype} | ({"float32"} if sixteen and not main else set())
        if bound.REAL.get(got, got) not in allowed:
            yield f"{name} has dtype {got}, expected {case.dtype}"
