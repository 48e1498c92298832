"""`check`: draw cases, run the target, judge it, and shrink what fails."""

import math
import time

import numpy as np

from minimamba.oracle.bound.judge import accepted, grades
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.cases.models import small_weights
from minimamba.oracle.cases.shrink import shrink
from minimamba.oracle.cases.sizes import KINDS
from minimamba.oracle.failures import failures
from minimamba.oracle.relations.general import CHECKS
from minimamba.oracle.report import Failure, Repeat, Report, Row, words
from minimamba.oracle.target.call import DidNotRun, Target
from minimamba.oracle.target.discover import capabilities_of, discover
from minimamba.oracle.target.paste import code

ENOUGH = 6  # failing cases after which a dtype is known to be wrong
REPEATED = 10  # one case in so many is called twice more


def check(
    fn,
    layout="bdl",
    framework="auto",
    dtypes=("float32",),
    capabilities=None,
    backward=None,
    seed=0,
    budget=30.0,
    op="selective_scan",
    grade=None,
    deep=False,
    cases=400,
    weights=None,
    limit=30.0,
):
    """Judge a callable against the contract of an operation.

    Parameters
    ----------
    fn : callable
        For a selective scan, f(u, delta, A, B, C, D=, z=, delta_bias=, delta_softplus=, ...) with
        any of the optional arguments; returns out, or (out, last_state), or those and a cache.
    layout : {"bdl", "bld"}
        mamba_ssm's, time last, or the library's.
    framework : {"auto", "numpy", "torch", "jax", "cupy"}
    dtypes : sequence of str
        Any of float32, float64, float16, bfloat16.
    capabilities : set of str, optional
        What it supports, by the names that `discover.capabilities_of` returns; found out by trying
        if left out. What is declared must work.
    backward : callable, optional
        backward(dout, dlast_state, cache) -> gradients by name, where there is no autograd.
    budget : float
        Seconds for all dtypes together.
    op : str
        Another operation of `spec.CONTRACTS`.
    grade : str, optional
        The laxest arithmetic that passes, by the name `judge.grades` gives it.
    weights : dict of str to array, optional
        The parameters of a block or model: most cases have others of the same names and shapes.
        Those of a small one if left out.

    Returns
    -------
    Report

    Raises
    ------
    ValueError, TypeError
        If an argument of `check` itself is not one of the above.

    Examples
    --------
    >>> from minimamba.oracle import check, selective_scan
    >>> check(selective_scan, framework="numpy", cases=3).passed
    True
    """
    target = Target(fn, op, layout, framework, backward, limit)
    for dtype in dtypes:
        accepted(dtype, grade)  # a wrong name is said before anything runs
    _refuse(target.contract, capabilities, seed, cases=cases, budget=budget, limit=limit)
    name = getattr(fn, "__name__", type(fn).__name__)
    report = Report(name, op, layout, target.frame.name)
    started = time.monotonic()
    for i, dtype in enumerate(dtypes):
        share = (started + budget - time.monotonic()) / (len(dtypes) - i)
        try:
            run = _Run(target, report, dtype, grade, capabilities, weights)
            run.go(seed, time.monotonic() + share, cases, deep)
        except DidNotRun as error:
            report.error = f"{dtype}: it {error}"
            break
    report.seconds = time.monotonic() - started
    return report


