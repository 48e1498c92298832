"""Does the oracle ever call a right implementation wrong, and how tight are its tolerances?

Runs thousands of random cases, every check on, on implementations known to be right: no two of them
share a case, and none is another one in the other dtype. Then it climbs: starting from random cases
it changes one value at a time to push error over tolerance up.
Writes benchmarks/results/oracle_study.json: `python -m benchmarks oracle [--cases N]`
"""

import argparse
import json
import platform
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers import jax_associative
from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    hillis_steele,
    recurrence,
    recurrence_backward,
    sequential,
)
from minimamba.ops.selective import scan as selective
from minimamba.oracle.bound.judge import Judge, accepted
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.cases.sizes import KINDS
from minimamba.oracle.check import failures
from minimamba.oracle.target.call import NoAnswer, Target

from .mutants.kill import RIGHT, WEIGHTS, target_of

RECURRENCE = {"complex", "trailing", "h0", "gradients", *KINDS}
SCAN = {"D", "z", "delta_bias", "delta_softplus", "gradients", *KINDS}
STATE = {"initial_state", "state_gradient"}
FULL = SCAN | STATE | {"seq_idx", "initial_state with seq_idx", "constant", "groups", "complex"}
CHUNKED = {"sequential": sequential, "hillis_steele": hillis_steele, "blelloch": blelloch}
SCHEDULES = CHUNKED | {"chunked(8)": chunked(8)}
OUT = Path(__file__).parents[2] / "benchmarks" / "results" / "oracle_study.json"


def nothing_before(b):
    return np.zeros((b.shape[0], *b.shape[2:]), b.dtype)


def with_schedule(schedule):
    """Return our recurrence under one schedule, as a target."""

    def run(a, b, h0=None):
        return recurrence(a, b, nothing_before(b) if h0 is None else h0, schedule)

    def backward(dh, cache):
        da, db, dh0 = recurrence_backward(dh, cache, schedule)
        return {"a": da, "b": db, "h0": dh0}

    return Target(run, "recurrence", "bld", "numpy", backward)


def peers():
    """Yield (name, target, capabilities, dtypes, share of the cases) of installed packages."""
    try:
        import torch
        from mambapy.pscan import pscan
        from transformers.models.mamba.modeling_mamba import mamba_selective_scan
    except ImportError:
        return
    torch.set_num_threads(1)

    def four(a, b):
        return pscan(*(x.reshape(*x.shape[:3], -1) for x in (a, b))).reshape(b.shape)

    real = {"trailing", "gradients", *KINDS} - {"no steps"}  # of which it takes a logarithm
    yield "mambapy pscan", Target(four, "recurrence", "bld", "torch"), real, BOTH, 1.0
    scan = Target(mamba_selective_scan, "selective_scan", "bdl", "torch")
    yield "transformers sequential", scan, SCAN | {"state_gradient"}, ("float32",), 1.0
    try:
        import jax
    except ImportError:
        return
    jax.config.update("jax_enable_x64", True)

    target = Target(jax_associative, "recurrence", "bld", "jax", limit=600.0)
    yield "jax.lax.associative_scan", target, RECURRENCE - {"h0", "long"}, BOTH, 0.05


BOTH = ("float32", "float64")


def implementations():
    """Yield (name, target, capabilities, dtypes, share of the cases)."""
    for name, schedule in SCHEDULES.items():
        yield f"recurrence {name}", with_schedule(schedule), RECURRENCE, BOTH, 1.0
    ours = Target(
        selective.selective_scan,
        "selective_scan",
        "bld",
        "numpy",
        selective.selective_scan_backward,
    )
    yield "selective_scan", ours, SCAN | STATE, BOTH, 1.0
    doubling = target_of(RIGHT, "selective_scan")
    yield "chunked doubling, every option", doubling, FULL, BOTH, 1.0
    model = target_of(RIGHT, "mamba_lm")
    yield "a whole model", model, {"gradients", "weights", "wide", "no rows"}, BOTH, 0.3
    yield from peers()


