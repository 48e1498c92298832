"""`check`: draw cases, run the target, judge it, and shrink what fails."""

import time
from dataclasses import replace

import numpy as np

from .cases import draw
from .checks import CHECKS
from .judge import accepted, grades
from .report import Failure, Report, Row
from .shrink import shrink
from .target import DidNotRun, Target
from .trial import code, failures

ENOUGH = 6  # failing cases after which a dtype is known to be wrong
FEATURES = {
    "selective_scan": ("constant", "groups", "complex"),
    "selective_scan_step": ("groups", "complex"),
    "recurrence": ("trailing", "complex"),
}


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
        What it supports; found out by trying if left out. What is declared must work.
    backward : callable, optional
        backward(dout, dlast_state, cache) -> gradients by name, where there is no autograd.
    budget : float
        Seconds for all dtypes together.
    op : str
        Another operation of `spec.CONTRACTS`.
    grade : str, optional
        The laxest arithmetic that passes, by the name `judge.grades` gives it.
    weights : dict of str to array, optional
        The parameters of a block or model, which the cases are drawn around.

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
    name = getattr(fn, "__name__", type(fn).__name__)
    report = Report(name, op, layout, target.frame.name)
    started = time.monotonic()
    for i, dtype in enumerate(dtypes):
        accepted(dtype, grade)  # a wrong name is said before anything runs
        share = (started + budget - time.monotonic()) / (len(dtypes) - i)
        try:
            run = _Run(target, report, dtype, grade, capabilities, weights)
            run.go(seed, time.monotonic() + share, cases, deep)
        except DidNotRun as error:
            report.error = f"{dtype}: it {error}"
            break
    report.seconds = time.monotonic() - started
    return report


class _Run:
    """One dtype of one check."""

    def __init__(self, target, report, dtype, grade, declared, weights):
        self.target, self.report, self.dtype = target, report, dtype
        self.profile, self.grade, self.rows = accepted(dtype, grade), grade, {}
        self.order = [p.name for p in grades(dtype)]
        self.like = {"like": weights} if weights else {}
        self.found = {}
        self.capabilities = self._discover(declared)

    def _draw(self, seed, capabilities, deep=False):
        op = self.target.contract.name
        return draw(op, seed, self.dtype, capabilities, deep, **self.like)

    def _discover(self, declared):
        """Find out what runs, one capability at a time; say what does not."""
        target, contract = self.target, self.target.contract
        always = {k for k in target.names if k.startswith("always ")}
        plain = target.run(self._draw((0, 0), always), gradients=False)
        optional = [k for k, v in contract.inputs.items() if v.optional]
        wanted = [*optional, *contract.flags, *FEATURES.get(contract.name, ())]
        have = set(always)
        for name in wanted:
            why = self._lacks(name, always, declared)
            if why is None:
                have.add(name)
            elif f"always {name}" not in always:
                label = f"{name} ({self.dtype})" if self.dtype in why else name
                self.report.skipped[label] = why
        if contract.state and contract.state[1] not in plain.outputs:
            self.report.skipped[contract.state[1]] = "not returned"
        return have | self._gradients(always, declared)

    def _lacks(self, name, always, declared):
        target, contract = self.target, self.target.contract
        if declared is not None and name not in declared:
            return "not declared"
        if name in {**contract.inputs, **contract.flags} and not target.takes(name):
            return "not an argument"
        if name == "complex" and self.dtype not in ("float32", "float64"):
            return f"complex numbers have no {self.dtype}"
        if declared is not None:
            return None
        try:
            target.run(self._draw((0, 1), always | {f"always {name}"}), gradients=False)
        except DidNotRun as error:
            return f"it {error}"
        return None

    def _gradients(self, always, declared):
        target, have = self.target, set()
        if not target.differentiates:
            self.report.skipped["gradients"] = f"{target.frame.name} has none; pass backward="
            return have
        for name in ("gradients", "state_gradient"):
            if name == "state_gradient" and not target.contract.state:
                continue
            if declared is not None and name not in declared:
                self.report.skipped[name] = "not declared"
                continue
            case = self._draw((0, 2), always | {"gradients"} | have | {name})
            if name == "state_gradient":
                last = target.contract.state[1]
                only = {k: v if k == last else 0 * v for k, v in case.cotangents.items()}
                case = replace(case, cotangents=only, memory="contiguous")
            try:
                result = target.run(case)
                if not result.grads or only_zero(result, name):
                    raise DidNotRun("gives no gradient there")
                have.add(name)
            except DidNotRun as error:
                self.report.skipped[name] = f"it {error}"
                break
        return have

    def go(self, seed, deadline, count, deep):
        """Run cases until the time, the count or the patience is used up."""
        started, failing, i = time.monotonic(), 0, 0
        while i < count and failing < ENOUGH and (i < 3 or time.monotonic() < deadline):
            failing += self._one(self._draw((seed, i), self.capabilities, deep))
            i += 1
        self.report.rows += self.rows.values()
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
            failed, judged = {("runs", ""): f"it {error}"}, []
        for f in judged:
            self._count(f)
        for key, sentence in failed.items():
            self.found.setdefault(key, (case, sentence))
        return bool(failed)

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
                return kind == "runs"
            return key in found

        small = shrink(case, fails, seconds) if seconds else case
        try:
            found, judged = failures(self.target, small, self.profile, self.grade)
        except DidNotRun as error:
            found, judged = {key: f"it {error}"}, []
        sizes = {k: v for k, v in small.sizes().items() if k.isascii()}
        text = code(self.target, small, output, judged) if seconds else ""
        self.report.failures.append(
            Failure(kind, output, self.dtype, found.get(key, sentence), sizes, text, case.seed)
        )
        heat = next((f for f in judged if f.output == output), None)
        if self.report.heat is None and heat is not None:
            big = next((f for f in self._again(case) if f.output == output), heat)
            self.report.heat = (f"{output}, {self.dtype}, as drawn", big.where)

    def _again(self, case):
        try:
            return failures(self.target, case, self.profile, self.grade, [])[1]
        except DidNotRun:
            return []


def only_zero(result, name):
    return name == "state_gradient" and not any(np.any(g) for g in result.grads.values())
