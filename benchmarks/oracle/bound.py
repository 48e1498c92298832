"""Does the error bound hold, and is it any use? Random cases in numbers, then a search for trouble.

    python -m benchmarks bound               100,000 random sequences, some minutes

A case is one sequence with its own decays, drives and start, run in one dtype by every schedule.
Its share is the largest |error| / bound over its elements: above 1 the bound is violated; if no
share came near 1, the bound would say nothing.
"""

import numpy as np

from benchmarks.common import parser, save, show
from minimamba.ops.recurrence import blelloch, chunked, hillis_steele, sequential
from minimamba.oracle.bound.tolerance import recurrence_bound
from minimamba.oracle.truth import arithmetic
from minimamba.oracle.truth import scan as truth

SCHEDULES = {
    "sequential": sequential,
    "hillis_steele": hillis_steele,
    "blelloch": blelloch,
    "chunked(16)": chunked(16),
}
DTYPES = ("float32", "float64", "complex64", "complex128")


def decays(rng, shape, cplx):
    """Return decays from 0 through 1 to slightly above it; half of the rows keep one throughout."""
    kinds = [rng.uniform(0, 1, shape), -np.expm1(-(10.0 ** rng.uniform(-6, 0, shape)))]
    kinds += [np.exp(-(10.0 ** rng.uniform(-6, 2, shape))), np.ones(shape), np.zeros(shape)]
    kinds += [1 + 10.0 ** rng.uniform(-6, -2.5, shape), rng.uniform(0.9, 1, shape)]
    size = np.choose(rng.integers(0, len(kinds), (shape[0], 1)), kinds)  # one kind a row
    mixed = rng.random((shape[0], 1)) < 0.3
    size = np.where(mixed, np.choose(rng.integers(0, len(kinds), shape), kinds), size)
    size = np.where(rng.random((shape[0], 1)) < 0.5, size, size[:, :1])
    turn = rng.uniform(0, 1, shape) * (rng.random((shape[0], 1)) < 0.5)
    return size * (np.exp(2j * np.pi * turn) if cplx else np.where(turn > 0.5, -1, 1))


def draw(rng, rows, l, dtype):
    """Return (a, b, h0) of so many sequences, (rows, l) and (rows,)."""
    cplx = np.dtype(dtype).kind == "c"

    def normal(*shape):
        return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if cplx else 0)

    scale = 10.0 ** (rng.uniform(0, 4, (rows, 1)) * rng.uniform(-1, 1, (rows, l)))
    b = normal(rows, l) * np.where(rng.random((rows, l)) < 0.1, 0, scale)
    alternating = np.where(rng.random((rows, 1)) < 0.1, (-1.0) ** np.arange(l), 1)
    h0 = normal(rows) * 10.0 ** rng.uniform(-2, 2, rows)
    return tuple(x.astype(dtype) for x in (decays(rng, (rows, l), cplx), b * alternating, h0))


def last_shares(schedule, a, b, h0):
    """Return the error of every row's last state over its bound."""
    exact = arithmetic.exact(truth.recurrence, a=a, b=b, h0=h0)["h"]
    error = np.abs(schedule(a, b, h0) - exact)
    return (error / recurrence_bound(a, b, h0, b.dtype))[:, -1].astype(float)


def random_cases(total, rows=500, seed=0):
    """Return {dtype: {schedule: all shares}}; lengths from 1 to 130 and up to 2,049."""
    rng = np.random.default_rng(seed)
    found = {dtype: {name: [] for name in SCHEDULES} for dtype in DTYPES}
    for i in range(total // rows):
        l = int(rng.integers(1, 131)) if i % 20 else int(rng.choice([257, 512, 1023, 2049]))
        dtype = DTYPES[i % len(DTYPES)]
        a, b, h0 = draw(rng, rows, l, dtype)
        exact = arithmetic.exact(truth.recurrence, a=a, b=b, h0=h0)["h"]
        bound = recurrence_bound(a, b, h0, dtype)
        for name, schedule in SCHEDULES.items():
            share = (np.abs(schedule(a, b, h0) - exact) / bound).max(axis=1)
            found[dtype][name].append(share.astype(float))
    return {d: {n: np.concatenate(s) for n, s in x.items() if s} for d, x in found.items()}


def climb(schedule, l, rows, rounds, seed=0):
    """Return the largest share of a last state that hill climbing finds, in float32.

    Change some numbers, keep what makes the error worse; every row climbs on its own.
    """
    rng = np.random.default_rng([seed, l])
    best = list(draw(rng, rows, l, "float32"))
    share = last_shares(schedule, *best)
    for i in range(rounds):
        size = 10.0 ** rng.uniform(-7, 0)
        moved = [x * (1 + size * rng.standard_normal(x.shape) * touched(rng, x)) for x in best]
        moved = [m.astype("float32") for m in moved]
        if i % 4 == 0:  # a better row is a better start than a bad one
            source = rng.integers(0, rows, rows)
            worse = share < share[source] * 0.5
            moved = [
                np.where(match(worse, m), x[source], m) for x, m in zip(best, moved, strict=True)
            ]
        new = last_shares(schedule, *moved)
        better = new > share
        share = np.where(better, new, share)
        best = [np.where(match(better, m), m, x) for x, m in zip(best, moved, strict=True)]
    return float(share.max())


def touched(rng, x):
    """Choose which numbers to change: about one in three."""
    return rng.random(x.shape) < 0.3


def match(mask, x):
    """Return a mask over rows in the shape that x needs."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - 1))


def summary(by_schedule):
    """Return what goes into the JSON file about the random cases of one dtype."""
    everything = np.concatenate(list(by_schedule.values()))
    return {
        "cases": len(next(iter(by_schedule.values()))),
        "violations": int((everything > 1).sum()),
        "largest": float(everything.max()),
        "median": float(np.median(everything)),
        "by schedule": {name: float(s.max()) for name, s in by_schedule.items()},
    }


def main(argv):
    args = parser(__doc__, cases=100_000, rounds=300).parse_args(argv)
    total, rounds = (4000, 10) if args.quick else (args.cases, args.rounds)
    cases = {dtype: summary(found) for dtype, found in random_cases(total).items()}
    columns = ("cases", "violations", "largest", "median")
    rows = {dtype: [f"{found[k]:.4g}" for k in columns] for dtype, found in cases.items()}
    show("random cases: error / bound", rows, columns)
    lengths = (1, 4, 16, 64)
    search = {
        name: {str(l): climb(schedule, l, 400, rounds) for l in lengths}
        for name, schedule in SCHEDULES.items()
    }
    rows = {name: [f"{share:.3f}" for share in x.values()] for name, x in search.items()}
    show("adversarial search, float32: largest share", rows, [f"l = {l}" for l in lengths])
    if not args.quick:
        print(save("bound_study", {"random": cases, "search": search}))
