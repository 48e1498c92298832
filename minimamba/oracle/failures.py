"""One case of one target: everything that is wrong with it, in sentences."""

import numpy as np

from minimamba.oracle.bound import tolerance as bound
from minimamba.oracle.bound.judge import Judge
from minimamba.oracle.relations.general import CHECKS, run_all


def failures(target, case, profile, grade, names=tuple(CHECKS)):
    """Return {(check, output): sentence} of one case, and the findings behind it."""
    result, judge = target.call(case), Judge(case, grade, profile)
    judged, found = judge.findings(result), {}
    for f in judged:
        if f.ratio > 1:
            size = "not a number" if f.ratio == np.inf else f"{f.ratio:.3g} tolerances off"
            grades_to = f"; explained by: {f.grade}" if f.grade else ""
            found["reference", f.output] = f"{f.output} is {size}{grades_to}"
    for sentence in result.complaints:
        found.setdefault(("contract", sentence.split()[0]), sentence)
    for sentence in dtype_complaints(case, result):
        found.setdefault(("dtype", sentence.split()[0]), sentence)
    missing = [f"d{k}" for k in case.inputs if f"d{k}" in judge.want]
    if result.grads:
        for k in (k for k in missing if k not in result.grads):
            found["contract", k] = f"{k} was not returned by backward"
    shaped = not any("shape" in s or "array of" in s for s in result.complaints)
    if not shaped:
        found = {k: s for k, s in found.items() if k[0] != "reference"}
    if shaped and names:
        rng = np.random.default_rng([7, *case.seed])
        for name, sentence in run_all(target, case, judge, result, rng, names).items():
            found[name, ""] = sentence
    return found, judged


def dtype_complaints(case, result):
    """Yield a sentence for every array that came back in a dtype the contract does not allow."""
    sixteen = case.dtype in ("float16", "bfloat16")
    for name, got in result.dtypes.items():
        real = bound.REAL.get(got, got)
        main = name == next(iter(case.contract.outputs))
        allowed = {case.dtype} | ({"float32"} if sixteen and not main else set())
        if real not in allowed:
            yield f"{name} has dtype {got}, expected {case.dtype}"