def drawn(target, seed, dtype, capabilities):
    op = target.contract.name
    like = {"like": WEIGHTS[op]()} if op in WEIGHTS else {}
    return draw(op, seed, dtype, capabilities, **like)


def study(name, target, capabilities, dtype, cases, stream):
    """Run the cases of one stream; return alarms and the distribution of error over tolerance."""
    ratios, alarms, refused, lengths = {}, [], [], []
    for i in range(cases):
        case = drawn(target, (1, stream, i), dtype, capabilities)
        try:
            found, judged = failures(target, case, accepted(dtype))
        except NoAnswer as error:
            refused.append(f"{i}: {case.kind}: {error}")
            continue
        alarms += [f"{i}: {s}" for s in found.values()]
        lengths.append(case.sizes()["l"])
        for f in judged:
            ratios.setdefault(f.output, []).append((f.strict, f.vacuous))
    row = {"implementation": name, "dtype": dtype, "cases": len(lengths), "alarms": alarms}
    row |= {"refused": refused, "longest": max(lengths), "mean_length": round(np.mean(lengths), 1)}
    return row | distribution(ratios)


def distribution(ratios):
    """Return the worst and the median of the worst error over tolerance, by output."""
    worst = {k: round(max(r for r, _ in v), 4) for k, v in ratios.items()}
    typical = {k: round(float(np.median([r for r, _ in v])), 4) for k, v in ratios.items()}
    share = float(np.mean([s for v in ratios.values() for _, s in v]))
    return {"worst": worst, "median_of_worst": typical, "vacuous_share": round(share, 5)}


def climb(target, capabilities, dtype, seed, steps=200):
    """Change one value at a time, keep what raises error over tolerance; return the best."""
    rng = np.random.default_rng(seed)

    def score(case):
        judge = Judge(case)
        return max((f.strict for f in judge.findings(target.call(case))), default=0.0)

    case = drawn(target, (2, *seed), dtype, capabilities - set(KINDS))
    case = replace(case, memory="contiguous")
    best = score(case)
    for _ in range(steps):
        name = str(rng.choice([k for k, x in case.inputs.items() if x.dtype.kind in "fc"]))
        x = case.inputs[name].copy()
        at = int(rng.integers(x.size))
        factor = np.exp(rng.normal(0, 0.3)) if rng.random() < 0.5 else 1 + rng.normal(0, 1e-6)
        x.flat[at] = x.flat[at] * factor
        moved = case.with_inputs(**{name: x}).rounded()
        new = score(moved)
        if new > best:
            case, best = moved, new
    return best


def write(rows, climbs, started):
    """Write what is known so far: the study takes a while, and may be cut short."""
    total = {"cases": sum(r["cases"] for r in rows), "alarms": sum(len(r["alarms"]) for r in rows)}
    total["worst"] = max(max(r["worst"].values()) for r in rows)
    total["highest_climb"] = max((c["best"] for c in climbs), default=None)
    machine = {"python": platform.python_version(), "numpy": np.__version__}
    machine |= {"machine": platform.machine(), "seconds": round(time.time() - started)}
    report = {"total": total, "machine": machine, "rows": rows, "climbs": climbs}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return total


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=700, help="per implementation and dtype")
    parser.add_argument("--climbs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args(argv)
    warnings.filterwarnings("ignore")
    started, rows, climbs = time.time(), [], []
    for name, target, capabilities, dtypes, share in implementations():
        for dtype in dtypes:
            many = int(args.cases * share)
            rows.append(study(name, target, capabilities, dtype, many, len(rows)))
            print(name, dtype, *(rows[-1][k] for k in ("cases", "alarms", "refused")), flush=True)
            write(rows, climbs, started)
        if target.frame.name == "numpy":
            hill = partial(climb, target, capabilities, "float32", steps=args.steps)
            best = [hill((len(rows), i)) for i in range(args.climbs)]
            climbs.append({"implementation": name, "climbs": args.climbs, "steps": args.steps})
            climbs[-1] |= {"best": round(max(best), 4), "of_each": [round(b, 4) for b in best]}
            print("climb", climbs[-1], flush=True)
    print(write(rows, climbs, started))
