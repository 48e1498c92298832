"""`check`: draw cases, call the target, judge it, and shrink what fails."""

import math
import time
from inspect import Signature, signature

import numpy as np

from minimamba.oracle.bound.judge import Judge, accepted
from minimamba.oracle.bound.tolerance import REAL
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.cases.models import small_weights
from minimamba.oracle.cases.shrink import shrink
from minimamba.oracle.cases.sizes import KINDS
from minimamba.oracle.job import Job
from minimamba.oracle.relations.table import RELATIONS, broken
from minimamba.oracle.report import Failure, Repeat, Report, Row, words
from minimamba.oracle.target.call import NoAnswer, Target, TimedOut
from minimamba.oracle.target.discover import capabilities_of, discover
from minimamba.oracle.target.paste import code

ENOUGH = 6  # failing cases after which a dtype is known to be wrong
REPEAT_EVERY = 10  # cases, of which one is called twice more


def check(fn, **options):
    """Judge a callable against the contract of an operation.

    Parameters
    ----------
    fn : callable
        For a selective scan, f(u, delta, A, B, C, D=, z=, delta_bias=, delta_softplus=, ...) with
        any of the optional arguments; returns out, or (out, last_state), or those and a cache.
    op : str
        An operation of `spec.CONTRACTS`.
    layout : {"bdl", "bld"}
        mamba_ssm's, time last, or the library's.
    framework : {"auto", "numpy", "torch", "jax", "cupy"}
    dtypes : sequence of str
        Any of float32, float64, float16, bfloat16.
    capabilities : set of str, optional
        What it supports, by the names that `capabilities_of` returns, and what then must work;
        found out by trying if left out.
    backward : callable, optional
        backward(dout, dlast_state, cache) -> gradients by name, where there is no autograd.
    weights : dict of str to array, optional
        Parameters of a block or model, whose cases have these or others of the same shapes; those
        of a small one if left out.
    grade : str, optional
        The laxest arithmetic that passes, by the name `judge.grades` gives it.
    seed, cases, budget, limit, deep
        Which cases, how many for each dtype, seconds for all and for one call, long ones or not.

    Returns
    -------
    Report

    Examples
    --------
    >>> from minimamba.oracle import check, selective_scan
    >>> check(selective_scan, framework="numpy", cases=3).passed
    True
    """
    job = Job(**options)
    target = Target(fn, job.op, job.layout, job.framework, job.backward, job.limit)
    for dtype in job.dtypes:
        accepted(dtype, job.grade)  # a wrong name is said before anything is called
    _refuse(target.contract, job)
    name = getattr(fn, "__name__", type(fn).__name__)
    report = Report(name, job.op, job.layout, target.frame.name)
    started = time.monotonic()
    for i, dtype in enumerate(job.dtypes):
        share = (started + job.seconds - time.monotonic()) / (len(job.dtypes) - i)
        try:
            _Trial(target, job, dtype, report).go(share)
        except NoAnswer as error:
            report.error = f"{dtype}: it {error}"
            break
    report.seconds = time.monotonic() - started
    return report


_of_job = signature(Job).parameters.values()  # so that help and completion name the options
_of_job = [p.replace(kind=p.KEYWORD_ONLY, annotation=p.empty) for p in _of_job]
check.__signature__ = Signature([*list(signature(check).parameters.values())[:1], *_of_job])


def _refuse(contract, job):
    """Raise a sentence for a capability that the operation has not, or a number out of range."""
    known = sorted(capabilities_of(contract))
    for name in sorted(set(job.capabilities or ()) - set(known)):
        raise ValueError(f"capabilities of {contract.name} are {', '.join(known)}; got {name!r}")
    if job.seed < 0:
        raise ValueError(f"seed must be 0 or more, got {job.seed}")
    for name, x in (("cases", job.cases), ("budget", job.seconds), ("limit", job.limit)):
        if not 0 < x < math.inf:
            raise ValueError(f"{name} must be more than 0, got {x:g}")


