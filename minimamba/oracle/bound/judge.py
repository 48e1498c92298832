"""The judge: errors over tolerances, and the grade of arithmetic that explains them.

A grade is a profile of roundings with a name. An implementation is given the strictest grade
under which every error of every case is within its tolerance; it is right if that grade is one
that was declared acceptable.
"""

from dataclasses import dataclass, replace

import numpy as np

from minimamba.oracle.bound.tolerance import TINY, UNIT, profile, real_name, tolerance
from minimamba.oracle.truth.arithmetic import best, distance, exact, plain

LARGEST = {"float16": 65504.0, "float32": 3.4e38, "bfloat16": 3.38e38, "float64": 1.79e308}
SMALLEST = {"float16": 2.0**-24, "float32": 2.0**-126, "bfloat16": 2.0**-126}


def grades(dtype):
    """Return the profiles a dtype is graded by, strictest first.

    Examples
    --------
    >>> [p.name for p in grades("bfloat16")][:2]
    ['float32 inside', 'gate in io dtype']
    """
    name = real_name(dtype)
    first = profile(name)
    if name in ("float16", "bfloat16"):
        first = replace(first, threshold20=True)
        ladder, places = [first], set(first.rounds)
        for label, more in (("gate", {"gate"}), ("C.x", {"Cx"}), ("delta", {"sum", "delta"})):
            places |= more
            ladder.append(replace(first, name=f"{label} in io dtype", rounds=frozenset(places)))
        return [*ladder, replace(ladder[-1], name="all in io dtype", u=first.u_io)]
    ladder = [first, replace(first, name="threshold-20 softplus", threshold20=True)]
    fast = replace(ladder[1], name="fast math", linear=2.35, arg=3.0, difference=True)
    ladder += [fast, replace(fast, name="segment sums", segsum=True)]
    lower = [n for n in ("float32", "float16", "bfloat16") if UNIT[n] > first.u]
    return ladder + [replace(fast, name=f"{n} inside", u=UNIT[n]) for n in lower]


def default_grade(dtype):
    """Return the laxest grade that passes unless another is declared."""
    low = real_name(dtype) in ("float16", "bfloat16")
    return "gate in io dtype" if low else "threshold-20 softplus"


def accepted(dtype, declared=None):
    """Return the profile of the declared grade, or of the default one."""
    named = {p.name: p for p in grades(dtype)}
    name = declared or default_grade(dtype)
    if name not in named:
        raise ValueError(f"grade must be one of {', '.join(named)} for {dtype}, got {name!r}")
    return named[name]


@dataclass
class Finding:
    """How one array of one case compares."""

    output: str
    ratio: float  # worst error over tolerance, at the accepted grade
    strict: float  # the same at the strictest grade
    grade: str | None  # the strictest grade that explains it; None if no grade does
    units: float  # worst error in units of what one unit roundoff explains
    ulp: float
    relative: float
    vacuous: float  # share of elements whose tolerance exceeds them
    where: np.ndarray  # error over tolerance of every element
    want: np.ndarray
    got: np.ndarray


def ratios(got, want, tol, dtype, inside):
    """Return |got - want| / tol: 0 where the truth does not fit the dtype, inf for a NaN.

    A value that was computed in the unit roundoff `inside` and came back in a coarser dtype has
    been rounded once more, and may be off by that much more.
    """
    name = real_name(dtype)
    with np.errstate(all="ignore"):
        error, size = distance(got, want), np.abs(plain(want))
        if UNIT[name] > inside:
            tol = tol + UNIT[name] * (size + tol) + SMALLEST[name]
        ratio = error / tol
    ratio = np.where(np.isnan(got) | np.isnan(ratio), np.inf, ratio)
    ratio = np.where(error == 0, 0, ratio)
    beyond = ~np.isfinite(size) | ~np.isfinite(tol) | (size + tol > LARGEST[name])
    return np.where(beyond, 0, ratio)


class Judge:
    """The truth and the tolerances of one case, computed once and only as far as needed."""

    def __init__(self, case, declared=None, accept=None):
        self.case, self.accept = case, accept or accepted(case.dtype, declared)
        self.ladder = grades(case.dtype)
        self.profile = self.ladder[0]  # until a finding needs the laxer one that is accepted
        self.base = self.profile.u
        self.want = exact(case.contract.program, best(case.dtype), **case.arguments())
        self._tolerances = {}

    def like(self, case):
        """Return the judge of a related case, at the grade this one has reached."""
        other = Judge(case, accept=self.accept)
        other.profile = self.profile
        return other

    def tolerance(self, profile=None):
        p = profile or self.profile
        if p.name not in self._tolerances:
            program = self.case.contract.program
            self._tolerances[p.name] = tolerance(program, p, **self.case.arguments())
        return self._tolerances[p.name]

    def of(self, name, got, dtype, profile=None):
        """Return error over tolerance of every element of one array."""
        p = profile or self.profile
        return ratios(got, self.want[name], self.tolerance(p)[name], dtype, max(p.u, self.base))

    def findings(self, result):
        """Judge every output and gradient of a result."""
        both = {**result.outputs, **result.grads}
        return [self._find(k, v, result.dtypes[k]) for k, v in both.items() if k in self.want]

    def _find(self, name, got, dtype):
        where, want = self.of(name, got, dtype, self.ladder[0]), self.want[name]
        worst = strict = _max(where)
        if strict > 1:
            self.profile = self.accept
            where = self.of(name, got, dtype)
            worst = _max(where)
        with np.errstate(all="ignore"):
            error, size = distance(got, want), np.abs(plain(want))
            seen = size >= TINY[real_name(dtype)]  # of what underflows nothing is left
            relative = _max(np.where(seen, error / size, 0))
            ulp = _max(error / _spacing(size, dtype))
            blind = (self.tolerance()[name] > size) & (size > 0)
        grade, units = self._grade(name, got, dtype, strict), strict * self.ladder[0].u
        vacuous = float(np.mean(blind)) if blind.size else 0.0
        numbers = (worst, strict, grade, units, ulp, relative, vacuous)
        return Finding(name, *numbers, where, plain(want), got)

    def _grade(self, name, got, dtype, strict):
        if strict <= 1:
            return self.ladder[0].name
        failing = self.of(name, got, dtype, self.ladder[0]) > 1
        size = np.abs(plain(self.want[name]))
        size = _max(np.where(np.isfinite(size), size, 0))
        for p in self.ladder[1:]:
            tells = _max(self.tolerance(p)[name][failing]) <= size  # not everything is allowed
            if (tells or p.name == self.accept.name) and _max(self.of(name, got, dtype, p)) <= 1:
                return p.name
        return None


def _max(x):
    x = np.asarray(x, np.float64)
    return float(np.max(np.where(np.isnan(x), np.inf, x), initial=0.0))


def _spacing(size, dtype):
    """Return the distance between neighbouring numbers of the dtype, at the size of the truth."""
    name = real_name(dtype)
    return 2 * UNIT[name] * 2.0 ** np.floor(np.log2(np.maximum(size, TINY[name])))