def _refuse(contract, capabilities, seed, **positive):
    """Raise a sentence for a capability that the operation has not, or a number out of range."""
    for name in sorted(set(capabilities or ()) - capabilities_of(contract)):
        words = ", ".join(sorted(capabilities_of(contract)))
        raise ValueError(f"capabilities of {contract.name} are {words}; got {name!r}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    for name, x in positive.items():
        if not 0 < x < math.inf:
            raise ValueError(f"{name} must be more than 0, got {x:g}")


class _Run:
    """One dtype of one check."""

    def __init__(self, target, report, dtype, grade, declared, weights):
        self.target, self.report, self.dtype = target, report, dtype
        self.profile, self.grade, self.rows = accepted(dtype, grade), grade, {}
        self.order = [p.name for p in grades(dtype)]
        op = target.contract
        weights = weights or (small_weights(op.name) if op.mapping else {})
        self.like = {"like": weights} if weights else {}
        self.found = {}
        self.declared, self.repeats = None if declared is None else set(declared), {}
        found = discover(target, dtype, self.declared, self._draw, report.skipped)
        self.capabilities = found | set(KINDS)

    def _draw(self, seed, capabilities, deep=False):
        op = self.target.contract.name
        return draw(op, seed, self.dtype, capabilities, deep, **self.like)

    def go(self, seed, deadline, count, deep):
        """Run cases until the time, the count or the patience is used up."""
        started, failing, i = time.monotonic(), 0, 0
        while i < count and failing < ENOUGH and (i < 3 or time.monotonic() < deadline):
            case = self._draw((seed, i), self.capabilities, deep)
            failed = self._one(case)
            if not failed and i % REPEATED == 0:
                repeat(self.target, case, self.repeats)
            failing, i = failing + failed, i + 1
        self.report.rows += self.rows.values()
        self.report.repeats += self.repeats.values()
        self.report.notes += [little_said(r) for r in self.rows.values() if r.vacuous > 0.1]
        patience = min(12.0, 0.4 * (deadline - started))  # for making small cases of the failures
        for n, (key, (case, sentence)) in enumerate(self.found.items()):
            self._explain(key, case, sentence, patience / 4 if n < 4 else 0.0)

    def _one(self, case):
        """Judge one case; return whether anything failed."""
        try:
            failed, judged = failures(self.target, case, self.profile, self.grade)
        except DidNotRun as error:
            if "did not return" in str(error):
                raise
            if self._may_refuse(case):
                why = f"it {error}, at {words(case.sizes())}"
                self.report.skipped.setdefault(f"{case.kind} ({self.dtype})", why)
                return False
            failed, judged = {("call", ""): f"it {error}"}, []
        for f in judged:
            self._count(f)
        for key, sentence in failed.items():
            self.found.setdefault(key, (case, sentence))
        return bool(failed)

    def _may_refuse(self, case):
        """Tell whether a case is of unusual size: whoever raises there has said so, and may."""
        return case.kind and case.kind not in (self.declared or ())

    def _count(self, f):
        row = self.rows.setdefault(f.output, Row(f.output, self.dtype, self.profile.name))
        row.vacuous = (row.vacuous * row.cases + f.vacuous) / (row.cases + 1)
        row.cases += 1
        row.worst, row.ulp = max(row.worst, f.ratio), max(row.ulp, f.ulp)
        row.relative, row.roundoff = max(row.relative, f.relative), max(row.roundoff, f.units)
        place = {None: len(self.order), "": -1} | {n: i for i, n in enumerate(self.order)}
        row.grade = max(row.grade, f.grade, key=place.__getitem__)
        row.passed = row.passed and f.ratio <= 1

    def _explain(self, key, case, sentence, seconds):
        """Shrink a failing case and put it into the report."""
        kind, output = key

        def fails(candidate):
            try:
                names = [kind] if kind in CHECKS else []
                found, _ = failures(self.target, candidate, self.profile, self.grade, names)
            except DidNotRun:
                return kind == "call"
            return key in found

        small = shrink(case, fails, seconds) if seconds else case
        try:
            found, judged = failures(self.target, small, self.profile, self.grade)
        except DidNotRun as error:
            found, judged = {key: f"it {error}"}, []
        text = code(self.target, small, output, judged) if seconds else ""
        failure = Failure(kind, output, self.dtype, found.get(key, sentence), axes(small), text)
        failure.seed, failure.drawn = case.seed, f"{sentence} ({words(axes(case))})"
        self.report.failures.append(failure)
        heat = next((f for f in judged if f.output == output), None)
        if self.report.heat is None and heat is not None:
            big = next((f for f in self._again(case) if f.output == output), heat)
            self.report.heat = (f"{output}, {self.dtype}, as drawn", big.where)

    def _again(self, case):
        try:
            return failures(self.target, case, self.profile, self.grade, [])[1]
        except DidNotRun:
            return []


def repeat(target, case, found):
    """Call a case twice, and count in `found`, by output, whether the results are the same."""
    one, two = target.call(case), target.call(case)
    for arrays, again in ((one.outputs, two.outputs), (one.grads, two.grads)):
        for name, x in arrays.items():
            row = found.setdefault(name, Repeat(name, case.dtype))
            row.calls += 1
            row.different += not np.array_equal(x, again[name], equal_nan=True)


def little_said(row):
    share = f"{100 * row.vacuous:.0f} % of {row.output} ({row.dtype}) says nothing"
    return f"{share}: there the tolerance is larger than the value; float64 says more"


def axes(case):
    """Return the sizes of a case that have a letter of their own: a weight's are its author's."""
    return {k: v for k, v in case.sizes().items() if k.isascii()}