class _Trial:
    """One dtype of a check, and what was seen of it."""

    def __init__(self, target, job, dtype, report):
        self.target, self.job, self.dtype, self.report = target, job, dtype, report
        self.profile = accepted(dtype, job.grade)
        self.declared = None if job.capabilities is None else set(job.capabilities)
        weights = job.weights or (small_weights(job.op) if target.contract.mapping else None)
        self.like = {"like": weights} if weights else {}
        self.rows, self.repeats, self.found = {}, {}, {}

    def draw(self, seed, capabilities, deep=False):
        return draw(self.job.op, seed, self.dtype, capabilities, deep, **self.like)

    def go(self, seconds):
        """Find out what it can do, try cases until time, count or patience is used up, explain."""
        skipped = self.report.skipped
        can = discover(self.target, self.dtype, self.declared, self.draw, skipped) | set(KINDS)
        deadline, failing, i = time.monotonic() + seconds, 0, 0
        while i < self.job.cases and failing < ENOUGH and (i < 3 or time.monotonic() < deadline):
            case = self.draw((self.job.seed, i), can, self.job.deep)
            failed = self._one(case)
            if not failed and i % REPEAT_EVERY == 0:
                repeat(self.target, case, self.repeats)
            failing, i = failing + failed, i + 1
        self.report.rows += self.rows.values()
        self.report.repeats += self.repeats.values()
        self.report.notes += [r.doubt() for r in self.rows.values() if r.vacuous > 0.1]
        patience = min(12.0, 0.4 * seconds)  # for making small cases of the failures
        for n, (key, (case, sentence)) in enumerate(self.found.items()):
            self._explain(key, case, sentence, patience / 4 if n < 4 else 0.0)

    def _one(self, case):
        """Judge one case; return whether anything failed."""
        try:
            failed, judged = failures(self.target, case, self.profile)
        except TimedOut:
            raise
        except NoAnswer as error:
            if case.kind and case.kind not in (self.declared or ()):  # not made for such a size
                why = f"it {error}, at {words(case.sizes())}"
                self.report.skipped.setdefault(f"{case.kind} ({self.dtype})", why)
                return False
            failed, judged = {("call", ""): f"it {error}"}, []
        for f in judged:
            self.rows.setdefault(f.output, Row(f.output, self.dtype, self.profile.name)).add(f)
        for key, sentence in failed.items():
            self.found.setdefault(key, (case, sentence))
        return bool(failed)

    def _again(self, case, names=()):
        """Return the failures of a case, whatever they are, and the findings behind them."""
        try:
            return failures(self.target, case, self.profile, names)
        except NoAnswer as error:
            return {("call", ""): f"it {error}"}, []

    def _explain(self, key, case, sentence, seconds):
        """Shrink a failing case and put it into the report."""
        kind, output = key
        names = [kind] if kind in RELATIONS else []
        small = (
            shrink(case, lambda c: key in self._again(c, names)[0], seconds) if seconds else case
        )
        found, judged = self._again(small, RELATIONS)
        text = code(self.target, small, output, judged) if seconds else ""
        failure = Failure(kind, output, self.dtype, found.get(key, sentence), axes(small), text)
        failure.seed, failure.drawn = case.seed, f"{sentence} ({words(axes(case))})"
        self.report.failures.append(failure)
        heat = next((f for f in judged if f.output == output), None)
        if self.report.heat is None and heat is not None:
            big = next((f for f in self._again(case)[1] if f.output == output), heat)
            self.report.heat = (f"{output}, {self.dtype}, as drawn", big.where)


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
    said = {"contract": result.complaints, "dtype": dtype_complaints(case, result)}
    for kind, sentence in ((k, s) for k, sentences in said.items() for s in sentences):
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
        if REAL.get(got, got) not in allowed:
            yield f"{name} has dtype {got}, expected {case.dtype}"


def repeat(target, case, found):
    """Call a case twice, and count in `found`, by output, whether the results are the same."""
    one, two = target.call(case), target.call(case)
    for name, x in one.arrays().items():
        row = found.setdefault(name, Repeat(name, case.dtype))
        row.calls += 1
        row.different += not np.array_equal(x, two.arrays()[name], equal_nan=True)


def axes(case):
    """Return the sizes of a case that have a letter of their own: a weight's are its author's."""
    return {k: v for k, v in case.sizes().items() if k.isascii()}
